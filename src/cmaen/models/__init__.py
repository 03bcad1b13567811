"""The networks. Start with :mod:`cmaen.models.paper` or :mod:`cmaen.models.network`, from top to bottom."""
