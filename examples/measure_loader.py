"""Measure how fast the loader augments batches for training: random faces of 48 pixels, batch 64, 112 pixels.

python examples/measure_loader.py            # on the CPU, or: … cuda

For an earlier revision: git worktree add before REVISION; PYTHONPATH=before/src python examples/measure_loader.py
"""

import inspect
import sys
import time
from statistics import median

import numpy as np
import torch

from cmaen.data.augmentation import AugmentSpec
from cmaen.data.splits import FaceSet, Split
from cmaen.preprocessing import PreprocessSpec
from cmaen.training.batches import FaceBatches, Picks

COUNT, BATCH, SIDE = 4096, 64, 112


def main() -> None:
    """Measure."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (COUNT, 48, 48), np.uint8)
    faces = FaceSet(Split.TRAIN, images, rng.integers(0, 7, COUNT), tuple(map(str, range(COUNT))))
    device = torch.device(sys.argv[1] if len(sys.argv) > 1 else "cpu")
    there = {"device": device} if "device" in inspect.signature(FaceBatches).parameters else {}
    for operations in (0, 2):
        batches = FaceBatches(
            faces, PreprocessSpec(image_size=SIDE), augmentation=AugmentSpec(operations=operations), **there
        )
        times = []
        for seed in range(60):
            picks = Picks(torch.from_numpy(rng.permutation(COUNT)[:BATCH]), seed)
            start = time.perf_counter()
            batches[picks].images.sum().item()  # of a GPU, the end is waited for
            times.append(time.perf_counter() - start)
        pace = BATCH / median(times[10:])
        print(f"{device}, {torch.get_num_threads()} threads, {operations} operations: {pace:,.0f} images/s")


if __name__ == "__main__":
    main()
