"""The shipped weights answer what they always did: faces drawn by code, and the logits that are known for them.

Where the weights are replaced on purpose, ``python -m tests.test_weights`` prints the new table.
"""

from __future__ import annotations

import numpy as np
import pytest

from cmaen import EmotionPredictor, read_image
from cmaen.card import read_card
from cmaen.engines import build_engine
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
    "plain": (1.188, -2.968, 0.260, -2.003, -0.869, -0.799, -0.893),
    "grim": (2.428, -2.007, -0.261, -2.295, -2.184, -1.833, -1.981),
    "scared": (-1.911, -3.745, 1.888, -2.492, -1.988, -0.387, -1.266),
    "tired": (-0.908, -3.721, -0.049, -2.157, 0.453, 1.591, -2.061),
    "amazed": (0.363, -2.926, 0.062, -1.002, -0.956, -1.002, 0.375),
    "no face": (0.967, -3.252, -0.361, 0.160, -0.901, -1.363, -1.137),
    "astronaut": (-1.723, -2.347, -1.477, 3.239, -0.995, -1.745, -1.040),
}
ONNX = {  # model.onnx, in 8 bits
    "plain": (0.848, -3.121, 0.182, -1.909, -0.636, -0.697, -0.848),
    "grim": (2.363, -2.030, -0.212, -2.242, -2.151, -1.757, -1.969),
    "scared": (-1.969, -3.817, 1.878, -2.515, -1.878, -0.394, -1.212),
    "tired": (-1.030, -3.696, -0.061, -2.121, 0.576, 1.575, -1.939),
    "amazed": (-0.212, -2.969, 0.030, -0.939, -0.667, -0.879, 0.727),
    "no face": (0.879, -3.211, -0.364, 0.273, -0.879, -1.363, -1.151),
    "astronaut": (-1.757, -2.333, -1.424, 3.211, -0.969, -1.727, -1.000),
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


def print_table() -> None:
    for engine in ("torch", "onnx"):
        print(f"{engine.upper()} = {{")
        for name, row in logits(engine).items():
            print(f'    "{name}": ({", ".join(f"{value:.3f}" for value in row)}),')
        print("}")


if __name__ == "__main__":
    print_table()
