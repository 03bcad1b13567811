"""Measure how fast a video of 640 x 480 with three faces is analysed, the cost of each step, and memory over time.

python examples/measure_video.py [detector]           the speed and its breakdown against the machine's limits
python examples/measure_video.py [detector] --hour    memory over a file of one hour, 5 frames a second
"""

import math
import os
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from statistics import median
from types import SimpleNamespace

import cv2
import numpy as np

from cmaen import EmotionPredictor, annotate, read_image
from cmaen.cli.console import progress
from cmaen.inference.benchmark import measure_machine
from cmaen.inference.detectors import DEFAULT
from cmaen.inference.run import run
from cmaen.inference.sinks.records import RecordSink
from cmaen.inference.sinks.video import VideoSink
from cmaen.inference.sources.video import VideoSource
from cmaen.inference.tracking import FaceTracker
from cmaen.results import Result
from cmaen.types import Frame

HEIGHT, WIDTH, SECONDS, RATE = 480, 640, 20, 30
PORTRAIT = read_image(Path(__file__).parent / "astronaut.png")[:300, 60:380]


def frames(seconds, rate):
    """Three portraits that move about, each in its own third of a grainy wall."""
    rng = np.random.default_rng(0)
    wall = cv2.resize(
        rng.integers(60, 190, (15, 20, 3), dtype=np.uint8), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC
    )
    portraits = [cv2.resize(PORTRAIT, None, fx=f, fy=f, interpolation=cv2.INTER_AREA) for f in (0.6, 0.5, 0.4)]
    for number in range(seconds * rate):
        now, picture = number / rate, wall.copy()
        for place, portrait in enumerate(portraits):
            height, width = portrait.shape[:2]
            left = int(place * WIDTH / 3 + (WIDTH / 3 - width) * (0.5 + 0.5 * np.sin(0.7 * now + place)))
            top = int((HEIGHT - height) * (0.5 + 0.4 * np.sin(0.4 * now + 2 * place)))
            picture[top : top + height, left : left + width] = portrait
        yield Frame(number, image=picture, time=now)


def write(path, seconds, rate):
    """The frames as a file."""
    sink = encoder(path, rate)
    for frame in progress(frames(seconds, rate), "the video", seconds * rate):
        sink.write(Result(frame), frame.image)
    sink.finish()


def encoder(path, rate):
    """A silent video."""
    timing = SimpleNamespace(
        rate=Fraction(rate), time_base=Fraction(1, 90000), sound=None, begins=0.0, start=0.0, ends=None
    )
    return VideoSink(path, timing)


def whole(path, pipeline, folder, *, drawn, progress=iter):
    """Frames a second from file to file, as ``cmaen inference --video … --output … [--save-video …]`` works."""
    source = VideoSource(path)
    sinks = [RecordSink(folder / "faces.csv"), *([VideoSink(folder / "out.mp4", source)] if drawn else [])]
    start = time.perf_counter()
    seen = run(source, pipeline, sinks, progress=progress)
    return seen, seen.frames / (time.perf_counter() - start)


def milliseconds(call, items):
    """Median time of a call for each of the items, the first few left out, and its last result."""
    times = []
    for item in items:
        start = time.perf_counter()
        result = call(item)
        times.append(1000 * (time.perf_counter() - start))
    return median(times[5:]), result


def breakdown(path, predictor, folder):
    """Each step alone, with all cores: milliseconds a frame."""
    pipeline = predictor.pipeline
    source = VideoSource(path)
    pending = iter(source)
    decode, _ = milliseconds(lambda _: next(pending)(), range(100))
    source.close()
    pictures = [frame.image for frame in frames(4, RATE)]
    locate, faces = milliseconds(pipeline.detect, pictures)
    tracker = FaceTracker()
    tracker.follow(pictures[0], 0.0)
    tracker.find(pipeline.detect(pictures[0]), 0.0, lambda faces: [None] * len(faces))
    follow, tracks = milliseconds(lambda image: tracker.follow(image, 0.0), pictures[1:])
    crop, crops = milliseconds(lambda image: [pipeline.crop(image, face) for face in faces], pictures)
    classify, _ = milliseconds(lambda _: pipeline.classifier(crops), pictures)
    answers = predictor.predict_faces(pictures[-1])
    draw, _ = milliseconds(lambda image: annotate(image, answers), pictures)
    sink = encoder(folder / "encoded.mp4", RATE)
    encode, _ = milliseconds(lambda frame: sink.write(Result(frame), frame.image), frames(4, RATE))
    sink.close()
    machine, gflop = measure_machine(None), len(crops) * predictor.card.cost["flops"] / 1e9
    searched, classified = (
        1 / math.ceil(every * RATE - 0.1) for every in (pipeline.tuning.detect_every, pipeline.tuning.classify_every)
    )
    print(f"{len(faces)} faces found, {len(tracks)} followed; medians of 115 frames, milliseconds")
    for name, each, share, limit in (
        ("decode", decode, 1, None),
        ("detect", locate, searched, None),
        ("follow", follow, 1, None),
        ("crop and align", crop, classified, None),
        ("classify", classify, classified, 1000 * gflop / machine.gflops),
        ("draw", draw, 1, None),
        ("encode", encode, 1, None),
    ):
        bound = "" if limit is None else f"   arithmetic alone at {machine.gflops:.0f} GFLOP/s: {limit:.2f}"
        print(f"  {name:15} {each:6.2f} each time, {each * share:6.2f} a frame{bound}")
    copied = 1000 * 2 * pictures[0].nbytes / machine.bandwidth / 1e9
    print(f"  copying a frame once at {machine.bandwidth:.1f} GB/s: {copied:.3f}")


def resident():
    """Memory of this process in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def noting(results, every):
    """The results; memory is printed every so many."""
    for result in results:
        if result.frame.index % every == 0:
            print(f"  minute {result.frame.time / 60:4.0f}: {resident():.0f} MiB", flush=True)
        yield result


def main(*arguments):
    """Measure."""
    hour = "--hour" in arguments
    seconds, rate = (3600, 5) if hour else (SECONDS, RATE)
    predictor = EmotionPredictor(detector=next((a for a in arguments if a != "--hour"), DEFAULT))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "in.mp4"
        write(path, seconds, rate)
        if hour:
            seen, speed = whole(
                path, predictor.pipeline, folder, drawn=True, progress=lambda results: noting(results, 5 * 60 * rate)
            )
            print(f"{seen.frames} frames, {seen.seconds:.0f} s, {seen.people} people, {speed:.1f} frames a second")
            return
        for drawn in (True, False):
            for turn in range(1, 4):
                seen, speed = whole(path, predictor.pipeline, folder, drawn=drawn)
                what = "to a video and a CSV" if drawn else "to a CSV"
                print(f"turn {turn}, {what}: {seen.frames} frames, {seen.people} people, {speed:.1f} frames/s")
        breakdown(path, predictor, folder)


if __name__ == "__main__":
    main(*sys.argv[1:])
