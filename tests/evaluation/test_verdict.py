from __future__ import annotations

import numpy as np

from cmaen.data.splits import FaceSet, Split
from cmaen.evaluation.assessment import Assessment, assess
from cmaen.evaluation.metrics import measure
from cmaen.evaluation.verdict import describe_worst, judge

CLASSES = ("calm", "pleased", "upset")


def assessed(labels: np.ndarray, answers: np.ndarray, *, sure: float) -> Assessment:
    """Of a network that always gives its answer the probability ``sure``."""
    faces = FaceSet(
        Split.VALIDATION,
        np.zeros((len(labels), 8, 8), np.uint8),
        labels,
        tuple(map(str, range(len(labels)))),
        classes=CLASSES,
    )
    shares = np.full((len(labels), 3), (1 - sure) / 2)
    shares[np.arange(len(labels)), answers] = sure
    return assess(faces, np.log(shares).astype(np.float32), temperature=1.0, rng=np.random.default_rng(0))


def test_sixteen_faces_are_too_few_even_if_all_are_right() -> None:
    labels = np.arange(16) % 3
    said = judge(assessed(labels, labels, sure=0.9))
    assert said.right.startswith("It is right for all 16 faces, 100% (95% interval 81 to 100%)")
    assert said.few is not None
    assert "too few" in said.few
    assert said.worst is None
    assert said.sentences == [said.right, said.few, said.trust]
    assert "too few faces to judge whether" in said.trust


def test_many_faces_are_judged() -> None:
    labels = np.arange(600) % 3
    answers = np.where((np.arange(600) % 12 == 2) | (np.arange(600) % 12 == 5), 0, labels)  # half of upset is calm
    said = judge(assessed(labels, answers, sure=0.83))
    assert said.few is None
    assert "right for 500 of 600 faces, 83%" in said.right
    assert "always answering calm would be right for 33%" in said.right
    assert (
        said.worst == "It fails most on upset: it finds 100 of 200 faces, 50% (43 to 57%), "
        "and instead most often answers calm (50%)."
    )
    assert said.trust.startswith("Its confidences can be trusted: on average it claims 83% and is right for 83%")


def test_confidences_that_are_too_low_or_too_high_are_named_with_what_mends_them() -> None:
    labels = np.arange(300) % 3
    answers = np.where(np.arange(300) % 5 == 0, (labels + 1) % 3, labels)
    low, high = (judge(assessed(labels, answers, sure=sure)).trust for sure in (0.5, 0.99))
    assert low.startswith("Its confidences are too low: on average it claims 50% and is right for 80%")
    assert high.startswith("Its confidences are too high")
    assert "cmaen calibrate" in low
    assert "cmaen calibrate" in high


def test_confidences_that_are_right_on_average_alone() -> None:
    labels = np.arange(600) % 3
    sure = (
        np.arange(600) < 300
    )  # these are right for 7 of 10 and claim 0.95; the others are always right and claim 0.75
    answers = np.where(sure & (np.arange(600) % 10 < 3), (labels + 1) % 3, labels)
    shares = np.full((600, 3), 0.025)
    shares[~sure] = 0.125
    shares[np.arange(600), answers] = np.where(sure, 0.95, 0.75)
    faces = FaceSet(
        Split.VALIDATION, np.zeros((600, 8, 8), np.uint8), labels, tuple(map(str, range(600))), classes=CLASSES
    )
    found = assess(faces, np.log(shares).astype(np.float32), temperature=1.0, rng=np.random.default_rng(0))
    assert "on average, but not at every level: on average it claims 85% and is right for 85%" in judge(found).trust


def test_a_network_that_knows_nothing_is_not_praised() -> None:
    labels = np.repeat([0, 1, 2], [80, 10, 10])
    said = judge(assessed(labels, np.zeros(100, np.int64), sure=0.8))
    assert "no clear improvement on always answering calm (80%)" in said.right


def test_one_face_that_is_wrong_does_not_hide_a_label_that_is_surely_bad() -> None:
    labels = np.repeat([0, 1, 2], [1, 200, 200])
    answers = np.concatenate([[1], np.ones(100, np.int64), np.full(100, 2), np.full(200, 2)])
    said = describe_worst(measure(labels, answers, CLASSES))
    assert said is not None
    assert said.startswith("It fails most on pleased")
