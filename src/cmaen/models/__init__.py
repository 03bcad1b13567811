"""The networks. Read :mod:`cmaen.models.paper` or :mod:`cmaen.models.network` from top to bottom first."""
