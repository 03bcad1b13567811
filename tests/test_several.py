from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cmaen.client import EmotionClient
from cmaen.several import is_single, require_several
from cmaen.types import FaceBox

FACE = np.zeros((115, 115, 3), np.uint8)
SINGLE: dict[str, Any] = {
    "path": Path("face.png"),
    "text": "face.png",
    "bytes": b"\xff\xd8\xff",
    "bytearray": bytearray(b"\xff\xd8\xff"),
    "memoryview": memoryview(b"\xff\xd8\xff"),
    "open file": io.BytesIO(b"\xff\xd8\xff"),
    "PIL image": Image.new("RGB", (9, 9)),
    "array": FACE,
    "grey array": FACE[:, :, 0],
    "float array": FACE.astype(np.float32),
    "row": FACE[0, :, 0],
    "number": np.uint8(3),
    "dict": {"path": "face.png"},
    "nothing": None,
    "face": FaceBox(0, 0, 1, 1),
}


@pytest.mark.parametrize("kind", SINGLE)
def test_a_single_one_is_a_type_error_that_says_so(kind: str) -> None:
    with pytest.raises(TypeError, match="takes a list of images, not a single"):
        require_several(SINGLE[kind], "put it into a list")


def test_several_are_handed_on_untouched() -> None:
    generator = (one for one in (FACE, FACE))
    several = [
        [],
        [FACE],
        (FACE,),
        {"a.png"},
        generator,
        np.array(["a.png", "b.png"]),
        np.array([Path("a.png"), FACE], dtype=object),
        np.zeros((2, 9, 9, 3), np.uint8),  # a stack of images
    ]
    for items in several:
        assert require_several(items, "") is items
    assert len(list(generator)) == 2


def test_columns_of_tables_and_tensors() -> None:
    pandas = pytest.importorskip("pandas")
    assert not is_single(pandas.Series(["a.png", "b.png"]))
    assert not is_single(pandas.Series(["a.png", "b.png"], dtype="string"))
    torch = pytest.importorskip("torch")
    assert is_single(torch.zeros(3, 9, 9))
    assert not is_single(torch.zeros(2, 3, 9, 9))


@pytest.mark.parametrize("kind", [kind for kind in SINGLE if kind != "nothing"])
@pytest.mark.parametrize("method", ["predict", "embed"])
def test_the_client_asks_nobody_for_a_single_one(method: str, kind: str) -> None:
    client = EmotionClient("http://localhost:9", retries=0)
    with pytest.raises(TypeError, match="list of images"):
        getattr(client, method)(SINGLE[kind])
