from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from cmaen.errors import CmaenError
from cmaen.inference.sources import Pending, open_source
from cmaen.inference.sources.chain import ChainSource


class Broken:
    """A folder that goes away while it is listed."""

    moving = False
    live = False
    closed = False

    def __iter__(self) -> Iterator[Pending]:
        raise CmaenError("gone cannot be read")
        yield

    def count(self) -> int | None:
        return None

    def close(self) -> None:
        self.closed = True


def test_sources_follow_each_other_and_one_that_fails_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for name in ("a.png", "folder/b.png", "folder/c.png"):
        Image.fromarray(np.zeros((8, 9, 3), np.uint8)).save(tmp_path / name)
    broken = Broken()
    chain = ChainSource(
        [
            ("pictures", open_source("images", [tmp_path / "a.png"])),
            ("gone", broken),
            ("folder", open_source("folder", tmp_path / "folder")),
        ]
    )
    frames = [pending() for pending in chain]
    assert [frame.index for frame in frames] == [0, 1, 2, 3]
    assert [Path(frame.name).name for frame in frames] == ["a.png", "gone", "b.png", "c.png"]
    assert [frame.error for frame in frames] == [None, "CmaenError: gone cannot be read", None, None]
    assert chain.count() is None
    chain.close()
    assert broken.closed


def test_the_count_is_that_of_all(tmp_path: Path) -> None:
    sources = [("", open_source("images", ["a"] * number)) for number in (2, 0, 3)]
    assert ChainSource(sources).count() == 5
