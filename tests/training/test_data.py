"""What a run uses of its data: an enhancement is not undone, and what is left of other faces is said."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch")
pytest.importorskip("lightning")

from cmaen.errors import ConfigError
from cmaen.training.catalogue import Kind, find_configuration
from cmaen.training.config import load_config
from cmaen.training.data import DataSpec, read_data

PAPER = find_configuration("paper", Kind.RUN)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Write coloured faces of 192 pixels."""
    rng = np.random.default_rng(0)
    for split in ("train", "validation"):
        for label in ("happy", "sad"):
            for number in range(2):
                path = tmp_path / "faces" / split / label / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(rng.integers(0, 256, (192, 192, 3), np.uint8)).save(path)
    return tmp_path / "faces"


def enhance(tree: Path, *chain: str) -> None:
    (tree / "manifest.json").write_text(json.dumps({"chain": chain}))


def test_the_papers_settings_do_not_undo_an_enhancement(tree: Path) -> None:
    enhance(tree, "super-resolution 0123", "colorization 4567")
    spec = load_config(PAPER, {}).preprocess
    with pytest.raises(
        ConfigError, match=r"192 pixels to 48 again .*source_size=192.* and drop their colour .*grey=false"
    ):
        read_data(DataSpec(path=tree), colour=not spec.grey, side=spec.side)
    overrides = {"preprocess.source_size": 192, "preprocess.grey": False}
    spec = load_config(PAPER, overrides).preprocess
    training, _ = read_data(DataSpec(path=tree), colour=not spec.grey, side=spec.side)
    assert training.images.shape == (4, 192, 192, 3)


@pytest.mark.parametrize(
    ("chain", "colour", "side", "refused"),
    [
        (("super-resolution 0123",), False, 48, "pixels to 48 again"),
        (("super-resolution 0123",), False, 96, None),
        (("colorization 4567",), True, 48, None),
        (("colorization 4567",), False, 224, "drop their colour"),
    ],
)
def test_each_step_is_looked_at_by_itself(
    chain: tuple[str, ...], colour: bool, side: int, refused: str | None, tree: Path
) -> None:
    enhance(tree, *chain)
    if refused is None:
        read_data(DataSpec(path=tree), colour=colour, side=side)
    else:
        with pytest.raises(ConfigError, match=refused):
            read_data(DataSpec(path=tree), colour=colour, side=side)


def test_what_is_not_used_of_other_faces_is_said(tree: Path, fer_tree: Path, caplog: pytest.LogCaptureFixture) -> None:
    read_data(DataSpec(path=tree), colour=False, side=48)
    assert "have 192 pixels and colour; this run uses 48 pixels and no colour of them" in caplog.text
    caplog.clear()
    read_data(DataSpec(path=tree), colour=True, side=192)
    read_data(DataSpec(path=fer_tree), colour=False, side=48)
    assert "this run uses" not in caplog.text
    read_data(DataSpec(path=tree), colour=True, side=96)
    assert "have 192 pixels and colour; this run uses 96 pixels of them" in caplog.text
