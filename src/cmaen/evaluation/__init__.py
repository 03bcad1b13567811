"""Measure a network on a split, and report what was found."""
