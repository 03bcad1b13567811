"""Measure how well a detector crops: the shipped network's accuracy on FER2013's validation faces set into pictures.

python examples/measure_alignment.py fer2013.zip yunet centerface:centerface.onnx

The faces are upright or turned by up to 30 degrees; accuracy is measured on those that all the detectors find.
"""

import sys
from pathlib import Path

import cv2
import numpy as np

from cmaen import EmotionPredictor
from cmaen.data.faces import load_faces
from cmaen.data.splits import Split

SIDE, BORDER = 192, 64


def pictures(faces, tilt, rng):
    """The faces enlarged, their edges repeated around them, each turned by up to so many degrees."""
    for face in faces.images:
        large = cv2.resize(face, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
        picture = cv2.copyMakeBorder(large, *[BORDER] * 4, cv2.BORDER_REPLICATE)
        middle = (picture.shape[1] / 2, picture.shape[0] / 2)
        turn = cv2.getRotationMatrix2D(middle, rng.uniform(-tilt, tilt), 1)
        turned = cv2.warpAffine(picture, turn, picture.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
        yield np.repeat(turned[:, :, None], 3, axis=2)


faces = load_faces(Path(sys.argv[1]), Split.VALIDATION)
for tilt in (0, 30):
    answers = {}
    for name in sys.argv[2:] or ["yunet"]:
        results = EmotionPredictor(detector=name).predict_each(pictures(faces, tilt, np.random.default_rng(0)))
        answers[name] = np.array([np.argmax(r.faces[0].probabilities) if r.faces else -1 for r in results])
    common = np.all([found >= 0 for found in answers.values()], axis=0)
    for name, found in answers.items():
        hits = (found == faces.labels)[common].mean()
        kind = name.partition(":")[0]
        print(f"up to {tilt:2} degrees: {kind:10} finds {(found >= 0).sum()}, {hits:.1%} right of {common.sum()}")
