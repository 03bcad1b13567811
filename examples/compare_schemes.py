"""Show faces on which the two label schemes differ: what people see, and what the label in FER2013 would be.

python examples/compare_schemes.py film.mp4 photo.jpg --output schemes.png
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw

from cmaen import EmotionPredictor, read_image
from cmaen.drawing.lettering import load_font, space_out
from cmaen.drawing.style import colour_of, describe_answer, find_candidates
from cmaen.images.signatures import is_image_name
from cmaen.types import FER2013, PERCEIVED

APART = 0.24
"""Seconds between two faces of one film."""
SIDE, COLUMNS = 208, 4


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
    picture = Image.new("RGB", (SIDE, SIDE + 56), "white")
    picture.paste(Image.fromarray(cv2.resize(crop, (SIDE, SIDE), interpolation=cv2.INTER_AREA)))
    draw = ImageDraw.Draw(picture)
    for row, answer in enumerate(answers):
        top = SIDE + 7 + 24 * row
        emotion, classes = answer["predicted_emotion"], list(answer["probabilities"])
        unsure = find_candidates(answer)
        for part in range(0, 16, 6 if unsure else 1):  # broken where it is unsure
            low = top + part + (3 if unsure else 0)
            draw.rectangle((4, top + part, 10, low), fill="#9aa0a8" if unsure else colour_of(emotion, classes))
        said = describe_answer(answer) if unsure is None else f"{unsure[0]} or {unsure[1]}?"
        words = space_out(f"{answer['scheme']}: {said}")
        draw.text((16, top + 8), words, font=load_font(13), fill=(28, 33, 39), anchor="lm")
    return np.asarray(picture)


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
        Image.fromarray(np.vstack(rows)).save(options.output, quality=88)


if __name__ == "__main__":
    main()
