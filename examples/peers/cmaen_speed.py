"""Measure the speed of this package in the same way as the other systems here: on face crops, and on a photo.

The crops go through each model that comes with the package, the photo through the default.

python examples/peers/cmaen_speed.py examples/astronaut.png [detector ...]
"""

import sys
from functools import partial

import numpy as np
from timing import milliseconds

from cmaen import EmotionPredictor, list_models, read_image
from cmaen.inference.detectors import DEFAULT


def main(path, *detectors):
    """Measure."""
    print("cmaen, medians of 30")
    for model in list_models():
        classifier = EmotionPredictor(model.name).pipeline.classifier
        for size in (1, 64):
            crops = list(np.random.default_rng(0).integers(0, 256, (size, 64, 64, 3), dtype=np.uint8))
            print(f"{model.name}, {size} crops: {milliseconds(partial(classifier, crops)):.1f} ms")
    photo = read_image(path)
    for detector in detectors or (DEFAULT,):
        predictor = EmotionPredictor(detector=detector)
        answers = [(face["predicted_emotion"], round(face["confidence"], 2)) for face in predictor.predict_faces(photo)]
        took = milliseconds(partial(predictor.predict_faces, photo))
        height, width = photo.shape[:2]
        print(f"photo of {width} x {height}, {detector}: {len(answers)} faces {answers}, {took:.1f} ms")


if __name__ == "__main__":
    main(*sys.argv[1:])
