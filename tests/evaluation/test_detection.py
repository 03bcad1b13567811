from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from cmaen.evaluation.detection import Matches, average_precision, match, overlaps, recall_at

FACES = [np.array([[0, 0, 10, 10], [50, 50, 20, 20]], np.float32), np.empty((0, 4), np.float32)]
NOTHING = [np.empty((0, 4), np.float32)] * 2


def judged(scores: np.ndarray, truth: list[int], faces: int) -> Matches:
    return Matches(scores, np.array(truth, np.int64), np.arange(len(scores)), faces)


def test_overlaps_by_hand() -> None:
    one = np.array([[0.0, 0, 10, 10]])
    other = np.array([[0.0, 0, 10, 10], [5, 0, 10, 10], [20, 20, 5, 5], [0, 0, 5, 10]])
    assert overlaps(one, other) == pytest.approx(np.array([[1, 1 / 3, 0, 0.5]]))
    assert overlaps(one, other[:0]).shape == (1, 0)


def test_a_face_is_found_once_by_the_surest() -> None:
    boxes = np.array([[1, 0, 10, 10], [0, 0, 10, 10], [30, 30, 5, 5]], np.float32)
    matches = match([(boxes, np.array([0.9, 0.8, 0.7])), (boxes[:1], np.array([0.6]))], FACES, NOTHING)
    assert matches.truth.tolist() == [0, -1, -1, -1]
    assert matches.detections.tolist() == [0, 1, 2, 3]
    assert matches.faces == 2


def test_what_may_be_found_or_not_counts_neither_way() -> None:
    boxes = np.array([[30, 30, 5, 5]], np.float32)
    found = [(boxes, np.array([0.9])), (boxes[:0], np.empty(0))]
    assert len(match(found, FACES, [boxes, NOTHING[1]]).scores) == 0
    assert len(match(found, FACES, NOTHING).scores) == 1


def test_average_precision_is_scikit_learns_where_its_curve_is_monotonous() -> None:
    scores = np.array([0.9, 0.8, 0.7, 0.6])
    matches = judged(scores, [0, 1, 2, -1], 3)
    assert average_precision(matches) == pytest.approx(average_precision_score([1, 1, 1, 0], scores))
    assert average_precision(judged(scores, [0, -1, 1, -1], 4)) == pytest.approx(0.25 + 0.25 * 2 / 3)
    assert average_precision(judged(np.empty(0), [], 3)) == 0


def test_recall_at_a_precision() -> None:
    matches = judged(np.array([0.9, 0.8, 0.7, 0.6]), [0, -1, 1, 2], 4)
    assert recall_at(matches, 0.75) == (0.75, 0.6)
    assert recall_at(matches, 0.9) == (0.25, 0.9)
    assert recall_at(judged(np.array([0.9]), [-1], 4), 0.5) == (0.0, float("inf"))
