"""Red stays red and blue stays blue from a file to an answer and onto the picture; all tests fail if they swap."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cmaen import EmotionPredictor, annotate
from cmaen.drawing.style import colour_of
from cmaen.engines import build_engine, probabilities
from cmaen.images.reader import read_image
from cmaen.inference.alignment import crop_face
from cmaen.preprocessing import PreprocessSpec
from cmaen.types import EMOTIONS, FER2013, FaceBox
from tests.conftest import EXAMPLES

ORANGE = (230, 120, 20)
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
FORMATS = ("bmp", "gif", "jpeg", "png", "ppm", "tiff", "webp")
MODES = ("RGB", "RGBA", "P", "CMYK", "YCbCr", "LAB")


@pytest.mark.parametrize("kind", FORMATS)
def test_a_file_of_every_format(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"orange.{kind}"
    Image.new("RGB", (16, 16), ORANGE).save(path)
    for source in (path, path.read_bytes()):
        assert np.abs(read_image(source).astype(int) - ORANGE).max() < 8


@pytest.mark.parametrize("mode", MODES)
def test_a_picture_of_every_mode(mode: str) -> None:
    picture = Image.new("RGB", (32, 32), ORANGE).convert(mode)
    assert np.abs(read_image(picture).mean(axis=(0, 1)) - ORANGE).max() < 8  # a palette mixes it from other colours


def test_grey_is_weighed_as_the_training_images_were() -> None:
    spec = PreprocessSpec(image_size=8, mean=(0, 0, 0), std=(1 / 255,) * 3)
    for channel, weight in enumerate(LUMA):
        crop = np.zeros((48, 48, 3), np.uint8)
        crop[:, :, channel] = 255
        assert np.allclose(spec([crop]), round(255 * weight), atol=1e-3)


def test_colour_that_is_kept_stays_in_its_channel() -> None:
    crop = np.full((60, 60, 3), ORANGE, np.uint8)
    for source_size in (None, 48):
        spec = PreprocessSpec(32, grey=False, source_size=source_size, mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 0.2))
        expected = (np.array(ORANGE) / 255 - spec.mean) / spec.std
        assert np.allclose(spec([crop]).mean(axis=(0, 2, 3)), expected, atol=1e-4)


@pytest.mark.parametrize("emotion", EMOTIONS)
def test_a_box_and_its_label_have_the_colour_of_the_emotion(emotion: str) -> None:
    picture = np.zeros((200, 200, 3), np.uint8)
    drawn = annotate(picture, [{"box": [40, 80, 100, 80], "predicted_emotion": emotion, "confidence": 0.5}])
    assert tuple(drawn[160, 90]) == colour_of(emotion, EMOTIONS)
    bar = (drawn[:74] == colour_of(emotion, EMOTIONS)).all(axis=2)
    assert bar.sum() > 15
    assert np.ptp(np.flatnonzero(bar.any(axis=0))) < 6  # all of it in one place, before the words


def test_labels_of_ones_own_have_colours_that_differ_from_those_of_emotions_beside_them() -> None:
    classes = ["calm", "angry", "bored", "happy", "awake", "neutral", "asleep"]
    colours = [colour_of(name, classes) for name in classes]
    assert len(set(colours)) == len(classes)
    assert colours[1] == colour_of("angry", EMOTIONS)
    many = [*map(str, range(20)), *EMOTIONS]
    assert len({colour_of(name, many) for name in many}) == 8
    with pytest.raises(ValueError, match="other"):
        colour_of("other", classes)


def two_coloured() -> tuple[np.ndarray, np.ndarray]:
    """Return the astronaut in grey, and in colours of the same luma; swapped red and blue would show as stripes."""
    grey = np.asarray(Image.open(EXAMPLES / "astronaut.png").convert("L"), float)
    grey = 90 + 75 * grey / 255
    stripes = 28 * np.where(np.arange(grey.shape[0]) // 12 % 2, 1, -1)[:, None]
    coloured = np.stack([grey + stripes, grey, grey - stripes * LUMA[0] / LUMA[2]], axis=2)
    return np.rint(grey).astype(np.uint8), np.rint(coloured).astype(np.uint8)


def test_the_answer_for_a_coloured_face_is_that_for_its_luma(tmp_path: Path) -> None:
    """Compare the whole predictor with an answer computed without it."""
    grey, coloured = two_coloured()
    engine, predictor = (
        build_engine("onnx"),
        EmotionPredictor(detector=lambda _: [FaceBox(160, 60, 130, 130)], scheme=FER2013),
    )
    spec, temperature = predictor.card.preprocess, predictor.card.schemes[FER2013].temperature

    def expected(crop: np.ndarray) -> np.ndarray:
        return probabilities(engine(spec([crop])), temperature)[0]

    box = (slice(55, 195), slice(155, 295))
    right, wrong = expected(grey[box]), expected(coloured[box] @ LUMA[::-1])
    assert np.abs(right - wrong).max() > 0.3
    Image.fromarray(coloured[box]).save(tmp_path / "crop.png")
    for source in (tmp_path / "crop.png", (tmp_path / "crop.png").read_bytes(), coloured[box]):
        answer = predictor.predict_single(source, detect=False)["probabilities"]
        assert list(answer.values()) == pytest.approx(right, abs=0.02)
    Image.fromarray(coloured).save(tmp_path / "photo.png")
    (face,) = predictor.predict_single(tmp_path / "photo.png")["faces"]
    found = FaceBox(*face["box"])
    right = expected(crop_face(np.repeat(grey[:, :, None], 3, axis=2), found, predictor.card.crop))
    assert list(face["probabilities"].values()) == pytest.approx(right, abs=0.05)
