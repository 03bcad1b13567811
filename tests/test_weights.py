"""The shipped weights answer what they always did: faces drawn by code, and the logits that are known for them.

Where the weights are replaced on purpose, ``python -m tests.test_weights`` prints the new table.
"""

from __future__ import annotations

import numpy as np
import pytest

from cmaen import EmotionPredictor, read_image
from cmaen.card import read_card
from cmaen.engines import build_engine
from cmaen.history import read_history
from cmaen.inference.predictor import shipped_checkpoint
from tests.conftest import EXAMPLES


def drawn(*, smile: float = 0, mouth: float = 0, brow: float = 0, eye: float = 2) -> np.ndarray:
    """A face, uint8 [48, 48]: how far its smile bends, its mouth opens, its brows slant and its eyes open."""
    y, x = np.mgrid[-1:1:48j, -1:1:48j]
    face = np.where((x / 0.8) ** 2 + (y / 0.98) ** 2 < 1, 185 - 35 * x - 25 * y, 80 + 20 * x)
    for side in (-1, 1):
        away = x - side * 0.36
        face = np.where((away / 0.17) ** 2 + ((y + 0.2) / (0.05 * eye)) ** 2 < 1, 235, face)
        face = np.where(away**2 + (y + 0.2) ** 2 < 0.006, 30, face)
        face = np.where((np.abs(y + 0.45 + brow * (side * x - 0.36)) < 0.035) & (np.abs(away) < 0.22), 50, face)
    opening = 0.05 + mouth * np.clip(1 - (x / 0.35) ** 2, 0, 1)
    lips = np.abs(y - 0.5 + smile * ((x / 0.4) ** 2 - 0.5)) < opening
    return np.rint(np.where(lips & (np.abs(x) < 0.42), 55, face)).astype(np.uint8)


def faces() -> dict[str, np.ndarray]:
    """Crops, uint8 [h, w] or [h, w, 3]."""
    return {
        "plain": drawn(),
        "grim": drawn(smile=-0.08, brow=0.43, eye=4.6),
        "scared": drawn(smile=0.06, brow=-0.65, eye=3),
        "tired": drawn(mouth=0.17, brow=-0.39, eye=1.6),
        "amazed": drawn(smile=0.37, eye=4.3),
        "no face": np.rint(np.add.outer(np.arange(48), np.arange(48)) * 255 / 94).astype(np.uint8),
        "astronaut": read_image(EXAMPLES / "astronaut.png")[55:195, 155:295],
    }


TORCH = {  # model.safetensors, in float32
    "plain": (-1.077, -3.846, 0.722, -2.420, -0.353, -0.168, -0.279),
    "grim": (2.523, -1.386, -0.452, -2.622, -2.172, -0.840, -3.094),
    "scared": (-1.572, -3.694, 1.553, -2.694, -1.877, 0.715, -1.201),
    "tired": (-0.900, -3.541, 0.457, -2.129, -0.632, 1.413, -1.428),
    "amazed": (-0.116, -3.454, 0.341, -0.002, -1.926, -1.009, 0.025),
    "no face": (1.301, -3.670, -0.498, -0.218, -0.542, -0.956, -0.593),
    "astronaut": (-2.520, -3.630, -2.662, 3.230, -1.103, -3.069, -1.909),
}
ONNX = {  # model.onnx, in 8 bits
    "plain": (-1.207, -3.991, 0.872, -2.515, -0.469, -0.168, -0.235),
    "grim": (2.549, -1.408, -0.436, -2.616, -2.213, -0.939, -2.985),
    "scared": (-1.643, -3.789, 1.643, -2.716, -1.945, 0.604, -1.040),
    "tired": (-0.905, -3.622, 0.469, -2.113, -0.637, 1.375, -1.274),
    "amazed": (-0.235, -3.353, 0.503, -0.335, -2.012, -1.040, 0.436),
    "no face": (1.274, -3.689, -0.503, -0.235, -0.503, -0.872, -0.570),
    "astronaut": (-2.549, -3.622, -2.649, 3.219, -1.140, -3.119, -1.844),
}


def logits(engine: str) -> dict[str, np.ndarray]:
    folder = shipped_checkpoint()
    batch = read_card(folder).preprocess(list(faces().values()))
    return dict(zip(faces(), build_engine(engine, folder)(batch), strict=True))


def softmax(rows: dict[str, tuple[float, ...]]) -> np.ndarray:
    """float64 [N, 7], at the temperature of the card."""
    powers = np.exp(np.array(list(rows.values()), float) / read_card(shipped_checkpoint()).temperature)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def test_the_weights_in_float32() -> None:
    pytest.importorskip("torch")
    for name, row in logits("torch").items():
        assert row == pytest.approx(TORCH[name], abs=2e-3), name


def test_the_weights_in_8_bits() -> None:
    """Processors round 8-bit sums differently, and then near ties fall otherwise."""
    answers, known = EmotionPredictor(detector="haar").pipeline.classifier(list(faces().values())), softmax(ONNX)
    assert np.abs(answers - known).max() < 0.03
    sure = known.max(axis=1) > 0.6
    assert np.array_equal(answers[sure].argmax(axis=1), known[sure].argmax(axis=1))


def test_the_history_is_that_of_the_runs_that_are_averaged() -> None:
    card, history = read_card(shipped_checkpoint()), read_history(shipped_checkpoint())
    runs = [part["training"] for part in card.training["averaged"]]
    assert [(epoch.run, epoch.epoch) for epoch in history] == [
        (f"{card.name}, seed {run['seed']}", number) for run in runs for number in range(1, run["epochs"] + 1)
    ]


def print_table() -> None:
    for engine in ("torch", "onnx"):
        print(f"{engine.upper()} = {{")
        for name, row in logits(engine).items():
            print(f'    "{name}": ({", ".join(f"{value:.3f}" for value in row)}),')
        print("}")


if __name__ == "__main__":
    print_table()
