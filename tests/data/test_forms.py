"""Data sets in the forms that people have: names of splits, all kinds of CSVs, system files, odd sizes."""

from __future__ import annotations

import logging
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("sklearn")

from cmaen.data.drawing import draw_validation
from cmaen.data.entries import split_named
from cmaen.data.faces import by_column, load_faces, measured_split
from cmaen.data.labelling import ALL
from cmaen.data.restoration import load_colour_faces
from cmaen.data.splits import FaceSet, Split
from cmaen.data.tree import write_tree
from cmaen.data.unlabelled import load_unlabelled
from cmaen.errors import DataError, SplitError
from cmaen.types import EMOTIONS
from tests.conftest import drawn_face
from tests.test_listing import HEIC, MP4, PNG, write


def save(path: Path, seed: int = 0, size: tuple[int, int] = (48, 48)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*size[::-1], 3), np.uint8)
    Image.fromarray(pixels).save(path, format="PNG")


def tree(root: Path, counts: dict[str, int], size: tuple[int, int] = (48, 48)) -> Path:
    for seed, (folder, count) in enumerate(counts.items()):
        for number in range(count):
            save(root / folder / f"{number}.png", 1000 * seed + number, size)
    return root


@pytest.mark.parametrize(
    ("names", "split"),
    [
        (
            "train Train TRAIN training Training_set train_set trainset train-images 01_train train2017 Train_Data",
            "train",
        ),
        ("val valid validation Validation dev val_set valset validation_data PublicTest", "validation"),
        ("test TEST Testing test_set testset test-images test_faces PrivateTest Private_Test", "test"),
    ],
)
def test_splits_under_their_usual_names(names: str, split: str) -> None:
    for name in names.split():
        found = split_named(name)
        assert found is not None
        assert found.folder == split, name


@pytest.mark.parametrize(
    "name", ["", "happy", "trainval", "test_train", "set", "data", "holdout", "attestation", "x test"]
)
def test_names_that_tell_no_split(name: str) -> None:
    assert split_named(name) is None


def test_pictures_of_no_split_are_named_by_their_folders(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = tree(tmp_path, {"Training/sad": 3, "Testing/sad": 2, "holdout/sad": 4, "happy": 1, "deep/in/happy": 2})
    assert len(load_faces(root, Split.TEST)) == 2
    assert "7 images belong to no split and are left out: holdout (4), deep/in (2), happy (1)" in caplog.text


def test_rubbish_is_no_data_and_what_is_left_out_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = tree(tmp_path, {"sad": 6, "happy": 6, ".ipynb_checkpoints": 1, "__MACOSX/sad": 1, "pain": 0})
    write(
        root,
        {"sad/._0.png": b"", "sad/Thumbs.db": b"", "sheet.png": PNG, "happy/film.mp4": MP4, "angry/1.psd": b"8BPS"},
    )
    faces = load_faces(root, Split.TRAIN, labels=ALL)
    assert faces.classes == ("happy", "sad")
    assert not faces.unreadable
    said = caplog.messages[0]
    for part in (
        "1 picture beside the class folders",
        "1 video (.mp4)",
        "1 picture in a format",
        "without a picture: angry",
    ):
        assert part in said
    assert "_MACOSX" not in caplog.text


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_linked_class_folders_are_read(tmp_path: Path) -> None:
    pool = tree(tmp_path / "pool", {"sad": 3, "happy": 4})
    root = tmp_path / "data"
    (root / "test").mkdir(parents=True)
    for name in ("sad", "happy"):
        (root / "test" / name).symlink_to(pool / name)
    assert load_faces(root, Split.TEST).counts() | {"sad": 3, "happy": 4} == load_faces(root, Split.TEST).counts()


def test_files_without_a_suffix_are_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(4):
        save(tmp_path / "test" / "sad" / f"face{number}", number)
    assert len(load_faces(tmp_path, Split.TEST)) == 4
    write(tmp_path, {"test/sad/broken.png": b"text"})
    assert len(load_unlabelled(tmp_path, 24)) == 4
    assert "1 unreadable images are left out; the first: test/sad/broken.png" in caplog.text
    assert len(load_colour_faces([tmp_path], held_out=False)) == 4  # none of these names is held out


def test_a_zip_as_windows_and_macos_make_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "faces.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("test\\sad\\1.png", "test/happy/2.png", "test\\happy\\noname"):
            info = zipfile.ZipInfo("x")
            info.filename = name  # as it is
            archive.writestr(info, PNG)
        for name in ("__MACOSX/test/sad/._1.png", "test/sad/.DS_Store", "test/happy/film.mp4", "readme.txt", "0.png"):
            archive.writestr(name, PNG if name.endswith(".png") else b"text")
    faces = load_faces(path, Split.TEST)
    assert faces.names == ("test/happy/2.png", "test/happy/noname", "test/sad/1.png")
    assert not faces.unreadable
    assert "1 video (.mp4), 1 other file (.txt), 1 picture beside the class folders (.png)" in caplog.text


def test_names_are_unique_and_those_that_are_stay_short(tmp_path: Path) -> None:
    root = tree(tmp_path, {"one/train/sad": 2, "two/train/sad": 2, "two/train/happy": 2, "a/b/c/train/happy": 1})
    faces = load_faces(root, Split.TRAIN, labels=ALL)
    others = load_faces(root, Split.VALIDATION, labels=ALL)
    names = faces.names + others.names
    assert len(set(names)) == len(names) == 7
    assert "train/happy/1.png" in names
    assert "two/train/sad/0.png" in names


def test_the_same_name_twice_in_a_zip(tmp_path: Path) -> None:
    path = tmp_path / "faces.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("test/sad/1.png", PNG)
        for _ in range(2):
            with pytest.warns(UserWarning, match="Duplicate"):
                archive.writestr("test/sad/1.png", PNG)
    assert len(set(load_faces(path, Split.TEST).names)) == 3


def test_a_tree_has_as_many_files_as_faces(tmp_path: Path) -> None:
    names = [f"person{person}/{kind}" for person in range(6) for kind in ("a.png", "A.jpg", "a.jpg (row 3)", "CON.png")]
    images = np.arange(len(names), dtype=np.uint8)[:, None, None].repeat(8, 1).repeat(8, 2)
    classes = ("Sad/very", "..")
    faces = FaceSet(Split.TEST, images, np.arange(len(names)) % 2, tuple(names), classes=classes)
    write_tree(faces, tmp_path)
    again = load_faces(tmp_path, Split.TEST, labels=ALL)
    assert sorted(again.images[:, 0, 0].tolist()) == list(range(len(names)))
    assert len({str(path).lower() for path in tmp_path.rglob("*.png")}) == len(names)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize(
    "header",
    [
        "path,label,split",
        "Path,Label,Split",
        "filename,emotion,set",
        "image,class,Usage",
        "pth,label,subset",
        "File,Expression,SPLIT",
    ],
)
def test_csvs_with_other_columns_and_delimiters(delimiter: str, header: str, tmp_path: Path) -> None:
    for number in range(4):
        save(tmp_path / "p" / f"{number}.png", number)
    lines = [
        header,
        "p/0.png,happy,Testing",
        "p\\1.png,Sadness,test_set",
        '"p/2.png",joy,TEST',
        "p/3.png,joy,train",
        "",
    ]
    path = tmp_path / "faces.csv"
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).replace(",", delimiter).encode())
    faces = load_faces(path, Split.TEST)
    assert [EMOTIONS[label] for label in faces.labels] == ["happy", "sad", "happy"]
    assert not faces.unreadable
    column = header.split(",")[1]
    assert set(by_column(faces, path, column)) == {"happy", "Sadness", "joy"}


def test_classes_that_are_numbers_are_labels(tmp_path: Path) -> None:
    rows = [f"{number}.png,{(0, 2, 10)[number % 3]}{'.0' if number > 5 else ''}" for number in range(30)]
    for number in range(30):
        save(tmp_path / f"{number}.png", number)
    path = tmp_path / "faces.csv"
    path.write_text("\n".join(["image,emotion", *rows]))
    faces = load_faces(path, Split.TRAIN, labels=ALL)
    assert faces.classes == ("0", "2", "10")
    assert all(
        int(name.removesuffix(".png")) % 3 == label for name, label in zip(faces.names, faces.labels, strict=True)
    )
    with pytest.raises(DataError, match="the meaning of numbers is unknown"):
        load_faces(path, Split.TRAIN)


def test_rows_of_one_picture_without_boxes_have_names_of_their_own(tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    path = tmp_path / "faces.csv"
    path.write_text("path,label,split,age\na.png,sad,test,old\na.png,happy,test,young\n")
    faces = load_faces(path, Split.TEST)
    assert len(set(faces.names)) == 2
    assert {age: group.names for age, group in by_column(faces, path, "age").items()} == {
        "old": ("a.png",),
        "young": ("a.png (2)",),
    }


@pytest.mark.parametrize(
    "content",
    [b"path,label\n\xff\xfe,sad\n", b"path,label\na.png,sad\n" + b'"' * 3 + b"x" * 200_000, b"path,label\0\n"],
)
def test_a_csv_that_breaks_in_its_middle_is_named(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "faces.csv"
    path.write_bytes(content)
    with pytest.raises(DataError):
        load_faces(path, Split.TRAIN)


def test_a_path_that_no_system_takes_costs_no_other_face(tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    path = tmp_path / "faces.csv"
    rows = [
        "path,label,split",
        "a.png,sad,test",
        f"{'x' * 5000}.png,sad,test",
        f"{'y' * 300}\\z.png,sad,test",
        "..,sad,test",
    ]
    path.write_text("\n".join([*rows, ",sad,test", "data:,sad,test"]))
    faces = load_faces(path, Split.TEST)
    assert faces.names == ("a.png",)
    assert len(faces.unreadable) == 5


def test_a_split_of_which_nothing_could_be_read_says_why(tmp_path: Path) -> None:
    root = write(tmp_path / "a", {"test/sad/1.png": b"text", "test/sad/2.png": b"text"})
    with pytest.raises(
        SplitError, match=r"no readable image of the split test: all 2 failed; the first: .*not an image"
    ):
        load_faces(root, Split.TEST)
    root = write(tmp_path / "b", {f"happy/{number}.xcf": b"gimp" for number in range(10)})
    with pytest.raises(SplitError, match=r"no readable image of the split train; left out: 10 pictures in formats"):
        load_faces(root, Split.TRAIN)
    path = tmp_path / "faces.csv"
    path.write_text("path,label\nnowhere/1.png,sad\n")
    with pytest.raises(SplitError, match=r"no readable image.*its only image failed.*does not exist"):
        load_faces(path, Split.TRAIN)
    root = tree(tmp_path / "c", {"train/sad": 3})
    with pytest.raises(SplitError, match=r"no readable image of the split test; it has train \(3\)"):
        load_faces(root, Split.TEST)
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "photo").write_bytes(HEIC)
    with pytest.raises(DataError, match="no readable image of a face"):
        load_unlabelled(tmp_path / "d", 24)


@pytest.mark.parametrize("size", [(30, 40), (64, 48), (48, 4)])
def test_faces_of_one_size_that_is_not_square_become_squares(size: tuple[int, int], tmp_path: Path) -> None:
    root = tree(tmp_path, {f"test/{emotion}": 2 for emotion in EMOTIONS}, size)
    assert load_faces(root, Split.TEST).images.shape == (14, 48, 48)
    assert load_faces(root, Split.TEST, colour=True, side=32).images.shape == (14, 32, 32, 3)


def test_the_split_that_is_measured_if_nobody_says(tmp_path: Path, fer_tree: Path) -> None:
    assert measured_split(fer_tree) is Split.VALIDATION
    assert measured_split(tree(tmp_path / "a", {"train/sad": 1, "Testing/sad": 1})) is Split.TEST
    assert measured_split(tree(tmp_path / "b", {"train/sad": 1, "valid/sad": 1, "test/sad": 1})) is Split.VALIDATION
    assert measured_split(tree(tmp_path / "c", {"sad": 1, "happy": 1})) is Split.VALIDATION
    path = tmp_path / "faces.csv"
    path.write_text("path;label;split\na.png;sad;test\nb.png;sad;train\n")
    assert measured_split(path) is Split.TEST


def test_a_validation_split_that_is_drawn_is_said_aloud(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = tree(tmp_path, {"train/sad": 20, "train/happy": 20, "test/sad": 2})
    with caplog.at_level(logging.WARNING):
        assert len(load_faces(root, Split.VALIDATION)) == 4
    assert "there is no validation split: 4 of the 40 training faces" in caplog.text


def faces_of(labels: np.ndarray, groups: list[str] | None = None) -> FaceSet:
    images = np.random.default_rng(0).integers(0, 256, (len(labels), 8, 8), np.uint8)
    classes = tuple(map(str, range(int(labels.max()) + 1)))
    names = tuple(map(str, range(len(labels))))
    together = None if groups is None else tuple(groups)
    return FaceSet(Split.TRAIN, images, labels.astype(np.int64), names, classes=classes, groups=together)


@pytest.mark.parametrize("rare", [[2], [2, 3], [5, 2, 2, 9]])
def test_a_rare_class_does_not_make_half_of_all_faces_validate(rare: list[int]) -> None:
    labels = np.repeat(np.arange(2 + len(rare)), [300, 200, *rare])
    chosen = draw_validation(faces_of(labels))
    assert 45 <= chosen.sum() <= 60
    for label in range(2 + len(rare)):
        assert 0 < chosen[labels == label].sum() < (labels == label).sum()


def test_a_person_with_most_of_the_faces_does_not_validate() -> None:
    labels = np.arange(400) % 2
    groups = ["often" if index < 240 else str(index // 4) for index in range(400)]
    chosen = draw_validation(faces_of(labels, groups))
    assert 12 <= chosen.sum() <= 60
    assert not chosen[:240].any()


def test_two_people_alone_share_the_faces_out() -> None:
    labels = np.arange(40) % 2
    chosen = draw_validation(faces_of(labels, ["a" if index < 30 else "b" for index in range(40)]))
    assert 0 < chosen.sum() < 40


def kaggle_csv(path: Path, usage: bool = True) -> Path:
    rng = np.random.default_rng(0)
    lines = ["emotion,pixels,Usage" if usage else "emotion,pixels"]
    for number in range(70):
        pixels = " ".join(map(str, drawn_face(number % 7, rng).ravel().tolist()))
        lines.append(f"{number % 7},{pixels}" + (",Training" if number % 3 else ",PublicTest") * usage)
    path.write_text("\n".join(lines))
    return path


def test_kaggles_csv_under_other_labels(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = kaggle_csv(tmp_path / "fer2013.csv")
    plain = load_faces(path, Split.TRAIN)
    some = load_faces(path, Split.TRAIN, labels=("joy", "sad", "bored"))
    truth = {name: EMOTIONS[label] for name, label in zip(plain.names, plain.labels, strict=True)}
    named = {name: some.classes[label] for name, label in zip(some.names, some.labels, strict=True)}
    assert some.classes == ("joy", "sad", "bored")
    assert named == {name: emotion for name, emotion in truth.items() if emotion == "sad"}
    assert "classes left out" in caplog.text
    assert load_faces(path, Split.TRAIN, labels=ALL).classes == EMOTIONS
    with pytest.raises(DataError, match="no face has one of the classes pain, bored"):
        load_faces(path, Split.TRAIN, labels=("pain", "bored"))


def test_kaggles_csv_without_usage(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = kaggle_csv(tmp_path / "train.csv", usage=False)
    parts = [load_faces(path, split) for split in (Split.TRAIN, Split.VALIDATION)]
    assert sum(map(len, parts)) == 70
    assert 5 <= len(parts[1]) <= 10
    assert "there is no validation split" in caplog.text
    with pytest.raises(SplitError, match="split test"):
        load_faces(path, Split.TEST)


@pytest.mark.parametrize(
    "usages", [("Training", "PrivateTest"), ("train", "test"), ("TRAIN", "Testing"), ("trn", "tst")]
)
def test_kaggles_csv_without_a_validation_split(usages: tuple[str, str], tmp_path: Path) -> None:
    path = kaggle_csv(tmp_path / "fer2013.csv")
    text = path.read_text().replace(",Training", f",{usages[0]}").replace(",PublicTest", f",{usages[1]}")
    path.write_text(text)
    assert measured_split(path) is Split.TEST
    training, validation, test = (load_faces(path, split) for split in (Split.TRAIN, Split.VALIDATION, Split.TEST))
    assert (len(training) + len(validation), len(test)) == (46, 24)
    assert 3 <= len(validation) <= 7
    assert not set(training.names) & set(validation.names)
    assert not set(test.names) & {*training.names, *validation.names}, "no test face is learnt"


def test_kaggles_csv_of_one_split_says_what_there_is(tmp_path: Path) -> None:
    path = kaggle_csv(tmp_path / "fer2013.csv")
    path.write_text(path.read_text().replace(",PublicTest", ",holdout"))
    with pytest.raises(SplitError, match=r"split test; it has train \(46\)|all 24 failed"):
        load_faces(path, Split.TEST)
    path.write_text(path.read_text().replace(",holdout", ",Training"))
    with pytest.raises(SplitError, match=r"split test; it has train \(70\)"):
        load_faces(path, Split.TEST)
    assert measured_split(path) is Split.VALIDATION
