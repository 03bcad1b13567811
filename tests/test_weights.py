"""The shipped weights give the same answers as ever: faces drawn by code, and their known logits.

After replacing the weights on purpose, run ``python -m tests.test_weights`` to print the new table.
"""

from __future__ import annotations

import numpy as np
import pytest

from cmaen import EmotionPredictor, read_image
from cmaen.checkpoints import Checkpoint
from cmaen.engines import build_engine, select_output
from cmaen.types import FER2013
from cmaen.types import PERCEIVED as PERCEIVED_SCHEME
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


TORCH = {  # model.safetensors, in float32
    "plain": (-0.767, -4.107, 0.330, -3.306, -1.391, -0.140, -0.894),
    "grim": (2.576, -1.822, -0.857, -4.022, -2.595, -0.560, -4.717),
    "scared": (-2.260, -4.191, 1.075, -3.350, -2.434, 0.853, -2.284),
    "tired": (-1.578, -4.481, -0.178, -2.589, -1.033, 0.770, -1.255),
    "amazed": (0.070, -3.853, -0.038, -2.168, -2.506, -0.829, -0.449),
    "no face": (0.949, -3.865, -0.755, -0.425, -0.458, -1.212, -0.979),
    "astronaut": (-3.842, -5.978, -3.612, 3.126, -1.238, -4.317, -2.078),
}
ONNX = {  # model.onnx, its convolutions in 8 bits
    "plain": (-0.852, -4.093, 0.489, -3.331, -1.491, -0.125, -0.955),
    "grim": (2.605, -1.881, -0.861, -4.034, -2.566, -0.621, -4.693),
    "scared": (-2.237, -4.102, 1.194, -3.447, -2.530, 0.734, -2.196),
    "tired": (-1.545, -4.414, -0.163, -2.698, -1.016, 0.737, -1.274),
    "amazed": (0.283, -3.806, 0.022, -2.282, -2.739, -0.865, -0.612),
    "no face": (1.007, -3.924, -0.827, -0.371, -0.383, -1.255, -1.052),
    "astronaut": (-3.855, -5.998, -3.621, 3.130, -1.224, -4.321, -2.091),
}
PERCEIVED = {  # the same file, under the other label scheme
    "plain": (-0.301, -1.420, 0.988, -1.853, 1.492, 0.775, 1.205, -1.049),
    "grim": (3.347, 0.538, -1.896, -1.257, 1.696, 0.988, -1.585, -0.796),
    "scared": (-1.910, -2.021, 1.786, -0.606, 1.578, 2.867, 0.468, -2.145),
    "tired": (-0.872, -2.021, 0.939, -0.752, 2.187, 2.093, 1.420, -1.723),
    "amazed": (1.227, -1.541, 0.206, -0.371, 0.399, 0.074, 1.216, -2.124),
    "no face": (1.253, -0.795, -1.362, 1.089, 1.878, -0.458, 0.947, -1.327),
    "astronaut": (-2.826, -1.261, -1.796, 6.393, 1.771, -1.827, -0.380, -0.884),
}


def logits(engine: str, scheme: str = FER2013) -> dict[str, np.ndarray]:
    folder = Checkpoint.open().folder
    batch = Checkpoint.open(folder).card.preprocess(list(faces().values()))
    return dict(zip(faces(), select_output(build_engine(engine, folder), scheme)(batch), strict=True))


def softmax(rows: dict[str, tuple[float, ...]], scheme: str) -> np.ndarray:
    """Compute probabilities, float64 [N, 7], at the temperature of the card."""
    answered = Checkpoint.open().card.select_labels(scheme)
    powers = np.exp(np.array(list(rows.values()), float)[:, : len(answered.labels)] / answered.temperature)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def test_the_weights_in_float32() -> None:
    pytest.importorskip("torch")
    for name, row in logits("torch").items():
        assert row == pytest.approx(TORCH[name], abs=2e-3), name


@pytest.mark.parametrize(("scheme", "rows"), [(FER2013, ONNX), (PERCEIVED_SCHEME, PERCEIVED)])
def test_the_weights_in_8_bits(scheme: str, rows: dict[str, tuple[float, ...]]) -> None:
    """Processors round 8-bit sums differently, which may change near ties."""
    classifier = EmotionPredictor(scheme=scheme).pipeline.classifier
    answers, known = classifier(list(faces().values())), softmax(rows, scheme)
    assert np.abs(answers - known).max() < 0.03
    sure = known.max(axis=1) > 0.6
    assert np.array_equal(answers[sure].argmax(axis=1), known[sure].argmax(axis=1))


def test_the_history_is_that_of_the_run() -> None:
    shipped = Checkpoint.open()
    run = f"{shipped.card.name}, seed {shipped.provenance.seed}"
    epochs = shipped.provenance.recorded["optimisation"]["epochs"]
    assert [(epoch.run, epoch.epoch) for epoch in shipped.history] == [(run, number) for number in range(1, epochs + 1)]


def print_table() -> None:
    for title, engine, scheme in (
        ("TORCH", "torch", FER2013),
        ("ONNX", "onnx", FER2013),
        ("PERCEIVED", "onnx", PERCEIVED_SCHEME),
    ):
        print(f"{title} = {{")
        for name, row in logits(engine, scheme).items():
            print(f'    "{name}": ({", ".join(f"{value:.3f}" for value in row)}),')
        print("}")


if __name__ == "__main__":
    print_table()
