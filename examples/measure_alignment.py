"""Where FER2013's faces have their eyes and mouths: the figures behind CropSpec.

python examples/measure_alignment.py fer2013.zip yunet centerface:centerface.onnx
"""

import sys
from pathlib import Path

import cv2
import numpy as np

from cmaen.data.fer2013 import load_fer2013
from cmaen.data.splits import Split
from cmaen.inference.detectors import build_detector

SIDE, BORDER, FACES = 192, 32, 500
NAMES = ("eye distance", "eye height", "mouth drop", "box")


def places(face):
    """The eyes' distance and height, the mouth's drop and the box's longer side, as parts of the picture's side."""
    marks = (np.array(face.landmarks) - BORDER) / SIDE
    eyes, mouth = marks[:2].mean(axis=0), marks[3:].mean(axis=0)
    return np.hypot(*(marks[1] - marks[0])), eyes[1], mouth[1] - eyes[1], max(face.width, face.height) / SIDE


faces = load_fer2013(Path(sys.argv[1]), Split.TRAIN)
pictures = []
for index in np.random.default_rng(0).permutation(len(faces))[:FACES]:
    crop = cv2.resize(faces.images[index], (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    picture = cv2.copyMakeBorder(crop, *[BORDER] * 4, cv2.BORDER_REPLICATE)
    pictures.append(np.repeat(picture[:, :, None], 3, axis=2))
found = {}
for name in sys.argv[2:] or ["yunet"]:
    detector = build_detector(name)
    found[name] = {number: places(face) for number, picture in enumerate(pictures) for face in detector(picture)[:1]}
common = set.intersection(*map(set, found.values()))
print(f"{len(common)} of {FACES} faces are found by all; medians (quartiles) as parts of the side")
for name, rows in found.items():
    print(f"{name.partition(':')[0]}, {len(rows)} faces found")
    quartiles = np.percentile([rows[number] for number in sorted(common)], [25, 50, 75], axis=0).T
    for part, (low, middle, high) in zip(NAMES, quartiles, strict=True):
        print(f"  {part:13} {middle:.3f} ({low:.3f} to {high:.3f})")
