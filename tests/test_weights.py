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
from cmaen.types import FER2013
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
    "plain": (0.941, -3.529, -0.308, -2.592, -0.904, -0.846, 0.005),
    "grim": (2.893, -2.063, -0.556, -3.771, -2.666, -1.389, -3.764),
    "scared": (-0.912, -3.733, 0.757, -2.532, -1.269, 1.291, -1.747),
    "tired": (0.180, -3.869, -0.220, -2.016, -1.611, -0.918, 0.973),
    "amazed": (1.878, -2.968, -0.210, -2.076, -2.409, -1.352, -0.364),
    "no face": (1.005, -4.027, -0.750, -0.090, -0.301, -1.145, -0.758),
    "astronaut": (-3.157, -4.602, -3.108, 3.435, -0.825, -3.700, -1.807),
}
ONNX = {  # model.onnx, its convolutions in 8 bits
    "plain": (0.877, -3.557, -0.254, -2.547, -0.845, -0.819, 0.014),
    "grim": (2.887, -2.055, -0.589, -3.741, -2.672, -1.401, -3.713),
    "scared": (-0.858, -3.681, 0.827, -2.571, -1.308, 1.252, -1.729),
    "tired": (0.264, -3.862, -0.209, -2.079, -1.562, -0.926, 0.935),
    "amazed": (1.919, -2.902, -0.163, -2.067, -2.511, -1.330, -0.412),
    "no face": (0.942, -4.156, -0.870, 0.271, -0.310, -1.242, -0.740),
    "astronaut": (-3.118, -4.565, -3.108, 3.451, -0.834, -3.677, -1.826),
}


def logits(engine: str) -> dict[str, np.ndarray]:
    folder = shipped_checkpoint()
    batch = read_card(folder).preprocess(list(faces().values()))
    return dict(zip(faces(), build_engine(engine, folder)(batch), strict=True))


def softmax(rows: dict[str, tuple[float, ...]]) -> np.ndarray:
    """float64 [N, 7], at the temperature of the card."""
    powers = np.exp(np.array(list(rows.values()), float) / read_card(shipped_checkpoint()).schemes[FER2013].temperature)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def test_the_weights_in_float32() -> None:
    pytest.importorskip("torch")
    for name, row in logits("torch").items():
        assert row == pytest.approx(TORCH[name], abs=2e-3), name


def test_the_weights_in_8_bits() -> None:
    """Processors round 8-bit sums differently, and then near ties fall otherwise."""
    answers, known = (
        EmotionPredictor(detector="haar", scheme=FER2013).pipeline.classifier(list(faces().values())),
        softmax(ONNX),
    )
    assert np.abs(answers - known).max() < 0.03
    sure = known.max(axis=1) > 0.6
    assert np.array_equal(answers[sure].argmax(axis=1), known[sure].argmax(axis=1))


def test_the_history_is_that_of_the_runs_that_are_averaged() -> None:
    card, history = read_card(shipped_checkpoint()), read_history(shipped_checkpoint())
    runs = [part["training"] for part in card.training["averaged"]]
    assert [(epoch.run, epoch.epoch) for epoch in history] == [
        (f"{card.name}, seed {run['seed']}", number)
        for run in runs
        for number in range(1, run["optimisation"]["epochs"] + 1)
    ]


def print_table() -> None:
    for engine in ("torch", "onnx"):
        print(f"{engine.upper()} = {{")
        for name, row in logits(engine).items():
            print(f'    "{name}": ({", ".join(f"{value:.3f}" for value in row)}),')
        print("}")


if __name__ == "__main__":
    print_table()
