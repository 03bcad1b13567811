from __future__ import annotations

import io
import os
import sys
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from cmaen import listing
from cmaen.errors import CmaenError
from cmaen.images.signatures import sniff
from cmaen.listing import LeftOut, left_out_kind, list_images, name_some
from cmaen.locks import LOCK, hold

posix = pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")


def encoded(kind: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(file, kind)
    return file.getvalue()


def write(root: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def names_in(root: Path, left_out: LeftOut | None = None) -> list[str]:
    return [path.relative_to(root).as_posix() for path in list_images(root, left_out)]


PNG, JPEG = encoded("PNG"), encoded("JPEG")
MP4 = b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41"
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"


@pytest.mark.parametrize("kind", ["BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP"])
@pytest.mark.parametrize("name", ["noname", "page.php", "photo.jpg_large", "IMG.HEIC", "clip.mp4", "x.txt", "a.part"])
def test_a_picture_is_known_by_its_bytes_where_its_name_does_not_tell(kind: str, name: str, tmp_path: Path) -> None:
    assert names_in(write(tmp_path, {name: encoded(kind)})) == [name]


@pytest.mark.parametrize("kind", ["BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP"])
def test_bytes_that_are_cut_off_anywhere_are_no_error(kind: str) -> None:
    whole = encoded(kind)
    assert sniff(whole) == kind
    assert all(sniff(whole[:length]) in (kind, None) for length in range(len(whole)))


@pytest.mark.parametrize(
    "text",
    [
        *(b"", b"BMW is a car, and this a sentence.", b"P5 apples", b"RIFF", b"MM", b"II*", b"\0" * 40),
        *(b"P5 100 apples and pears", b"P3 2024 was a year", b"P1\n", b"\x89PN", b"%PDF-1.7", b"\x7fELF"),
    ],
)
def test_text_is_no_picture(text: bytes) -> None:
    assert sniff(text) is None


def test_what_is_left_out_is_counted_by_kind(tmp_path: Path) -> None:
    left_out = LeftOut()
    root = write(
        tmp_path,
        {
            "a.png": PNG,
            "b.jpg": b"not one, and that is said when it is read",
            "clip.MP4": MP4,
            "clip": MP4,
            "old.avi": b"RIFF\0\0\0\0AVI LIST",
            "raw.nef": b"II*\0" + bytes(60),
            "drawing.svg": b"<svg/>",
            "happy/1.psd": b"8BPS" + bytes(40),
            "happy/2.png": PNG,
            "notes.txt": b"text",
            "labels": b"text",
            ".hidden.png": PNG,
            ".private/x.png": PNG,
            "empty/readme.md": b"",
        },
    )
    assert names_in(root, left_out) == ["a.png", "b.jpg", "happy/2.png"]
    counts = {kind.one: sum(suffixes.values()) for kind, suffixes in left_out.counts.items()}
    assert counts["video"] == 3
    assert counts["picture in a format that cannot be read here"] == 3
    assert counts["other file"] == 3
    assert counts["hidden file or folder"] == 2
    assert left_out.empty == ["empty"]
    assert "3 videos (.mp4, .avi)" in str(left_out)
    assert "\n" not in str(left_out)


@pytest.mark.parametrize(
    ("name", "content"), [("a.heic", HEIC), ("a", HEIC), ("b.avif", HEIC.replace(b"heic", b"avif"))]
)
def test_a_format_that_needs_more_is_given_or_counted(name: str, content: bytes, tmp_path: Path) -> None:
    left_out = LeftOut()
    found = names_in(write(tmp_path, {name: content}), left_out)
    assert len(found) + left_out.counts.get(listing.UNREAD, Counter()).total() == 1


RUBBISH = ("._1.png", ".DS_Store", "Thumbs.db", "desktop.ini", "__MACOSX/._a.png", "__MACOSX/a.png")
RUBBISH += (".ipynb_checkpoints/a-checkpoint.png", "@eaDir/a.jpg", ".git/x.png", "$RECYCLE.BIN/a.png", "~$a.png")


@pytest.mark.parametrize("name", RUBBISH)
def test_rubbish_is_passed_over_in_silence(name: str, tmp_path: Path) -> None:
    left_out = LeftOut()
    root = write(tmp_path, {"a.png": PNG, f"sub/{name}": PNG, name: PNG, "sub/b.png": PNG})
    assert names_in(root, left_out) == ["a.png", "sub/b.png"]
    assert not left_out
    assert not left_out.empty


@posix
def test_linked_folders_are_followed_and_circles_end(tmp_path: Path) -> None:
    root = write(tmp_path / "in", {"a/1.png": PNG, "b/2.png": PNG})
    away = write(tmp_path / "away", {"3.png": PNG, "deep/4.png": PNG})
    (root / "linked").symlink_to(away)
    (root / "b" / "up").symlink_to(root)
    (root / "b" / "self").symlink_to(root / "b" / "self")
    (root / "a" / "to_b").symlink_to(root / "b")
    (away / "back").symlink_to(root)
    (root / "lost").symlink_to(tmp_path / "nowhere")
    left_out = LeftOut()
    found = names_in(root, left_out)
    assert [name for name in found if "to_b" not in name] == ["a/1.png", "b/2.png", "linked/3.png", "linked/deep/4.png"]
    assert "a/to_b/2.png" in found
    assert left_out.counts[listing.AGAIN].total() >= 2
    (tmp_path / "door").symlink_to(root)
    assert len(names_in(tmp_path / "door")) == len(found)


@posix
def test_many_folders_that_link_each_other_end_soon(tmp_path: Path) -> None:
    count = 12
    for one in range(count):
        write(tmp_path, {f"f{one}/{one}.png": PNG})
    for one in range(count):
        for other in range(count):
            (tmp_path / f"f{one}" / f"to{other}").symlink_to(tmp_path / f"f{other}")
    found = names_in(tmp_path)
    assert {Path(name).name for name in found} == {f"{number}.png" for number in range(count)}
    assert len(found) < count**3


@posix
def test_what_could_block_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    os.mkfifo(tmp_path / "pipe.txt")
    left_out = LeftOut()
    assert names_in(write(tmp_path, {"a.png": PNG}), left_out) == ["a.png"]
    assert left_out.counts[listing.OTHER].total() == 2


def test_a_folder_below_that_cannot_be_read_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    root, scan, left_out = write(tmp_path, {"a.png": PNG, "shut/b.png": PNG, "z.png": PNG}), os.scandir, LeftOut()

    def refusing(path: Path) -> object:
        if Path(path).name == "shut":
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", refusing)
    assert names_in(root, left_out) == ["a.png", "z.png"]
    assert "1 folder that cannot be read" in str(left_out)
    assert "shut cannot be read: Permission denied" in caplog.text


def test_folders_in_folders_without_end_cost_the_others_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write(tmp_path, {"a.png": PNG, "deep/b.png": PNG, "z.png": PNG})
    pictures = listing._Walk.pictures

    def recursing(self: object, folder: Path, *arguments: object, **options: object) -> Iterator[Path]:
        if folder.name == "deep":
            raise RecursionError
        return pictures(self, folder, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(listing._Walk, "pictures", recursing)
    left_out = LeftOut()
    assert names_in(root, left_out) == ["a.png", "z.png"]
    assert "1 folder that cannot be read" in str(left_out)


def test_the_first_picture_comes_before_others_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write(tmp_path, {f"{number}/x{number}.png": PNG for number in range(30)} | {"00.txt": b"", "a.bin": b""})
    scanned: list[object] = []
    scan = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: (scanned.append(path), scan(path))[1])
    next(list_images(root))
    assert len(scanned) == 2


def test_a_large_folder_is_listed_in_little_memory(tmp_path: Path) -> None:
    for number in range(1000):
        (tmp_path / f"{number:05}.png").touch()
    tracemalloc.start()
    assert sum(1 for _ in list_images(tmp_path)) == 1000
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 1000 * 250


def test_what_is_no_folder(tmp_path: Path) -> None:
    write(tmp_path, {"a.png": PNG})
    with pytest.raises(CmaenError, match="is not a folder"):
        names_in(tmp_path / "a.png")
    with pytest.raises(CmaenError, match="cannot be read"):
        names_in(tmp_path / "nothing")


def test_names_for_a_sentence() -> None:
    assert name_some(["a", "b"]) == "a, b"
    assert name_some([str(number) for number in range(6)]) == "0, 1, 2, 3, 4, 5"
    assert name_some([str(number) for number in range(1000)]) == "0, 1, 2, 3, 4 and 995 more"


def test_bytes_are_asked_for_only_where_the_name_does_not_tell() -> None:
    def head() -> bytes:
        raise AssertionError

    assert left_out_kind("a.JPG", head) is None
    assert left_out_kind("a.cr2", head) == listing.UNREAD


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        *((b"\0\0\0\x18ftyp" + brand + b"\0\0\0\0", "HEIF") for brand in (b"heic", b"mif1", b"hevx", b"heim")),
        (b"\0\0\0\x18ftypavif\0\0\0\0", "AVIF"),
        (b"\0\0\0\x20ftypmif1\0\0\0\0avifmif1miaf", "AVIF"),
        (b"\0\0\0\x18ftypisom\0\0\2\0", "video"),
        (b"RIFF\0\0\0\0AVI LIST", "video"),
        (b"P5\n# a comment as long as one likes", "PPM"),
        (b"P2 3 3 255 1 2 3", "PPM"),
    ],
)
def test_the_first_bytes_tell(head: bytes, kind: str) -> None:
    assert sniff(head) == kind


def test_what_a_run_writes_is_no_input_of_any_run(tmp_path: Path) -> None:
    names = {"a.png": PNG, "drawn/b.png": PNG, "drawn/below/c.png": PNG, "other/d.png": PNG}
    write(tmp_path, names)
    (tmp_path / "link").symlink_to(tmp_path / "drawn", target_is_directory=True)
    left_out = LeftOut()
    with hold(tmp_path / "drawn"):
        assert names_in(tmp_path, left_out) == ["a.png", "other/d.png"]
        assert names_in(tmp_path / "drawn") == ["b.png", "below/c.png"], "what is asked for is listed"
    assert str(left_out) == "2 folders that runs write their results to (drawn, link)"
    assert not left_out.empty
    (tmp_path / "drawn" / LOCK).touch()  # left behind by a killed run
    left_out = LeftOut()
    assert set(names_in(tmp_path, left_out)) >= set(names)
    assert not left_out.counts.keys() - {listing.AGAIN}, "the lock itself is no file of the user's"
