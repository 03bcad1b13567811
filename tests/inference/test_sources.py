from __future__ import annotations

import io
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from cmaen.errors import CmaenError, MissingExtraError
from cmaen.inference.sources import open_source
from cmaen.inference.sources.images import FolderSource, ListSource
from tests.conftest import EXAMPLES
from tests.inference.conftest import RED, frames_of, plain


def png(colour: tuple[int, int, int] = RED) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(plain(colour)).save(buffer, "PNG")
    return buffer.getvalue()


def test_pictures_of_every_kind_are_frames_and_a_bad_one_says_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "red.png"
    path.write_bytes(png())
    images = [
        path,
        str(path),
        png(),
        plain(RED),
        plain(RED)[:, :, 0],
        Image.fromarray(plain(RED)),
        b"text",
        tmp_path / "none.png",
    ]
    frames = frames_of(ListSource(images))
    assert [frame.index for frame in frames] == list(range(8))
    assert [frame.name for frame in frames] == [str(path), str(path), "", "", "", "", "", str(tmp_path / "none.png")]
    assert all(frame.time is None for frame in frames)
    for frame in (*frames[:4], frames[5]):
        assert frame.image is not None
        assert frame.error is None
        assert (frame.image == RED).all()
    assert [frame.image is None for frame in frames[6:]] == [True, True]
    assert [str(frame.error).split(":")[0] for frame in frames[6:]] == ["UnreadableImageError", "ImageNotFoundError"]


def test_a_list_knows_its_length_and_an_iterator_is_taken_one_by_one() -> None:
    assert ListSource([b"", b""]).count() == 2
    taken = []

    def images() -> Iterator[bytes]:
        for number in range(3):
            taken.append(number)
            yield png()

    source = ListSource(images())
    assert source.count() is None
    next(iter(source))
    assert taken == [0]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pictures at three depths, one that is none, one link that leads nowhere, and what is no picture by its name."""
    for name in ("b.png", "a/2.PNG", "a/1.png", "a/deep/0.png", "c d.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_bytes(png())
    (tmp_path / "bad.jpg").write_text("text")
    (tmp_path / "lost.png").symlink_to(tmp_path / "gone.png")
    (tmp_path / "notes.txt").write_text("no picture by its name")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "round").symlink_to(tmp_path)
    return tmp_path


def test_a_folder_gives_its_pictures_and_those_below_in_order(folder: Path) -> None:
    frames = frames_of(FolderSource(folder))
    names = ["a/1.png", "a/2.PNG", "a/deep/0.png", "b.png", "bad.jpg", "c d.png", "lost.png"]
    assert [frame.name for frame in frames] == [str(folder / name) for name in names]
    assert [frame.index for frame in frames] == list(range(7))
    assert [frame.error is not None for frame in frames] == [False, False, False, False, True, False, True]
    assert "broken link" in str(frames[-1].error)
    assert FolderSource(folder).count() == 7


def test_names_that_are_left_out_and_names_that_are_not_utf8(folder: Path) -> None:
    with open(os.fsencode(folder) + b"/caf\xe9.png", "wb") as file:
        file.write(png())
    odd = f"{folder}/caf\\xe9.png"
    frames = frames_of(FolderSource(folder))
    assert [frame.error for frame in frames if frame.name == odd] == [None]
    source = FolderSource(folder, without={odd, str(folder / "b.png")})
    assert source.count() == 6
    assert not {odd, str(folder / "b.png")} & {frame.name for frame in frames_of(source)}


def test_a_folder_below_that_cannot_be_read_is_said_and_left_out(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    scan = os.scandir

    def refusing(path: Path) -> object:
        if Path(path).name == "deep":
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", refusing)
    assert len(frames_of(FolderSource(folder))) == 6
    assert "deep cannot be read: Permission denied; it is left out" in caplog.text


def test_a_folder_is_read_as_its_pictures_are_asked_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(20):
        (folder / f"z{number}").mkdir()
    source, scanned, scan = FolderSource(folder), [], os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: (scanned.append(path), scan(path))[1])
    pending = next(iter(source))
    assert scanned == [folder, folder / "a"]
    shutil.rmtree(folder / "a")
    assert "ImageNotFoundError" in str(pending().error)  # nothing was decoded before


def test_what_is_no_folder_of_pictures(folder: Path) -> None:
    with pytest.raises(CmaenError, match="contains no images"):
        FolderSource(folder / "folder.png")
    with pytest.raises(CmaenError, match="is not a folder; for a single image, use --image"):
        FolderSource(folder / "b.png")
    with pytest.raises(CmaenError, match="cannot be read: No such file"):
        FolderSource(folder / "nothing")


def test_the_pictures_under_an_address(folder: Path) -> None:
    pytest.importorskip("fsspec")
    with open(os.fsencode(folder) + b"/caf\xe9.png", "wb") as file:
        file.write(png())
    root = f"file://{folder}"
    frames = frames_of(open_source("address", root, without={f"{root}/b.png"}))
    names = ["a/1.png", "a/2.PNG", "a/deep/0.png", "bad.jpg", "c d.png", "caf\\xe9.png"]
    assert [frame.name for frame in frames if "lost" not in frame.name] == [f"{root}/{name}" for name in names]
    assert all(frame.image is not None for frame in frames if "bad" not in frame.name and "lost" not in frame.name)


def test_an_address_of_any_storage() -> None:
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    memory.pipe({"/faces/b.png": png(), "/faces/a/c.png": b"text", "/faces/notes.txt": b"none"})
    source = open_source("address", "memory://faces")
    assert source.count() is None  # counting would list everything first
    first, second = frames_of(source)
    assert (first.name, second.name) == ("memory:///faces/a/c.png", "memory:///faces/b.png")
    assert "UnreadableImageError" in str(first.error)
    assert second.image is not None
    assert (second.image == RED).all()
    source = open_source("address", "memory://faces")
    pending = list(source)
    memory.rm("/faces", recursive=True)
    assert all("ImageNotFoundError" in str(frame().error) for frame in pending)
    with pytest.raises(CmaenError, match="there is no such folder"):
        open_source("address", "memory://faces")
    memory.pipe("/faces/notes.txt", b"none")
    with pytest.raises(CmaenError, match=r"contains no images .*; left out: 1 other file \(\.txt\)"):
        open_source("address", "memory://faces")
    memory.rm("/faces", recursive=True)
    with pytest.raises(CmaenError, match="s4://faces cannot be read"):
        open_source("address", "s4://faces")


def test_the_pictures_under_an_address_are_listed_folder_by_folder(caplog: pytest.LogCaptureFixture) -> None:
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    files = {f"/many/{number}/x.png": png() for number in range(20)}
    memory.pipe(files | {"/many/0/noname": png(), "/many/0/._x.png": b"", "/many/0/.secret/x.png": png()})
    memory.pipe({"/many/0/x.mp4": b"", "/many/0/x.bin": b"text", "/many/.ipynb_checkpoints/x.png": png()})
    listed, ls = [], memory.ls
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            type(memory), "ls", lambda self, path, *rest, **more: (listed.append(path), ls(path, *rest, **more))[1]
        )
        source = open_source("address", "memory://many")
        listed.clear()
        frames = iter(source)
        next(frames)
        assert len(listed) == 2
    left = [pending() for pending in frames]
    assert len(left) == 20
    assert left[0].name == "memory:///many/0/x.png"
    assert "1 hidden file or folder, 1 other file (.bin), 1 video (.mp4)" in caplog.text
    memory.rm("/many", recursive=True)


def test_what_a_folder_leaves_out_is_said_once_at_its_end(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (folder / "film.mp4").touch()
    source = FolderSource(folder)
    assert source.count() == 7
    frames_of(source)
    assert len(caplog.records) == 1
    assert "1 video (.mp4)" in caplog.text
    assert "1 other file (.txt)" in caplog.text
    for path in folder.glob("**/*.[pP][nN][gG]"):
        if not path.is_dir():
            path.unlink()
    (folder / "bad.jpg").unlink()
    with pytest.raises(CmaenError, match=r"contains no images .*; left out: .*1 video"):
        FolderSource(folder)


def test_what_is_not_installed_is_advised(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for kind, package, extra in (("address", "fsspec", "scale"), ("video", "av", "video")):
        monkeypatch.setitem(__import__("sys").modules, f"cmaen.inference.sources.{kind}", None)
        with pytest.raises(MissingExtraError, match=rf"cmaen\[{extra}\]"):
            open_source(kind, f"{package}://{tmp_path}")


def test_the_videos_of_a_folder_are_only_left_out_if_nobody_processes_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copy(EXAMPLES / "astronaut.png", tmp_path)
    (tmp_path / "film.mp4").write_bytes(b"\0" * 20)
    for mind, said in ((False, ""), (True, "1 video (.mp4)")):
        caplog.clear()
        source = open_source("folder", tmp_path, mind_videos=mind)
        assert len(list(source)) == source.count() == 1
        assert (said in caplog.text) if said else not caplog.text
