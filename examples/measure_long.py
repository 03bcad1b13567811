"""How a film of hours is watched: its time, whether memory stays flat, and what a kill in its middle costs.

python examples/measure_long.py                          two hours, 25 frames a second, three people
python examples/measure_long.py --minutes 4 --compare    also the rows that differ from those of an unbroken run

A minute of three portraits that move is made and repeated. ``cmaen inference --video … --output …`` runs in a process
of its own, is killed when half of the frames are recorded, and goes on with ``--resume``.
"""

import argparse
import csv
import json
import math
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import av
import cv2
import numpy as np
from measure_video import HEIGHT, PORTRAIT, WIDTH, encoder

from cmaen.cli.console import progress
from cmaen.results import Result
from cmaen.types import Frame

RATE, SECONDS = 25, 60
PAUSE = 2.0


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=int, default=120)
    parser.add_argument("--compare", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        film = repeat(write_minute(folder / "minute.mp4"), folder / "film.mp4", options.minutes)
        frames = options.minutes * SECONDS * RATE
        print(f"{options.minutes} minutes, {frames:,} frames, {film.stat().st_size / 1e6:.0f} MB")
        output = folder / "faces.csv"
        watch("until it is killed", film, output, stop=frames // 2)
        watch("resumed", film, output, "--resume")
        rows = read_rows(output)
        print(f"{len(rows):,} rows, {len({row['frame'] for row in rows}):,} frames, "
              f"{len({row['identity'] for row in rows})} people")  # fmt: skip
        if options.compare:
            watch("without a stop", film, folder / "whole.csv")
            whole = read_rows(folder / "whole.csv")
            differ = [one["time"] for one, other in zip(whole, rows, strict=False) if one != other]
            said = f"; they are at {differ[0]} to {differ[-1]} s" if differ else ""
            print(f"{len(differ):,} of {len(whole):,} rows differ{said}; {len(whole) - len(rows)} are missing")


def write_minute(path):
    """A film of a minute whose end is like its beginning."""
    rng = np.random.default_rng(0)
    wall = cv2.resize(
        rng.integers(60, 190, (15, 20, 3), dtype=np.uint8), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC
    )
    portraits = [cv2.resize(PORTRAIT, None, fx=f, fy=f, interpolation=cv2.INTER_AREA) for f in (0.6, 0.5, 0.4)]
    sink = encoder(path, RATE)
    for number in progress(range(SECONDS * RATE), "frames", SECONDS * RATE):
        turn, picture = 2 * math.pi * number / (SECONDS * RATE), wall.copy()
        for place, portrait in enumerate(portraits):
            height, width = portrait.shape[:2]
            left = int(place * WIDTH / 3 + (WIDTH / 3 - width) * (0.5 + 0.5 * math.sin(7 * turn + place)))
            top = int((HEIGHT - height) * (0.5 + 0.4 * math.sin(4 * turn + 2 * place)))
            picture[top : top + height, left : left + width] = portrait
        sink.write(Result(Frame(number, image=picture, time=number / RATE)), picture)
    sink.finish()
    return path


def repeat(minute, path, times):
    """The film so many times in a row, without encoding it again."""
    with av.open(str(path), "w") as target:
        stream = None
        for turn in range(times):
            with av.open(str(minute)) as source:
                (video,) = source.streams.video
                stream = stream or target.add_stream_from_template(video)
                for packet in source.demux(video):
                    if packet.size:
                        shift = round(turn * SECONDS / packet.time_base)
                        packet.pts, packet.dts, packet.stream = packet.pts + shift, packet.dts + shift, stream
                        target.mux(packet)
    return path


def watch(name, film, output, *options, stop=None):
    """Run the command, sample its memory, and kill it once so many frames are recorded."""
    part = output.with_name(f"{output.name}.part")
    command = [sys.executable, "-m", "cmaen", "inference", "--video", film, "--output", output, *options]
    before = count_frames(part)
    began = time.monotonic()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    sizes, first = [], None
    while child.poll() is None:
        time.sleep(PAUSE)
        there = count_frames(part)
        if first is None and there > before:
            first = time.monotonic() - began
        if there > before and (size := measure_memory(child.pid)):
            sizes.append(size)
        if stop is not None and there >= stop:
            child.kill()
            child.wait()
    seconds = time.monotonic() - began
    quarters = [sizes[round(share * (len(sizes) - 1))] for share in (0, 0.25, 0.5, 0.75, 1)] if sizes else []
    frames = (there if stop is not None else count_rows_of_frames(output)) - before
    print(
        f"{name}: {frames:,} frames in {seconds:.0f} s, {frames / seconds:.0f} a second, the first recorded after "
        f"{first or seconds:.0f} s; memory {', '.join(f'{size:.0f}' for size in quarters)} MiB "
        f"(at the quarters), at most {max(sizes, default=0):.0f}"
    )


def count_frames(part):
    """The number of frames that are recorded, by the last line."""
    try:
        with part.open("rb") as file:
            file.seek(max(0, part.stat().st_size - 20000))
            lines = file.read().split(b"\n")[:-1]
        return json.loads(lines[-1])["frame"] + 1
    except (OSError, IndexError, KeyError, ValueError):
        return 0


def count_rows_of_frames(output):
    """The number of frames in the finished table."""
    return int(read_rows(output)[-1]["frame"]) + 1


def measure_memory(process):
    """The resident memory of a process, in MiB; 0 if it has ended."""
    said = subprocess.run(["ps", "-o", "rss=", "-p", str(process)], capture_output=True, text=True).stdout.strip()
    return int(said) / 1024 if said else 0


def read_rows(path):
    """The rows of a CSV."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


if __name__ == "__main__":
    main()
