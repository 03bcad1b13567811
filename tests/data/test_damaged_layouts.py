"""Published data sets that are damaged, half-written or hostile: what is bad costs itself alone."""

from __future__ import annotations

import io
import pickle
import warnings
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("sklearn")

from cmaen.data.entries import Entry, open_entries
from cmaen.data.faces import load_faces
from cmaen.data.labelling import ALL
from cmaen.data.splits import Split
from cmaen.errors import DataError, ImageError
from cmaen.types import EMOTIONS
from tests.data import published
from tests.data.published import PUBLISHED, Published, check_labels, write_folder


def list_of(files: Published) -> str:
    """Return the name of the list of a data set."""
    ends = ("list_patition_label.txt", "training.csv", "label.lst", "FER2013Train/label.csv", "train/metadata.csv")
    return next(name for name in files if name.endswith((*ends, "train/metadata.jsonl")))


LISTED = ["rafdb", "affectnet lists", "expw", "ferplus", "hugging face", "hugging face, json lines"]


@pytest.mark.parametrize("name", LISTED)
def test_a_list_that_is_cut_costs_the_lines_that_are_lost(name: str, tmp_path: Path) -> None:
    """Cut at many lengths: what is left is read, and no face gets another label."""
    files = PUBLISHED[name][0]()
    root, listed = write_folder(tmp_path, files), list_of(files)
    with open_entries(root) as contents:
        whole = {(entry.name, entry.label, entry.split, entry.group) for entry in contents.entries}
    content, sizes = files[listed], []
    for length in range(0, len(content), max(1, len(content) // 60)):
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
    files = {name: data for name, data in published.affectnet().items() if Path(name).stem.split("_")[0] in {*"0123"}}
    root = write_folder(tmp_path, files)
    path = root / "train_set/annotations/1_exp.npy"
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with open_entries(root) as contents:
            assert len(contents.entries) == 7


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


def is_readable(entry: Entry) -> bool:
    try:
        picture = entry.read()
    except ImageError:
        return False
    assert picture.shape == (48, 48, 3)
    return True


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
        whole = sum(is_readable(entry) for entry in contents.entries)
        assert whole >= len(contents.entries) - len(texts), "only a text that begins as a picture does is damaged"
        read = True
    assert read or not opened
