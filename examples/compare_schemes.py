"""Faces on which the two label schemes differ: what people see, and what the label in FER2013 would be.

python examples/compare_schemes.py film.mp4 photo.jpg --output schemes.png
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

from cmaen import EmotionPredictor, read_image
from cmaen.drawing import hex_of
from cmaen.signatures import is_image_name
from cmaen.types import FER2013, PERCEIVED

APART = 0.24
"""Seconds between two faces of one film."""
SIDE, COLUMNS = 180, 4


def crops(path: Path, predictor: EmotionPredictor) -> list[np.ndarray]:
    """The largest face of a photo, or of a film every so many seconds, RGB uint8 [h, w, 3] each."""
    pipeline = predictor.pipeline
    if is_image_name(path):
        images = [read_image(path)]
    else:
        images, last = [], -APART
        with predictor.video(str(path)) as frames:
            for frame in frames:
                if frame.time - last >= APART:
                    images.append(frame.image)
                    last = frame.time
    found = [(image, pipeline.detect(image)) for image in images]
    return [pipeline.crop(image, faces[0]) for image, faces in found if faces]


def tile(crop: np.ndarray, answers: list[dict]) -> np.ndarray:
    """A face and its two answers below it, RGB uint8 [H, SIDE, 3]."""
    face = cv2.resize(crop, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    lines = np.full((52, SIDE, 3), 255, np.uint8)
    for row, answer in enumerate(answers):
        emotion = answer["predicted_emotion"]
        colour = tuple(int(hex_of(emotion, list(answer["probabilities"]))[i : i + 2], 16) for i in (1, 3, 5))
        words = f"{answer['scheme']}: {emotion} {answer['confidence']:.0%}"
        cv2.putText(lines, words, (4, 20 + 22 * row), cv2.FONT_HERSHEY_SIMPLEX, 0.44, colour, 1, cv2.LINE_AA)
    return np.vstack([face, lines])


def main() -> None:
    """Compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", type=Path, nargs="+", help="photos and films")
    parser.add_argument("--output", type=Path, required=True, help="picture of the faces on which the schemes differ")
    parser.add_argument("--count", type=int, default=12, help="faces at most, those with the surest answers")
    options = parser.parse_args()
    predictor = EmotionPredictor()
    faces = [crop for source in options.sources for crop in crops(source, predictor)]
    both = zip(
        *(predictor.under(scheme).predict_batch(faces, detect=False) for scheme in (PERCEIVED, FER2013)), strict=True
    )
    differing = [
        (index, answers)
        for index, answers in enumerate(both)
        if answers[0]["predicted_emotion"] != answers[1]["predicted_emotion"]
    ]
    print(f"{len(faces)} faces, the schemes differ on {len(differing)}")
    surest = sorted(differing, key=lambda entry: -min(answer["confidence"] for answer in entry[1]))[: options.count]
    tiles = [tile(faces[index], list(answers)) for index, answers in sorted(surest, key=lambda entry: entry[0])]
    if tiles:
        tiles += [np.full_like(tiles[0], 255)] * (-len(tiles) % COLUMNS)
        rows = [np.hstack(tiles[start : start + COLUMNS]) for start in range(0, len(tiles), COLUMNS)]
        cv2.imwrite(str(options.output), np.vstack(rows)[..., ::-1])


if __name__ == "__main__":
    main()
