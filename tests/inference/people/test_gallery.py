from __future__ import annotations

import logging
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cmaen.errors import GalleryError
from cmaen.inference.people.gallery import Gallery, read_gallery
from cmaen.types import FaceBox
from tests.inference.people.stand_ins import ADA, BEN, COLOURS, ByPatch, find_patches, paint

RED, GREEN, BLUE, _ = COLOURS
LEFT, RIGHT = FaceBox(10, 20, 40, 40), FaceBox(90, 20, 40, 40)


def save(path: Path, *colours: tuple[int, int, int], box: FaceBox = LEFT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(paint(*zip(colours, (box, RIGHT), strict=False))).save(path)
    return path


def read(folder: Path, **options: bool) -> Gallery:
    return read_gallery(folder, find_patches, ByPatch(), **options)  # type: ignore[arg-type]


def test_folders_and_single_photographs_name_people(tmp_path: Path) -> None:
    save(tmp_path / "Ada" / "1.png", RED)
    save(tmp_path / "Ada" / "holiday" / "2.png", RED)
    save(tmp_path / "Ben B..png", GREEN)
    gallery = read(tmp_path)
    assert [(one.name, one.count) for one in gallery.people] == [("Ada", 2), ("Ben B.", 1)]
    assert np.allclose(gallery.people[0].mean, ADA)
    assert np.allclose(gallery.people[1].mean, BEN)
    assert (gallery.photographs, gallery.left_out) == (3, ())


def test_photographs_that_cannot_be_used_are_counted_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save(tmp_path / "Ada" / "good.png", RED)
    save(tmp_path / "Ada" / "nobody.png")
    save(tmp_path / "Ada" / "both.png", RED, GREEN)
    save(tmp_path / "Ada" / "tiny.png", RED, box=FaceBox(5, 5, 8, 8))
    (tmp_path / "Ben").mkdir()
    (tmp_path / "Ben" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (tmp_path / "Ben" / "empty.jpg").touch()
    (tmp_path / "notes.txt").write_text("x")
    with caplog.at_level(logging.WARNING):
        gallery = read(tmp_path)
    assert [one.name for one in gallery.people] == ["Ada"]
    assert len(gallery.left_out) == 5
    for named in ("nobody.png", "no face", "both.png", "2 faces", "too small", "broken.png", "empty.jpg", "Ben"):
        assert named in " ".join([caplog.text, *gallery.left_out])
    assert "5 of its photographs" in caplog.text


def test_a_gallery_without_anybody_is_an_error_that_says_how_it_should_look(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    save(tmp_path / "walls" / "Ada.png")
    file = save(tmp_path / "file.png", RED)
    for folder, said in (("empty", "exactly one face"), ("walls", "no face"), ("none", "none"), (file.name, "folder")):
        with pytest.raises(GalleryError, match=said):
            read(tmp_path / folder)


def test_excluded_people_are_marked_so(tmp_path: Path) -> None:
    save(tmp_path / "Ada.png", RED)
    assert [one.excluded for one in read(tmp_path, excluded=True).people] == [True]


@settings(max_examples=25, deadline=None)
@given(
    name=st.text(
        st.characters(exclude_characters='/\\\0:*?"<>|', exclude_categories=("Cs", "Cc")), min_size=1, max_size=20
    )
)
def test_names_may_hold_any_letters(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    folder = tmp_path_factory.mktemp("people")
    try:
        save(folder / name / "a.png", RED)
    except OSError:
        return
    try:
        (one,) = read(folder).people
    except GalleryError:
        assert name.startswith((".", "~$")) or name.lower() in ("thumbs.db", "__macosx"), "hidden, or left by a system"
        return
    assert one.name.strip()
    one.name.encode()


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
def test_a_name_that_is_no_text_can_be_written_all_the_same(tmp_path: Path) -> None:
    try:
        (tmp_path / os.fsdecode(b"Zo\xeb")).mkdir()
    except OSError:
        pytest.skip("this system takes names that are text alone")
    folder = next(tmp_path.iterdir())
    save(folder / "a.png", RED)
    (one,) = read(tmp_path).people
    assert one.name.startswith("Zo")
    one.name.encode("utf-8")
