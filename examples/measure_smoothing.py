"""Whether a smoothed answer is as sure as it is right: accuracy, confidence and ECE by the number of answers averaged.

python examples/measure_smoothing.py fer2013.zip ferplus_votes.csv

Sequences are made of FER2013's validation faces with the majorities of FER+: of different faces of one label, of many
pictures of one face (moved, turned, lit and with noise), and of pictures of two faces, one after the other, where the
label in the middle counts. "Before" is the confidence as for a single answer. "After" is what films get: it is raised
by the number of independent answers, see cmaen.inference.smoothing, with the spread of answers that the first half of
the faces has. All sequences are made of the second half.
"""

import sys
from pathlib import Path

import cv2
import numpy as np

from cmaen import EmotionPredictor
from cmaen.data.faces import load_faces
from cmaen.data.ferplus import majority, with_votes
from cmaen.data.splits import Split
from cmaen.evaluation.calibration import reliability
from cmaen.inference import smoothing

LENGTHS, SEQUENCES, PICTURES = (1, 2, 4, 8, 16, 32), 3000, 8


def main() -> None:
    """Measure."""
    classifier = EmotionPredictor().pipeline.classifier
    faces = with_votes(load_faces(Path(sys.argv[1]), Split.VALIDATION), Path(sys.argv[2]))
    labels = majority(faces)
    known = np.flatnonzero((labels >= 0) & (labels < len(classifier.labels)))
    images, labels = [faces.images[index] for index in known], labels[known]
    rng = np.random.default_rng(0)
    half = rng.permutation(len(labels)) < len(labels) // 2
    alone = classifier(images)  # [N, C]
    spread = measure_spread(alone[half], labels[half])
    print(f"{len(labels)} faces; variance of the answers to different faces of one label: {spread:.3f}")
    smoothing.SPREAD = spread
    shown = np.flatnonzero(~half)
    some = shown[:800]
    pictures = {index: classifier([take_picture(images[index], rng) for _ in range(PICTURES)]) for index in some}
    print(f"{'answers':24}  accuracy  before: confidence    ECE  after: confidence    ECE  independent")

    def show(name, sequences, truth):
        means = sequences.mean(axis=1)
        independent = np.array([smoothing.count_independent(sequence) for sequence in sequences])
        right = means.argmax(axis=1) == truth
        found = f"{name:24}  {right.mean():8.1%}"
        for label, powers in (("before", np.ones(len(means))), ("after", independent)):
            shares = sharpen(means, classifier.sharpening * powers[:, None])
            error = reliability(truth, shares, "equal_mass").expected_error
            found += f"  {label:>{6 if label == 'before' else 5}}: {shares.max(axis=1).mean():10.1%}  {error:5.3f}"
        print(f"{found}  {independent.mean():11.1f}")

    for length in LENGTHS:
        show(f"different faces: {length}", *of_one_label(alone, labels, shown, length, rng))
    for length in LENGTHS[1:]:
        show(f"one face: {length}", *of_one_face(pictures, labels, length, rng))
    for length, change in ((8, 5), (16, 9), (16, 13)):
        name = f"two faces: {change} and {length - change}"
        show(name, *of_two_faces(pictures, labels, length, change, rng))


def measure_spread(answers, labels):
    """The variance of the answers within the labels, summed over the classes."""
    parts = [answers[labels == label] for label in set(labels)]
    variances = [part.var(axis=0, ddof=1).sum() for part in parts]
    return float(np.average(variances, weights=list(map(len, parts))))


def sharpen(means, powers):
    """The shares whose largest is the confidence."""
    shares = (means / means.max(axis=1, keepdims=True)) ** powers
    return shares / shares.sum(axis=1, keepdims=True)


def of_one_label(answers, labels, shown, length, rng):
    """Sequences of different faces of one label, as frequent as the labels are."""
    firsts = rng.choice(shown, SEQUENCES)
    pools = {label: shown[labels[shown] == label] for label in set(labels[shown])}
    rows = [rng.choice(pools[labels[first]], length, replace=len(pools[labels[first]]) < length) for first in firsts]
    return answers[np.array(rows)], labels[firsts]


def of_one_face(pictures, labels, length, rng):
    """Sequences of pictures of one face; a long one has some more than once."""
    chosen = rng.choice(list(pictures), SEQUENCES)
    return np.stack([pictures[index][rng.integers(PICTURES, size=length)] for index in chosen]), labels[chosen]


def of_two_faces(pictures, labels, length, change, rng):
    """Sequences of pictures of one face, then of another; the middle belongs to the first."""
    first, _ = chosen = rng.choice(list(pictures), (2, SEQUENCES))
    draws = rng.integers(PICTURES, size=(SEQUENCES, length))
    rows = [
        np.concatenate([pictures[one][draw[:change]], pictures[other][draw[change:]]])
        for one, other, draw in zip(*chosen, draws, strict=True)
    ]
    return np.stack(rows), labels[first]


def take_picture(face, rng):
    """Another picture of the same face: moved, turned, lit and with noise."""
    height, width = face.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), rng.normal(0, 2), 1 + rng.normal(0, 0.02))
    matrix[:, 2] += rng.normal(0, 0.7, 2)
    moved = cv2.warpAffine(face, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE).astype(float)
    return np.clip(moved * rng.normal(1, 0.05) + rng.normal(0, 4, moved.shape), 0, 255).astype(np.uint8)


if __name__ == "__main__":
    main()
