"""Many tests at once: p-values that hold for all of them together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.05
"""Chance, at most, that anything is called significant where nothing is."""


def adjust_for_many(p_values: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    """Adjust the p-values of several tests for their number (Holm, 1979).

    If everything with an adjusted value of at most :data:`LEVEL` is called significant, the chance that any of it is
    not is at most that level, however the tests depend on each other.

    Args:
        p_values: A p-value for each test, in [0, 1]; all tests that a report shows, not only the small ones.

    Returns:
        Adjusted p-values in the same order, in [0, 1], float64 [T].

    Raises:
        ValueError: A p-value is not in [0, 1].
    """
    values = np.asarray(p_values, np.float64)
    if not np.all((values >= 0) & (values <= 1)):
        raise ValueError(f"p-values must be in [0, 1], not {values}")
    order = np.argsort(values, kind="stable")
    scaled = values[order] * np.arange(len(values), 0, -1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return adjusted
