"""How the page finds faces, run by Node.js against the package, with a network that answers what the test wants."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cmaen.inference.detectors.again import cut_tiles
from cmaen.inference.detectors.yunet import STRIDES, YuNet
from cmaen.types import FaceBox
from cmaen.web.settings import DETECTOR
from tests.web.node import run_page

SIDE, CLOSER = 64, 128
KINDS = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}
RULES = {**DETECTOR, "max_side": SIDE, "closer": CLOSER}
SIZES = [
    (1, 1),
    (1, 90),
    (40, 64),
    (64, 33),
    (65, 64),
    (47, 95),
    (96, 70),
    (131, 257),
    (300, 210),
    (5, 700),
    (531, 720),
]
"""Heights and widths: one pixel, odd ones, those that are looked at more closely, and those that are cut into tiles."""

SCRIPT = """
    import { findFaces, glimpseFaces } from './yunet.js';
    const { cases, rules } = given;
    const answer = [];
    for (const { picture, answers, glimpse } of cases) {
      const seen = [];
      const run = async (planes, dims) => {
        const outputs = answers[seen.length];
        seen.push({ planes, dims });
        return Object.fromEntries(Object.entries(outputs).map(([name, data]) => [name, { data }]));
      };
      const faces = glimpse
        ? await glimpseFaces(picture, run, rules, rules.max_side)
        : await findFaces(picture, run, rules);
      answer.push({ faces, seen });
    }
"""


class Oracle:
    """A network that answers by chance, and remembers what it was asked.

    Args:
        seed: Of its answers.
        level: The score of a face at most; the others are equal to each other or far below.
    """

    def __init__(self, seed: int, level: float) -> None:
        self.rng, self.level = np.random.default_rng(seed), level
        self.asked: list[np.ndarray] = []
        self.answers: list[dict[str, np.ndarray]] = []

    def run(self, names: list[str], inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        """See ``onnxruntime.InferenceSession.run``."""
        ((planes),) = inputs.values()
        self.asked.append(planes.copy())
        answers = {name: self._answer(name, planes.shape) for name in names}
        self.answers.append({name: values.ravel() for name, values in answers.items()})
        return [values[None] for values in answers.values()]

    def _answer(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        kind, stride = name.split("_")
        places = (shape[2] // int(stride)) * (shape[3] // int(stride))
        rng, size = self.rng, (places, KINDS[kind])
        if kind in ("cls", "obj"):
            scores = rng.choice([0.0, 0.3, self.level, self.level - 0.02, 2.0 * self.level - 1], size)
            values = np.where(rng.random(size) < 0.3, scores, 0.1)
            hostile = (np.nan, np.inf, -np.inf, -1.0)
        elif kind == "bbox":
            values = np.concatenate([rng.normal(0, 1, (places, 2)), rng.normal(1.0, 0.8, (places, 2))], axis=1)
            hostile = (np.nan, np.inf, -np.inf, 200.0, -200.0)
        else:
            values, hostile = rng.normal(0, 2, size), (np.nan, np.inf)
        places_of_evil = rng.random(size) < 0.01
        return np.where(places_of_evil, rng.choice(hostile, size), values).astype(np.float32)


def find(picture: np.ndarray, oracle: Oracle, *, glimpse: bool) -> list[FaceBox]:
    """What the package finds."""
    detector = YuNet()
    detector._session = oracle
    detector.max_side, detector.closer = SIDE, CLOSER
    if glimpse:
        detector.sure = None
        return detector.glance(picture)
    return detector(picture)


def test_faces_are_those_of_the_package() -> None:
    """Scores that are equal, too low or none, boxes without an end, pictures of all sizes; turned, closer, in tiles."""
    cases: list[dict[str, Any]] = []
    expected: list[tuple[list[FaceBox], Oracle]] = []
    for number, (height, width) in enumerate(SIZES):
        picture = np.random.default_rng(number).integers(0, 256, (height, width, 3), dtype=np.uint8)
        for level, glimpse in ((0.96, False), (0.85, False), (0.6, False), (0.85, True)):
            if glimpse and max(height, width) > 10 * SIDE:
                continue  # the package alone cuts frames of a video into tiles
            oracle = Oracle(100 * number + round(100 * level), level)
            expected.append((find(picture, oracle, glimpse=glimpse), oracle))
            cases.append({"picture": picture, "answers": oracle.answers, "glimpse": glimpse})
    looks = [len(oracle.asked) for _, oracle in expected]
    assert {1, 2, 4, 5} < set(looks)
    assert max(looks) > 12, "with tiles"
    found = run_page(SCRIPT, cases=cases, rules=RULES)
    for case, (faces, oracle), told in zip(cases, expected, found, strict=True):
        shape = case["picture"].shape
        assert [look["dims"] for look in told["seen"]] == [list(planes.shape) for planes in oracle.asked]
        for look, planes in zip(told["seen"], oracle.asked, strict=True):
            gap = np.abs(look["planes"].reshape(planes.shape) - planes)
            assert gap.max() <= 1, shape
            assert (gap > 0).mean() < 0.01, shape
        assert len(told["faces"]) == len(faces), shape
        for face, other in zip(told["faces"], faces, strict=True):
            sides = (other.x, other.y, other.width, other.height)
            assert [face["x"], face["y"], face["width"], face["height"]] == pytest.approx(sides, rel=1e-5, abs=1e-3)
            assert face["score"] == pytest.approx(other.score, abs=1e-6)
            assert np.allclose(face["landmarks"], other.landmarks, rtol=1e-5, atol=1e-3)
    assert sum(len(faces) for faces, _ in expected) > 100


def test_a_picture_without_a_face_is_no_error() -> None:
    nothing = {
        f"{kind}_{stride}": np.zeros(64 * count, np.float32) for kind, count in KINDS.items() for stride in STRIDES
    }
    case = {"picture": np.zeros((20, 20, 3), np.uint8), "answers": [nothing] * 4, "glimpse": False}
    (told,) = run_page(SCRIPT, cases=[case], rules=RULES)
    assert told["faces"] == []
    assert len(told["seen"]) == 4


def test_tiles_are_those_of_the_package() -> None:
    sizes = [
        (1, 1, 8),
        (8, 8, 8),
        (9, 1, 8),
        (100, 3, 8),
        (2000, 1500, 8),
        (65, 64, 64),
        (100_000, 1, 1),
        (37, 1001, 17),
    ]
    script = """
        import { cutTiles } from './again.js';
        const answer = given.sizes.map(([width, height, side]) => cutTiles(width, height, side, given.rules.tiles));
    """
    found = run_page(script, sizes=sizes, rules=RULES)
    assert found == [[tile._asdict() for tile in cut_tiles(*size)] for size in sizes]
