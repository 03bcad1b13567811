"""``cmaen inference --explain``."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from cmaen.images.reader import read_image
from tests.conftest import EXAMPLES
from tests.test_cli import cmaen

PHOTO = EXAMPLES / "astronaut.png"


def test_every_face_is_explained_on_one_sheet(checkpoint: Path, tmp_path: Path) -> None:
    photo = read_image(PHOTO)[:302, 60:382]
    Image.fromarray(np.concatenate([photo, photo], axis=1)).save(tmp_path / "two.png")
    for source, faces in ((PHOTO, 1), (tmp_path / "two.png", 2)):
        options = ("--checkpoint", checkpoint, "--explain", tmp_path / "map.png")
        cmaen("inference", "--image", source, *options)
        assert faces * 320 < read_image(tmp_path / "map.png").shape[1] < (faces + 1) * 320
    said = cmaen("inference", "--directory", tmp_path, "--explain", tmp_path / "x.png", code=2)
    assert "--explain takes exactly one --image" in said


def test_an_answer_is_explained_by_a_map_of_choice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("captum")
    monkeypatch.setattr("cmaen.explanation._STEPS", 4)
    maps = {}
    for kind in ("gradient", "emotion_head"):
        cmaen("inference", "--image", PHOTO, "--explain", tmp_path / f"{kind}.png", "--explain-map", kind)
        maps[kind] = read_image(tmp_path / f"{kind}.png")
    assert (maps["gradient"][:300] != maps["emotion_head"][:300]).any()
    arguments = ("inference", "--image", PHOTO, "--explain", tmp_path / "x.png", "--explain-map")
    assert "has no cross modal to explain with" in cmaen(*arguments, "cross_modal", code=2)
    assert "is not a kind of map" in cmaen(*arguments, "astrology", code=2)


def test_the_face_that_was_answered_is_the_one_that_is_explained(checkpoint: Path, tmp_path: Path) -> None:
    """It is too small for the detector's own options: a predictor of its own would find none."""
    photo = read_image(PHOTO)
    wide = np.full((1000, 2400, 3), 128, np.uint8)
    wide[400:540, 1100:1240] = cv2.resize(photo, (140, 140), interpolation=cv2.INTER_AREA)
    Image.fromarray(wide).save(tmp_path / "wide.png")
    options = ("--checkpoint", checkpoint, "--explain", tmp_path / "map.png", "--detector-side")
    arguments = ("inference", "--image", tmp_path / "wide.png", *options)
    assert "1 image, 1 face" in cmaen(*arguments, 2400)
    assert read_image(tmp_path / "map.png").ndim == 3
    (tmp_path / "map.png").unlink()
    assert "1 image, 0 faces" in cmaen(*arguments, 620)
    assert not (tmp_path / "map.png").exists()
