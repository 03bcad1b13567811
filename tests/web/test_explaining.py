"""What the package computes and the page computes again: covered faces, maps, and why an answer is unsure."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import cv2
import numpy as np
import pytest

from cmaen.drawing.heat import colour_heat
from cmaen.images.reader import read_image
from cmaen.inference.doubts import find_doubts, measure_clarity, measure_detail, measure_light, measure_turn
from cmaen.inference.occlusion import cover, measure_log_odds, spread_falls
from cmaen.preprocessing import PreprocessSpec
from cmaen.web.settings import DOUBTS, OCCLUSION
from tests.conftest import EXAMPLES
from tests.web.node import run_page

PORTRAIT = read_image(EXAMPLES / "astronaut.png")[58:178, 165:285]
RNG = np.random.default_rng(2)


def test_faces_are_covered_as_the_package_covers_them() -> None:
    side = 24
    face = RNG.normal(size=(3, side, side)).astype(np.float32)
    script = """
        import { cover } from './occlusion.js';
        const { face, side, rules } = given;
        const answer = [cover(face, side, rules), cover(face, side, rules, 30, 7)];
    """
    whole, part = run_page(script, face=face, side=side, rules=OCCLUSION)
    expected = cover(face)
    assert np.allclose(whole.reshape(expected.shape), expected, atol=1e-5)
    assert np.allclose(part.reshape(7, 3, side, side), expected[30:37], atol=1e-5)


def test_maps_are_those_of_the_package() -> None:
    rows = RNG.dirichlet(np.full(7, 0.3), 82)
    rows[3] = np.eye(7)[1]
    sharpening, side = 0.9, 40
    powers = rows**sharpening
    odds = measure_log_odds(powers / powers.sum(axis=1, keepdims=True), int(rows[0].argmax()))
    falls = odds[0] - odds[1:]
    falls[2] = 0  # that of certainty is as large as numbers get
    script = """
        import { colourHeat, fallsOf, spreadFalls } from './occlusion.js';
        const { rows, sharpening, side, rules, falls, small } = given;
        const heat = spreadFalls(falls, side, rules);
        const coloured = colourHeat(heat, rules);
        const answer = { falls: fallsOf(rows, sharpening), heat, coloured: Array.from(coloured),
          cool: spreadFalls(small, side, rules) };
    """
    small = (0.01 * falls).tolist()
    given: dict[str, Any] = {"rows": rows.tolist(), "falls": falls.tolist(), "small": small}
    found = run_page(script, **given, sharpening=sharpening, side=side, rules=OCCLUSION)
    assert np.delete(found["falls"], 2) == pytest.approx(np.delete(falls, 2), abs=1e-9)
    heat = spread_falls(falls.reshape(9, 9), side)
    assert np.allclose(found["heat"].reshape(side, side), heat, atol=1e-6)
    cool = spread_falls(0.01 * falls.reshape(9, 9), side)
    assert cool.max() < 1
    assert np.allclose(found["cool"].reshape(side, side), cool, atol=1e-6)
    coloured = np.reshape(found["coloured"], (side, side, 4))
    assert np.abs(coloured - colour_heat(heat).astype(int)).max() <= 1


def test_doubts_are_those_of_the_package() -> None:
    def resized(side: int) -> np.ndarray:
        return np.asarray(cv2.resize(PORTRAIT, (side, side), interpolation=cv2.INTER_AREA), np.uint8)

    crops = [PORTRAIT, *map(resized, (12, 31, 32, 48, 64, 90)), PORTRAIT[:40, :77].copy()]
    crops += [np.asarray(cv2.GaussianBlur(crop, (0, 0), sigma), np.uint8) for crop in crops[:5] for sigma in (1, 2, 4)]
    crops += [(PORTRAIT * light).astype(np.uint8) for light in (0.0, 0.1, 0.3, 0.35, 0.5)]
    crops += [np.full((1, 1, 3), 9, np.uint8), RNG.integers(0, 256, (5, 70, 3), dtype=np.uint8)]
    points = [RNG.uniform(0, 100, (5, 2)).tolist() for _ in crops]
    points[0], points[1] = [], [[5, 5]] * 5
    spec = PreprocessSpec(image_size=96, source_size=80)
    script = """
        import { findDoubts, measureClarity, measureDetail, measureLight, measureTurn } from './doubts.js';
        import { grey } from './pixels.js';
        import { reduce } from './preprocess.js';
        const { crops, points, limits, spec } = given;
        const answer = crops.map((crop, i) => ({
          doubts: findDoubts(reduce(crop, spec), points[i], limits),
          direct: findDoubts(crop, points[i], limits),
          clarity: measureClarity(reduce(crop, spec), limits),
          detail: measureDetail(grey(crop)),
          light: measureLight(grey(crop), limits.bright),
          turn: points[i].length ? measureTurn(points[i]) : 0,
        }));
    """
    found = run_page(script, crops=crops, points=points, limits=DOUBTS, spec=asdict(spec))
    named = set()
    for crop, marks, told in zip(crops, points, found, strict=True):
        grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
        assert told["clarity"] == pytest.approx(measure_clarity(spec.reduce(crop)), abs=1e-4)
        assert told["detail"] == pytest.approx(measure_detail(grey), abs=1e-9)
        assert told["light"] == measure_light(grey)
        turn = measure_turn(marks) if marks else 0
        assert told["turn"] == (None if turn == np.inf else pytest.approx(turn))  # JSON has no infinity
        assert tuple(told["doubts"]) == find_doubts(spec.reduce(crop), marks or None)
        assert tuple(told["direct"]) == find_doubts(crop, marks or None)
        named |= set(told["doubts"])
    assert named == {"small", "blurred", "dark", "turned"}
