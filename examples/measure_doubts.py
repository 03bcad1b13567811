"""Measure how often each doubt is reported for faces that are answered correctly, unchanged and degraded.

python examples/measure_doubts.py lfw_expressions.csv faces_color.zip

The CSV (``file,label``) names the photographs in the zip. Each corruption has severity 3 of 5.
"""

import csv
import sys
import zipfile
from collections import Counter
from pathlib import Path

import cv2
import numpy as np

from cmaen import EmotionPredictor
from cmaen.evaluation.corruptions import CORRUPTIONS
from cmaen.images.reader import read_image
from cmaen.inference.doubts import DOUBTS, find_doubts, measure_clarity
from cmaen.types import UNSURE_BELOW, certainty_of

MOST, SEVERITY = 220, 3
SIZES = (24, 32, 48)


def read_photographs(table, archive):
    """Some photographs of each label, with it."""
    rng = np.random.default_rng(0)
    by_label = {}
    with Path(table).open(newline="") as file:
        for row in csv.DictReader(file):
            by_label.setdefault(row["label"], []).append(row["file"].rpartition("/")[2])
    with zipfile.ZipFile(archive) as content:
        places = {name.rpartition("/")[2]: name for name in content.namelist()}
        for label, files in by_label.items():
            for index in rng.permutation(len(files))[:MOST]:
                yield label, read_image(content.read(places[files[index]]))


def main() -> None:
    """Measure."""
    predictor = EmotionPredictor()
    classifier = predictor.pipeline.classifier
    faces = []
    for label, image in read_photographs(*sys.argv[1:]):
        result = predictor.predict(image)
        if result.faces and result.faces[0].emotion == label:
            faces.append(result.faces[0])
    print(f"{len(faces)} faces that are answered right; named, in per cent of all and of those that are unsure:")
    rng = np.random.default_rng(0)
    small = {f"{side} pixels": lambda crop, side=side: resize(crop, side) for side in SIZES}
    harm = {
        name: lambda crop, change=change: change(crop[None], SEVERITY, rng)[0] for name, change in CORRUPTIONS.items()
    }
    for name, change in {"as they are": lambda crop: crop, **harm, **small}.items():
        crops = [change(face.crop) for face in faces]
        powers = [classifier.sharpening * measure_clarity(crop) for crop in crops]
        unsure = [is_unsure(row, power) for row, power in zip(classifier(crops), powers, strict=True)]
        doubts = [find_doubts(crop, face.box.landmarks) for crop, face in zip(crops, faces, strict=True)]
        counts = Counter(doubt for found in doubts for doubt in found)
        of_unsure = Counter(doubt for found, there in zip(doubts, unsure, strict=True) if there for doubt in found)
        told = "  ".join(
            f"{doubt} {counts[doubt] / len(faces):6.1%} ({of_unsure[doubt]}/{sum(unsure)})" for doubt in DOUBTS
        )
        print(f"{name:13} {told}")


def resize(crop, side):
    """The face seen from afar."""
    return cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA)


def is_unsure(row, sharpening):
    """Whether the page calls the answer unsure."""
    certainty = certainty_of(row, sharpening)
    return (max(row) if certainty is None else certainty) < UNSURE_BELOW


if __name__ == "__main__":
    main()
