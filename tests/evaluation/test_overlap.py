"""Networks on data that were not made for them: the labels that both have, and those that only one has."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn")

import cmaen
from cmaen.data.faces import load_faces
from cmaen.data.splits import FaceSet, Split
from cmaen.errors import DataError
from cmaen.evaluation.assessment import ALL_FACES, SHARED, assess
from cmaen.evaluation.overlap import LabelOverlap
from cmaen.types import EMOTIONS, PERCEIVED
from tests.data import published
from tests.data.published import picture, write_folder
from tests.test_cli import cmaen as run


def offer(**counts: int) -> FaceSet:
    faces = FaceSet(Split.TEST, np.zeros((2, 4, 4), np.uint8), np.array([0, 3]), ("a", "b"))
    return replace(faces, offered=counts)


def test_labels_are_compared_under_all_their_names() -> None:
    overlap = LabelOverlap.of(offer(Anger=3, happy=2, contempt=7))
    assert overlap is not None
    assert overlap.shared == ("angry", "happy")
    assert overlap.absent == ("disgust", "fear", "neutral", "sad", "surprise")
    assert overlap.left_out == {"contempt": 7}
    assert overlap.narrows
    assert overlap.mask(offer()).tolist() == [name in ("angry", "happy") for name in EMOTIONS]
    assert "contempt (7)" in overlap.describe()
    assert "labelled disgust, fear, neutral, sad or surprise" in overlap.describe()


def test_nothing_is_said_where_everything_is_shared() -> None:
    whole = LabelOverlap.of(offer(**dict.fromkeys(EMOTIONS, 1)))
    assert whole is not None
    assert not whole.narrows
    assert whole.describe() == ""
    assert LabelOverlap.of(replace(offer(), offered=None)) is None
    single = LabelOverlap.of(offer(happy=3))
    assert single is not None
    assert not single.narrows  # there is nothing to choose among


def test_answers_that_cannot_be_right_are_left_out_beside_the_plain_figure() -> None:
    labels = np.array([0, 3, 0, 3])
    faces = FaceSet(Split.TEST, np.zeros((4, 4, 4), np.uint8), labels, tuple("abcd"))
    logits = np.zeros((4, 7), np.float32)
    logits[:, 4] = 9  # neutral, which no face is
    logits[np.arange(4), labels] = 1
    among = np.array([name in ("angry", "happy") for name in EMOTIONS])
    found = assess(faces, logits, temperature=1.0, rng=np.random.default_rng(0), among=among)
    assert found.headlines[ALL_FACES].metrics.accuracy == 0
    assert found.headlines[SHARED].metrics.accuracy == 1
    assert found.headlines[SHARED].metrics.count == 4
    assert np.isfinite(found.headlines[SHARED].calibration.nll)
    assert SHARED not in assess(faces, logits, temperature=1.0, rng=np.random.default_rng(0)).headlines


def test_a_published_data_set_is_measured_with_the_emotions_that_both_have(checkpoint: Path, tmp_path: Path) -> None:
    root = write_folder(tmp_path / "affectnet", published.affectnet())
    text = run("test", "--checkpoint", checkpoint, "--data", root, "--split", "all")
    assert "is read as AffectNet" in text
    assert "left out with their faces (in all splits): contempt (5)" in " ".join(text.split())
    assert "data.labels=all" not in text  # advice for training
    found = cmaen.evaluate(checkpoint, write_folder(tmp_path / "jaffe", published.jaffe()), split="all")
    assert len(found.faces) == 48
    assert found.overlap is not None
    assert found.overlap.absent == ("fear",)
    assert list(found.assessment.headlines) == [ALL_FACES, SHARED]
    assert found.by_scheme[PERCEIVED].metrics.count == 48
    assert set(found.by_scheme[PERCEIVED].metrics.by_emotion) == set(EMOTIONS)  # without contempt, as in prediction
    assert "by_scheme" in found.to_dict()
    assert "scheme perceived" in text
    assert found.title == "every split"
    assert json.loads(json.dumps(found.to_dict()))["labels"]["absent"] == ["fear"]


def test_data_without_splits_say_how_to_measure_all_of_them(
    checkpoint: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = write_folder(tmp_path, published.jaffe())
    with caplog.at_level(logging.WARNING):
        found = cmaen.evaluate(checkpoint, root)
    assert len(found.faces) < 20
    assert "--split all measures every face" in caplog.text


def test_labels_that_are_numbers_are_measured_under_their_names(checkpoint: Path, tmp_path: Path) -> None:
    files = {f"test/{label}/{n}.png": picture(EMOTIONS[label], n, "PNG") for label in (0, 3) for n in range(4)}
    root = write_folder(tmp_path, files)
    names = {0: "anger", "3": "joy"}
    found = cmaen.evaluate(checkpoint, root, names=names)
    assert found.faces.counts() == dict.fromkeys(EMOTIONS, 0) | {"angry": 4, "happy": 4}
    with pytest.raises(DataError, match="names"):
        cmaen.evaluate(checkpoint, load_faces(root, Split.TEST, names=names), names=names)
    with pytest.raises(DataError, match=r"the meaning of numbers is unknown.*--names"):
        cmaen.evaluate(checkpoint, root)
    assert "8 faces" in run("test", "--checkpoint", checkpoint, "--data", root, "--names", "0=angry, 3=happy")
