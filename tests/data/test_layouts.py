"""Data sets as they are published: read by looking."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("sklearn")

from cmaen.data.drawing import inner_split
from cmaen.data.entries import open_entries
from cmaen.data.faces import by_column, list_splits, load_faces, measured_split
from cmaen.data.labelling import ALIASES, ALL
from cmaen.data.layouts.table import LAYOUTS
from cmaen.data.splits import Split
from cmaen.data.tree import write_tree
from cmaen.errors import DataError
from tests.data import published
from tests.data.published import PUBLISHED, check_labels, write_folder, write_zip, write_zips

FORMS = {
    "folder": write_folder,
    "deep folder": lambda root, files: write_folder(root / "in" / "here", files) and root,
    "zip": lambda root, files: write_zip(root / "published.zip", files),
    "zips": write_zips,
}

Counted = tuple[Callable[[], published.Published], str, Counter[tuple[str, str]]]


def counts_of(path: Path) -> Counter[tuple[str, str]]:
    """Count the entries by split and label."""
    with open_entries(path) as contents:
        return Counter(("" if entry.split is None else entry.split.folder, entry.label) for entry in contents.entries)


@pytest.fixture(scope="module", params=PUBLISHED)
def counted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Counted:
    """Each layout in turn, with the counts of the entries of its folder."""
    draw, layout = PUBLISHED[request.param]
    return draw, layout, counts_of(write_folder(tmp_path_factory.mktemp("folder"), draw()))


@pytest.mark.parametrize("form", FORMS)
def test_every_layout_is_found_named_and_read(
    counted: Counted, form: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    draw, layout, counts = counted
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
    assert counts_of(path) == counts


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
    folders = {"Training": "FER2013Train", "PublicTest": "FER2013Valid", "PrivateTest": "FER2013Test"}
    rows, files = [",".join(("Usage", "Image name", *published.CATEGORIES))], {}
    for number, usage in enumerate(("Training", "Training", "PublicTest", "PrivateTest")):
        label = published.LABELS[number]
        votes = [10 * (ALIASES.get(name, name) == label) for name in published.CATEGORIES]
        rows.append(f"{usage},fer{number:07d}.png,{','.join(map(str, votes))}")
        files[f"images/{folders[usage]}/fer{number:07d}.png"] = published.picture(label, number, "PNG")
    rows += ["Training,,0,0,0,0,0,0,0,0,0,10", "Training,fer0000009.png,9,0,0,0,0,0,0,0,0,1", "Training,fer0000000.png"]
    root = write_folder(tmp_path, files | {"fer2013new.csv": "\n".join(rows).encode()})
    assert list_splits(root) == {Split.TRAIN, Split.VALIDATION, Split.TEST}
    faces = load_faces(root, Split.ALL)
    check_labels(faces)
    assert len(faces) == 4
    assert "1 picture that is listed but missing, fer0000009.png" in caplog.text
    assert "1 entry that cannot be used, fer2013new.csv, line 8" in caplog.text
    others = {name.replace("FER2013", "faces"): data for name, data in files.items()}  # numbered by somebody else
    root = write_folder(tmp_path / "others", others | {"fer2013new.csv": "\n".join(rows).encode()})
    with pytest.raises(DataError, match="no face has one of the classes"):
        load_faces(root, Split.ALL)


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
