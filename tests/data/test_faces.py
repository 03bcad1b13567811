from __future__ import annotations

import csv
import os
import shutil
import sys
import tracemalloc
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cmaen.data import reading
from cmaen.data.faces import find_data, load_faces
from cmaen.data.ferplus import CATEGORIES, join_votes, label_distribution, vote_distribution
from cmaen.data.splits import Split
from cmaen.errors import DataError, SplitError
from cmaen.types import EMOTIONS


def test_tree_and_zip_hold_the_same(fer_tree: Path, tmp_path: Path) -> None:
    archive = Path(shutil.make_archive(str(tmp_path / "fer"), "zip", fer_tree))
    for split, count in ((Split.TRAIN, 8), (Split.VALIDATION, 3), (Split.TEST, 2)):
        tree, zipped = load_faces(fer_tree, split), load_faces(archive, split)
        assert tree.names == zipped.names
        assert np.array_equal(tree.images, zipped.images)
        assert tree.fingerprint() == zipped.fingerprint() != tree.select(np.arange(1, len(tree))).fingerprint()
        assert tree.counts() == dict.fromkeys(EMOTIONS, count)
        assert all(
            EMOTIONS[label] == Path(name).parent.name for label, name in zip(tree.labels, tree.names, strict=True)
        )


def test_the_prefix_decides_in_kaggles_tree(fer_tree: Path, tmp_path: Path) -> None:
    """Kaggle's ``test`` folder contains both PublicTest and PrivateTest."""
    for folder in ("validation", "test"):
        shutil.copytree(fer_tree / folder, tmp_path / "test", dirs_exist_ok=True)
    assert len(load_faces(tmp_path, Split.VALIDATION)) == 21
    assert len(load_faces(tmp_path, Split.TEST)) == 14
    with pytest.raises(SplitError, match="split train"):
        load_faces(tmp_path, Split.TRAIN)


def test_a_private_test_image_never_trains_wherever_it_lies(fer_tree: Path, tmp_path: Path) -> None:
    shutil.copytree(fer_tree / "train", tmp_path / "train")
    stray = next((fer_tree / "test" / "happy").iterdir())
    shutil.copy(stray, tmp_path / "train" / "happy")
    assert len(load_faces(tmp_path, Split.TRAIN)) == 56


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
    faces = load_faces(path, Split.TRAIN)
    assert [EMOTIONS[label] for label in faces.labels] == kaggle
    assert faces.images[:, 0, 0].tolist() == list(range(7))
    assert len(faces.unreadable) == 1
    validation = load_faces(path, Split.VALIDATION)
    assert validation.names == ("fer0000007.png",)
    assert validation.unreadable[0].startswith("fer0000008.png")


def test_unreadable_images_are_reported_and_left_out(fer_tree: Path, tmp_path: Path) -> None:
    root = tmp_path / "fer"
    shutil.copytree(fer_tree, root)
    (root / "train" / "sad" / "Training_bad.png").write_bytes(b"not an image")
    faces = load_faces(root, Split.TRAIN)
    assert len(faces) == 56
    assert "Training_bad.png" in faces.unreadable[0]


def test_images_of_different_sizes_are_brought_to_one(fer_tree: Path, tmp_path: Path) -> None:
    shutil.copytree(fer_tree / "train", tmp_path / "train")
    Image.new("L", (64, 80), 7).save(tmp_path / "train" / "sad" / "Training_large.png")
    for side in (48, 40):
        faces = load_faces(tmp_path, Split.TRAIN, side=side)
        assert faces.images.shape == (57, side, side)
        assert (faces.images[faces.names.index("train/sad/Training_large.png")] == 7).all()
    one = load_faces(fer_tree, Split.TRAIN, side=40)  # faces of equal size stay unchanged
    assert one.images.shape == (56, 48, 48)


def test_what_is_no_data_set(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        load_faces(tmp_path / "nothing", Split.TRAIN)
    with pytest.raises(SplitError, match="no readable image"):
        load_faces(tmp_path, Split.TRAIN)
    text = tmp_path / "notes.txt"
    text.write_text("hello")
    with pytest.raises(DataError, match="neither"):
        load_faces(text, Split.TRAIN)
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="lacks the columns"):
        load_faces(wrong, Split.TRAIN)
    damaged = tmp_path / "damaged.zip"
    with zipfile.ZipFile(damaged, "w") as archive:
        archive.writestr("train/sad/Training_1.png", b"not an image")
    with pytest.raises(SplitError):
        load_faces(damaged, Split.TRAIN)


def zip_of(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


@pytest.fixture
def face(fer_tree: Path) -> bytes:
    return next((fer_tree / "train" / "sad").iterdir()).read_bytes()


def test_a_bomb_in_a_zip_is_left_out_before_it_is_unpacked(tmp_path: Path, face: bytes) -> None:
    size = reading.MAX_FILE + 1
    path = zip_of(tmp_path / "bomb.zip", {"train/sad/a.png": face, "train/sad/b.png": bytes(size)})
    assert path.stat().st_size < 2**20
    tracemalloc.start()
    faces = load_faces(path, Split.TRAIN)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(faces) == 1
    assert f"{size:,} bytes; the limit is" in faces.unreadable[0]
    assert most < 2**20


def test_a_bomb_that_lies_about_its_size_is_left_out(tmp_path: Path, face: bytes) -> None:
    path = zip_of(tmp_path / "bomb.zip", {"train/sad/a.png": face, "train/sad/b.png": bytes(64 * 2**20)})
    path.write_bytes(path.read_bytes().replace((64 * 2**20).to_bytes(4, "little"), (1000).to_bytes(4, "little")))
    faces = load_faces(path, Split.TRAIN)
    assert len(faces) == 1
    assert "cannot be unpacked" in faces.unreadable[0]


def test_members_that_cannot_be_unpacked_are_left_out(tmp_path: Path, face: bytes) -> None:
    path = zip_of(tmp_path / "fer.zip", {f"./train/sad/{name}.png": face for name in "abc"})
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        first, second, _ = archive.infolist()
    start = first.header_offset + 30 + len(first.filename)
    data[start : start + 20] = bytes([255] * 20)  # not a deflate stream
    data[second.header_offset + 6] |= 1  # encrypted, here and in the directory at the end
    entry = data.index(b"PK\1\2", data.index(b"PK\1\2") + 1)
    data[entry + 8] |= 1
    path.write_bytes(data)
    faces = load_faces(path, Split.TRAIN)
    assert faces.names == ("train/sad/c.png",)
    assert ["encrypted" in reason for reason in faces.unreadable] == [False, True]
    other = zip_of(tmp_path / "other.zip", {"train/sad/a.png": face}, zipfile.ZIP_LZMA)
    with pytest.raises(SplitError):
        load_faces(other, Split.TRAIN)


def test_a_zip_whose_directory_is_damaged(tmp_path: Path, face: bytes) -> None:
    path = zip_of(tmp_path / "fer.zip", {"train/sad/a.png": face, "train/sad/ü.png": face})
    path.write_bytes(path.read_bytes().replace("ü".encode(), b"\xff\xff"))
    with pytest.raises(DataError, match="damaged zip"):
        load_faces(path, Split.TRAIN)


def test_a_photograph_of_many_pixels_is_reduced(tmp_path: Path, face: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "train" / "sad"
    folder.mkdir(parents=True)
    Image.new("L", (2100, 2800), 7).save(folder / "Training_a.png")
    for name in "bc":
        (folder / f"Training_{name}.png").write_bytes(face)
    faces = load_faces(tmp_path, Split.TRAIN)
    assert faces.images.shape == (3, 48, 48)
    assert (faces.images[0] == 7).all()
    monkeypatch.setattr(reading, "MAX_TOTAL", 48 * 48)
    with pytest.raises(DataError, match="reduce their size"):
        load_faces(tmp_path, Split.TRAIN)


ROW = "3," + " ".join(["9"] * 2304) + ",Training"


@pytest.mark.parametrize(
    "bad",
    [
        "-1" + ROW[1:],
        ROW.replace("9", "300", 1),
        ROW.replace("9", "x", 1),
        "3,1 2,",
        "3",
        "9" * 5000 + ROW[1:],
        "a,b,c,d",
    ],
    ids=["negative", "too bright", "letters", "short", "one field", "many digits", "words"],
)
def test_a_row_that_cannot_be_read_is_left_out(tmp_path: Path, bad: str) -> None:
    path = tmp_path / "fer2013.csv"
    path.write_text(f"emotion,pixels,Usage\n{bad}\n\n{ROW}\n")
    faces = load_faces(path, Split.TRAIN)
    assert faces.names == ("fer0000001.png",)
    assert len(faces.unreadable) == 1
    assert len(faces.unreadable[0]) <= 300


@pytest.mark.parametrize(
    "content",
    [
        b"emotion,pixels,Usage\n" + ROW.encode() + b"\n3,\xff\xfe,Training\n",
        "emotion,pixels,Usage\n".encode("utf-16"),
        bytes(1_000_000),
        b"emotion,pixels,Usage\n" + b"9" * 1_000_000,
        b'emotion,pixels,Usage\n3,"' + b"9\n" * 300_000,
        b"\x89PNG\r\n\x1a\n" * 1000,
        b"",
    ],
    ids=["latin", "utf-16", "zeros", "no end", "quoted", "picture", "empty"],
)
def test_a_csv_that_is_no_text_or_has_no_end(tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_UNREADABLE", 1000)
    path = tmp_path / "fer2013.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"fer2013\.csv|more than 1,000 images are unreadable"):
        load_faces(path, Split.TRAIN)


def test_the_reader_of_csv_files_stays_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "fer2013.csv"
    path.write_text(f"emotion,pixels,Usage\n{ROW}\n")
    before = csv.field_size_limit()
    load_faces(path, Split.TRAIN)
    assert csv.field_size_limit() == before


@pytest.mark.skipif(sys.platform != "linux", reason="names are text elsewhere")
def test_names_that_are_no_text(tmp_path: Path, face: bytes) -> None:
    folder = tmp_path / "train" / "sad"
    folder.mkdir(parents=True)
    (folder / os.fsdecode(b"\xff.png")).write_bytes(face)
    faces = load_faces(tmp_path, Split.TRAIN)
    assert faces.names == (r"train/sad/\xff.png",)
    assert faces.fingerprint()


def test_splits_cannot_be_mistaken(fer_tree: Path) -> None:
    validation = load_faces(fer_tree, Split.VALIDATION)
    with pytest.raises(SplitError, match="only train may be used for balancing"):
        validation.require(Split.TRAIN, "balancing")
    assert Split.parse("PublicTest") is Split.parse(" validation ") is Split.VALIDATION
    with pytest.raises(SplitError, match="choose from"):
        Split.parse("dev")


def test_votes_join_by_name_and_become_distributions(fer_tree: Path, tmp_path: Path) -> None:
    faces = load_faces(fer_tree, Split.TRAIN)
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
    validation = load_faces(fer_tree, Split.VALIDATION)
    with pytest.raises(DataError, match="no row"):
        join_votes(validation, path)


def test_a_file_that_holds_no_votes(fer_tree: Path, tmp_path: Path) -> None:
    path = tmp_path / "votes.csv"
    path.write_text("file,neutral\na,1\n")
    with pytest.raises(DataError, match="lacks columns"):
        join_votes(load_faces(fer_tree, Split.TRAIN), path)


@pytest.mark.parametrize("count", ["300", "-1", "many", "1" * 200_000])
def test_votes_that_are_none(fer_tree: Path, tmp_path: Path, count: str) -> None:
    faces = load_faces(fer_tree, Split.TRAIN)
    path = tmp_path / "votes.csv"
    path.write_text(f"file,{','.join(CATEGORIES)}\n{faces.names[0]},{count}{',1' * 9}\n")
    with pytest.raises(DataError, match="cannot be read as FER"):
        join_votes(faces, path)


def test_votes_tell_the_labels_with_the_labels_own_shares(fer_tree: Path) -> None:
    faces = load_faces(fer_tree, Split.TRAIN)
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


def test_the_two_splits_that_are_measured_may_be_one(fer_tree: Path) -> None:
    both = load_faces(fer_tree, Split.parse("validation, test"))
    assert both.split is Split.BOTH
    parts = [load_faces(fer_tree, part) for part in (Split.VALIDATION, Split.TEST)]
    assert both.names == parts[0].names + parts[1].names
    assert both.counts() == dict.fromkeys(EMOTIONS, 5)
    with pytest.raises(SplitError, match="only train may be used"):
        both.require(Split.TRAIN, "training")
    for name in ("train,test", "validation,", "neither"):
        with pytest.raises(SplitError, match="is not a split"):
            Split.parse(name)


def test_data_are_found_where_they_usually_lie(fer_tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"FER2013 was not found in data.fer2013\.zip.*--data"):
        find_data()
    shutil.copytree(fer_tree, "fer2013")
    assert find_data() == Path("fer2013")
    Path("data").mkdir()
    Path("data/fer2013.csv").touch()
    assert find_data() == Path("data/fer2013.csv")
