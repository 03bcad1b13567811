"""Measure the speed of PyPI's fer: its classifier on face crops, and its whole pipeline on a photo.

pip install fer "setuptools<81" && python examples/peers/fer_speed.py examples/astronaut.png
"""

import sys
from functools import partial
from importlib.metadata import version

import cv2
import numpy as np
from fer.fer import FER
from timing import milliseconds


def pipeline(name, detector, photo):
    """Print what is found on a photo, and how long that takes."""
    faces = detector.detect_emotions(photo)
    answers = [max(face["emotions"].items(), key=lambda pair: pair[1]) for face in faces]
    took = milliseconds(lambda: detector.detect_emotions(photo))
    print(f"photo of {photo.shape[1]} x {photo.shape[0]}, {name}: {len(faces)} faces {answers}, {took:.1f} ms")


def main(path):
    """Measure."""
    print(f"fer {version('fer')}, medians of 30")
    with_haar = FER()
    for size in (1, 64):
        crops = np.random.default_rng(0).random((size, 64, 64), np.float32)
        print(f"{size} crops: {milliseconds(partial(with_haar._classify_emotions, crops)):.1f} ms")
    photo = cv2.imread(path)
    pipeline("Haar", with_haar, photo)
    pipeline("MTCNN", FER(mtcnn=True), photo)


if __name__ == "__main__":
    main(sys.argv[1])
