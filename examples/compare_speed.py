"""Compare the speed of two checkpoints, from crops to logits, run alternately, so that a busy machine slows down both.

python examples/compare_speed.py checkpoint-before checkpoint-now
"""

import sys
import time
from pathlib import Path

import numpy as np

from cmaen.checkpoints import Checkpoint
from cmaen.engines import build_engine

TURNS = {1: 600, 64: 50}


def main(*folders):
    """Print the times of both, and the median of their ratio with its 95 % interval."""
    rng = np.random.default_rng(0)
    ways = [(Checkpoint.open(folder).card.preprocess, build_engine("onnx", folder)) for folder in map(Path, folders)]
    for batch_size, turns in TURNS.items():
        crops = list(rng.integers(0, 256, (batch_size, 112, 112, 3), np.uint8))
        times = np.array([[timed(*way, crops) for way in ways] for _ in range(turns)])[turns // 10 :]
        for folder, way in zip(folders, 1e3 * times.T, strict=True):
            first, median, third = np.percentile(way, [25, 50, 75])
            print(f"{batch_size:>2} crops: {median:6.2f} ms ({first:.2f} to {third:.2f}) {folder}")
        ratios = times[:, 1] / times[:, 0]
        low, high = np.percentile(np.median(rng.choice(ratios, (2000, len(ratios))), axis=1), [2.5, 97.5])
        print(f"{batch_size:>2} crops: the second, {np.median(ratios):.2f} times the first ({low:.2f} to {high:.2f})")


def timed(spec, engine, crops):
    """Seconds from crops to logits."""
    start = time.perf_counter()
    engine(spec(crops))
    return time.perf_counter() - start


if __name__ == "__main__":
    main(*sys.argv[1:3])
