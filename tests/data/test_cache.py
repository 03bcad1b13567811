from __future__ import annotations

import json
import os
import shutil
import threading
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cmaen.data import cache, contents
from cmaen.data.cache import IMAGES, INDEX, sweep_faces
from cmaen.data.entries import Entry
from cmaen.data.faces import load_faces
from cmaen.data.splits import FaceSet, Split
from cmaen.data.stored import StoredImages
from cmaen.errors import DataError, ImagePermissionError, OutputError
from cmaen.images.reader import read_image
from cmaen.locks import hold


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Write faces in colour of 30 pixels in two classes: 12 for training, 4 for validation, one of each damaged."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 6), ("validation", 2)):
        for label in ("happy", "sad"):
            folder = tmp_path / "data" / split / label
            folder.mkdir(parents=True)
            for number in range(count):
                Image.fromarray(rng.integers(0, 256, (30, 30, 3), np.uint8)).save(folder / f"{number}.png")
            (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return tmp_path / "data"


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep every split, in a cache of its own."""
    monkeypatch.setenv("CMAEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "IN_MEMORY", 0)
    monkeypatch.setattr(cache, "_GLANCE", 0.01)
    return tmp_path / "cache" / cache.FOLDER


def same(found: FaceSet, wanted: FaceSet) -> bool:
    assert isinstance(found.images, StoredImages)
    return (found.fingerprint(), found.unreadable, found.classes) == (
        *(wanted.fingerprint(), wanted.unreadable, wanted.classes),
    )


def in_memory(path: Path, split: Split, monkeypatch: pytest.MonkeyPatch, **settings: object) -> FaceSet:
    with monkeypatch.context() as now:
        now.setattr(cache, "IN_MEMORY", 2**30)
        faces = load_faces(path, split, **settings)
    assert isinstance(faces.images, np.ndarray)
    return faces


@pytest.mark.parametrize("colour", [True, False])
@pytest.mark.parametrize("mixed", [True, False])
@pytest.mark.parametrize("form", ["folder", "zip", "csv"])
def test_what_is_kept_is_what_would_be_in_memory(
    form: str, mixed: bool, colour: bool, tree: Path, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if mixed:
        Image.fromarray(np.full((40, 52, 3), 90, np.uint8)).save(tree / "train" / "sad" / "3.png")
    path = tree
    if form == "zip":
        path = Path(shutil.make_archive(str(tree), "zip", tree))
    if form == "csv":
        path = tree.parent / "faces.csv"
        files = sorted(tree.rglob("*.png"))
        rows = [
            f"data\\{f.relative_to(tree)},{f.parent.name},{f.parent.parent.name},,,,".replace("/", "\\") for f in files
        ]
        rows.append("data/train/sad/4.png,sad,train,3,4,20,20")
        path.write_text("\n".join(["path,label,split,x,y,width,height", *rows]))
    for split in (Split.TRAIN, Split.VALIDATION):
        wanted = in_memory(path, split, monkeypatch, colour=colour, side=24)
        assert len(wanted.unreadable) == 2
        for _ in range(2):
            assert same(load_faces(path, split, colour=colour, side=24), wanted)
    assert len(list(kept.iterdir())) == 2


def test_faces_are_decoded_once_and_again_when_a_file_changes(
    tree: Path, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded = []
    decode = cache._decode
    monkeypatch.setattr(cache, "_decode", lambda *given: decoded.append(0) or decode(*given))
    first = load_faces(tree, Split.TRAIN)
    load_faces(tree, Split.TRAIN)
    assert len(decoded) == 1
    load_faces(tree, Split.TRAIN, colour=True)
    load_faces(tree, Split.TRAIN, side=20)
    assert len(decoded) == 3
    changed = tree / "train" / "happy" / "2.png"
    Image.fromarray(np.zeros((30, 30), np.uint8)).save(changed)
    second = load_faces(tree, Split.TRAIN)
    assert len(decoded) == 4
    assert not second.images[second.names.index("train/happy/2.png")].any()
    assert first.images[2].any()  # what is in use stays as it was
    os.utime(changed, (1, 1))  # written anew, perhaps with as many bytes
    load_faces(tree, Split.TRAIN)
    assert len(decoded) == 5
    (tree / "train" / "happy" / "2.png").rename(tree / "train" / "sad" / "22.png")
    moved = load_faces(tree, Split.TRAIN)
    assert moved.classes[moved.labels[moved.names.index("train/sad/22.png")]] == "sad"


def test_two_sets_whose_files_look_alike_are_not_mistaken(tree: Path, kept: Path) -> None:
    other = tree.parent / "other"
    shutil.copytree(tree, other)
    for path, value in ((tree, 10), (other, 200)):
        for file in (path / "train").rglob("[0-9].png"):
            Image.fromarray(np.full((30, 30), value, np.uint8)).save(file.with_suffix(".bmp"))
            os.utime(file.with_suffix(".bmp"), (0, 0))
            file.unlink()
    assert {int(load_faces(path, Split.TRAIN).images[0].max()) for path in (tree, other)} == {10, 200}


def test_a_relabelled_list_needs_no_decoding(tree: Path, kept: Path) -> None:
    table = tree.parent / "faces.csv"
    for label in ("happy", "angry"):
        rows = [
            f"data/train/{name}/{n}.png,{label if name == 'happy' else name},train"
            for name in ("happy", "sad")
            for n in range(6)
        ]
        table.write_text("\n".join(["path,label,split", *rows]))
        assert load_faces(table, Split.TRAIN).counts()[label] == 5  # one is drawn for validation
    assert len(list(kept.iterdir())) == 1


@pytest.mark.parametrize("name", [IMAGES, INDEX])
def test_damage_of_any_kind_is_mended(
    name: str, tree: Path, kept: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    wanted = in_memory(tree, Split.VALIDATION, monkeypatch)
    load_faces(tree, Split.VALIDATION)
    (folder,) = kept.iterdir()
    content = (folder / name).read_bytes()
    for length in [*range(0, len(content), max(1, len(content) // 40)), len(content) - 1]:
        (folder / name).write_bytes(content[:length])
        assert same(load_faces(tree, Split.VALIDATION), wanted)
        assert (folder / name).read_bytes() == content
    assert "is damaged" in caplog.text
    (folder / name).unlink()
    (folder / "stray.png").write_bytes(b"nothing of ours")
    assert same(load_faces(tree, Split.VALIDATION), wanted)


@pytest.mark.parametrize(
    "index",
    [
        *([], 3, None, {}, {"shape": [4, 30, 30]}),
        {"shape": [5, 30, 30], "unreadable": {"x": "y"}},
        {"shape": "no", "unreadable": {}},
        {"shape": [4, -30, -30], "unreadable": {"a": "", "b": ""}},
        {"shape": [6, 30, 30], "unreadable": {}},
        {"shape": [4.0, None, 30], "unreadable": []},
    ],
)
def test_an_index_that_does_not_fit_is_made_anew(
    index: object, tree: Path, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_faces(tree, Split.VALIDATION)
    (folder,) = kept.iterdir()
    (folder / INDEX).write_text(json.dumps(index))
    assert same(load_faces(tree, Split.VALIDATION), in_memory(tree, Split.VALIDATION, monkeypatch))


def test_what_is_interrupted_leaves_nothing_half_written(
    tree: Path, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as now:
        now.setattr(cache, "_require_room", stop)
        now.setattr(cache, "_LOOK", 5)
        with pytest.raises(KeyboardInterrupt):
            load_faces(tree, Split.TRAIN)
    assert not [path for path in kept.rglob("*") if path.is_file()]
    assert same(load_faces(tree, Split.TRAIN), in_memory(tree, Split.TRAIN, monkeypatch))


def test_of_two_runs_one_decodes_and_the_other_waits(tree: Path, kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded, found = [], []
    decode = cache._decode

    def slow(*given: object) -> object:
        decoded.append(0)
        time.sleep(0.3)
        return decode(*given)

    monkeypatch.setattr(cache, "_decode", slow)
    threads = [threading.Thread(target=lambda: found.append(load_faces(tree, Split.TRAIN))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(decoded) == 1
    assert len({faces.fingerprint() for faces in found}) == 1
    assert len(found) == 3


def test_what_was_not_used_for_the_longest_makes_room(tree: Path, kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for side in (20, 21, 22):
        load_faces(tree, Split.TRAIN, side=side)
    folders = sorted(kept.iterdir(), key=lambda folder: (folder / INDEX).stat().st_mtime_ns)
    for age, folder in enumerate(folders):
        for path in (folder / INDEX, folder / IMAGES, folder):
            os.utime(path, (age, age))
    load_faces(tree, Split.TRAIN, side=20)  # used now
    with hold(folders[1]):
        sweep_faces(0, but=folders[0])
        assert set(kept.iterdir()) == {folders[0], folders[1]}
    monkeypatch.setattr(cache, "LARGEST", 16_000)  # one set has 10,800 bytes
    load_faces(tree, Split.TRAIN, side=23)
    sweep_faces(16_000)
    assert folders[1] not in set(kept.iterdir())
    sweep_faces(0)
    assert not list(kept.iterdir())
    shutil.rmtree(kept)
    sweep_faces(0)


def test_a_full_disk_or_none_is_named(tree: Path, kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "_LOOK", 1)
    with monkeypatch.context() as now:
        now.setattr(cache, "SPARE", 2**60)
        with pytest.raises(OutputError, match=r"bytes are free.*CMAEN_CACHE"):
            load_faces(tree, Split.TRAIN)
    with monkeypatch.context() as now:
        now.setattr(cache, "LARGEST", 2000)
        with pytest.raises(DataError, match="more than 2,000 bytes"):
            load_faces(tree, Split.TRAIN)
    assert not [path for path in kept.rglob("*") if path.is_file()]
    (tree.parent / "file").touch()
    monkeypatch.setenv("CMAEN_CACHE", str(tree.parent / "file"))
    with pytest.raises(OutputError, match="CMAEN_CACHE"):
        load_faces(tree, Split.TRAIN)


def test_small_sets_and_those_of_unknown_origin_stay_in_memory(
    tree: Path, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "IN_MEMORY", 16 * 30 * 30 * 3)
    assert isinstance(load_faces(tree, Split.TRAIN, colour=True).images, np.ndarray)
    monkeypatch.setattr(cache, "IN_MEMORY", 16 * 30 * 30 - 1)
    faces = load_faces(tree, Split.TRAIN)
    face = np.zeros((9, 9), np.uint8)
    some = [Entry(name, "sad", None, None, "", lambda: face) for name in "abc"]
    monkeypatch.setattr(cache, "IN_MEMORY", 0)
    how = {"label": lambda _: 0, "classes": faces.classes, "side": 9, "variant": ""}
    found = cache.collect_any(Split.TRAIN, some, lambda _: (0, face), **how)
    assert isinstance(found.images, np.ndarray)
    assert len(found) == 3


def test_a_zip_is_known_by_its_content(tree: Path, kept: Path) -> None:
    first = Path(shutil.make_archive(str(tree), "zip", tree))
    second = tree.parent / "copy.zip"
    shutil.copy(first, second)
    assert load_faces(first, Split.TRAIN).fingerprint() == load_faces(second, Split.TRAIN).fingerprint()
    assert len(list(kept.iterdir())) == 1
    with zipfile.ZipFile(second, "w") as archive:
        for path in sorted(tree.rglob("*.png")):
            content = (tree / "train" / "sad" / "0.png").read_bytes() if path.stem == "1" else path.read_bytes()
            archive.writestr(path.relative_to(tree).as_posix(), content)
    assert load_faces(first, Split.TRAIN).fingerprint() != load_faces(second, Split.TRAIN).fingerprint()


def test_a_face_that_could_not_be_read_for_a_while_is_there_again(
    tree: Path, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path) -> np.ndarray:
        if path.name == "1.png":
            raise ImagePermissionError("permission denied")
        return read_image(path)

    with monkeypatch.context() as now:
        now.setattr(contents, "read_image", fail)
        assert len(load_faces(tree, Split.TRAIN).unreadable) == 4
    assert same(load_faces(tree, Split.TRAIN), in_memory(tree, Split.TRAIN, monkeypatch))
    assert len(list(kept.iterdir())) == 1
