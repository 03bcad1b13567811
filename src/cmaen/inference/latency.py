"""How long an engine takes."""

from __future__ import annotations

import time
from statistics import median

import numpy as np

from cmaen.engines import Engine
from cmaen.preprocessing import PreprocessSpec


def latency_ms(engine: Engine, spec: PreprocessSpec, batch_size: int, *, runs: int = 30, warmup: int = 5) -> float:
    """Median time of one batch of face crops, from uint8 crops to logits, in milliseconds."""
    rng = np.random.default_rng(0)
    crops = list(rng.integers(0, 256, (batch_size, 112, 112, 3), dtype=np.uint8))
    times = []
    for run in range(warmup + runs):
        start = time.perf_counter()
        engine(spec(crops))
        if run >= warmup:
            times.append((time.perf_counter() - start) * 1000)
    return median(times)
