"""Measuring and calibrating from Python, without the command line."""

from __future__ import annotations

import json
import shutil
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cmaen
from cmaen.checkpoints import Checkpoint, SeenFaces
from cmaen.data.faces import load_faces
from cmaen.data.ferplus import CATEGORIES
from cmaen.data.keys import face_keys
from cmaen.data.leaks import find_leaks
from cmaen.data.splits import FaceSet, Split
from cmaen.errors import CheckpointError, ConfigError, DataError, SplitError
from cmaen.evaluation.assessment import ALL_FACES
from cmaen.evaluation.evaluate import UNSEEN, evaluate_photographs
from cmaen.evaluation.photographs import NO_FACE
from cmaen.evaluation.run import validate
from cmaen.inference.detectors.yunet import YuNet
from cmaen.types import FER2013, PERCEIVED
from tests.conftest import EXAMPLES
from tests.data.test_keys import know


@pytest.fixture
def votes(fer_tree: Path, tmp_path: Path) -> Path:
    """Write votes: nine of ten annotators see what the label says, and one sees neutral."""
    names = {"angry": "anger", "happy": "happiness", "sad": "sadness"}
    rows = [",".join(("file", *CATEGORIES))]
    for split in (Split.TRAIN, Split.VALIDATION):
        faces = load_faces(fer_tree, split)
        for name, label in zip(faces.names, faces.labels, strict=True):
            seen = faces.classes[label]
            most = CATEGORIES.index(names.get(seen, seen))
            counts = [9 * (column == most) + (column == 0) for column in range(len(CATEGORIES))]
            rows.append(",".join([name, *map(str, counts)]))
    path = tmp_path / "votes.csv"
    path.write_text("\n".join(rows))
    return path


def test_a_checkpoint_is_measured(checkpoint: Path, fer_tree: Path, votes: Path) -> None:
    seen = []
    found = cmaen.evaluate(
        checkpoint,
        fer_tree,
        votes=votes,
        without_copies=True,
        mirrored=True,
        progress=lambda items, unit, total: seen.append((unit, total)) or items,
    )
    assert found.schemes == (FER2013, PERCEIVED)
    assert found.data == fer_tree
    assert list(found.assessment.headlines) == [ALL_FACES, "without exact copies", "without near copies"]
    assert found.logits.shape == (21, 7)
    assert found.answers.sum() == pytest.approx(21)
    assert found.mirrored is not None
    assert set(found.perceived) == {FER2013, PERCEIVED}
    assert found.robustness is None
    assert ("batches", 1) in seen
    values = json.loads(json.dumps(found.to_dict()))
    assert (values["checkpoint"], values["engine"], values["split"]) == ("tiny", "onnx", "PublicTest")
    assert values["headlines"][ALL_FACES]["accuracy"] == found.assessment.headlines[ALL_FACES].metrics.accuracy
    assert values["perceived"][PERCEIVED]["majority"]["count"] == 21
    assert "robustness" not in values
    assert "logits" not in repr(found)
    with pytest.raises(FrozenInstanceError):
        found.engine = "torch"  # type: ignore[misc]


def test_faces_that_are_loaded_are_measured_alike(checkpoint: Path, fer_tree: Path) -> None:
    faces = load_faces(fer_tree, Split.TEST)
    loaded, by_name = cmaen.evaluate(checkpoint, faces), cmaen.evaluate(checkpoint, str(fer_tree), split="test")
    assert loaded.to_dict() == by_name.to_dict()
    assert (loaded.data, by_name.data) == (None, fer_tree)
    for options in ({"split": "test"}, {"by": "age"}, {"without_copies": True}):
        with pytest.raises(DataError, match="need the folder or file of the faces"):
            cmaen.evaluate(checkpoint, faces, **options)  # type: ignore[arg-type]


def test_what_cannot_be_measured_is_named(checkpoint: Path, fer_tree: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="Use 'cmaen-m'"):
        cmaen.evaluate("nothing", fer_tree)
    with pytest.raises(ConfigError, match="no label scheme"):
        cmaen.evaluate(checkpoint, fer_tree, scheme="felt")
    with pytest.raises(SplitError, match="choose from"):
        cmaen.evaluate(checkpoint, fer_tree, split="best")
    with pytest.raises(DataError):
        cmaen.evaluate(checkpoint, tmp_path / "nothing")


def test_a_checkpoint_is_calibrated(checkpoint: Path, fer_tree: Path, votes: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(checkpoint, tmp_path / "copy"))
    done = cmaen.calibrate(folder, fer_tree, votes=votes)
    assert (done.split, done.copies) == ("PublicTest", "without")
    assert set(done.fits) == {FER2013, PERCEIVED}
    kept = Checkpoint(folder)
    assert kept.metrics.calibration == done.fits
    assert kept.card.schemes[PERCEIVED].confidence_temperature == done.fits[PERCEIVED].confidence_temperature
    assert done.checkpoint.card == kept.card
    assert kept.weights("onnx").is_file()
    values = json.loads(json.dumps(done.to_dict()))
    assert values["schemes"][FER2013]["faces"] == 21
    again = cmaen.calibrate(folder, load_faces(fer_tree, Split.VALIDATION))
    assert (again.copies, set(again.fits)) == ("with", {FER2013})
    with pytest.raises(SplitError):
        cmaen.calibrate(folder, load_faces(fer_tree, Split.TRAIN))


def test_the_shipped_weights_are_not_rewritten(fer_tree: Path) -> None:
    for name in ("cmaen-m", "shipped", None):
        with pytest.raises(ConfigError, match="copy its folder"):
            cmaen.calibrate(name, fer_tree)


def test_photographs_are_measured(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("file,label\nastronaut.png,happy\n")
    found = evaluate_photographs(None, tmp_path / "list.csv", EXAMPLES, scheme=PERCEIVED)
    assert found.figures[PERCEIVED].accuracy == 1
    assert json.loads(json.dumps(found.to_dict()))["photographs"][PERCEIVED]["count"] == 1


def test_faces_are_searched_for_once_for_all_schemes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (90, 60), "white").save(tmp_path / "white.png")
    shutil.copy(EXAMPLES / "astronaut.png", tmp_path)
    (tmp_path / "list.csv").write_text("file,label\nwhite.png,sad\nastronaut.png,happy\nastronaut.png,fear\n")
    searched, search = [], YuNet.search
    monkeypatch.setattr(YuNet, "search", lambda self, image: searched.append(image.shape) or search(self, image))
    alone = [evaluate_photographs(None, tmp_path / "list.csv", scheme=name) for name in (FER2013, PERCEIVED)]
    often = len(searched)
    found = evaluate_photographs(None, tmp_path / "list.csv")
    assert found.figures == {name: figures for one in alone for name, figures in one.figures.items()}
    assert len(searched) - often == often / 2 > 0
    assert found.figures[PERCEIVED].answers["sad"] == {NO_FACE: 1}


def test_leaks_are_found(fer_tree: Path, tmp_path: Path) -> None:
    tree = Path(shutil.copytree(fer_tree, tmp_path / "tree"))
    copied = sorted((tree / "train" / "sad").iterdir())[0]
    shutil.copy(copied, tree / "validation" / "fear" / "PublicTest_999.png")
    found = find_leaks(tree)
    assert (found.pairs, found.images, found.affected, found.conflicts) == ({"exact": 1}, {"exact": 1}, 1, 1)
    (row,) = json.loads(json.dumps(found.to_dict()))["copies"]
    assert (row["first_label"], row["second_label"], row["correlation"]) == ("sad", "fear", 1.0)
    assert find_leaks(fer_tree).to_dict()["affected"] == 0


def seeing(checkpoint: Path, folder: Path, *sets: FaceSet) -> Path:
    """Copy a checkpoint as one that was trained on these faces."""
    shutil.copytree(checkpoint, folder)
    seen = SeenFaces.of(np.concatenate([face_keys(faces.images) for faces in sets]))
    Checkpoint(folder).amend(lambda now: replace(now, seen=seen))
    return folder


def test_seen_faces_are_counted_and_left_out(checkpoint: Path, fer_tree: Path, votes: Path, tmp_path: Path) -> None:
    validation = load_faces(fer_tree, Split.VALIDATION)
    some = validation.select(np.arange(0, 21, 3))
    found = cmaen.evaluate(seeing(checkpoint, tmp_path / "some", some), fer_tree, votes=votes)
    assert "trained on 7 of these 21 faces" in found.describe_seen()
    assert found.title == "PublicTest"
    assert found.seen is not None
    assert found.seen.sum() == 7
    whole, unseen = found.assessment.headlines[ALL_FACES], found.assessment.headlines[UNSEEN]
    assert (whole.metrics.count, unseen.metrics.count) == (21, 14)
    hits = found.logits.argmax(axis=1) == validation.labels
    assert unseen.metrics.accuracy == pytest.approx(hits[~found.seen].mean())
    assert {name: part.majority.count for name, part in found.perceived_unseen.items()} == {FER2013: 14, PERCEIVED: 14}
    values = json.loads(json.dumps(found.to_dict()))
    assert (values["faces"], values["faces_trained_on"], values["faces_with_votes"]) == (21, 7, 21)
    assert values["perceived_without_faces_trained_on"][PERCEIVED]["majority"]["count"] == 14


def test_no_figure_of_seen_faces_hides_it(
    checkpoint: Path, fer_tree: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    training = load_faces(fer_tree, Split.TRAIN)
    folder = seeing(checkpoint, tmp_path / "all", training)
    inner = cmaen.evaluate(folder, fer_tree, split="inner")
    assert inner.seen is not None
    assert inner.seen.all()
    assert "all of these" in inner.describe_seen()
    assert inner.title == inner.to_dict()["split"] == "a tenth of Training, all of which it was trained on"
    assert UNSEEN not in inner.assessment.headlines
    for path in (fer_tree / "train").rglob("*.png"):  # a data set without a validation split, under names of its own
        place = tmp_path / "own" / path.parent.name / path.name.replace("Training_", "")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, place)
    drawn = cmaen.evaluate(folder, tmp_path / "own")
    assert drawn.title == "validation, all of which it was trained on"
    assert validate(folder, replace(training, split=Split.VALIDATION)).schemes
    assert "trained on 56 of the 56 faces" in caplog.text


def test_faces_that_were_not_seen(checkpoint: Path, fer_tree: Path, tmp_path: Path) -> None:
    found = cmaen.evaluate(seeing(checkpoint, tmp_path / "none", load_faces(fer_tree, Split.TRAIN)), fer_tree)
    assert "none of these 21 faces" in found.describe_seen()
    assert list(found.assessment.headlines) == [ALL_FACES]
    older = cmaen.evaluate(checkpoint, fer_tree)
    assert older.seen is None
    assert "does not record" in older.describe_seen()
    assert older.to_dict()["faces_trained_on"] is None


def test_votes_come_without_being_asked_for(
    checkpoint: Path, fer_tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cmaen.evaluate(checkpoint, fer_tree).perceived == {}  # faces that FER+ does not know
    sets = [load_faces(fer_tree, split) for split in (Split.TRAIN, Split.VALIDATION)]
    counts = np.zeros((77, len(CATEGORIES)), np.uint8)
    counts[:70, 1] = 10
    know(sets, counts, tmp_path / "package", monkeypatch)
    found = cmaen.evaluate(checkpoint, fer_tree)
    assert set(found.perceived) == {FER2013, PERCEIVED}
    assert found.to_dict()["faces_with_votes"] == 14
    assert cmaen.evaluate(checkpoint, fer_tree, votes="none").perceived == {}
    assert cmaen.evaluate(checkpoint, fer_tree, votes=None).perceived == {}
