"""A detector, a backbone and a sink for CMAEN, as an example of a plug-in."""
