from __future__ import annotations

import errno
import os
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cmaen import files
from cmaen.errors import OutputError
from cmaen.files import check_place, replace_file, sweep, unwritable, write_text


def test_a_write_that_fails_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    write_text(path, "old")
    with pytest.raises(RuntimeError), replace_file(path) as temporary:
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
    with pytest.raises(OutputError, match=r"file cannot be created: .*; choose another place"):
        check_place(tmp_path / "file" / "results.json")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(OutputError, match="cannot be written; choose another place"):
        check_place(tmp_path / "results.json")


POSIX = pytest.mark.skipif(os.name == "nt", reason="Windows has other permissions, links and pipes")


@POSIX
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o755])
def test_a_file_that_is_replaced_keeps_its_permissions_all_the_while(mode: int, tmp_path: Path) -> None:
    path = tmp_path / "secret.json"
    path.touch()
    path.chmod(mode)
    with replace_file(path) as temporary:
        assert stat.S_IMODE(temporary.stat().st_mode) == mode
        temporary.unlink()
        temporary.write_text("of another file")  # some libraries write a file and rename it
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert path.read_text() == "of another file"


@POSIX
def test_a_new_file_has_the_permissions_of_the_umask_which_is_never_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = os.umask(0o027)
    try:
        monkeypatch.setattr(os, "umask", None)
        write_text(tmp_path / "new", "text")
    finally:
        monkeypatch.undo()
        assert os.umask(before) == 0o027
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640


@POSIX
def test_a_link_stays_and_what_it_leads_to_is_written(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link.txt").symlink_to("there/target.txt")
    (tmp_path / "chain.txt").symlink_to("link.txt")
    for name, text in (("link.txt", "new"), ("chain.txt", "newer")):
        check_place(tmp_path / name)
        write_text(tmp_path / name, text)
        assert (tmp_path / name).is_symlink()
        assert (tmp_path / "there" / "target.txt").read_text() == text
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["target.txt"]
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OutputError, match="symbolic links"):
        write_text(tmp_path / "loop", "text")
    assert (tmp_path / "loop").is_symlink()


@POSIX
def test_a_pipe_and_a_device_are_written_to_and_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe, read = tmp_path / "pipe.json", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    write_text(pipe, "text")
    reader.join(10)
    assert read == ["text"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    monkeypatch.setattr(files, "_PATIENCE", 0.1)
    with pytest.raises(OutputError, match="nothing reads from the pipe"):
        write_text(pipe, "text")
    (tmp_path / "null").symlink_to(os.devnull)
    for path in (tmp_path / "null", Path(os.devnull)):
        check_place(path)
        write_text(path, "text")
        assert stat.S_ISCHR(path.stat().st_mode)
    listening = socket.socket(socket.AF_UNIX)
    monkeypatch.chdir(tmp_path)
    listening.bind("socket")
    with pytest.raises(OutputError, match="not a regular file"):
        write_text(Path("socket"), "text")
    listening.close()
    with pytest.raises(OutputError, match="Is a directory"):
        write_text(tmp_path, "text")


def test_what_a_library_raises_is_named_too(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="file write failed"), replace_file(tmp_path / "a", foreign=(RuntimeError,)):
        raise RuntimeError("file write failed")
    with pytest.raises(OutputError, match="free some space"), replace_file(tmp_path / "a", foreign=(RuntimeError,)):
        raise RuntimeError("Os { code: 28, message: 'No space left on device' }")
    assert list(tmp_path.iterdir()) == []


KILLED = """
import os, sys
from pathlib import Path
from cmaen.files import replace_file
with replace_file(Path(sys.argv[1])) as temporary:
    temporary.write_text("half")
    os._exit(9)
"""


def test_what_a_kill_leaves_is_swept_and_what_is_in_use_is_not(tmp_path: Path) -> None:
    for name in ("a.json", "b.json"):
        assert subprocess.run([sys.executable, "-c", KILLED, tmp_path / name]).returncode == 9
    (tmp_path / ".cmaen-a.json").touch()  # does not match the pattern
    with replace_file(tmp_path / "a.json") as temporary:
        if os.name == "nt":
            for path in tmp_path.glob(".cmaen-????????????????-*"):
                os.utime(path, (0, 0))
            os.utime(temporary)
        sweep(tmp_path, "a")
        assert len(list(tmp_path.glob(".cmaen-*"))) == 3
        sweep(tmp_path)
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted([".cmaen-a.json", temporary.name])
        temporary.write_text("whole")
    assert (tmp_path / "a.json").read_text() == "whole"


@given(
    name=st.text(
        st.characters(exclude_characters='/\\:*?"<>|\x00', exclude_categories=["Cs"]), min_size=1, max_size=255
    )
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_name_that_a_file_system_takes_is_written(name: str, tmp_path: Path) -> None:
    if name in (".", ".."):
        return
    path = tmp_path / name
    try:
        path.touch()
    except OSError:
        with pytest.raises(OutputError):
            write_text(path, "text")
        return
    write_text(path, name)
    assert path.read_text(encoding="utf-8") == name.replace("\r\n", "\n").replace("\r", "\n")
    path.unlink()
    assert list(tmp_path.iterdir()) == []
