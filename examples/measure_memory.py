"""Measure memory over time: training on more faces than fit into it, and balancing large faces. Linux only; no data.

python examples/measure_memory.py train                     # 300,000 faces of 112 x 112 x 3: 11 GB, in under 2 GB
python examples/measure_memory.py balance                   # 49,000 faces of 192 x 192 x 3: 5 GB, in under 4 GB

It prints all resident memory of the process: what it has allocated (anonymous) and what is mapped from files, both its
libraries and the cache of faces. Nothing is subtracted. Reserved memory is its private memory, whether it was ever
written or not (VmData); with --limit, the system refuses any allocation beyond that (RLIMIT_DATA).
The faces are drawn: a few thousand different ones, each under many names, which decoding does not notice.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np

DIFFERENT = 3000
EMOTIONS = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
UNEVEN = (0.14, 0.03, 0.14, 0.23, 0.17, 0.17, 0.12)
"""Shares of the emotions when faces are to be balanced."""
ROWS = 24
KINDS = ("VmRSS", "RssAnon", "RssFile", "VmData", "VmHWM")
"""What the system tells of a process; the last is the highest resident memory that it has ever had."""


def draw(emotion: int, side: int, rng: np.random.Generator) -> np.ndarray:
    """Draw a face, more or less: uint8 [S, S, 3], smooth, with a bar whose place depends on the emotion."""
    face = cv2.resize(rng.integers(40, 200, (7, 7, 3), np.uint8), (side, side), interpolation=cv2.INTER_CUBIC)
    top = (2 * emotion + 1) * side // 16
    face[top : top + side // 16, side // 4 : 3 * side // 4] = 250
    return face


def write_faces(folder: Path, counts: dict[str, list[int]], side: int) -> None:
    """Write a data set with so many faces of each emotion in each split."""
    rng = np.random.default_rng(0)
    for split, of_split in counts.items():
        for emotion, count in enumerate(of_split):
            place = folder / split / EMOTIONS[emotion]
            place.mkdir(parents=True, exist_ok=True)
            for number in range(count):
                path = place / f"{number:06}.jpg"
                if number < DIFFERENT // len(EMOTIONS):
                    cv2.imwrite(str(path), draw(emotion, side, rng))
                else:
                    os.link(place / f"{number % (DIFFERENT // len(EMOTIONS)):06}.jpg", path)


def train(folder: Path, output: Path) -> None:
    """Train a tiny network for an epoch."""
    from cmaen.training.config import Config
    from cmaen.training.run import train

    train(
        Config(
            output=output,
            data={"path": folder},
            preprocess={"image_size": 32, "source_size": None, "grey": False},
            model={
                **{"wiring": "residual", "trunk": "ecnn", "side": None, "ecnn_widths": [8, 8, 16, 16], "hidden": 16},
                **{"ecnn_stem": "small", "scales": None, "pyramid_channels": None, "emotion_heads": False},
            },
            training={"epochs": 1, "batch_size": 256, "device": "cpu"},
        )
    )


def balance(folder: Path, output: Path) -> None:
    """Balance to 7,000 faces of each emotion, with neighbours by the features of the shipped network."""
    from cmaen.data.balance import balance_folder
    from cmaen.data.balancing import Features
    from cmaen.inference.classifier import FaceClassifier

    done = balance_folder(
        output, folder, target=7000, features=Features("cmaen-m", FaceClassifier(threads=1).features_of)
    )
    print(json.dumps(done.to_dict()), flush=True)


WORK = {"train": train, "balance": balance}


def work(options: argparse.Namespace) -> None:
    """Do the work, under the limit."""
    if options.limit:
        resource.setrlimit(resource.RLIMIT_DATA, (int(options.limit * 1e9),) * 2)
    import logging

    logging.basicConfig(level=logging.INFO, format="log %(name)s: %(message)s", stream=sys.stdout)
    WORK[options.what](options.folder / "faces", options.folder / "output")


def memory_of(process: subprocess.Popen[bytes]) -> dict[str, float]:
    """Measure the memory of a process in MB by :data:`KINDS`."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    values = dict(line.split(":", 1) for line in lines if line.startswith(KINDS))
    return {kind: int(values[kind].split()[0]) * 1024 / 1e6 for kind in KINDS if kind in values}


def watch(options: argparse.Namespace) -> int:
    """Start the work in a process of its own, and print its memory over time."""
    environment = os.environ | {"CMAEN_CACHE": str(options.folder / "cache")}
    command = [sys.executable, __file__, options.what, "--folder", str(options.folder), "--limit", str(options.limit)]
    began, curve = time.monotonic(), []
    process = subprocess.Popen([*command, "--work"], env=environment)
    try:
        while process.poll() is None:
            if len(found := memory_of(process)) == len(KINDS):
                curve.append((time.monotonic() - began, *found.values()))
            time.sleep(0.5)
    except KeyboardInterrupt:
        process.terminate()
        print("\nstopped; until then:")
    print("\nthe highest of each interval, in MB")
    print(f"{'seconds':>8}{'resident':>10}{'anonymous':>11}{'of files':>10}{'reserved':>10}")
    step = max(1, -(-len(curve) // ROWS))
    for start in range(0, len(curve), step):
        some = np.array(curve[start : start + step])
        seconds, *most = some[-1, 0], *some[:, 1:].max(axis=0)
        print(f"{seconds:8.0f}{most[0]:10,.0f}{most[1]:11,.0f}{most[2]:10,.0f}{most[3]:10,.0f}")
    highest = np.array(curve).max(axis=0)
    kept = sum(file.stat().st_size for file in (options.folder / "cache").rglob("*") if file.is_file())
    most = [f"{value:,.0f}" for value in highest]
    print(f"at most {most[5]} MB resident, {most[2]} of them anonymous, and {most[4]} MB reserved", end="")
    print(f" of {options.limit:g} GB that it may have" if options.limit else "")
    print(f"{kept / 1e9:.1f} GB in the cache")
    return process.wait()


def main() -> int:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=WORK)
    parser.add_argument("--count", type=int, help="faces of Training; default: 300,000, or 28,700 to balance")
    parser.add_argument("--side", type=int, help="side in pixels; default: 112, or 192 to balance")
    parser.add_argument("--limit", type=float, default=0, help="limit of private memory in GB; 0: none")
    parser.add_argument("--folder", type=Path, help="where faces, cache and results go, and stay; default: temporary")
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options)
        return 0
    with TemporaryDirectory() as temporary:
        options.folder = options.folder or Path(temporary)
        if not (options.folder / "faces").exists():
            count = options.count or (300_000 if options.what == "train" else 28_700)
            shares = [1 / 7] * 7 if options.what == "train" else UNEVEN
            ends = np.round(count * np.cumsum([0, *shares]) / sum(shares)).astype(int)
            counts = {"train": np.diff(ends).tolist(), "validation": [200] * 7}
            write_faces(options.folder / "faces", counts, options.side or (112 if options.what == "train" else 192))
        return watch(options)


if __name__ == "__main__":
    sys.exit(main())
