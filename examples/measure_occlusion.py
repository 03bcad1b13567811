"""Measure how long an occlusion map takes, and whether it finds what the answer needs, against integrated gradients.

python examples/measure_occlusion.py lfw_expressions.csv faces_color.zip

The warmest tenth of each map is blurred in the face; the further the log-odds of the answer fall, the better the map. A
random tenth is the baseline. Gradients are measured if PyTorch and Captum are installed.
"""

import sys
import time

import cv2
import numpy as np
from measure_doubts import read_photographs

from cmaen import EmotionPredictor
from cmaen.errors import MissingExtraError
from cmaen.inference.explaining import explain_crops
from cmaen.inference.occlusion import measure_log_odds

EACH, PART = 14, 0.1


def main() -> None:
    """Measure."""
    predictor = EmotionPredictor()
    classifier = predictor.pipeline.classifier
    faces, counts = [], {}
    for label, image in read_photographs(*sys.argv[1:]):
        if counts.setdefault(label, 0) == EACH:
            continue
        found = predictor.predict(image).faces
        if found and found[0].emotion == label:
            counts[label] += 1
            faces.append(found[0])
    crops = [face.crop for face in faces]
    print(f"{len(faces)} faces that are answered right")
    rng = np.random.default_rng(0)
    side = predictor.card.preprocess.image_size
    maps = {"by chance": [cv2.GaussianBlur(rng.random((side, side)), (0, 0), side / 16) for _ in faces]}
    for kind in ("occlusion", "gradient"):
        try:
            explain_crops(crops[:1], faces[:1], classifier, kind=kind)
        except MissingExtraError:
            continue
        began = time.perf_counter()
        explained = [explain_crops([face.crop], [face], classifier, kind=kind).faces[0] for face in faces]
        print(f"{kind}: {(time.perf_counter() - began) / len(faces):.2f} s a face")
        maps[kind] = [one.heat for one in explained]
    for kind, heats in maps.items():
        costs = [measure_cost(classifier, crop, heat) for crop, heat in zip(crops, heats, strict=True)]
        print(f"{kind}: without its warmest tenth {np.mean(costs):.2f} less log-odds (median {np.median(costs):.2f})")


def measure_cost(classifier, crop, heat):
    """By how much the log-odds of the answer fall without the warmest part of a map."""
    (face,) = classifier.inputs([crop])
    warm = (heat >= np.quantile(heat, 1 - PART)).astype(np.float32)
    soft = cv2.GaussianBlur(warm, (0, 0), face.shape[-1] / 60)
    blurred = np.stack([cv2.GaussianBlur(channel, (0, 0), face.shape[-1] / 8) for channel in face])
    rows = classifier.probabilities(np.stack([face, face + soft * (blurred - face)]))
    before, after = measure_log_odds(rows, int(rows[0].argmax()))
    return before - after


if __name__ == "__main__":
    main()
