"""Folders, zips, and folders of zips as the files of a data set."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path, PurePosixPath

import pytest

pytest.importorskip("sklearn")

from cmaen.data import contents
from cmaen.data.contents import open_files
from cmaen.data.faces import load_faces
from cmaen.data.splits import Split
from cmaen.errors import DataError
from tests.data import published
from tests.data.published import picture, write_folder, write_zip

FILES = {
    "train/happy/1.png": picture("happy", 1, "PNG"),
    "train/sad/2.png": picture("sad", 2, "PNG"),
    "notes/list.txt": b"text",
    "notes/film.mp4": b"\0\0\0\x18ftypmp42",
    ".hidden/3.png": picture("sad", 3, "PNG"),
}


@pytest.mark.parametrize("form", ["folder", "zip"])
def test_a_folder_and_a_zip_hold_the_same(form: str, tmp_path: Path) -> None:
    path = write_folder(tmp_path, FILES) if form == "folder" else write_zip(tmp_path / "a.zip", FILES)
    with open_files(path) as files:
        assert list(map(str, files.pictures)) == ["train/happy/1.png", "train/sad/2.png"]
        assert list(map(str, files.texts)) == ["notes/list.txt"]
        assert files.texts[PurePosixPath("notes/list.txt")]().read() == b"text"
        assert files.read(PurePosixPath("notes/list.txt"), 2) == b"te"
        assert files.read(PurePosixPath("notes/none.txt"), 2) is None
        assert files.read(PurePosixPath("notes"), 2) is None
        assert "1 video (.mp4), 1 other file (.txt)" in ", ".join(sorted(str(files.left_out).split(", "), reverse=True))


def test_zips_alone_in_a_folder_are_its_subfolders(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for split in ("train", "test"):
        parts = {f"{label}/{n}.png": picture(label, n, "PNG") for label in ("happy", "sad") for n in range(3)}
        write_zip(tmp_path / f"{split}.zip", parts)
    (tmp_path / "notes.txt").write_bytes(b"x")
    assert load_faces(tmp_path, Split.TEST).names[0] == "test/happy/0.png"
    assert "left out" in caplog.text
    assert ".zip" not in caplog.text
    (tmp_path / "broken.zip").write_bytes((tmp_path / "test.zip").read_bytes()[:-30])
    load_faces(tmp_path, Split.TEST)
    assert "(.txt, .zip)" in caplog.text or "(.zip, .txt)" in caplog.text  # no zip any more, and counted


def test_a_zip_beside_pictures_is_left_out_as_before(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_folder(tmp_path, {f"test/happy/{n}.png": picture("happy", n, "PNG") for n in range(2)})
    write_zip(tmp_path / "backup.zip", {"test/sad/9.png": picture("sad", 9, "PNG")})
    assert len(load_faces(tmp_path, Split.TEST)) == 2
    assert "1 other file (.zip)" in caplog.text


@pytest.mark.parametrize("name", ["/etc/passwd", "../../x.txt", "a/../../b.txt", "C:/x.txt", "//server/x.txt"])
def test_names_that_lead_out_of_a_zip_stay_in_it(name: str, tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo("x")
        info.filename = name
        archive.writestr(info, b"inside")
    with open_files(path) as files:
        (text,) = files.texts or [PurePosixPath(name.lstrip("/"))]
        assert not text.is_absolute()
        assert files.read(text, 10) == b"inside"


def test_a_list_in_a_zip_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_zip(tmp_path / "a.zip", published.expw())
    monkeypatch.setattr(contents, "MAX_TEXT", 100)
    with pytest.raises(DataError, match=r"label\.lst cannot be read: it has more than 100 bytes"):
        load_faces(path, Split.TRAIN)


def test_an_encrypted_or_damaged_list_in_a_zip_is_named(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", published.rafdb())
    data = bytearray(path.read_bytes())
    name = b"list_patition_label.txt"
    data[data.index(name) + len(name) + 5] ^= 0xFF  # its content no longer fits its checksum
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"list_patition_label\.txt cannot be read|damaged"):
        load_faces(path, Split.TRAIN)


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_list_that_is_a_broken_link_is_no_list(tmp_path: Path) -> None:
    write_folder(tmp_path, {f"happy/{n}.png": picture("happy", n, "PNG") for n in range(2)})
    (tmp_path / "label.lst").symlink_to(tmp_path / "gone")
    with pytest.raises(DataError, match=r"label\.lst cannot be read"):
        load_faces(tmp_path, Split.ALL)
