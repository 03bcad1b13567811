"""``cmaen inference --explain``."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("captum")

from cmaen.card import read_card, shipped_checkpoint
from cmaen.images import read_image
from tests.conftest import EXAMPLES
from tests.test_cli import cmaen


def test_an_answer_is_explained_by_a_map_of_choice(tmp_path: Path) -> None:
    photo = EXAMPLES / "astronaut.png"
    maps = {}
    for kind in ("gradient", "emotion_head"):
        cmaen("inference", "--image", photo, "--explain", tmp_path / f"{kind}.png", "--explain-map", kind)
        maps[kind] = read_image(tmp_path / f"{kind}.png")
    side = read_card(shipped_checkpoint()).preprocess.image_size
    assert maps["gradient"].shape == (side, side, 3)
    assert (maps["gradient"] != maps["emotion_head"]).any()
    arguments = ("inference", "--image", photo, "--explain", tmp_path / "x.png", "--explain-map")
    assert "has no cross modal to explain with" in cmaen(*arguments, "cross_modal", code=2)
    assert "no map of an explanation" in cmaen(*arguments, "astrology", code=2)
    assert "is for an --image" in cmaen("inference", "--directory", tmp_path, "--explain", tmp_path / "x.png", code=2)
