from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from cmaen.inference.alignment import crop_face
from cmaen.preprocessing import CropSpec
from cmaen.types import FaceBox

SPEC = CropSpec()
COLOURS = {"left": (255, 0, 0), "right": (0, 255, 0), "mouth": (0, 0, 255)}


def scene(angle: float, size: float) -> tuple[np.ndarray, FaceBox]:
    """A grey picture with coloured dots for the eyes and the mouth of a face turned by ``angle`` degrees."""
    image = np.full((400, 500, 3), 90, np.uint8)
    turn = np.array([[math.cos(a := math.radians(angle)), -math.sin(a)], [math.sin(a), math.cos(a)]])
    offsets = np.array([[-0.205, -0.09], [0.205, -0.09], [0, 0.1], [-0.12, 0.26], [0.12, 0.26]]) * size
    marks = offsets @ turn.T + [250, 200]
    for colour, mark in zip(COLOURS.values(), (marks[0], marks[1], marks[3:].mean(axis=0)), strict=True):
        cv2.circle(image, np.rint(mark).astype(int).tolist(), max(2, round(size * 0.03)), colour, -1)
    return image, FaceBox(
        250 - size * 0.4, 200 - size * 0.5, size * 0.8, size, 1.0, tuple((x, y) for x, y in marks.tolist())
    )


def place(crop: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """Where the dot of a colour is, as parts of the crop's side."""
    near = np.abs(crop.astype(int) - colour).sum(axis=2) < 150
    assert near.any()
    rows, columns = np.nonzero(near)
    return np.array([columns.mean() + 0.5, rows.mean() + 0.5]) / crop.shape[0]


@pytest.mark.parametrize("angle", [0, 25, -40, 90])
@pytest.mark.parametrize("size", [60, 200])
def test_the_eyes_are_level_and_above_the_mouth_whatever_the_tilt(angle: float, size: float) -> None:
    image, face = scene(angle, size)
    crop = crop_face(image, face, SPEC)
    assert crop.shape[0] == crop.shape[1] == pytest.approx(SPEC.landmark_margin * size, abs=2)
    assert crop.dtype == np.uint8
    left, right, mouth = (place(crop, colour) for colour in COLOURS.values())
    assert left[1] == pytest.approx(right[1], abs=0.03)
    assert (right[0] - left[0]) * SPEC.landmark_margin == pytest.approx(0.41, abs=0.03)
    assert mouth[0] == pytest.approx((left[0] + right[0]) / 2, abs=0.03)
    assert (mouth[1] - left[1]) * SPEC.landmark_margin == pytest.approx(0.35, abs=0.03)


def test_the_middle_of_the_box_is_the_middle_of_the_crop() -> None:
    image = np.zeros((200, 200, 3), np.uint8)
    cv2.circle(image, (120, 90), 3, (255, 255, 255), -1)
    marks = ((100.0, 70.0), (140.0, 90.0), (120.0, 90.0), (95.0, 110.0), (130.0, 125.0))
    crop = crop_face(image, FaceBox(80, 40, 80, 100, 1.0, marks), SPEC)
    rows, columns = np.nonzero(crop[:, :, 0] > 128)
    assert [columns.mean(), rows.mean()] == pytest.approx([crop.shape[1] / 2] * 2, abs=1.5)


def test_without_landmarks_the_crop_is_the_boxs_square() -> None:
    image = np.zeros((100, 100, 3), np.uint8)
    image[40:60, 30:70] = 255
    crop = crop_face(image, FaceBox(30, 40, 40, 20), CropSpec(margin=1.0))
    assert crop.shape == (40, 40, 3)
    assert crop[20, :, 0].tolist() == [255] * 40
    assert crop[5].max() == 0


def test_a_face_at_the_edge_repeats_it() -> None:
    image = np.full((50, 50, 3), 120, np.uint8)
    assert crop_face(image, FaceBox(-20, -20, 60, 60), SPEC).min() == 120


def test_a_face_in_a_very_wide_picture() -> None:
    wide = np.zeros((100, 40_000, 3), np.uint8)
    wide[20:80, 39_000:39_060] = 200
    assert (crop_face(wide, FaceBox(39_000, 20, 60, 60), CropSpec(margin=1.0)) == 200).all()
    assert crop_face(wide, FaceBox(39_990, -90, 60, 60), SPEC).shape[2] == 3


def test_the_tiniest_face_gives_a_pixel() -> None:
    assert crop_face(np.zeros((5, 5, 3), np.uint8), FaceBox(2, 2, 0.2, 0.2), SPEC).shape == (1, 1, 3)
