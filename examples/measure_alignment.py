"""Where FER2013's faces have their eyes and mouths: the figures behind CropSpec.

python examples/measure_alignment.py fer2013.zip
"""

import sys
from pathlib import Path

import cv2
import numpy as np

from cmaen.data.fer2013 import load_fer2013
from cmaen.data.splits import Split
from cmaen.inference.detectors import build_detector

SIDE, BORDER, FACES = 192, 32, 500

faces = load_fer2013(Path(sys.argv[1]), Split.TRAIN)
detector = build_detector("centerface")
rows = []
for index in np.random.default_rng(0).permutation(len(faces))[:FACES]:
    crop = cv2.resize(faces.images[index], (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    picture = cv2.copyMakeBorder(crop, *[BORDER] * 4, cv2.BORDER_REPLICATE)
    for face in detector(np.repeat(picture[:, :, None], 3, axis=2))[:1]:
        marks = (np.array(face.landmarks) - BORDER) / SIDE
        eyes, mouth = marks[:2].mean(axis=0), marks[3:].mean(axis=0)
        rows.append(
            [np.hypot(*(marks[1] - marks[0])), eyes[1], mouth[1] - eyes[1], max(face.width, face.height) / SIDE]
        )
low, middle, high = np.percentile(rows, [25, 50, 75], axis=0)
print(f"{len(rows)} of {FACES} faces found; medians (quartiles) as parts of the side")
for name, a, b, c in zip(("eye distance", "eye height", "mouth drop", "box"), low, middle, high, strict=True):
    print(f"{name:13} {b:.3f} ({a:.3f} to {c:.3f})")
