from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from cmaen.data.augmentation import augment  # noqa: E402


def faces(count: int = 16) -> torch.Tensor:
    return torch.randint(0, 256, (count, 48, 48), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def test_shape_range_and_that_it_changes_the_faces() -> None:
    result = augment(faces(), 96, torch.Generator().manual_seed(0))
    assert result.shape == (16, 1, 96, 96)
    assert result.dtype == torch.float32
    assert 0 <= result.min() <= result.max() <= 255
    assert not torch.equal(result[:8], result[8:])


def test_one_seed_gives_one_result() -> None:
    one, other = (augment(faces(), 64, torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(one, other)


def test_switched_off_it_only_mirrors() -> None:
    result = augment(
        faces(),
        48,
        torch.Generator().manual_seed(0),
        rotation=0,
        zoom=(1, 1),
        shift=0,
        contrast=0,
        brightness=0,
        erase=0,
    )
    for face, original in zip(result[:, 0], faces().float(), strict=True):
        assert torch.allclose(face, original, atol=0.1) or torch.allclose(face, original.flip(1), atol=0.1)


def test_erasing_replaces_a_part() -> None:
    plain = torch.full((8, 48, 48), 100, dtype=torch.uint8)
    result = augment(plain, 48, torch.Generator().manual_seed(0), contrast=0, brightness=0, erase=1.0)
    changed = (result != 100).float().mean(dim=(1, 2, 3))
    assert (changed > 0.005).all()
    assert (changed < 0.2).all()
