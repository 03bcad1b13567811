"""Data sets in the layouts in which they are published: one module each, listed in :mod:`cmaen.data.layouts.table`."""
