from __future__ import annotations

import base64

import cv2
import numpy as np
import pytest

pytest.importorskip("matplotlib")

from cmaen.data.splits import FaceSet, Split
from cmaen.evaluation.gallery import Mapped, Sheet, choose_mistakes, choose_samples, draw_sheet, lay_out_maps
from tests.evaluation.test_assessment import face_set


def words(sheet: Sheet) -> list[str]:
    """What is written in the picture of a sheet."""
    return [text.get_text() for text in draw_sheet(sheet).axes[0].texts]


def answered(faces: FaceSet, *, every: int) -> np.ndarray:
    """Return probabilities: for every n-th face the answer is the next label, for the others the right one."""
    answers = np.full((len(faces), 7), 0.05)
    wrong = np.arange(len(faces)) // 7 % every == 0
    answers[np.arange(len(faces)), (faces.labels + wrong) % 7] = 0.7
    return answers


def test_samples_are_of_every_label_right_and_wrong_and_always_the_same() -> None:
    faces = face_set()
    sheet = choose_samples(faces, answered(faces, every=2), np.random.default_rng(0))
    said = words(sheet)
    assert len([tile for tile in sheet.tiles if tile]) == 28
    assert said[:8] == ["✓ angry 70%", "labelled angry"] * 2 + ["✗ disgust 70%", "labelled angry"] * 2
    again = choose_samples(faces, answered(faces, every=2), np.random.default_rng(0))
    other = choose_samples(faces, answered(faces, every=2), np.random.default_rng(1))
    first, second, third = ([tile.name for tile in found.tiles if tile] for found in (sheet, again, other))
    assert first == second != third


def test_places_stay_empty_where_there_are_too_few() -> None:
    faces = face_set(7)
    sheet = choose_samples(faces, answered(faces, every=8)[:, [1, 0, 2, 3, 4, 5, 6]], np.random.default_rng(0))
    assert len(sheet.tiles) == 28
    assert len(draw_sheet(sheet).axes[0].images) == 7
    assert [len(group) for group in sheet.groups] == [1] * 7


def test_the_most_confident_mistake_comes_first_and_names_its_file() -> None:
    faces = face_set(70)
    answers = answered(faces, every=2)
    answers[7 * 2 + 3, 4] = 0.9  # happy is taken for neutral
    sheet = choose_mistakes(faces, answers)
    assert sheet is not None
    assert words(sheet)[:2] == ["✗ neutral 90%", "labelled happy"]
    assert len(sheet.tiles) == 24
    worst = sheet.tiles[0]
    assert worst is not None
    assert worst.name == "17.png"
    assert worst.right is False
    assert choose_mistakes(faces, np.eye(7)[faces.labels]) is None


def test_every_face_stands_beside_all_of_its_maps() -> None:
    face = np.zeros((48, 48), np.uint8)
    pictures = {"face": face, "gradient": np.zeros((64, 64, 3), np.uint8), "head": np.zeros((64, 64, 3), np.uint8)}
    sheet = lay_out_maps([Mapped("sad", "sad", pictures), Mapped("fear", "sad", pictures)])
    one, two = (["✓ sad", "labelled sad"], ["✗ fear", "labelled sad"])
    assert words(sheet) == [*one, "gradient", "head", *two, "gradient", "head"]
    assert [len(group) for group in sheet.groups] == [3, 3]


def test_faces_of_other_labels_and_in_colour() -> None:
    images = np.random.default_rng(0).integers(0, 256, (6, 40, 40, 3), dtype=np.uint8)
    names = tuple(f"{number}.png" for number in range(6))
    faces = FaceSet(Split.VALIDATION, images, np.arange(6) % 2, names, classes=("calm", "pain"))
    answers = np.tile([0.9, 0.1], (6, 1))
    sheet = choose_samples(faces, answers, np.random.default_rng(0), right=1, wrong=1)
    assert words(sheet) == ["✓ calm 90%", "labelled calm", "✗ calm 90%", "labelled pain"]
    first = sheet.tiles[0]
    assert first is not None
    content = base64.b64decode(first.address.removeprefix("data:image/png;base64,"))
    picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert np.array_equal(picture, first.picture)
