"""What an answer costs: time on this machine, and the size of the network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np


class Latency(NamedTuple):
    """How long a batch takes, from uint8 face crops to logits.

    Attributes:
        batch_size: Crops.
        median, percentile_95: Milliseconds.
    """

    batch_size: int
    median: float
    percentile_95: float

    @classmethod
    def of(cls, batch_size: int, times: Sequence[float]) -> Latency:
        """Of the times of many runs, milliseconds."""
        median, high = np.percentile(times, (50, 95))
        return cls(batch_size, float(median), float(high))


class Cost(NamedTuple):
    """What a network costs with an engine on a machine.

    Attributes:
        engine, precision: What computes, and in what its file was written.
        processor: Its name, as the system tells it.
        threads: That compute.
        latencies: By the size of the batch.
        file_mib: Size of the engine's files.
        parameters: ``None`` where the card does not tell.
        gflop: 10^9 operations for one face, a multiplication and an addition being two; ``None`` the same.
    """

    engine: str
    precision: str
    processor: str
    threads: int
    latencies: tuple[Latency, ...]
    file_mib: float
    parameters: int | None
    gflop: float | None

    def as_dict(self) -> dict[str, Any]:
        """A plain dict, ready for JSON."""
        return {**self._asdict(), "latencies": [latency._asdict() for latency in self.latencies]}
