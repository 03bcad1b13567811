"""Compare the speed of two revisions of this package, run alternately, so that a busy machine slows down both.

git worktree add ../before REVISION
python examples/compare_revisions.py ../before . examples/astronaut.png folder film.mp4

The folder holds pictures, and the film's frames are counted. Only EmotionPredictor is used, which both revisions have.
"""

import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median, quantiles

TURNS = {"photo": 40, "file": 40, "1 crop": 40, "64 crops": 15, "folder": 4, "film": 4}
"""What is timed, and how often; a photo is in memory, and a file is decoded first."""


def answer(photo, folder, film):
    """Time what the standard input names, one line after the other: milliseconds."""
    import numpy as np

    from cmaen import EmotionPredictor, read_image

    predictor, pixels = EmotionPredictor(), read_image(photo)
    crop = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    files = sorted(map(str, Path(folder).iterdir()))

    def watch():
        with predictor.video(film) as frames:
            sum(1 for _ in frames)

    jobs = {
        "photo": lambda: predictor.predict_faces(pixels),
        "file": lambda: predictor.predict_single(photo),
        "1 crop": lambda: predictor.pipeline.classifier([crop]),
        "64 crops": lambda: predictor.pipeline.classifier([crop] * 64),
        "folder": lambda: predictor.predict_batch(files),
        "film": watch,
    }
    for name in ("photo", "file", "1 crop", "64 crops"):
        jobs[name]()
    print("ready", flush=True)
    for line in sys.stdin:
        started = time.perf_counter()
        jobs[line.strip()]()
        print(1e3 * (time.perf_counter() - started), flush=True)


def start(checkout, *paths):
    """A process that answers with the package of a checkout."""
    environment = {**os.environ, "PYTHONPATH": str(Path(checkout).resolve() / "src")}
    command = [sys.executable, __file__, "answer", *paths]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, env=environment
    )
    assert process.stdout.readline() == "ready\n"
    return process


def ask(process, job):
    """Milliseconds of a job."""
    process.stdin.write(f"{job}\n")
    return float(process.stdout.readline())


def main(before, after, *paths):
    """Measure both, in turns."""
    processes = [start(checkout, *map(os.path.abspath, paths)) for checkout in (before, after)]
    for job, turns in TURNS.items():
        took = [[], []]
        for turn in range(turns):
            for place in (0, 1) if turn % 2 else (1, 0):
                took[place].append(ask(processes[place], job))
        low, middle, high = quantiles([new / old for old, new in zip(*took, strict=True)], n=4)
        old, new = map(median, took)
        print(
            f"{job:8} {old:8.1f} ms before, {new:8.1f} after: {middle:.2f} times ({low:.2f} to {high:.2f})", flush=True
        )


if __name__ == "__main__":
    (answer if sys.argv[1] == "answer" else main)(*sys.argv[2 if sys.argv[1] == "answer" else 1 :])
