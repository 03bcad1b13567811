from __future__ import annotations

import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from cmaen.data.composites import SMALLEST, Photographs, compose, load_photographs
from cmaen.errors import DataError
from cmaen.types import FaceBox

BOX = (60.0, 50.0, 80.0, 100.0)
MARKS = ((80.0, 80.0), (120.0, 80.0), (100.0, 105.0), (85.0, 125.0), (115.0, 125.0))


def photograph() -> np.ndarray:
    """A grey picture with a white face whose landmarks are red, green, blue, cyan and yellow."""
    picture = np.full((200, 200, 3), 90, np.uint8)
    cv2.ellipse(picture, (100, 100), (40, 50), 0, 0, 360, (255, 255, 255), -1)
    for (x, y), colour in zip(
        MARKS, [(255, 0, 0), (0, 255, 0), (0, 0, 255), (0, 255, 255), (255, 255, 0)], strict=True
    ):
        cv2.circle(picture, (int(x), int(y)), 7, colour, -1)
    return picture


def file_of(picture: np.ndarray) -> bytes:
    return cv2.imencode(".png", picture[..., ::-1])[1].tobytes()


def face_of(picture: np.ndarray) -> list[FaceBox]:
    return [FaceBox(*BOX, 0.9, MARKS)] if (picture == 255).any() else []


@pytest.fixture
def photographs(tmp_path: Path) -> Photographs:
    with zipfile.ZipFile(tmp_path / "photographs.zip", "w") as archive:
        for number in range(20):
            archive.writestr(f"people/{number:02}.png", file_of(photograph()))
            archive.writestr(f"scenes/{number:02}.png", file_of(np.full((150, 150, 3), 5 * number, np.uint8)))
        archive.writestr("people/empty.png", file_of(np.full((200, 200, 3), 90, np.uint8)))
    return load_photographs(tmp_path / "photographs.zip", face_of, tmp_path / "cache")


def test_faces_are_looked_for_once(photographs: Photographs, tmp_path: Path) -> None:
    def never(picture: np.ndarray) -> list[FaceBox]:
        raise AssertionError

    again = load_photographs(tmp_path / "photographs.zip", never, tmp_path / "cache")
    assert len(again.people) == len(photographs.people) == 20  # the one without a face is left out
    assert again.faces[3].boxes[0] == pytest.approx(BOX)
    assert again.faces[3].landmarks[0] == pytest.approx(np.array(MARKS))


def test_held_out_photographs_are_in_no_training_composite(photographs: Photographs) -> None:
    held, rest = photographs.part(held_out=True), photographs.part(held_out=False)
    assert (len(held.people), len(rest.people), len(held.scenes), len(rest.scenes)) == (2, 18, 2, 18)


def test_landmarks_are_where_they_are_said_to_be(photographs: Photographs) -> None:
    """The colour of each landmark tells which it is, also turned, mirrored and lit."""
    seen = 0
    for seed in range(60):
        composite = compose(photographs, np.random.default_rng(seed), 256)
        assert composite.pixels.shape == (256, 256, 3)
        pixels = composite.pixels.astype(int)
        for box, marks in zip(composite.faces.boxes, composite.faces.landmarks, strict=True):
            size = float(np.sqrt(box[2] * box[3]))
            assert size >= SMALLEST
            inside = (marks > 2) & (marks < 253)
            patch = np.array([pixels[min(255, max(0, round(y))), min(255, max(0, round(x)))] for x, y in marks])
            if size < 60 or not inside.all() or np.ptp(patch, axis=1).min() < 60:
                continue  # small, cut off, or grey
            seen += 1
            assert {patch[0].argmax(), patch[1].argmax()} == {0, 1}  # red and green, or mirrored
            assert patch[2].argmax() == 2
            assert (marks[0, 0] < marks[1, 0]) == (marks[3, 0] < marks[4, 0])  # eyes and mouth are mirrored together
            center = box[:2] + box[2:] / 2
            assert np.abs(marks.mean(axis=0) - center).max() < 0.25 * size
    assert seen > 10


def test_a_composite_follows_from_its_generator(photographs: Photographs) -> None:
    one, same, other = (compose(photographs, np.random.default_rng(seed), 128).pixels for seed in (3, 3, 4))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_bad_data(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read as a zip"):
        load_photographs(tmp_path / "none.zip", face_of, tmp_path)
    with zipfile.ZipFile(tmp_path / "people.zip", "w") as archive:
        archive.writestr("people/1.png", file_of(photograph()))
    with pytest.raises(DataError, match="a folder scenes"):
        load_photographs(tmp_path / "people.zip", face_of, tmp_path)
