from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from cmaen.errors import OutputError
from cmaen.files import check_place, replacing, unwritable, write_text


def test_a_write_that_fails_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    write_text(path, "old")
    with pytest.raises(RuntimeError), replacing(path) as temporary:
        temporary.write_text("half of the n")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "results.json"
    write_text(path, "old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="No space left on device; free some space"):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError):
        write_text(tmp_path / "file" / "results.json", "text")


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "free some space"),
        (getattr(errno, "EDQUOT", errno.ENOSPC), "free some space"),
        (errno.EACCES, "choose another place"),
        (errno.EROFS, "choose another place"),
        (errno.ENAMETOOLONG, "choose another place"),
    ],
    ids=lambda value: errno.errorcode.get(value, ""),
)
def test_the_advice_fits_what_is_wrong(number: int, advice: str, tmp_path: Path) -> None:
    said = str(unwritable(tmp_path / "results.json", OSError(number, os.strerror(number))))
    assert said == f"{tmp_path / 'results.json'} could not be written: {os.strerror(number)}; {advice}"


def test_a_place_is_checked_without_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_place(tmp_path / "new" / "results.json")
    assert list((tmp_path / "new").iterdir()) == []
    with pytest.raises(OutputError, match="cannot be written; choose another place"):
        check_place(tmp_path / "new")
    with pytest.raises(OutputError, match="could not be written: File name too long; choose another place"):
        check_place(tmp_path / ("x" * 300))
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"file cannot be made: .*; choose another place"):
        check_place(tmp_path / "file" / "results.json")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(OutputError, match="cannot be written; choose another place"):
        check_place(tmp_path / "results.json")
