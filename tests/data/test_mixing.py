from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from cmaen.data.mixing import mix  # noqa: E402


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    """Make eight flat faces whose grey level is the index of their emotion, so that a mixture reveals its parts."""
    labels = torch.arange(8) % 7
    return labels.float().view(-1, 1, 1, 1).expand(-1, 3, 10, 10).contiguous(), torch.eye(7)[labels]


def level(targets: torch.Tensor) -> torch.Tensor:
    return targets @ torch.arange(7.0)


@pytest.mark.parametrize("alphas", [{"mixup": 1.0}, {"cutmix": 1.0}, {"mixup": 0.4, "cutmix": 1.0}])
@pytest.mark.parametrize("seed", range(6))
def test_targets_are_mixed_by_the_share_of_the_pixels(alphas: dict[str, float], seed: int) -> None:
    images, targets = batch()
    before = images.clone()
    perceived = torch.cat([targets, torch.zeros(8, 1)], dim=1)
    mixed = mix(images, (targets, targets.flip(1), perceived), np.random.default_rng(seed), **alphas)
    own, answers, seen = mixed.targets
    assert torch.allclose(own.sum(dim=1), torch.ones(8))
    assert torch.allclose(mixed.images.mean(dim=(1, 2, 3)), level(own), atol=1e-5)
    assert answers is not None
    assert torch.allclose(answers, own.flip(1))
    assert seen is not None
    assert torch.allclose(seen[:, :7], own)
    assert torch.equal(images, before)


def test_cutting_keeps_pixels_and_blending_does_not() -> None:
    images, targets = batch()
    cut = mix(images, (targets, None, None), np.random.default_rng(1), cutmix=1.0).images
    assert set(cut.unique().tolist()) <= set(range(7))
    blended = mix(images, (targets, None, None), np.random.default_rng(1), mixup=1.0).images
    assert not set(blended.unique().tolist()) <= set(range(7))


def test_switched_off_nothing_changes_and_one_seed_gives_one_result() -> None:
    images, targets = batch()
    assert mix(images, (targets, None, None), np.random.default_rng(0)).images is images
    one, other = (mix(images, (targets, None, None), np.random.default_rng(3), mixup=0.4, cutmix=1.0) for _ in range(2))
    assert torch.equal(one.images, other.images)
