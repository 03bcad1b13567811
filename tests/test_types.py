from __future__ import annotations

import math

import pytest

from cmaen.types import FaceBox

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
