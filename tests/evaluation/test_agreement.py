from __future__ import annotations

import numpy as np
import pytest

from cmaen.evaluation.agreement import agreement, entropy, jensen_shannon, rank_correlation


def test_against_scipy() -> None:
    stats = pytest.importorskip("scipy.stats")
    distance = pytest.importorskip("scipy.spatial.distance")
    rng = np.random.default_rng(0)
    p, q = rng.dirichlet(np.ones(7), 50), rng.dirichlet(np.ones(7) * 0.3, 50)
    assert np.allclose(entropy(p), stats.entropy(p, axis=1, base=2))
    expected = [distance.jensenshannon(a, b, base=2) ** 2 for a, b in zip(p, q, strict=True)]
    assert np.allclose(jensen_shannon(p, q), expected)
    first, second = rng.integers(0, 9, 80).astype(float), rng.integers(0, 9, 80).astype(float)
    assert rank_correlation(first, second) == pytest.approx(stats.spearmanr(first, second).statistic)
    assert rank_correlation(first, np.ones(80)) == 0


def test_by_hand() -> None:
    shares = np.zeros((4, 7), np.float32)
    shares[0, 3] = 1.0  # all say happy
    shares[1, [4, 5]] = 0.5  # neutral or sad
    shares[2, 0] = 1.0  # angry
    answers = np.eye(7)[[3, 5, 2, 6]]
    found = agreement(np.array([3, 4, 0, 6]), answers, shares, np.array([True, True, True, False]))
    assert found.count == 3
    assert found.majority_accuracy == pytest.approx(2 / 3)  # a tie counts for either
    assert found.label_majority_accuracy == 1
    assert found.annotators_entropy == pytest.approx(1 / 3)
    assert found.entropy == 0
    assert found.divergence == pytest.approx((0 + jensen_shannon(answers[1:2], shares[1:2].astype(float))[0] + 1) / 3)


def test_without_votes() -> None:
    with pytest.raises(ValueError, match="no face has votes"):
        agreement(np.array([0]), np.eye(7)[:1], np.eye(7, dtype=np.float32)[:1], np.array([False]))
