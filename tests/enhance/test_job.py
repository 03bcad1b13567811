from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch")
pytest.importorskip("spandrel")

from cmaen.data.tree import MANIFEST, enhancement_of
from cmaen.enhance.job import PROGRESS, Enhanced, enhance, enhance_folder
from cmaen.errors import ConfigError, DataError, OutputError
from cmaen.locks import hold
from tests.enhance.test_steps import swinir
from tests.test_cli import cmaen


class Doubles:
    """A step that doubles the side, and stops the run after a number of batches."""

    name = "super-resolution"

    def __init__(self, weights: str = "w", batches: int | None = None) -> None:
        self.weights = weights
        self.left = batches
        self.seen = 0

    def __call__(self, faces: np.ndarray) -> np.ndarray:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt
        self.seen += len(faces)
        return faces.repeat(2, axis=1).repeat(2, axis=2)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Write ten faces of two sizes in two folders, a text, and a truncated picture."""
    rng = np.random.default_rng(0)
    for number in range(10):
        path = tmp_path / "in" / ("angry" if number % 2 else "sad") / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        side = 12 if number % 3 else 16
        Image.fromarray(rng.integers(0, 256, (side, side, 3), np.uint8)).save(path)
    (tmp_path / "in" / "notes.txt").write_text("no picture")
    whole = (tmp_path / "in" / "sad" / "0.jpg").read_bytes()
    (tmp_path / "in" / "sad" / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    return tmp_path / "in"


def test_a_folder_keeps_its_shape_and_names_what_it_left_out(source: Path, tmp_path: Path) -> None:
    done = enhance_folder(source, tmp_path / "out", [Doubles()], batch_size=4)
    assert (done.images, done.reused, list(done.errors)) == (10, 0, ["sad/cut.jpg"])
    assert np.asarray(Image.open(tmp_path / "out" / "angry" / "1.png")).shape == (24, 24, 3)
    before = np.asarray(Image.open(source / "angry" / "1.jpg"))
    assert np.array_equal(np.asarray(Image.open(tmp_path / "out" / "angry" / "1.png"))[::2, ::2], before)
    manifest = json.loads((tmp_path / "out" / MANIFEST).read_text())
    assert (manifest["chain"], manifest["images"]) == (["faces 12-colour", "super-resolution w"], 10)
    assert set(manifest["errors"]) == {"sad/cut.jpg"}
    assert len(manifest["sources"]["angry/1.png"]) == 64


class Picky(Doubles):
    """A step that fails on narrow pictures, like networks with padding."""

    def __call__(self, faces: np.ndarray) -> np.ndarray:
        if min(faces.shape[1:3]) < 8 or (faces == 255).all(axis=(1, 2, 3)).any():
            raise RuntimeError("Padding size should be less than the corresponding input dimension")
        return super().__call__(faces)


def test_a_picture_that_fails_in_the_chain_costs_no_other(source: Path, tmp_path: Path) -> None:
    Image.new("RGB", (48, 4)).save(source / "angry" / "narrow.png")
    Image.new("RGB", (12, 12), "white").save(source / "angry" / "like_the_others.png")
    done = enhance_folder(source, tmp_path / "out", [Picky()], batch_size=16)
    assert done.images == 10
    assert set(done.errors) == {"sad/cut.jpg", "angry/narrow.png", "angry/like_the_others.png"}
    assert "48 x 4 pixels" in done.errors["angry/narrow.png"]
    assert set(json.loads((tmp_path / "out" / MANIFEST).read_text())["errors"]) == set(done.errors)
    again = enhance_folder(source, tmp_path / "out", [Picky()], batch_size=16)
    assert again == Enhanced(10, 10, done.errors)


@pytest.mark.parametrize("cut", [False, True])
def test_a_run_that_is_stopped_goes_on(cut: bool, source: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        enhance_folder(source, tmp_path / "out", [Doubles(batches=2)], batch_size=4)
    assert not (tmp_path / "out" / MANIFEST).exists()
    if cut:  # in the middle of a line
        path = tmp_path / "out" / PROGRESS
        path.write_text(path.read_text()[:-20])
    step = Doubles()
    done = enhance_folder(source, tmp_path / "out", [step], batch_size=4)
    assert done.images == 10
    assert done.reused == 10 - step.seen
    assert done.reused >= 2
    again = enhance_folder(source, tmp_path / "out", [Doubles(batches=0)])
    assert again == Enhanced(10, 10, done.errors)


def test_a_folder_that_was_enhanced_before_keeps_its_chain(source: Path, tmp_path: Path) -> None:
    enhance_folder(source, tmp_path / "first", [Doubles("v")])
    enhance_folder(tmp_path / "first", tmp_path / "second", [Doubles("w")])
    chain = ("faces 12-colour", "super-resolution v", "super-resolution w")  # the faces before the first step
    assert enhancement_of(tmp_path / "second") == chain


def test_the_manifest_describes_the_faces_and_a_run_of_an_older_version_goes_on(tmp_path: Path) -> None:
    for number in range(70):  # more than are looked at
        path = tmp_path / "in" / "sad" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (48, 48), number).save(path)
    enhance_folder(tmp_path / "in", tmp_path / "out", [Doubles()])
    assert enhancement_of(tmp_path / "out") == ("faces 48-grey", "super-resolution w")
    manifest = tmp_path / "out" / MANIFEST
    manifest.write_text(manifest.read_text().replace('"faces 48-grey",', ""))
    assert enhancement_of(tmp_path / "out") == ("super-resolution w",)
    assert enhance_folder(tmp_path / "in", tmp_path / "out", [Doubles(batches=0)]).reused == 70
    assert enhancement_of(tmp_path / "out") == ("faces 48-grey", "super-resolution w")
    enhance_folder(tmp_path / "out", tmp_path / "twice", [Doubles()])
    manifest.write_text(manifest.read_text().replace('"faces 48-grey",', ""))
    enhance_folder(tmp_path / "out", tmp_path / "unknown", [Doubles("v")])
    assert enhancement_of(tmp_path / "unknown") == ("super-resolution w", "super-resolution v"), (
        "not those of 96 pixels"
    )


def test_an_image_that_changed_is_made_again(source: Path, tmp_path: Path) -> None:
    enhance_folder(source, tmp_path / "out", [Doubles()])
    Image.fromarray(np.zeros((12, 12, 3), np.uint8)).save(source / "angry" / "1.jpg")
    step = Doubles()
    enhance_folder(source, tmp_path / "out", [step])
    assert step.seen == 1
    assert not np.asarray(Image.open(tmp_path / "out" / "angry" / "1.png")).any()


def test_names_that_would_meet_and_places_that_are_refused(source: Path, tmp_path: Path) -> None:
    Image.fromarray(np.zeros((12, 12, 3), np.uint8)).save(source / "angry" / "1.png")
    Image.fromarray(np.full((12, 12, 3), 9, np.uint8)).save(source / "angry" / "1.WEBP", lossless=True)
    done = enhance_folder(source, tmp_path / "out", [Doubles()])
    assert (done.images, list(done.errors)) == (12, ["sad/cut.jpg"])
    made = {path: np.asarray(Image.open(path))[0, 0, 0] for path in (tmp_path / "out" / "angry").glob("1*.png")}
    assert len(made) == 3
    assert {0, 9} < set(made.values())
    assert enhance_folder(source, tmp_path / "out", [Doubles(batches=0)]).reused == 12
    with pytest.raises(ConfigError, match="another chain or other weights"):
        enhance_folder(source, tmp_path / "out", [Doubles("v")])
    for above in (source, source.parent):
        with pytest.raises(ConfigError, match="holds the source images"):
            enhance_folder(source, above, [Doubles()])
    (tmp_path / "empty").mkdir()
    for nothing in (tmp_path / "empty", tmp_path / "nowhere"):
        with pytest.raises(DataError):
            enhance_folder(nothing, tmp_path / "out", [Doubles()])
    (tmp_path / "file").touch()
    with pytest.raises(OutputError):
        enhance_folder(source, tmp_path / "file", [Doubles()])


def test_the_command(source: Path, tmp_path: Path) -> None:
    weights = swinir(tmp_path / "weights.pth")
    arguments = ("enhance", "--input-dir", source, "--output-dir", tmp_path / "out", "--steps", "super-resolution")
    text = cmaen(*arguments, "--super-resolution-weights", weights)
    assert "10 images (0 from an earlier run), 1 error" in text
    assert "left out" in text
    assert np.asarray(Image.open(tmp_path / "out" / "angry" / "1.png")).shape == (48, 48, 3)
    assert "neither a file nor one of" in cmaen(*arguments, "--super-resolution-weights", "nothing.pth", code=2)


def test_the_function_takes_steps_by_their_names(source: Path, tmp_path: Path) -> None:
    weights = str(swinir(tmp_path / "weights.pth"))
    done = enhance(source, tmp_path / "out", ["super-resolution"], weights={"super-resolution": weights})
    assert (done.images, done.reused, len(done.errors)) == (10, 0, 1)
    assert done.seconds > 0
    assert json.loads(json.dumps(done.to_dict()))["images"] == 10
    with pytest.raises(ConfigError, match="choose from the steps"):
        enhance(source, tmp_path / "out", ["sharpen"])


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS])
def test_a_full_disk_or_one_that_may_not_be_written_is_named_and_costs_nothing(
    code: int, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    enhance_folder(source, tmp_path / "out", [Doubles(batches=None)], batch_size=4)
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*.png")}
    Image.fromarray(np.zeros((12, 12, 3), np.uint8)).save(source / "angry" / "new.png")

    def refused(self: Path, data: bytes) -> int:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", refused)
        with pytest.raises(OutputError, match=r"new\.png could not be written"):
            enhance_folder(source, tmp_path / "out", [Doubles()])
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path in before} == before
    assert not list((tmp_path / "out").rglob("*new*"))
    assert enhance_folder(source, tmp_path / "out", [Doubles()]).reused == 10


def test_two_runs_do_not_enhance_into_one_folder(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "out"
    with hold(target), pytest.raises(OutputError, match="out is being written by another run"):
        enhance_folder(source, target, [Doubles()])
    assert not target.exists(), "nothing was written"
    assert enhance_folder(source, target, [Doubles()]).images == 10
