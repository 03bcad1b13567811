"""Users' own data: other names and labels, mixed sizes, no splits, people who must stay on one side of a split."""

from __future__ import annotations

import csv
import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("sklearn")

from cmaen.data.drawing import draw_validation
from cmaen.data.faces import by_column, list_labels, list_splits, load_faces
from cmaen.data.labelling import ALL, Labelling, name_emotions
from cmaen.data.splits import FaceSet, Split
from cmaen.errors import DataError, SplitError
from cmaen.preprocessing import resize
from cmaen.types import EMOTIONS
from tests.test_cli import cmaen


def noise(rng: np.random.Generator, side: int = 32) -> Image.Image:
    return Image.fromarray(rng.integers(0, 256, (side, side + 5, 3), np.uint8))


def folder(root: Path, counts: dict[str, int], seed: int = 0) -> Path:
    """Write a folder of class folders with pictures of mixed sizes."""
    rng = np.random.default_rng(seed)
    for name, count in counts.items():
        (root / name).mkdir(parents=True)
        for number in range(count):
            noise(rng, int(rng.integers(20, 60))).save(root / name / f"{number}.png")
    return root


def test_usual_names_of_the_emotions_are_known_and_others_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = folder(tmp_path, {"Anger": 10, "happiness": 12, "contempt": 3})
    noise(np.random.default_rng(0)).save(root / "sheet.png")  # without a class
    (root / "pain").mkdir()
    with caplog.at_level(logging.WARNING):
        learnt, validated = (load_faces(root, split) for split in (Split.TRAIN, Split.VALIDATION))
    assert learnt.classes == EMOTIONS
    assert len(learnt) + len(validated) == 22
    assert validated.counts()["angry"] >= 1
    assert "classes left out: contempt (3);" in caplog.text
    assert "folders without a picture: pain" in caplog.text
    assert not set(learnt.names) & set(validated.names)
    assert learnt.images.shape[1:] == (48, 48)
    with pytest.raises(SplitError, match="no readable image of the split test"):
        load_faces(root, Split.TEST)


def test_labels_of_ones_own(tmp_path: Path) -> None:
    root = folder(tmp_path, {"pain": 10, "Engaged": 10, "happy": 10})
    assert load_faces(root, Split.TRAIN, labels=ALL).classes == ("engaged", "happy", "pain")
    chosen = load_faces(root, Split.TRAIN, labels=("pain", "joy"))
    assert chosen.classes == ("pain", "joy")
    colour = load_faces(root, Split.TRAIN, labels=ALL, colour=True, side=24)
    assert colour.images.shape[1:] == (24, 24, 3)
    with pytest.raises(DataError, match=r"only one class, pain \(3\)"):
        load_faces(folder(tmp_path / "one", {"pain": 3}), Split.TRAIN, labels=ALL)
    with pytest.raises(DataError, match=r"the data have engaged \(2\), pain \(2\).*data.labels=all"):
        load_faces(folder(tmp_path / "none", {"pain": 2, "engaged": 2}), Split.TRAIN)


def test_a_csv_of_files_with_boxes_and_splits(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (40, 60, 3), np.uint8)
    Image.fromarray(picture).save(tmp_path / "photo.png")
    noise(rng).save(tmp_path / "face.png")
    rows = [
        ("photo.png", "sadness", "train", "10", "5", "20", "30"),
        ("photo.png", "joy", "train", "30", "5", "20", "30"),
        ("face.png", "joy", "val", "", "", "", ""),
        ("missing.png", "joy", "train", "", "", "", ""),
        ("photo.png", "joy", "train", "90", "5", "20", "30"),
        ("face.png", "joy", "nowhere", "", "", "", ""),
    ]
    path = tmp_path / "faces.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label", "split", "x", "y", "width", "height"), *rows, ("face.png",)])
    with caplog.at_level(logging.WARNING):
        faces = load_faces(path, Split.TRAIN, colour=True)
    assert [EMOTIONS[label] for label in faces.labels] == ["sad", "happy"]
    assert np.array_equal(faces.images[0], resize(picture[5:35, 10:30], 48))
    assert [reason.split(":")[0] for reason in faces.unreadable] == ["missing.png", "photo.png (row 6)"]
    assert "1 images belong to no split" in caplog.text
    assert "classes left out:  (1)" in caplog.text  # from the truncated row
    assert len(load_faces(path, Split.VALIDATION)) == 1
    path.write_text("where,what\na,b\n")
    with pytest.raises(DataError, match=r"lacks the columns \['label', 'path'\]"):
        load_faces(path, Split.TRAIN)


def test_what_belongs_together_stays_on_one_side(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (60, 32, 32), np.uint8)
    images[30] = images[3]  # a copy
    images[31] = images[4][:, ::-1]  # and a mirrored one
    labels = np.arange(60) % 2
    groups = tuple(str(index // 2 % 10) if index < 20 else None for index in range(60))
    names = tuple(map(str, range(60)))
    faces = FaceSet(Split.TRAIN, images, labels, names, classes=("calm", "tense"), groups=groups)
    chosen = draw_validation(faces)
    assert 4 <= chosen.sum() <= 8
    assert set(labels[chosen]) == {0, 1}
    assert chosen[3] == chosen[30]
    assert chosen[4] == chosen[31]
    for group in set(groups) - {None}:
        assert len({bool(chosen[index]) for index in range(20) if groups[index] == group}) == 1
    assert np.array_equal(chosen, draw_validation(faces))


def test_a_class_with_one_face_is_learnt_and_not_validated(caplog: pytest.LogCaptureFixture) -> None:
    rng = np.random.default_rng(0)
    labels = np.array([0] * 20 + [1])
    faces = FaceSet(
        Split.TRAIN, rng.integers(0, 256, (21, 8, 8), np.uint8), labels, tuple(map(str, range(21))), classes=("a", "b")
    )
    with caplog.at_level(logging.WARNING):
        chosen = draw_validation(faces)
    assert not chosen[20]
    assert chosen.sum() == 2
    assert "b: there is only one face or group" in caplog.text


def test_names_and_classes() -> None:
    labelling = Labelling.of(["Happy", "joy", "bored", "bored"], None)
    assert (labelling.index("JOY "), labelling.index("bored")) == (EMOTIONS.index("happy"), None)
    assert labelling.skipped == {"bored": 2}
    assert Labelling.of(["joy", "happy"], ALL).classes == ("happy", "joy")


def test_faces_by_a_column_of_their_csv(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rng = np.random.default_rng(0)
    path = tmp_path / "faces.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "split", "age"])
        for number in range(12):
            noise(rng).save(tmp_path / f"{number}.png")
            writer.writerow([f"{number}.png", ("joy", "anger")[number % 2], "val", ("old", "young", "")[number % 3]])
    faces = load_faces(path, Split.VALIDATION)
    groups = by_column(faces, path, "age")
    assert {name: len(group) for name, group in groups.items()} == {"old": 4, "young": 4}
    assert "4 of 12 faces have no value in the column age" in caplog.text
    assert groups["old"].names == ("0.png", "3.png", "6.png", "9.png")
    for where, column in ((path, "gender"), (tmp_path, "age"), (path, "split ")):
        with pytest.raises(DataError, match="column"):
            by_column(faces, where, column)
    report = cmaen("test", "--data", path, "--split", "validation", "--by", "age")
    assert "validation, age old" in report
    assert "4 faces, too few to tell" in report


def test_names_like_those_of_fer2013_are_said_and_validation_is_drawn_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = folder(tmp_path / "mine", {"calm": 12, "tense": 12})
    for number, path in enumerate(sorted(root.rglob("*.png"))):
        path.rename(path.with_name(f"Training_{number}.png"))
    parts = [load_faces(root, split, labels=ALL) for split in (Split.TRAIN, Split.VALIDATION)]
    assert "24 file names begin with Training_, as in FER2013" in caplog.text
    assert "there is no validation split" in caplog.text
    assert sum(map(len, parts)) == 24
    assert 1 <= len(parts[1]) <= 6
    assert not set(parts[0].names) & set(parts[1].names)


def test_pictures_beside_each_other_are_told_what_is_missing(tmp_path: Path) -> None:
    root = folder(tmp_path / "mine", {"calm": 3})
    with pytest.raises(DataError, match=r"no class folders: its 3 pictures.*CSV with the columns path and label"):
        load_faces(root / "calm", Split.TRAIN, labels=ALL)


def test_splits_and_labels_are_listed_before_any_face_is_read(tmp_path: Path) -> None:
    for split in ("train", "test"):
        folder(tmp_path / split, {"Calm": 2, "tense": 2})
    assert list_splits(tmp_path) == {Split.TRAIN, Split.TEST}
    assert list_labels(tmp_path) == {"Calm", "tense"}
    assert name_emotions(["anger", "Disgust", "fear", "joy", "neutral", "sadness", "surprise"])
    assert not name_emotions(["angry", "disgust", "fear", "happy", "neutral", "sad"])
    assert not name_emotions(["angry", "anger", "disgust", "fear", "happy", "neutral", "sad", "surprise"])
