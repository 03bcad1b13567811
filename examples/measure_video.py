"""How fast a video of 640 x 480 with three faces is watched, what each step costs, and whether memory stays flat.

python examples/measure_video.py [detector]           the speed and its breakdown against the machine's limits
python examples/measure_video.py [detector] --hour    memory over a file of one hour, 5 frames a second
"""

import os
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from statistics import median

import cv2
import numpy as np

from cmaen import EmotionPredictor
from cmaen.cli.console import progress
from cmaen.images import read_image
from cmaen.inference.annotate import annotate
from cmaen.inference.benchmark import measure_machine
from cmaen.inference.tracking import FaceTracker
from cmaen.inference.video import DETECT_EVERY, JUDGE_EVERY, Frame, VideoAnalyser, VideoReader, VideoWriter
from cmaen.inference.watch import watch

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
        yield Frame(number, now, picture)


def write(path, seconds, rate):
    """The frames as a file."""
    with VideoWriter(path, rate=rate, time_base=Fraction(1, 90000)) as video:
        for frame in progress(frames(seconds, rate), "the video", seconds * rate):
            video.write(frame)


def whole(path, predictor, folder, pictures):
    """Frames a second from file to file, as ``cmaen inference --video … --save-video … --output …`` works."""
    reader = VideoReader(path)
    writer = VideoWriter(folder / "out.mp4", rate=reader.rate, time_base=reader.time_base)
    start = time.perf_counter()
    seen = watch(
        progress(pictures(reader), "frames", reader.frames),
        VideoAnalyser(predictor),
        output=folder / "faces.csv",
        video=writer,
    )
    reader.close()
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
    reader = iter(VideoReader(path))
    decode, _ = milliseconds(lambda _: next(reader), range(100))
    pictures = [frame.image for frame in frames(4, RATE)]
    locate, faces = milliseconds(predictor.locate, pictures)
    tracker = FaceTracker()
    tracker.detected(pictures[0], predictor.locate(pictures[0]), 0.0)
    follow, tracks = milliseconds(tracker.followed, pictures[1:])
    crop, crops = milliseconds(lambda image: [predictor.crop(image, face) for face in faces], pictures)
    classify, _ = milliseconds(lambda _: predictor.classify(crops), pictures)
    answers = predictor.predict_faces(pictures[-1])
    draw, _ = milliseconds(lambda image: annotate(image, answers), pictures)
    with VideoWriter(folder / "encoded.mp4", rate=RATE, time_base=Fraction(1, 90000)) as video:
        encode, _ = milliseconds(video.write, frames(4, RATE))
    machine, gflop = measure_machine(None), len(crops) * predictor.card.cost["flops"] / 1e9
    print(f"{len(faces)} faces found, {len(tracks)} followed; medians of 115 frames, milliseconds")
    for name, each, share, limit in (
        ("decode", decode, 1, None),
        ("detect", locate, 1 / DETECT_EVERY, None),
        ("follow", follow, 1 - 1 / DETECT_EVERY, None),
        ("crop and align", crop, 1 / JUDGE_EVERY, None),
        ("classify", classify, 1 / JUDGE_EVERY, 1000 * gflop / machine.gflops),
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


def noting(reader, every):
    """The frames of a reader; memory is printed every so many."""
    for frame in reader:
        if frame.number % every == 0:
            print(f"  minute {frame.time / 60:4.0f}: {resident():.0f} MiB", flush=True)
        yield frame


def main(*arguments):
    """Measure."""
    hour = "--hour" in arguments
    seconds, rate = (3600, 5) if hour else (SECONDS, RATE)
    predictor = EmotionPredictor(detector=next((a for a in arguments if a != "--hour"), "auto"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "in.mp4"
        write(path, seconds, rate)
        if hour:
            seen, speed = whole(path, predictor, folder, lambda reader: noting(reader, 5 * 60 * rate))
            print(f"{seen.frames} frames, {seen.seconds:.0f} s, {seen.people} people, {speed:.1f} frames a second")
            return
        for turn in range(1, 4):
            seen, speed = whole(path, predictor, folder, lambda reader: reader)
            print(f"turn {turn}: {seen.frames} frames, {seen.faces} faces, {seen.people} people, {speed:.1f} frames/s")
        breakdown(path, predictor, folder)


if __name__ == "__main__":
    main(*sys.argv[1:])
