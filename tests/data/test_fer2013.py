from __future__ import annotations

import csv
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cmaen.data.fer2013 import load_fer2013
from cmaen.data.ferplus import CATEGORIES, join_votes, label_distribution, vote_distribution
from cmaen.data.splits import Split
from cmaen.errors import DataError, SplitError
from cmaen.types import EMOTIONS


def test_tree_and_zip_hold_the_same(fer_tree: Path, tmp_path: Path) -> None:
    archive = Path(shutil.make_archive(str(tmp_path / "fer"), "zip", fer_tree))
    for split, count in ((Split.TRAIN, 8), (Split.VALIDATION, 3), (Split.TEST, 2)):
        tree, zipped = load_fer2013(fer_tree, split), load_fer2013(archive, split)
        assert tree.names == zipped.names
        assert np.array_equal(tree.images, zipped.images)
        assert tree.fingerprint() == zipped.fingerprint() != tree.select(np.arange(1, len(tree))).fingerprint()
        assert tree.counts() == dict.fromkeys(EMOTIONS, count)
        assert all(
            EMOTIONS[label] == Path(name).parent.name for label, name in zip(tree.labels, tree.names, strict=True)
        )


def test_the_prefix_decides_in_kaggles_tree(fer_tree: Path, tmp_path: Path) -> None:
    """Kaggle's ``test`` folder holds PublicTest and PrivateTest together."""
    for folder in ("validation", "test"):
        shutil.copytree(fer_tree / folder, tmp_path / "test", dirs_exist_ok=True)
    assert len(load_fer2013(tmp_path, Split.VALIDATION)) == 21
    assert len(load_fer2013(tmp_path, Split.TEST)) == 14
    with pytest.raises(SplitError, match="Training"):
        load_fer2013(tmp_path, Split.TRAIN)


def test_a_private_test_image_never_trains_wherever_it_lies(fer_tree: Path, tmp_path: Path) -> None:
    shutil.copytree(fer_tree / "train", tmp_path / "train")
    stray = next((fer_tree / "test" / "happy").iterdir())
    shutil.copy(stray, tmp_path / "train" / "happy")
    assert len(load_fer2013(tmp_path, Split.TRAIN)) == 56


def test_the_csv_has_another_order_of_labels(tmp_path: Path) -> None:
    kaggle = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]
    path = tmp_path / "fer2013.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["emotion", " Usage", " pixels"])
        for number in range(7):
            writer.writerow([number, "Training", " ".join([str(number)] * 2304)])
        writer.writerow([3, "PublicTest", " ".join(["9"] * 2304)])
        writer.writerow([3, "PublicTest", "1 2 3"])
        writer.writerow([9, "Training", " ".join(["9"] * 2304)])
    faces = load_fer2013(path, Split.TRAIN)
    assert [EMOTIONS[label] for label in faces.labels] == kaggle
    assert faces.images[:, 0, 0].tolist() == list(range(7))
    assert len(faces.unreadable) == 1
    validation = load_fer2013(path, Split.VALIDATION)
    assert validation.names == ("fer0000007.png",)
    assert validation.unreadable[0].startswith("fer0000008.png")


def test_unreadable_images_are_reported_and_left_out(fer_tree: Path, tmp_path: Path) -> None:
    root = tmp_path / "fer"
    shutil.copytree(fer_tree, root)
    (root / "train" / "sad" / "Training_bad.png").write_bytes(b"not an image")
    faces = load_fer2013(root, Split.TRAIN)
    assert len(faces) == 56
    assert "Training_bad.png" in faces.unreadable[0]


def test_images_of_different_sizes_are_refused(fer_tree: Path, tmp_path: Path) -> None:
    shutil.copytree(fer_tree / "train", tmp_path / "train")
    Image.new("L", (64, 64)).save(tmp_path / "train" / "sad" / "Training_large.png")
    with pytest.raises(DataError, match="one set has one size"):
        load_fer2013(tmp_path, Split.TRAIN)


def test_what_is_no_data_set(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        load_fer2013(tmp_path / "nothing", Split.TRAIN)
    with pytest.raises(SplitError, match="no readable image"):
        load_fer2013(tmp_path, Split.TRAIN)
    text = tmp_path / "notes.txt"
    text.write_text("hello")
    with pytest.raises(DataError, match="neither"):
        load_fer2013(text, Split.TRAIN)
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="lacks the columns"):
        load_fer2013(wrong, Split.TRAIN)
    damaged = tmp_path / "damaged.zip"
    with zipfile.ZipFile(damaged, "w") as archive:
        archive.writestr("train/sad/Training_1.png", b"not an image")
    with pytest.raises(SplitError):
        load_fer2013(damaged, Split.TRAIN)


def test_splits_cannot_be_mistaken(fer_tree: Path) -> None:
    validation = load_fer2013(fer_tree, Split.VALIDATION)
    with pytest.raises(SplitError, match="only Training may be used for balancing"):
        validation.require(Split.TRAIN, "balancing")
    assert Split.parse("PublicTest") is Split.parse(" validation ") is Split.VALIDATION
    with pytest.raises(SplitError, match="choose from"):
        Split.parse("dev")


def test_votes_join_by_name_and_become_distributions(fer_tree: Path, tmp_path: Path) -> None:
    faces = load_fer2013(fer_tree, Split.TRAIN)
    path = tmp_path / "votes.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", *CATEGORIES])
        writer.writerow([faces.names[0], 1, 0, 0, 0, 3, 0, 0, 0, 0, 0])
        writer.writerow([faces.names[1], 0, 0, 0, 0, 0, 0, 0, 5, 5, 0])
        writer.writerow([faces.names[2], "", "", "", "", "", "", "", "", "", ""])
    joined = join_votes(faces, path)
    shares = vote_distribution(joined)
    assert np.allclose(shares.sum(axis=1), 1)
    assert shares[0, EMOTIONS.index("angry")] == 0.75
    assert shares[0, EMOTIONS.index("neutral")] == 0.25
    for row in (1, 2, 3):  # no vote for an emotion, a blank row, no row: the label itself
        assert shares[row, faces.labels[row]] == 1
    validation = load_fer2013(fer_tree, Split.VALIDATION)
    with pytest.raises(DataError, match="no row"):
        join_votes(validation, path)


def test_a_file_that_holds_no_votes(fer_tree: Path, tmp_path: Path) -> None:
    path = tmp_path / "votes.csv"
    path.write_text("file,neutral\na,1\n")
    with pytest.raises(DataError, match="lacks columns"):
        join_votes(load_fer2013(fer_tree, Split.TRAIN), path)


def test_votes_tell_the_labels_with_the_labels_own_shares(fer_tree: Path) -> None:
    faces = load_fer2013(fer_tree, Split.TRAIN)
    votes = np.zeros((len(faces), len(CATEGORIES)), np.uint8)
    votes[:, CATEGORIES.index("neutral")] = 7  # these annotators see neutral faces everywhere,
    seen = [
        CATEGORIES.index(name) for name in ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
    ]
    votes[np.arange(len(faces)), np.array(seen)[faces.labels]] += 3
    votes[0] = 0
    told = label_distribution(replace(faces, votes=votes))
    assert vote_distribution(replace(faces, votes=votes))[1:].mean(axis=0)[4] > 0.7
    assert told.argmax(axis=1).tolist() == faces.labels.tolist()  # and yet their votes tell the labels apart
    assert np.allclose(told.mean(axis=0), 1 / 7, atol=0.01)
    assert told[0].tolist() == np.eye(7)[faces.labels[0]].tolist()
    assert np.array_equal(label_distribution(faces).argmax(axis=1), faces.labels)
