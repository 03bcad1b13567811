"""Small worlds made by code: a FER2013 of drawn faces, and a tiny network with its checkpoint."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cmaen.types import EMOTIONS

EXAMPLES = Path(__file__).parent.parent / "examples"
PREFIXES = {"train": "Training", "validation": "PublicTest", "test": "PrivateTest"}


def drawn_face(emotion: int, rng: np.random.Generator) -> np.ndarray:
    """uint8 [48, 48]: noise, and a bright bar whose place tells the emotion."""
    face = rng.integers(60, 120, (48, 48), dtype=np.uint8)
    face[6 * emotion : 6 * emotion + 6, 8:40] = 230
    return face


@pytest.fixture(scope="session")
def fer_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder tree like FER2013's with 8 training, 3 validation and 2 test images of each emotion."""
    root = tmp_path_factory.mktemp("fer")
    rng = np.random.default_rng(0)
    number = 0
    for split, count in (("train", 8), ("validation", 3), ("test", 2)):
        for index, emotion in enumerate(EMOTIONS):
            folder = root / split / emotion
            folder.mkdir(parents=True)
            for _ in range(count):
                Image.fromarray(drawn_face(index, rng)).save(folder / f"{PREFIXES[split]}_{number}.png")
                number += 1
    return root


TINY = {
    "backbone": "mobilenet_v1",
    "ecnn_widths": [8, 8, 16, 16],
    "ecnn_stem": "small",
    "fused_channels": 16,
    "attention_heads": 2,
    "pyramid_channels": 8,
    "hidden": 16,
    "dropout": 0.0,
}


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an untrained tiny network, exported for every engine that is installed."""
    torch = pytest.importorskip("torch")
    from cmaen.card import Card
    from cmaen.export import export
    from cmaen.models.checkpoint import save_checkpoint
    from cmaen.models.build import build_cmaen
    from cmaen.preprocessing import PreprocessSpec

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("checkpoint")
    save_checkpoint(build_cmaen(**TINY), Card("tiny", TINY, PreprocessSpec(image_size=64)), folder)
    export(folder)
    if importlib.util.find_spec("openvino") is not None:
        export(folder, engine="openvino", precision="fp32")
    return folder
