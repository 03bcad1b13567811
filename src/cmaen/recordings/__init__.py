"""Recordings as data: what was seen of each person over time, read from results and turned into other forms."""
