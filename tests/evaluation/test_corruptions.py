from __future__ import annotations

import cv2
import numpy as np
import pytest

from cmaen.evaluation.corruptions import CORRUPTIONS, SEVERITIES


@pytest.fixture(scope="module")
def faces() -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.stack(
        [
            cv2.resize(rng.integers(0, 256, (8, 8), dtype=np.uint8), (48, 48), interpolation=cv2.INTER_CUBIC)
            for _ in range(8)
        ]
    )


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_corruption_grows_with_its_severity(name: str, faces: np.ndarray) -> None:
    before = faces.copy()
    harm = []
    for severity in SEVERITIES:
        result = CORRUPTIONS[name](faces, severity, np.random.default_rng(1))
        assert result.shape == faces.shape
        assert result.dtype == np.uint8
        harm.append(np.abs(result.astype(int) - faces).mean())
    assert np.array_equal(before, faces)
    assert 0 < harm[0] < harm[2] < harm[4]
    assert harm == sorted(harm) or name in ("rotation", "crop jitter")  # these may return to similar pixels


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_one_seed_gives_one_result(name: str, faces: np.ndarray) -> None:
    one, other = (CORRUPTIONS[name](faces, 3, np.random.default_rng(7)) for _ in range(2))
    assert np.array_equal(one, other)
