from __future__ import annotations

import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from cmaen.types import FaceBox
from examples.composites import Composite, Portrait, boxes_of, compose, matched, overlaps, portraits, read

BOX = (60.0, 50.0, 80.0, 100.0)
PLAIN = np.full((200, 200, 3), 90, np.uint8)
SCENES = [np.full((150, 150, 3), value, np.uint8) for value in (20, 70)]


def portrait() -> Portrait:
    """Draw a grey picture with a white ellipse for a face."""
    picture = cv2.ellipse(PLAIN.copy(), (100, 100), (40, 50), 0, 0, 360, (255, 255, 255), -1)
    return Portrait(picture, (FaceBox(*BOX), FaceBox(*BOX)), np.array(BOX))


def composite(seed: int) -> Composite:
    return compose([portrait()], SCENES, np.random.default_rng(seed), smallest=30)


def test_overlaps_by_hand() -> None:
    one = np.array([[0.0, 0, 10, 10]])
    other = np.array([[0.0, 0, 10, 10], [5, 0, 10, 10], [20, 20, 5, 5], [0, 0, 5, 10]])
    assert overlaps(one, other) == pytest.approx(np.array([[1, 1 / 3, 0, 0.5]]))
    assert overlaps(one, other[:0]).shape == (1, 0)


def test_a_face_is_found_once_by_the_surest() -> None:
    truth = np.array([[0.0, 0, 10, 10], [50, 50, 20, 20]])
    boxes = np.array([[1.0, 0, 10, 10], [0, 0, 10, 10], [30, 30, 5, 5]])
    assert matched(boxes, [0.8, 0.9, 0.7], truth).tolist() == [-1, 0, -1]
    assert matched(boxes, [0.8, 0.9, 0.7], truth[:0]).tolist() == [-1, -1, -1]
    assert matched(boxes[:0], [], truth).tolist() == []


def test_portraits_have_one_face_on_which_both_agree() -> None:
    one = FaceBox(*BOX)
    near, far = FaceBox(64, 50, 80, 100), FaceBox(0, 0, 80, 100)

    def finding(*answers: list[FaceBox]) -> object:
        remaining = iter(answers)
        return lambda _: next(remaining)

    taken = portraits([PLAIN] * 5, finding([one], [one], [one], [one, far], []), finding([near], [far], [], [one], []))
    assert [portrait.box.tolist() for portrait in taken] == [[62, 50, 80, 100]]
    assert taken[0].faces == (one, near)
    assert boxes_of([]).shape == (0, 4)


def test_the_pictures_of_a_zip_by_folder(tmp_path: Path) -> None:
    path = tmp_path / "pictures.zip"
    red = np.zeros((4, 4, 3), np.uint8)
    red[..., 2] = 200  # blue, green, red
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(5):
            archive.writestr(f"people/{number}.png", cv2.imencode(".png", red)[1].tobytes())
        archive.writestr("scenes/note.txt", "no picture")
    pictures = read(path, every=2)
    assert {folder: len(those) for folder, those in pictures.items()} == {"people": 3}
    assert pictures["people"][0][0, 0].tolist() == [200, 0, 0]


def test_faces_are_where_they_are_said_to_be() -> None:
    seen = 0
    for seed in range(20):
        pixels, boxes = composite(seed)
        assert pixels.shape == (480, 640, 3)
        for x, y, width, height in boxes:
            part = pixels[max(0, round(y)) : round(y + height), max(0, round(x)) : round(x + width)]
            white = (part.astype(int).min(axis=2) > 140).mean()
            assert 0.6 < white <= 1  # an ellipse covers 0.79 of its box
            seen += 1
        bright = (pixels.astype(int).min(axis=2) > 140).sum()
        assert bright <= 1.05 * (boxes[:, 2:].prod(axis=1) * np.pi / 4).sum() + 100  # and nothing else is bright
    assert seen > 40


def test_a_composite_follows_from_its_generator() -> None:
    one, same, other = (composite(seed).pixels for seed in (3, 3, 4))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
