"""The shipped weights give the same answers as ever: faces drawn by code, and their known logits.

After replacing the weights on purpose, run ``python -m tests.test_weights`` to print the new table.
"""

from __future__ import annotations

import numpy as np
import pytest

from cmaen import EmotionPredictor, read_image
from cmaen.checkpoints import Checkpoint
from cmaen.checkpoints.hub import MODELS
from cmaen.engines import build_engine, select_output
from cmaen.types import FER2013, PERCEIVED
from tests.conftest import EXAMPLES


def drawn(*, smile: float = 0, mouth: float = 0, brow: float = 0, eye: float = 2) -> np.ndarray:
    """Draw a face, uint8 [48, 48], with this much smile, mouth opening, slant of the brows and eye opening."""
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
    """Return crops, uint8 [h, w] or [h, w, 3]."""
    return {
        "plain": drawn(),
        "grim": drawn(smile=-0.08, brow=0.43, eye=4.6),
        "scared": drawn(smile=0.06, brow=-0.65, eye=3),
        "tired": drawn(mouth=0.17, brow=-0.39, eye=1.6),
        "amazed": drawn(smile=0.37, eye=4.3),
        "no face": np.rint(np.add.outer(np.arange(48), np.arange(48)) * 255 / 94).astype(np.uint8),
        "astronaut": read_image(EXAMPLES / "astronaut.png")[55:195, 155:295],
    }


Table = dict[str, tuple[float, ...]]

KNOWN: dict[tuple[str, str, str], Table] = {
    ("cmaen-m", "torch", FER2013): {
        "plain": (-0.767, -4.107, 0.330, -3.306, -1.391, -0.140, -0.894),
        "grim": (2.576, -1.822, -0.857, -4.022, -2.595, -0.560, -4.717),
        "scared": (-2.260, -4.191, 1.075, -3.350, -2.434, 0.853, -2.284),
        "tired": (-1.578, -4.481, -0.178, -2.589, -1.033, 0.770, -1.255),
        "amazed": (0.070, -3.853, -0.038, -2.168, -2.506, -0.829, -0.449),
        "no face": (0.949, -3.865, -0.755, -0.425, -0.458, -1.212, -0.979),
        "astronaut": (-3.842, -5.978, -3.612, 3.126, -1.238, -4.317, -2.078),
    },
    ("cmaen-m", "onnx", FER2013): {
        "plain": (-0.852, -4.093, 0.489, -3.331, -1.491, -0.125, -0.955),
        "grim": (2.605, -1.881, -0.861, -4.034, -2.566, -0.621, -4.693),
        "scared": (-2.237, -4.102, 1.194, -3.447, -2.530, 0.734, -2.196),
        "tired": (-1.545, -4.414, -0.163, -2.698, -1.016, 0.737, -1.274),
        "amazed": (0.283, -3.806, 0.022, -2.282, -2.739, -0.865, -0.612),
        "no face": (1.007, -3.924, -0.827, -0.371, -0.383, -1.255, -1.052),
        "astronaut": (-3.855, -5.998, -3.621, 3.130, -1.224, -4.321, -2.091),
    },
    ("cmaen-m", "onnx", PERCEIVED): {
        "plain": (-0.301, -1.420, 0.988, -1.853, 1.492, 0.775, 1.205, -1.049),
        "grim": (3.347, 0.538, -1.896, -1.257, 1.696, 0.988, -1.585, -0.796),
        "scared": (-1.910, -2.021, 1.786, -0.606, 1.578, 2.867, 0.468, -2.145),
        "tired": (-0.872, -2.021, 0.939, -0.752, 2.187, 2.093, 1.420, -1.723),
        "amazed": (1.227, -1.541, 0.206, -0.371, 0.399, 0.074, 1.216, -2.124),
        "no face": (1.253, -0.795, -1.362, 1.089, 1.878, -0.458, 0.947, -1.327),
        "astronaut": (-2.826, -1.261, -1.796, 6.393, 1.771, -1.827, -0.380, -0.884),
    },
    ("cmaen-s", "torch", FER2013): {
        "plain": (-0.214, -3.198, 1.874, -2.790, -2.290, -0.559, -0.715),
        "grim": (2.712, -1.426, -0.401, -3.803, -3.095, -1.097, -4.216),
        "scared": (-1.058, -4.147, 1.951, -2.871, -2.959, 0.874, -1.261),
        "tired": (-0.799, -3.880, 1.412, -2.848, -2.008, 1.000, -0.709),
        "amazed": (-0.718, -4.358, -0.187, 0.508, -2.738, -1.356, -0.851),
        "no face": (1.315, -2.679, -0.234, -0.072, -0.433, -0.970, -0.453),
        "astronaut": (-3.248, -6.585, -3.585, 4.112, -0.413, -4.255, -1.556),
    },
    ("cmaen-s", "onnx", FER2013): {
        "plain": (-0.222, -3.161, 1.855, -2.743, -2.289, -0.609, -0.692),
        "grim": (2.707, -1.420, -0.420, -3.784, -3.090, -1.104, -4.199),
        "scared": (-1.066, -4.146, 1.977, -2.887, -3.013, 0.822, -1.206),
        "tired": (-0.819, -3.891, 1.414, -2.822, -2.029, 0.969, -0.662),
        "amazed": (-0.656, -4.303, -0.169, 0.475, -2.726, -1.292, -0.950),
        "no face": (1.296, -2.688, -0.261, -0.065, -0.393, -0.938, -0.460),
        "astronaut": (-3.240, -6.592, -3.592, 4.114, -0.411, -4.260, -1.553),
    },
    ("cmaen-s", "onnx", PERCEIVED): {
        "plain": (-0.512, -1.102, 1.442, -1.507, 0.041, 0.231, 0.504, -1.976),
        "grim": (2.589, 0.386, -1.259, -1.174, 0.197, -0.367, -1.579, -1.285),
        "scared": (-1.495, -1.884, 1.596, -1.106, 0.191, 1.976, 0.443, -2.480),
        "tired": (-1.372, -2.021, 1.225, -1.424, 0.554, 1.936, 0.738, -2.410),
        "amazed": (0.395, -1.371, 0.215, 1.807, -0.428, -0.327, 0.520, -2.367),
        "no face": (-0.419, -1.589, -1.113, 0.638, 0.827, -0.341, 0.080, -1.375),
        "astronaut": (-2.238, -1.666, -2.504, 5.883, 1.282, -1.812, -0.417, -1.304),
    },
}
"""Logits by model, engine and label scheme: in float32 with PyTorch, in 8 bits with ONNX Runtime."""


def logits(model: str, engine: str, scheme: str) -> dict[str, np.ndarray]:
    checkpoint = Checkpoint.open(model)
    batch = checkpoint.card.preprocess(list(faces().values()))
    return dict(zip(faces(), select_output(build_engine(engine, checkpoint.folder), scheme)(batch), strict=True))


def softmax(rows: Table, model: str, scheme: str) -> np.ndarray:
    """Compute probabilities, float64 [N, 7], at the temperature of the card."""
    answered = Checkpoint.open(model).card.select_labels(scheme)
    powers = np.exp(np.array(list(rows.values()), float)[:, : len(answered.labels)] / answered.temperature)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


@pytest.mark.parametrize("model", MODELS)
def test_the_weights_in_float32(model: str) -> None:
    pytest.importorskip("torch")
    for name, row in logits(model, "torch", FER2013).items():
        assert row == pytest.approx(KNOWN[model, "torch", FER2013][name], abs=2e-3), name


@pytest.mark.parametrize("scheme", [FER2013, PERCEIVED])
@pytest.mark.parametrize("model", MODELS)
def test_the_weights_in_8_bits(model: str, scheme: str) -> None:
    """Processors round 8-bit sums differently, which may change near ties."""
    classifier = EmotionPredictor(model, scheme=scheme).pipeline.classifier
    answers, known = classifier(list(faces().values())), softmax(KNOWN[model, "onnx", scheme], model, scheme)
    assert np.abs(answers - known).max() < 0.03
    sure = known.max(axis=1) > 0.6
    assert np.array_equal(answers[sure].argmax(axis=1), known[sure].argmax(axis=1))


@pytest.mark.parametrize("model", MODELS)
def test_the_history_is_that_of_the_run(model: str) -> None:
    shipped = Checkpoint.open(model)
    run = f"{shipped.card.name}, seed {shipped.provenance.seed}"
    epochs = shipped.provenance.recorded["optimisation"]["epochs"]
    assert [(epoch.run, epoch.epoch) for epoch in shipped.history] == [(run, number) for number in range(1, epochs + 1)]


def print_table() -> None:
    for model in MODELS:
        for engine, scheme in (("torch", FER2013), ("onnx", FER2013), ("onnx", PERCEIVED)):
            print(f'    ("{model}", "{engine}", {scheme.upper()}): {{')
            for name, row in logits(model, engine, scheme).items():
                print(f'        "{name}": ({", ".join(f"{value:.3f}" for value in row)}),')
            print("    },")


if __name__ == "__main__":
    print_table()
