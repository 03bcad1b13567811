"""Pictures with their faces drawn, in a file or in a folder."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cmaen.errors import OutputError
from cmaen.images.reader import printable
from cmaen.inference.sinks.pictures import PictureSink
from cmaen.results import Result
from cmaen.types import Frame
from tests.inference.conftest import BLUE, RED, plain
from tests.inference.records import FACE


def photo(tmp_path: Path, name: str = "photo.png") -> tuple[Result, np.ndarray]:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True, parents=True)
    Image.fromarray(plain(RED)).save(path, format="PNG")
    return Result(Frame(0, os.fsencode(path).decode("utf-8", "backslashreplace")), (FACE,)), plain(BLUE)


@pytest.mark.parametrize("name", ["drawn.png", "new/drawn.TIF", "drawn.bmp", "drawn.jpg"])
def test_a_picture_is_written_in_the_format_that_its_name_says(name: str, tmp_path: Path) -> None:
    result, drawn = photo(tmp_path)
    PictureSink(tmp_path / name).write(result, drawn)
    with Image.open(tmp_path / name) as image:
        assert np.abs(np.asarray(image.convert("RGB")).astype(int) - BLUE).max() < 5


def test_the_pictures_of_a_folder_keep_their_places_and_those_without_faces_are_left_out(tmp_path: Path) -> None:
    sink = PictureSink(tmp_path / "drawn", root=tmp_path / "in")
    for name in ("a.png", "below/ä.png", os.fsdecode(b"caf\xe9.png")):
        for _ in range(2):  # the second time it is there already
            sink.write(*photo(tmp_path / "in", name))
    result, drawn = photo(tmp_path / "in", "nobody.png")
    sink.write(replace(result, faces=()), drawn)
    found = sorted(str(path.relative_to(tmp_path / "drawn")) for path in (tmp_path / "drawn").rglob("*.png"))
    assert found == ["a.png", "below/ä.png", "caf_xe9.png"]


def test_pictures_get_names_that_every_system_takes_and_tells_apart(tmp_path: Path) -> None:
    sink = PictureSink(tmp_path / "drawn", root=tmp_path / "in")
    for name in ("a.png", "A.png", "noname", "noname.png", "photo.xyz", "con.png", "x.webp"):
        sink.write(*photo(tmp_path / "in", name))
    sink.finish()
    sink.close()
    found = sorted(path.name for path in (tmp_path / "drawn").iterdir())
    assert len({name.lower() for name in found}) == 7
    assert {"a.png", "noname.png", "photo.png", "_con.png", "x.webp"} <= set(found)
    assert all(np.asarray(Image.open(path)).shape == plain(BLUE).shape for path in (tmp_path / "drawn").iterdir())


def test_a_folder_whose_name_is_not_utf8_is_drawn_too(tmp_path: Path) -> None:
    root = tmp_path / os.fsdecode(b"caf\xe9")
    PictureSink(tmp_path / "drawn", root=root).write(*photo(root, "a.png"))
    assert (tmp_path / "drawn" / "a.png").exists()


@pytest.mark.parametrize("target", ["photo.png", "link.png", "below/../photo.png"])
def test_a_picture_is_never_drawn_over(target: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    result, drawn = photo(tmp_path)
    (tmp_path / "below").mkdir()
    (tmp_path / "link.png").symlink_to(tmp_path / "photo.png")
    PictureSink(tmp_path / target).write(result, drawn)
    assert "is the image itself; choose another place" in caplog.text
    with pytest.raises(OutputError, match="is the folder of the images themselves"):
        PictureSink(tmp_path, root=tmp_path / "below" / "..")
    assert (np.asarray(Image.open(tmp_path / "photo.png")) == RED).all()


def test_a_folder_above_that_of_the_pictures_takes_none_of_their_places(tmp_path: Path) -> None:
    root = tmp_path / "in"
    sink = PictureSink(tmp_path, root=root)
    photo(root, "a.png")
    sink.write(*photo(root, "b.png"))
    sink.write(*photo(root, "in/a.png"))  # would go where the first one lies
    with pytest.raises(OutputError, match="could not be written: 1"):
        sink.finish()
    sink.close()
    assert (np.asarray(Image.open(root / "a.png")) == RED).all()
    assert (np.asarray(Image.open(tmp_path / "b.png")) == BLUE).all()


def test_names_that_look_like_escaped_ones_are_others(tmp_path: Path) -> None:
    names = [
        os.fsdecode(name)
        for name in (b"caf\xe9.png", b"caf\\xe9.png", b"caf\\\\xe9.png", b"caf\\\xe9.png", b"c\\d.png")
    ]
    sink = PictureSink(tmp_path / "drawn", root=tmp_path / "in")
    for name in names:
        path = tmp_path / "in" / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
        sink.write(Result(Frame(0, printable(path)), (FACE,)), plain(BLUE))
    sink.close()
    assert len(list((tmp_path / "drawn").iterdir())) == len(names)


def test_a_second_run_into_a_folder_is_refused_until_the_first_has_ended(tmp_path: Path) -> None:
    first = PictureSink(tmp_path / "drawn", root=tmp_path / "in")
    with pytest.raises(OutputError, match="being written by another run"):
        PictureSink(tmp_path / "drawn", root=tmp_path / "elsewhere")
    first.close()
    assert not (tmp_path / "drawn").exists(), "nothing was written"
    PictureSink(tmp_path / "drawn", root=tmp_path / "in").close()


def test_a_picture_that_cannot_be_written_costs_the_others_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "drawn" / "a.png").mkdir(parents=True)
    sink = PictureSink(tmp_path / "drawn", root=tmp_path / "in")
    for name in ("a.png", "b.png"):
        sink.write(*photo(tmp_path / "in", name))
    sink.close()
    assert "a.png could not be written" in caplog.text
    assert sorted(path.name for path in (tmp_path / "drawn").iterdir()) == ["a.png", "b.png"]
    with pytest.raises(OutputError, match=r"could not be written: 1$"):
        sink.finish()


@pytest.mark.parametrize(("name", "message"), [
    ("drawn", "not that of an image format"),
    ("drawn.xyz", "not that of an image format"),
    ("drawn.psd", "not that of an image format"),
    ("photo.png/drawn.png", "photo.png cannot be created: File exists; choose another place"),
])  # fmt: skip
def test_a_picture_that_can_never_be_written_is_refused_before_the_run(name: str, message: str, tmp_path: Path) -> None:
    photo(tmp_path)
    with pytest.raises(OutputError, match=message):
        PictureSink(tmp_path / name)
