from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from cmaen.data.splits import FaceSet, Split
from cmaen.evaluation.gallery import Mapped, maps, mistakes, samples
from tests.evaluation.test_assessment import face_set

Figure = pytest.importorskip("matplotlib.figure").Figure


def words(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def answered(faces: FaceSet, *, every: int) -> np.ndarray:
    """Return probabilities: for every n-th face the answer is the next label, for the others the right one."""
    answers = np.full((len(faces), 7), 0.05)
    wrong = np.arange(len(faces)) // 7 % every == 0
    answers[np.arange(len(faces)), (faces.labels + wrong) % 7] = 0.7
    return answers


def test_samples_are_of_every_label_right_and_wrong_and_always_the_same() -> None:
    faces = face_set()
    figure = samples(faces, answered(faces, every=2), np.random.default_rng(0))
    said = words(figure)
    assert len(figure.axes[0].images) == 28
    assert said[:8] == ["angry 70%", "labelled angry"] * 2 + ["disgust 70%", "labelled angry"] * 2
    again = samples(faces, answered(faces, every=2), np.random.default_rng(0))
    other = samples(faces, answered(faces, every=2), np.random.default_rng(1))
    first, second, third = ([picture.get_array().sum() for picture in f.axes[0].images] for f in (figure, again, other))
    assert first == second != third


def test_places_stay_empty_where_there_are_too_few() -> None:
    faces = face_set(7)
    figure = samples(faces, answered(faces, every=8)[:, [1, 0, 2, 3, 4, 5, 6]], np.random.default_rng(0))
    assert len(figure.axes[0].images) == 7


def test_the_most_confident_mistake_comes_first() -> None:
    faces = face_set(70)
    answers = answered(faces, every=2)
    answers[7 * 2 + 3, 4] = 0.9  # happy is mistaken for neutral
    figure = mistakes(faces, answers)
    assert figure is not None
    assert words(figure)[:2] == ["neutral 90%", "labelled happy"]
    assert len(figure.axes[0].images) == 24
    assert mistakes(faces, np.eye(7)[faces.labels]) is None


def test_every_face_stands_beside_all_of_its_maps() -> None:
    face = np.zeros((48, 48), np.uint8)
    pictures = {"face": face, "gradient": np.zeros((64, 64, 3), np.uint8), "head": np.zeros((64, 64, 3), np.uint8)}
    figure = maps([Mapped("sad", "sad", pictures), Mapped("fear", "sad", pictures)])
    assert words(figure) == ["sad", "labelled sad", "gradient", "head", "fear", "labelled sad", "gradient", "head"]


def test_faces_of_other_labels_and_in_colour() -> None:
    images = np.random.default_rng(0).integers(0, 256, (6, 40, 40, 3), dtype=np.uint8)
    names = tuple(f"{number}.png" for number in range(6))
    faces = FaceSet(Split.VALIDATION, images, np.arange(6) % 2, names, classes=("calm", "pain"))
    figure = samples(faces, np.tile([0.9, 0.1], (6, 1)), np.random.default_rng(0), right=1, wrong=1)
    assert words(figure) == ["calm 90%", "labelled calm", "calm 90%", "labelled pain"]
