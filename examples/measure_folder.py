"""Measure images per second over a folder: one by one, as a folder, and by two Ray workers, one of which is killed.

python examples/measure_folder.py folder
"""

import signal
import sys
import time
from itertools import islice
from pathlib import Path

import psutil

from cmaen import EmotionPredictor
from cmaen.inference.cluster import RayPipeline
from cmaen.inference.sources.images import FolderSource, ListSource
from cmaen.inference.spec import PipelineSpec

IMAGES, BATCH_SIZE = 400, 32


def timed(name, results):
    """Print how fast results come, and return the emotion of the largest face of each."""
    start = time.perf_counter()
    results = list(results)
    seconds = time.perf_counter() - start
    faces = sum(len(result.faces) for result in results)
    print(f"{name}: {len(results)} images, {faces} faces; {len(results) / seconds:.1f} images/s", flush=True)
    return [result.faces[0].emotion if result.faces else None for result in results]


def on_ray(source):
    """The results of two workers; one is killed when the first batches are there."""
    pipeline = RayPipeline(PipelineSpec(workers=2))
    results = pipeline.results(source)
    yield from islice(results, 2 * BATCH_SIZE)
    workers = [p for p in psutil.Process().children(recursive=True) if any("_Worker" in part for part in p.cmdline())]
    print(f"  {2 * BATCH_SIZE} answers are here; of {len(workers)} workers {workers[0].pid} is killed")
    workers[0].send_signal(signal.SIGKILL)
    yield from results


def main(folder):
    """Measure; as a folder, each picture has one thread, as in ``cmaen inference --directory``."""
    source = FolderSource(Path(folder))
    paths = list(islice(source.names(), IMAGES))
    predictor = EmotionPredictor()
    predictor.predict_single(paths[0])
    one = timed("image by image", (next(predictor.predict_each([path])) for path in paths))
    pipeline = PipelineSpec(throughput=True).build()
    many = [timed("as a folder", pipeline.results(ListSource(paths))) for _ in range(3)]
    ray = timed("on Ray, its start included", on_ray(source))
    for answers in (*many, ray):
        same = sum(a == b for a, b in zip(one, answers, strict=False))
        print(f"the answers of {same} of {len(one)} images are those of the first run, in the same order")


if __name__ == "__main__":
    main(sys.argv[1])
