"""How well people are told apart: pairs of photographs of LFW, and recordings made of its portraits.

python examples/measure_identities.py faces_color.zip [one_person.mp4]

Pairs: LFW as it is here has one photograph of each person, so that the two faces of one person are the photograph and a
view of it made by code (turned, smaller, mirrored, darker or brighter, blurred, compressed), which is easier than two
photographs of different days; those of two people are real. Intervals are bootstrapped over people, not pairs. The
video, if given, shows one person; its faces at least a second apart are pairs of one person with different expressions.

Recordings: portraits that move, cross, leave, come back and are cut to, with the tracks that say who was shown where.
An identity switch is a frame in which a person's face bears another name than in the person's last frame.
"""

import sys
import zipfile
from collections import Counter
from contextlib import closing
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from cmaen.images.reader import read_image
from cmaen.inference.detectors import build_detector
from cmaen.inference.people.embedding import FaceEmbedder
from cmaen.inference.people.linking import THRESHOLD

PEOPLE, RESAMPLES, LEVELS = 300, 200, 400
SIZES = (64, 40, 28, 20)
"""Widths of the face in the made view, in pixels; 250-pixel photographs of LFW have faces about 90 wide."""


def read_photographs(archive, most, seed=0):
    """Some photographs, RGB uint8 [250, 250, 3]."""
    with zipfile.ZipFile(archive) as content:
        names = sorted(name for name in content.namelist() if name.startswith("lfw/") and name.endswith(".jpg"))
        for index in np.random.default_rng(seed).permutation(len(names))[:most]:
            yield read_image(content.read(names[index]))


def make_view(image, rng, across):
    """Another view of a photograph, in which the face is ``across`` pixels wide."""
    side = image.shape[0]
    turn = cv2.getRotationMatrix2D((side / 2, side / 2), rng.uniform(-12, 12), across / 90)
    view = cv2.warpAffine(image, turn, (side, side), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
    if rng.random() < 0.5:
        view = np.ascontiguousarray(view[:, ::-1])
    light = 255 * (view / 255.0) ** rng.uniform(0.6, 1.6) * rng.uniform(0.85, 1.15, 3)
    view = np.clip(light + rng.normal(0, rng.uniform(0, 6), view.shape), 0, 255).astype(np.uint8)
    view = cv2.GaussianBlur(view, (0, 0), rng.uniform(0.3, 1.0))
    _, packed = cv2.imencode(".jpg", view, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(40, 85))])
    return cv2.imdecode(packed, cv2.IMREAD_COLOR)


def look_at(image, detector, embedder):
    """The features of the face nearest to the middle; ``None`` if there is none."""
    faces = detector(image)
    middle = np.array(image.shape[1::-1]) / 2
    faces.sort(key=lambda face: np.hypot(*(np.array([face.x + face.width / 2, face.y + face.height / 2]) - middle)))
    (look,) = embedder.look(image, faces[:1]) if faces else [None]
    return None if look is None else look.features


def rate(similarities, counts):
    """False matches and non-matches at each of LEVELS thresholds from -1 to 1; people count as often as drawn."""
    bins = np.clip((similarities + 1) / 2 * LEVELS, 0, LEVELS - 1).astype(np.int64)
    weights = np.outer(counts, counts).astype(np.float64)
    np.fill_diagonal(weights, 0)  # a person drawn twice is not two people
    others = np.bincount(bins.ravel(), weights.ravel(), LEVELS)
    same = np.bincount(np.diag(bins), counts.astype(np.float64), LEVELS)
    matches = 1 - np.cumsum(others) / others.sum() + others / others.sum()  # at or above the level
    misses = (np.cumsum(same) - same) / same.sum()
    return matches, misses


def measure_pairs(first, second, label):
    """Print the rates of some pairs, features [P, F] each."""
    similarities = first @ second.T  # [P, P]
    rng = np.random.default_rng(0)
    people = len(first)
    level = round((THRESHOLD + 1) / 2 * LEVELS)
    figures = []
    for resample in range(RESAMPLES + 1):
        counts = np.bincount(rng.integers(0, people, people), minlength=people) if resample else np.ones(people, int)
        matches, misses = rate(similarities, counts)
        equal = int(np.argmin(np.abs(matches - misses)))
        rare = int(np.argmax(matches <= 1e-3))
        figures.append(
            (
                (matches[equal] + misses[equal]) / 2,
                matches[level],
                misses[level],
                2 * equal / LEVELS - 1,
                2 * rare / LEVELS - 1,
                misses[rare],
            )
        )
    low, high = np.percentile(figures[1:], [2.5, 97.5], axis=0)
    error, false, missed, equal, rare, rarely = figures[0]
    print(
        f"{label}: {people} people; equal error rate {error:.2%} ({low[0]:.2%} to {high[0]:.2%}) at {equal:.2f}; at the "
        f"threshold {THRESHOLD}: false matches {false:.3%} ({low[1]:.3%} to {high[1]:.3%}), false non-matches "
        f"{missed:.2%} ({low[2]:.2%} to {high[2]:.2%}); 0.1% false matches at {rare:.2f}, with {rarely:.2%} non-matches"
    )


def measure_photographs(archive):
    """Print the rates of photographs against views of several sizes."""
    detector, embedder = build_detector("yunet"), FaceEmbedder()
    rng = np.random.default_rng(1)
    photographs, views = [], {size: [] for size in SIZES}
    for image in read_photographs(archive, PEOPLE):
        photographs.append(look_at(image, detector, embedder))
        for size in SIZES:
            views[size].append(look_at(make_view(image, rng, size), detector, embedder))
    for size in SIZES:
        there = [
            (one, two) for one, two in zip(photographs, views[size], strict=True) if not (one is None or two is None)
        ]
        measure_pairs(*map(np.array, zip(*there, strict=True)), label=f"faces {size} pixels wide")


def main():
    """Measure."""
    measure_photographs(sys.argv[1])


if __name__ == "__main__":
    main()
