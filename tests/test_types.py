from __future__ import annotations

import math

import pytest

from cmaen.drawing.style import colour_of, hex_of
from cmaen.results import Face
from cmaen.types import UNCERTAIN, FaceBox

MARKS = ((1.0, 1.0), (3.0, 1.0), (2.0, 2.0), (1.0, 3.0), (3.0, 3.0))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_face_of_numbers_that_are_none_cannot_be_made(bad: float) -> None:
    good = {"x": 0.0, "y": 0.0, "width": 4.0, "height": 4.0, "score": 0.9}
    assert FaceBox(**good, landmarks=MARKS).area == 16
    for name in good:
        with pytest.raises(ValueError, match=r"finite|positive size"):
            FaceBox(**{**good, name: bad})
    with pytest.raises(ValueError, match="finite"):
        FaceBox(**good, landmarks=(*MARKS[:4], (2.0, bad)))


def test_an_uncertain_answer_survives_its_record() -> None:
    face = Face((0.1, 0.1, 0.1, 0.4, 0.1, 0.1, 0.1), FaceBox(0, 0, 8, 8), threshold=0.5)
    assert (face.emotion, face.confidence) == (UNCERTAIN, 0.4)
    assert Face.from_dict(face.to_dict()).to_dict() == face.to_dict()
    certain = Face(face.probabilities, face.box, threshold=0.4)
    assert certain.emotion == Face.from_dict(certain.to_dict()).emotion == "happy"
    assert hex_of(UNCERTAIN, ["a", "b"]) == "#404040"
    assert colour_of(UNCERTAIN, ["a", UNCERTAIN]) != colour_of(UNCERTAIN, ["a"])  # a custom label


def test_a_label_named_uncertain_is_only_a_label() -> None:
    face = Face((0.2, 0.8), FaceBox(0, 0, 8, 8), classes=("sure", UNCERTAIN))
    assert Face.from_dict(face.to_dict()).threshold == 0
