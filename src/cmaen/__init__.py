"""CMAEN."""
