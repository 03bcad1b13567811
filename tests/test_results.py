from __future__ import annotations

import copy
import io
import json
import pickle
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cmaen.drawing.rendering import render_face, render_picture
from cmaen.drawing.style import colour_of
from cmaen.errors import CmaenError, NoPixelsError
from cmaen.results import Answer, Face, Result
from cmaen.types import EMOTIONS, FaceBox, Frame

SAD = tuple(0.94 if name == "sad" else 0.01 for name in EMOTIONS)
FACE = Face(SAD, FaceBox(30, 40, 60, 50))
PICTURE = np.full((120, 160, 3), (200, 10, 30), np.uint8)


def pixels_of(png: bytes | None) -> np.ndarray:
    assert png is not None
    assert png.startswith(b"\x89PNG")
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def has(pixels: np.ndarray, colour: tuple[int, int, int]) -> int:
    return int((pixels == colour).all(axis=2).sum())


def test_a_result_says_what_it_is() -> None:
    result = Result(Frame(3, "film.mp4", PICTURE, 0.12), (FACE,), None, "perceived")
    assert (result.path, result.size, result.time, result.status) == ("film.mp4", (160, 120), 0.12, "ok")
    assert result.image is PICTURE
    assert Result(Frame(0)).status == "no_face"
    assert Result(Frame(0, error="x"), error="x").status == "error"
    assert Result(Frame(0)).size is None
    assert "array" not in repr(result)
    assert result == Result(Frame(3, "film.mp4", None, 0.12), (FACE,), None, "perceived")  # pixels are not compared


def test_the_size_stays_when_the_pixels_go() -> None:
    frame = replace(Frame(0, "a", PICTURE), image=None)
    assert (frame.image, frame.size) == (None, (160, 120))
    record = {**Result(frame, (FACE,)).to_record(), "size": frame.size}
    assert Result.from_record(json.loads(json.dumps(record))).size == (160, 120)
    assert Result.from_record({**record, "size": None}).size is None


def test_a_face_and_a_result_survive_their_dicts() -> None:
    face = Face(SAD, FaceBox(1, 2, 30, 40, landmarks=((1, 2), (3, 4), (5, 6), (7, 8), (9, 10))), identity=4)
    assert Face.from_dict(face.to_dict()).to_dict() == face.to_dict()
    assert "person" not in face.to_dict(), "records without recognition are those of earlier versions"
    named = replace(face, person="Ada")
    assert named.to_dict()["person"] == Face.from_dict(named.to_dict()).person == "Ada"
    result = Result(Frame(7, "film.mp4", time=0.28), (face,), scheme="fer2013")
    assert Result.from_record(result.to_record()).to_record() == result.to_record()
    assert result.to_dict()["faces"] == [face.to_dict()]


def test_an_answer_is_a_dict_that_remembers_its_path() -> None:
    answer = Result(Frame(0, "photo.jpg"), (FACE,)).to_dict()
    assert answer == dict(answer)
    for again in (answer, pickle.loads(pickle.dumps(answer)), copy.copy(answer), copy.deepcopy(answer)):
        assert isinstance(again, Answer)
        assert (again, again.path) == (answer, "photo.jpg")
    assert json.loads(json.dumps(answer)) == answer
    assert "path" not in answer


def test_a_result_shows_itself_where_it_holds_its_pixels() -> None:
    sad = colour_of("sad", EMOTIONS)
    result = Result(Frame(0, "a", PICTURE), (FACE,))
    plot = result.plot()
    assert isinstance(plot, Image.Image)
    assert plot.size == (160, 120)
    assert has(np.asarray(plot), sad) > 100
    assert np.array_equal(pixels_of(result._repr_png_()), np.asarray(plot))  # it is already small
    bare = Result(Frame(0, "a"), (FACE,))
    assert bare._repr_png_() is None
    assert np.array_equal(np.asarray(bare.plot(PICTURE)), np.asarray(plot))
    with pytest.raises(NoPixelsError, match=r"result\.plot\(image\)"):
        bare.plot()
    with pytest.raises(NoPixelsError, match="is cut short"):
        Result(Frame(0, "a", error="is cut short"), error="is cut short").plot()
    with pytest.raises(CmaenError, match="does not exist"):
        bare.plot("nothing.png")


def test_a_large_picture_becomes_a_thumbnail_whose_labels_can_be_read() -> None:
    face = {"box": [1500, 1000, 600, 800], "predicted_emotion": "sad", "confidence": 0.9}
    pixels = pixels_of(render_picture(np.zeros((2000, 4000, 3), np.uint8), [face]))
    assert pixels.shape == (320, 640, 3)
    assert has(pixels, colour_of("sad", EMOTIONS)) > 300
    assert pixels_of(render_picture(np.zeros((1, 5000, 3), np.uint8), [])).shape == (1, 640, 3)


def test_a_face_shows_its_crop_and_seven_bars() -> None:
    crop = np.full((90, 90, 3), (250, 240, 10), np.uint8)
    with_crop = pixels_of(Face(SAD, FACE.box, crop=crop)._repr_png_())
    without = pixels_of(FACE._repr_png_())
    assert has(with_crop, (250, 240, 10)) > 10_000
    assert not has(without, (250, 240, 10))
    for pixels in (with_crop, without):
        for emotion in EMOTIONS:
            assert has(pixels, colour_of(emotion, EMOTIONS)), emotion
        assert has(pixels, colour_of("sad", EMOTIONS)) > 40 * has(pixels, colour_of("happy", EMOTIONS))
    assert pixels_of(render_face(FACE.to_dict(), np.zeros((5, 5), np.uint8))).shape == with_crop.shape  # a grey one


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(max_size=60), min_size=1, max_size=30, unique=True), st.integers(0, 100))
def test_labels_of_any_text_are_drawn(classes: list[str], number: int) -> None:
    chosen = number % len(classes)
    face = Face(tuple(float(index == chosen) for index in range(len(classes))), FACE.box, classes=tuple(classes))
    assert pixels_of(face._repr_png_()).shape[1] > 300
    assert Result(Frame(0, "a", PICTURE), (face,))._repr_png_()


def test_crops_are_neither_compared_nor_said() -> None:
    crop = np.zeros((9, 9, 3), np.uint8)
    assert Face(SAD, FACE.box, crop=crop) == FACE
    assert "crop" not in repr(Face(SAD, FACE.box, crop=crop))
    assert hash(Face(SAD, FACE.box, crop=crop)) == hash(FACE)
