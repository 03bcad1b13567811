"""Measure whether the confidence of blurred and distant faces holds, with and without the clarity of the face.

python examples/measure_clarity.py fer2013.zip lfw_expressions.csv faces_color.zip

The faces of FER2013's validation split are measured against the majority of the FER+ votes, and the largest face of
every photograph that the CSV (``file,label``) names against its label: as they are, blurred and down-scaled.
"""

import sys
from pathlib import Path

import numpy as np

from cmaen import EmotionPredictor
from cmaen.data.faces import load_faces
from cmaen.data.ferplus import majority, with_votes
from cmaen.data.splits import Split
from cmaen.evaluation.calibration import reliability
from cmaen.evaluation.corruptions import CORRUPTIONS
from cmaen.evaluation.photographs import read_photographs
from cmaen.inference.doubts import measure_clarity

NAMES, SEVERITIES = ("blur", "down-scaling"), (1, 2, 3, 4, 5)


def find_photographs(predictor, labels, pictures):
    """The largest face of each photograph in which one is found, and its label."""
    known = predictor.pipeline.classifier.labels
    found = [
        (faces[0].crop, known.index(photograph.label))
        for photograph in read_photographs(Path(labels), Path(pictures))
        if (faces := predictor.predict(photograph.content).faces)
    ]
    crops, right = zip(*found, strict=True)
    return crops, np.array(right)


def find_faces(path):
    """FER2013's validation faces on which the votes have a majority, and that majority."""
    faces = with_votes(load_faces(Path(path), Split.VALIDATION), "auto")
    seen = majority(faces)
    return list(faces.images[seen >= 0]), seen[seen >= 0]


def main() -> None:
    """Measure."""
    data, labels, pictures = sys.argv[1:]
    predictor = EmotionPredictor(contempt=True)
    classifier, rng = predictor.pipeline.classifier, np.random.default_rng(0)
    sets = {"FER2013": find_faces(data), "photographs": find_photographs(predictor, labels, pictures)}
    for title, (crops, right) in sets.items():
        print(f"{title}: {len(crops)} faces; mean confidence and its error, without and with clarity")
        changes = [("as they are", None, 0), *((name, CORRUPTIONS[name], s) for name in NAMES for s in SEVERITIES)]
        for name, change, severity in changes:
            some = [crop if change is None else change(crop[None], severity, rng)[0] for crop in crops]
            rows = classifier(some)
            clarities = [measure_clarity(classifier.reduce(crop)) for crop in some]
            told = [tell(rows, right, classifier.sharpening * np.array(by)) for by in (np.ones(len(some)), clarities)]
            accuracy = (rows.argmax(axis=1) == right).mean()
            print(f"  {name:12} {severity}  accuracy {accuracy:.1%}  {told[0]}  {told[1]}")


def tell(rows, right, sharpening):
    """The mean confidence of some answers, and the error of calibration in bins of equal mass."""
    powers = rows ** sharpening[:, None]
    answers = powers / powers.sum(axis=1, keepdims=True)
    return f"{answers.max(axis=1).mean():.1%} ({reliability(right, answers, 'equal_mass').expected_error:.3f})"


if __name__ == "__main__":
    main()
