"""How long a call takes."""

import time
from statistics import median


def milliseconds(call, runs=30):
    """Median time of a call, after five that are not counted."""
    times = []
    for _ in range(runs + 5):
        start = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - start))
    return median(times[5:])
