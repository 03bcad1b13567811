"""Faces a second over a folder: image by image, in batches, and by two workers of Ray of which one is killed.

python examples/measure_folder.py folder
"""

import signal
import sys
import time
from pathlib import Path

import psutil

from cmaen import EmotionPredictor

IMAGES, BATCH_SIZE = 400, 32


def timed(name, call):
    """Print how fast a call answers for images, and return its answers."""
    start = time.perf_counter()
    answers = call()
    seconds = time.perf_counter() - start
    faces = sum(len(answer["faces"]) for answer in answers)
    rates = f"{len(answers) / seconds:.1f} images/s, {faces / seconds:.1f} faces/s"
    print(f"{name}: {len(answers)} images, {faces} faces; {rates}")
    return answers


def on_ray(paths):
    """The answers of two workers; one is killed when the first batches are there."""
    from cmaen.inference.cluster import predict_on_ray

    answers = predict_on_ray(paths, batch_size=BATCH_SIZE, workers=2)
    results = [next(answers) for _ in range(2 * BATCH_SIZE)]
    workers = [p for p in psutil.Process().children(recursive=True) if any("_Worker" in part for part in p.cmdline())]
    print(f"  {len(results)} answers are here; of {len(workers)} workers {workers[0].pid} is killed")
    workers[0].send_signal(signal.SIGKILL)
    return results + list(answers)


def main(folder):
    """Measure."""
    paths = [str(path) for path in sorted(Path(folder).rglob("*.jpg"))[:IMAGES]]
    predictor = EmotionPredictor()
    predictor.predict_batch(paths[:BATCH_SIZE])
    one = timed("image by image", lambda: [predictor.predict_single(path) for path in paths])
    many = timed(f"in batches of {BATCH_SIZE}", lambda: predictor.predict_batch(paths, batch_size=BATCH_SIZE))
    ray = timed("on Ray, its start included", lambda: on_ray(paths))
    for answers in (many, ray):
        same = sum(a["predicted_emotion"] == b["predicted_emotion"] for a, b in zip(one, answers, strict=True))
        print(f"the answers of {same} of {len(one)} images are those of the first run, in the same order")


if __name__ == "__main__":
    main(sys.argv[1])
