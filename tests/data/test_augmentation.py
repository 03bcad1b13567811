from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from cmaen.areas import average_areas  # noqa: E402
from cmaen.data import augmentation  # noqa: E402
from cmaen.data.augmentation import OPERATIONS, augment, rand_augment  # noqa: E402


def faces(count: int = 16) -> torch.Tensor:
    return torch.randint(0, 256, (count, 48, 48), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def test_shape_range_and_that_it_changes_the_faces() -> None:
    result = augment(faces(), 96, torch.Generator().manual_seed(0))
    assert result.shape == (16, 1, 96, 96)
    assert result.dtype == torch.float32
    assert 0 <= result.min() <= result.max() <= 255
    assert not torch.equal(result[:8], result[8:])


def test_grey_faces_in_colour_are_treated_as_grey_ones() -> None:
    grey = faces()
    coloured = grey[..., None].expand(-1, -1, -1, 3)
    one, three = (augment(images, 40, torch.Generator().manual_seed(3)) for images in (grey, coloured))
    assert three.shape == (16, 3, 40, 40)
    assert torch.allclose(one.expand(-1, 3, -1, -1), three, atol=1e-3)
    for operation in OPERATIONS:
        strength = torch.full((16, 1, 1, 1), 0.8)
        one_more, three_more = (
            operation(images, strength, torch.Generator().manual_seed(4)) for images in (one, three)
        )
        assert torch.allclose(one_more.expand(-1, 3, -1, -1), three_more, atol=1e-2)


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
    changed = ((result - 100).abs() > 0.01).float().mean(dim=(1, 2, 3))  # except for rounding
    assert (changed > 0.005).all()
    assert (changed < 0.13).all()


def smooth_faces() -> torch.Tensor:
    return torch.nn.functional.interpolate(faces()[:, None].float()[:, :, ::8, ::8], size=64, mode="bilinear")


def test_random_operations_keep_the_scale_and_follow_the_seed() -> None:
    plain = smooth_faces()
    one, same, other = (
        rand_augment(plain, torch.Generator().manual_seed(seed), operations=2, magnitude=1.0) for seed in (0, 0, 1)
    )
    assert one.shape == plain.shape
    assert one.dtype == plain.dtype
    assert 0 <= one.min() <= one.max() <= 255
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(plain, smooth_faces())  # the input is unchanged
    assert rand_augment(plain, torch.Generator(), operations=0, magnitude=1.0) is plain


def test_each_face_gets_so_many_operations(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = torch.zeros(16)

    def count(rows: torch.Tensor, strength: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        assert (strength <= 0.5).all()
        counts[rows[:, 0, 0, 0].long()] += 1
        return rows.clone()

    monkeypatch.setattr("cmaen.data.augmentation.OPERATIONS", (count,) * 5)
    numbered = torch.arange(16.0).view(-1, 1, 1, 1).expand(-1, 1, 4, 4)
    rand_augment(numbered, torch.Generator().manual_seed(0), operations=3, magnitude=0.5)
    assert (counts == 3).all()


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.__name__)
def test_an_operation_grows_from_nothing(operation: object) -> None:
    plain = smooth_faces()
    nothing, little, much = (
        (operation(plain, torch.full((16, 1, 1, 1), s), torch.Generator().manual_seed(0)) - plain).abs().mean()  # type: ignore[operator]
        for s in (0.0, 0.3, 1.0)
    )
    assert nothing < 0.3  # at most the rounding to whole grey levels is left
    assert nothing < little < much < 120


@pytest.mark.parametrize("colour", [False, True])
def test_nothing_random_is_drawn_on_a_device_or_waits_for_it(colour: bool) -> None:
    # only shapes are known on "meta", and it cannot be mixed with tensors on the CPU
    there = faces().to("meta")
    there = there[..., None].expand(-1, -1, -1, 3) if colour else there
    here, away = torch.Generator().manual_seed(0), torch.Generator().manual_seed(0)
    for _ in range(3):
        result = rand_augment(augment(there, 64, away), away, operations=len(OPERATIONS), magnitude=1.0)
        rand_augment(augment(faces(), 64, here), here, operations=len(OPERATIONS), magnitude=1.0)
    assert result.device.type == "meta"
    assert result.shape == (16, 3 if colour else 1, 64, 64)
    assert torch.equal(here.get_state(), away.get_state())


@pytest.mark.parametrize("side", [97, 130, 192, 300])
def test_larger_faces_lose_the_noise_that_prediction_loses(side: int) -> None:
    cv2 = pytest.importorskip("cv2")
    rng = np.random.default_rng(0)
    noisy = np.clip(rng.normal(128, 40, (8, side, side)), 0, 255).astype(np.uint8)
    still = {"rotation": 0, "zoom": (1, 1), "shift": 0, "contrast": 0, "brightness": 0, "erase": 0}
    given = augment(torch.from_numpy(noisy), 96, torch.Generator().manual_seed(0), **still)[:, 0].numpy()
    predicted = np.stack(
        [cv2.resize(face.astype(np.float32), (96, 96), interpolation=cv2.INTER_AREA) for face in noisy]
    )
    assert given.std() == pytest.approx(predicted.std(), rel=0.02)
    reduced = average_areas(torch.from_numpy(noisy).float()[:, None], 96)[:, 0].numpy()
    assert np.abs(reduced - predicted).max() < 0.01


def test_faces_that_are_not_larger_are_sampled_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(augmentation, "average_areas", None)
    for size in (48, 64, 160):
        augment(faces(), size, torch.Generator().manual_seed(0))
