"""Data sets as they are published: read by looking, whole, damaged, half-written and misleading."""

from __future__ import annotations

import io
import pickle
import shutil
import warnings
import zipfile
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("sklearn")

from cmaen.data.drawing import inner_split
from cmaen.data.entries import open_entries
from cmaen.data.faces import by_column, list_splits, load_faces, measured_split
from cmaen.data.labelling import ALIASES, ALL
from cmaen.data.layouts.table import LAYOUTS
from cmaen.data.splits import FaceSet, Split
from cmaen.data.tree import write_tree
from cmaen.errors import DataError
from cmaen.types import EMOTIONS
from tests.data import published
from tests.data.published import PUBLISHED, Published, read_label, write_folder, write_zip, write_zips

FORMS = {
    "folder": write_folder,
    "deep folder": lambda root, files: write_folder(root / "in" / "here", files) and root,
    "zip": lambda root, files: write_zip(root / "published.zip", files),
    "zips": write_zips,
}


def check_labels(faces: FaceSet) -> None:
    """Check that each face has the label that its pixels tell."""
    assert len(faces)
    for image, label, name in zip(faces.images, faces.labels.tolist(), faces.names, strict=True):
        assert read_label(image) == ALIASES.get(faces.classes[label], faces.classes[label]), name


def counts_of(path: Path) -> Counter[tuple[str, str]]:
    """Count the entries by split and label."""
    with open_entries(path) as contents:
        return Counter(("" if entry.split is None else entry.split.folder, entry.label) for entry in contents.entries)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", PUBLISHED)
def test_every_layout_is_found_named_and_read(
    name: str, form: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    draw, layout = PUBLISHED[name]
    path = FORMS[form](tmp_path / "data", draw())
    splits = list_splits(path)
    faces = load_faces(path, Split.ALL)
    check_labels(faces)
    assert f"is read as {layout}" in caplog.text
    assert not faces.unreadable
    if None in splits:
        assert splits == {None}
        training, validation = (load_faces(path, split) for split in (Split.TRAIN, Split.VALIDATION))
        assert len(training) + len(validation) == len(faces)
    for split in splits - {None}:
        assert split is not None
        check_labels(load_faces(path, split))
    assert counts_of(path) == counts_of(write_folder(tmp_path / "again", draw()))


@pytest.mark.parametrize(
    ("name", "splits"),
    [
        ("rafdb", {"train": 21, "test": 14}),
        ("rafdb folders", {"train": 21, "test": 14}),
        ("affectnet", {"train": 24, "validation": 16}),
        ("affectnet lists", {"train": 24, "validation": 16}),
        ("affectnet lists without header", {"train": 24, "validation": 16}),
        ("expw", {"": 28}),
        ("ckplus", {"": 13 * 4}),
        ("ckplus folders", {"": 84}),
        ("jaffe", {"": 48}),
        ("kdef", {"": 96}),
        ("ferplus", {"train": 24, "validation": 8, "test": 16}),
        ("hugging face", {"train": 21, "validation": 7, "test": 14}),
    ],
)
def test_every_face_of_every_split_is_there(name: str, splits: dict[str, int], tmp_path: Path) -> None:
    draw, _ = PUBLISHED[name]
    found: Counter[str] = Counter()
    for (split, _), count in counts_of(write_folder(tmp_path, draw())).items():
        found[split] += count
    assert found == splits


def test_what_is_no_emotion_is_left_out_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    load_faces(write_folder(tmp_path / "affectnet", published.affectnet()), Split.TRAIN)
    assert "affectnet: 5 labelled no face; 5 labelled none; 5 labelled uncertain" in caplog.text
    assert "55 other files (.npy)" in caplog.text  # the valences alone are left out
    assert "contempt (5)" in caplog.text  # a class, which the seven emotions lack
    caplog.clear()
    root = write_folder(tmp_path / "ferplus", published.ferplus())
    assert "contempt" in load_faces(root, Split.TRAIN, labels=ALL).classes
    assert "3 labelled NF; 3 labelled unknown" in caplog.text


@pytest.mark.parametrize("name", ["ckplus", "ckplus folders", "jaffe", "kdef", "expw"])
def test_people_and_photographs_stay_on_one_side_of_a_drawn_split(name: str, tmp_path: Path) -> None:
    root = write_folder(tmp_path, PUBLISHED[name][0]())
    with open_entries(root) as contents:
        groups = {entry.name: entry.group for entry in contents.entries}
    assert None not in groups.values()
    sides = [
        {groups[face] for face in load_faces(root, split, labels=ALL).names}
        for split in (Split.TRAIN, Split.VALIDATION)
    ]
    assert all(sides)
    assert not sides[0] & sides[1]
    inner = [set(part.groups or ()) for part in inner_split(load_faces(root, Split.TRAIN, labels=ALL))]
    assert all(inner)
    assert not inner[0] & inner[1]


def test_faces_are_measured_by_what_their_names_tell(tmp_path: Path) -> None:
    root = write_folder(tmp_path, published.kdef())
    faces = load_faces(root, Split.ALL)
    angles = by_column(faces, root, "angle")
    assert {angle: len(group) for angle, group in angles.items()} == {"half left": 48, "straight": 48}
    assert all("HL" in name for name in angles["half left"].names)
    assert set(by_column(faces, root, "person")) == {"F01", "F02", "M01", "M02"}  # in both sessions
    with pytest.raises(DataError, match="no column 'age'; it has person, session, angle"):
        by_column(faces, root, "age")


def test_pictures_of_whole_heads_are_told_to_be_cropped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = published.kdef()
    wide = {name: published.photograph("happy") for name in files}
    load_faces(write_folder(tmp_path / "cropped", files), Split.ALL)
    assert "cmaen crop" not in caplog.text
    load_faces(write_folder(tmp_path / "whole", wide), Split.ALL)
    assert "cut the faces out first, with cmaen crop" in caplog.text


def test_the_folders_of_ones_own_come_before_names_and_metadata(tmp_path: Path) -> None:
    """Whoever has sorted pictures into folders of emotions means these labels."""
    happy, sad = published.picture("happy"), published.picture("sad")
    root = write_folder(tmp_path / "a", {"happy/AF01SAS.JPG": happy, "sad/AF02HAS.JPG": sad})
    check_labels(load_faces(root, Split.ALL))
    root = write_folder(
        tmp_path / "b",
        {"happy/1.jpg": happy, "sad/2.jpg": sad, "metadata.csv": b"file_name,category\nhappy/1.jpg,cat\n"},
    )
    check_labels(load_faces(root, Split.ALL))


def test_pictures_that_were_made_beside_sorted_ones_are_read_too(tmp_path: Path) -> None:
    """As ``cmaen balance`` does, which writes class folders and invents faces."""
    for name, folder in (("jaffe", "a"), ("kdef", "b"), ("ckplus folders", "c")):
        faces = load_faces(write_folder(tmp_path / name, PUBLISHED[name][0]()), Split.ALL)
        write_tree(replace(faces, split=Split.TRAIN), tmp_path / folder)
        write_folder(tmp_path / folder, {"train/happy/synthetic-1.png": published.picture("happy", 1, "PNG")})
        again = load_faces(tmp_path / folder, Split.ALL)
        check_labels(again)
        assert len(again) == len(faces) + 1
        assert set(again.groups or ()) == {*(faces.groups or ()), None}


def test_a_list_beside_the_zip_of_its_pictures_is_read(tmp_path: Path) -> None:
    """RAF-DB is published with ``Image/aligned.zip`` and ``EmoLabel/list_patition_label.txt``."""
    files = published.rafdb()
    aligned = {name.removeprefix("basic/Image/"): data for name, data in files.items() if "aligned" in name}
    write_zip(tmp_path / "basic" / "Image" / "aligned.zip", aligned)
    write_folder(tmp_path, {name: data for name, data in files.items() if "aligned" not in name})
    faces = load_faces(tmp_path, Split.ALL)
    check_labels(faces)
    assert len(faces) == 35


def test_ordinary_data_are_no_layout(fer_tree: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    copy = tmp_path / "fer"
    shutil.copytree(fer_tree, copy)
    votes = ",".join(("Usage", "Image name", *published.CATEGORIES))
    extras = {"README.md": b"# FER", "labels.csv": b"path,label\n", "fer2013new.csv": votes.encode(), "a.lst": b"x y\n"}
    write_folder(copy, extras)
    for split in (Split.TRAIN, Split.VALIDATION, Split.TEST):
        assert load_faces(copy, split).fingerprint() == load_faces(fer_tree, split).fingerprint()
    assert "is read as" not in caplog.text
    assert len(LAYOUTS) == 9


@pytest.mark.parametrize("name", ["images", "aligned", "S005", "train"])
def test_pictures_that_only_resemble_a_layout_are_class_folders(name: str, tmp_path: Path) -> None:
    root = write_folder(tmp_path, {f"{name}/happy/{n}.png": published.picture("happy", n, "PNG") for n in range(3)})
    write_folder(root, {f"{name}/sad/{n}.png": published.picture("sad", n, "PNG") for n in range(3)})
    check_labels(load_faces(root, Split.ALL))


def list_of(files: Published) -> str:
    """Return the name of the list of a data set."""
    ends = ("list_patition_label.txt", "training.csv", "label.lst", "FER2013Train/label.csv", "train/metadata.csv")
    return next(name for name in files if name.endswith((*ends, "train/metadata.jsonl")))


LISTED = ["rafdb", "affectnet lists", "expw", "ferplus", "hugging face", "hugging face, json lines"]


@pytest.mark.parametrize("name", LISTED)
def test_a_list_that_is_cut_costs_the_lines_that_are_lost(name: str, tmp_path: Path) -> None:
    """Cut at every length: what is left is read, and no face gets another label."""
    files = PUBLISHED[name][0]()
    root, listed = write_folder(tmp_path, files), list_of(files)
    with open_entries(root) as contents:
        whole = {(entry.name, entry.label, entry.split, entry.group) for entry in contents.entries}
    content, sizes = files[listed], []
    for length in range(0, len(content), max(1, len(content) // 150)):
        (root / listed).write_bytes(content[:length])
        try:
            with open_entries(root) as contents:
                found = {(entry.name, entry.label, entry.split, entry.group) for entry in contents.entries}
        except DataError:
            continue
        shortened = {entry for entry in found if entry[1] not in (*EMOTIONS, *published.LABELS, *published.CATEGORIES)}
        if contents.reading is not None:
            assert found - shortened <= whole
            sizes.append(len(found))
    assert sizes == sorted(sizes)
    assert sizes[-1] > 0


@pytest.mark.parametrize("name", LISTED)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(noise=st.binary(max_size=400), place=st.floats(0, 1))
def test_bytes_in_a_list_cost_no_more_than_their_lines(name: str, noise: bytes, place: float, tmp_path: Path) -> None:
    root = tmp_path / name
    files = PUBLISHED[name][0]()
    if not root.exists():
        write_folder(root, files)
    listed = list_of(files)
    cut = int(place * len(files[listed]))
    (root / listed).write_bytes(files[listed][:cut] + noise + files[listed][cut:])
    try:
        with open_entries(root) as contents:
            entries = contents.entries
    except DataError:
        return
    assert len({entry.name for entry in entries}) == len(entries)
    assert all(entry.label for entry in entries)


def test_lines_that_cannot_be_used_are_counted_and_the_first_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = published.rafdb()
    lines = files["basic/EmoLabel/list_patition_label.txt"].decode().splitlines()
    lines[3] = lines[3][:-1] + "9"
    lines[4] = lines[4][:-2]
    lines += ["train_99999.jpg 1", "other_00001.jpg 1", lines[1], "train_00001.jpg 5 5", "\ufeff", "💥 3"]
    files["basic/EmoLabel/list_patition_label.txt"] = "\n".join(lines).encode()
    files["basic/Image/aligned/train_77777_aligned.jpg"] = published.picture("sad")
    del files["basic/Image/aligned/train_00000_aligned.jpg"]
    root = write_folder(tmp_path, files)
    with open_entries(root) as contents:
        assert len(contents.entries) == 35 - 3
    load_faces(root, Split.TEST)
    said = caplog.text
    assert "line 4: '9' is not a label; labels are 1 to 7" in said
    assert "7 entries that cannot be used" in said
    assert "2 pictures that are listed but missing, the first train_00000.jpg" in said
    assert "3 pictures without a label" in said  # of the faulty lines, and the one that no line names


def test_originals_beside_aligned_pictures_are_not_read_twice(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = published.rafdb()
    for name in list(files):
        if "aligned" in name:
            original = name.replace("aligned/", "original/").replace("_aligned", "")
            files[original] = published.photograph("happy")
    check_labels(load_faces(write_folder(tmp_path / "both", files), Split.ALL))
    assert "without a label" not in caplog.text
    assert "cmaen crop" not in caplog.text
    alone = {name: data for name, data in files.items() if "/aligned/" not in name}
    assert len(load_faces(write_folder(tmp_path / "alone", alone), Split.ALL)) == 35
    assert "cmaen crop" in caplog.text


def test_compound_emotions_are_not_taken_for_basic_ones(tmp_path: Path) -> None:
    compound = {name.replace("basic", "compound"): data for name, data in published.rafdb().items()}
    with pytest.raises(DataError, match=r"compound emotions.*give the folder that holds basic"):
        load_faces(write_folder(tmp_path / "one", compound), Split.TRAIN)
    faces = load_faces(write_folder(tmp_path / "both", published.rafdb() | compound), Split.TEST)
    check_labels(faces)
    assert len(faces) == 14
    assert all("compound" not in name for name in faces.names)


def test_pictures_without_their_list_say_what_is_missing(tmp_path: Path) -> None:
    files = {name: data for name, data in published.rafdb().items() if "EmoLabel" not in name}
    with pytest.raises(DataError, match=r"list_patition_label\.txt, which tells their labels, is missing"):
        load_faces(write_folder(tmp_path / "a", files), Split.TRAIN)
    own = {f"{label}/train_{n}.jpg": published.picture(label, n) for label in ("happy", "sad") for n in range(3)}
    check_labels(load_faces(write_folder(tmp_path / "b", own), Split.ALL))


def test_a_split_of_rafdb_is_measured_and_another_drawn(tmp_path: Path) -> None:
    root = write_folder(tmp_path, published.rafdb())
    assert measured_split(root) is Split.TEST
    training, validation = (load_faces(root, split) for split in (Split.TRAIN, Split.VALIDATION))
    assert len(training) + len(validation) == 21
    assert all("train_" in name for name in (*training.names, *validation.names))


class Bomb:
    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (Path("exploded"),))


def test_annotations_are_never_unpickled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    file = io.BytesIO()
    np.save(file, np.array([Bomb()], dtype=object), allow_pickle=True)
    files = published.affectnet()
    huge = published.array("1").replace(b"()", b"(9999999999999,)").replace(b"  " * 7, b"", 1)
    bad = {
        0: file.getvalue(),
        2: pickle.dumps(Bomb()),
        3: b"",
        4: published.array([1, 2]),
        5: published.array("x"),
        6: huge,
    }
    bad |= {
        7: published.array("-1"),
        11: published.array(1e300),
        12: published.array(float("nan")),
        13: b"\x93NUMPY\x01\x00\xff\xff(",
    }
    for number, data in bad.items():
        files[f"train_set/annotations/{number}_exp.npy"] = data
    del files["train_set/annotations/1_exp.npy"]
    root = write_folder(tmp_path / "data", files)
    with open_entries(root) as contents:
        train = [entry for entry in contents.entries if entry.split is Split.TRAIN]
    assert len(train) == 24 - len(bad) - 1
    check_labels(load_faces(root, Split.TRAIN))
    assert not Path("exploded").exists()
    assert f"{len(bad)} entries that cannot be used" in caplog.text
    assert "1 picture without a label" not in caplog.text.replace(f"{len(bad) + 1} pictures", "")


def test_an_annotation_that_is_cut_costs_its_face_alone(tmp_path: Path) -> None:
    root = write_folder(tmp_path, published.affectnet())
    path = root / "train_set/annotations/1_exp.npy"
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with open_entries(root) as contents:
            assert len(contents.entries) == 39


def test_the_label_of_a_sequence_that_cannot_be_read_costs_the_sequence(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = published.ckplus()
    emotions = [name for name in files if name.endswith("_emotion.txt")]
    for name, content in zip(emotions, (b"", b"8.0", b"nan", b"\xff\xfe", b"1e999", b"3 3"), strict=False):
        files[name] = content
    person = emotions[6].split("/")[1]
    gone = [name for name in files if name.startswith(f"cohn-kanade-images/{'/'.join(emotions[6].split('/')[1:3])}/")]
    for name in gone:
        del files[name]
    root = write_folder(tmp_path, files)
    faces = load_faces(root, Split.ALL, labels=ALL)
    check_labels(faces)
    assert len(faces) == 4 * (len(emotions) - 7)
    assert "6 entries that cannot be used" in caplog.text
    assert f"1 picture that is listed but missing, {person}" in caplog.text


def test_a_box_outside_its_photograph_costs_its_face_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = published.expw()
    lines = files["label/label.lst"].decode().splitlines()
    lines[0] = lines[0].replace(" 0 5 10 58 53 ", " 0 500 1000 1048 548 ")
    lines[1] = lines[1].replace(" 53 37.5", " nan 37.5")
    files["label/label.lst"] = "\n".join(lines).encode()
    faces = load_faces(write_folder(tmp_path, files), Split.ALL)
    check_labels(faces)
    assert len(faces) == 26
    assert len(faces.unreadable) == 1
    assert "its box lies outside the picture" in faces.unreadable[0]
    assert "its box is not made of numbers" in caplog.text


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_picture_that_is_damaged_costs_itself_alone(name: str, tmp_path: Path) -> None:
    files = PUBLISHED[name][0]()
    root = write_folder(tmp_path, files)
    whole = load_faces(root, Split.ALL, labels=ALL)
    pictures = [file for file in files if file.lower().endswith((".jpg", ".png", ".tiff"))]
    (root / pictures[-1]).write_bytes(b"damaged")
    faces = load_faces(root, Split.ALL, labels=ALL)
    assert len(faces) + len(faces.unreadable) == len(whole)
    check_labels(faces)


@pytest.mark.parametrize("name", ["rafdb", "jaffe", "hugging face"])
def test_names_of_other_cases_and_separators(name: str, tmp_path: Path) -> None:
    files = PUBLISHED[name][0]()
    loud = {
        (file if file.endswith((".csv", ".md", ".txt")) else file.replace(".jpg", ".JPG").replace(".tiff", ".TIFF")): (
            data.replace(b".jpg", b".JPG").replace(b"faces/", b"faces\\") if file.endswith(".csv") else data
        )
        for file, data in files.items()
    }
    check_labels(load_faces(write_folder(tmp_path, loud), Split.ALL))


def test_the_votes_of_fer_plus_beside_its_pictures_are_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows, files = [",".join(("Usage", "Image name", *published.CATEGORIES))], {}
    for number, usage in enumerate(("Training", "Training", "PublicTest", "PrivateTest")):
        label = published.LABELS[number]
        votes = [10 * (ALIASES.get(name, name) == label) for name in published.CATEGORIES]
        rows.append(f"{usage},fer{number:07d}.png,{','.join(map(str, votes))}")
        files[f"images/any/fer{number:07d}.png"] = published.picture(label, number, "PNG")
    rows += ["Training,,0,0,0,0,0,0,0,0,0,10", "Training,fer0000009.png,9,0,0,0,0,0,0,0,0,1", "Training,fer0000000.png"]
    root = write_folder(tmp_path, files | {"fer2013new.csv": "\n".join(rows).encode()})
    assert list_splits(root) == {Split.TRAIN, Split.VALIDATION, Split.TEST}
    faces = load_faces(root, Split.ALL)
    check_labels(faces)
    assert len(faces) == 4
    assert "1 picture that is listed but missing, fer0000009.png" in caplog.text
    assert "1 entry that cannot be used, fer2013new.csv, line 8" in caplog.text


def test_boxes_and_people_of_an_image_folder(tmp_path: Path) -> None:
    rows = ["file_name,label,person,x1,y1,x2,y2"]
    for number in range(20):
        rows += [f"{number}.png,happy,p{number // 2},10,5,58,53", f"{number}.png,sad,p{number // 2},78,5,126,53"]
    files = {f"{number}.png": published.photograph("happy", "sad", seed=2 * number) for number in range(20)}
    root = write_folder(tmp_path, files | {"metadata.csv": "\n".join(rows).encode()})
    parts = [load_faces(root, split) for split in (Split.TRAIN, Split.VALIDATION)]
    assert sum(map(len, parts)) == 40
    for part in parts:
        check_labels(part)
    assert not set(parts[0].groups or ()) & set(parts[1].groups or ())


def test_a_sequence_of_one_frame_has_its_label(tmp_path: Path) -> None:
    files = {name: data for name, data in published.ckplus().items() if "_0000000" not in name or "_00000006" in name}
    faces = load_faces(write_folder(tmp_path, files), Split.ALL, labels=ALL)
    check_labels(faces)
    assert len(faces) == 13


def test_paths_that_lead_out_of_a_data_set_are_missing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_folder(tmp_path, {"secret.jpg": published.picture("sad")})
    rows = "file_name,label\n../secret.jpg,happy\n/etc/passwd,happy\nfaces/1.jpg,happy\nfaces/2.jpg,sad\n"
    files = {
        "faces/1.jpg": published.picture("happy"),
        "faces/2.jpg": published.picture("sad"),
        "metadata.csv": rows.encode(),
    }
    assert load_faces(write_folder(tmp_path / "data", files), Split.ALL).names == ("faces/1.jpg", "faces/2.jpg")
    assert "2 pictures that are listed but missing" in caplog.text


NAMES = st.one_of(
    st.text(max_size=20),
    st.from_regex(r"(train|test)_[0-9]{1,5}(_aligned)?", fullmatch=True),
    st.from_regex(r"S[0-9]{3}_[0-9]{3}_[0-9]{8}(_emotion)?", fullmatch=True),
    st.from_regex(r"[AB][FM][0-9]{2}(AF|AN|XX)(S|HL|FR)", fullmatch=True),
    st.from_regex(r"[A-Z]{2}\\.(AN|HA|ZZ)[1-3]\\.[0-9]{1,3}", fullmatch=True),
)
LISTS = ("list_patition_label.txt", "label.lst", "label.csv", "metadata.csv", "metadata.jsonl", "README.md", "a.csv")
FOLDERS = st.lists(
    st.sampled_from(["train", "images", "annotations", "1", "happy", "sad", "compound", "..", "a b"]), max_size=3
)
CONTENTS = st.one_of(
    st.binary(max_size=60),
    st.text(max_size=60).map(str.encode),
    st.lists(
        st.sampled_from(["train_1.jpg 5", "file_name,label", "a.png,happy", "fer.png,x,1,1,1,1,1,1,1,1,1,1", "3.0"])
    ).map(lambda lines: "\n".join(lines).encode()),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    pictures=st.lists(st.tuples(FOLDERS, NAMES), max_size=8),
    texts=st.lists(
        st.tuples(FOLDERS, st.one_of(st.sampled_from(LISTS), NAMES.map("{}.txt".format)), CONTENTS), max_size=4
    ),
)
def test_no_names_and_no_texts_break_the_search_for_a_layout(
    pictures: list[tuple[list[str], str]], texts: list[tuple[list[str], str, bytes]], tmp_path: Path
) -> None:
    png, path = published.picture("happy", kind="PNG"), tmp_path / "any.zip"
    files = [("/".join([*folders, f"{name}.png"]), png) for folders, name in pictures]
    files += [("/".join([*folders, name]), content) for folders, name, content in texts]
    with zipfile.ZipFile(path, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the same name twice
        for name, content in files:
            info = zipfile.ZipInfo("x")
            info.filename = name.encode("utf-8", "replace").decode().replace("\0", "_")
            archive.writestr(info, content)
    opened = read = False
    with suppress(DataError), open_entries(path) as contents:
        opened = True
        assert len({entry.name for entry in contents.entries}) == len(contents.entries)
        assert all(entry.read().shape == (48, 48, 3) for entry in contents.entries)
        read = True
    assert read or not opened
