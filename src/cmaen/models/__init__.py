"""The Cross-Modal Attention Emotion Network. Read :mod:`cmaen.models.cmaen` first; its parts are the other modules."""
