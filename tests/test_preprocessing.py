from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest

from cmaen.preprocessing import CropSpec, PreprocessSpec, to_grey


def test_shape_dtype_and_normalisation() -> None:
    spec = PreprocessSpec(image_size=64)
    batch = spec([np.full((48, 48), 255, np.uint8), np.zeros((300, 200, 3), np.uint8)])
    assert batch.shape == (2, 3, 64, 64)
    assert batch.dtype == np.float32
    assert np.allclose(batch[0].mean(axis=(1, 2)), (1 - np.array(spec.mean)) / spec.std, atol=1e-5)
    assert np.allclose(batch[1].mean(axis=(1, 2)), -np.array(spec.mean) / spec.std, atol=1e-5)


def test_no_crops_are_an_empty_batch() -> None:
    assert PreprocessSpec(image_size=32)([]).shape == (0, 3, 32, 32)


def test_grey_drops_colour_and_equals_the_grey_image() -> None:
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 256, (48, 48), dtype=np.uint8)
    spec = PreprocessSpec(image_size=96)
    assert np.allclose(spec([grey]), spec([np.repeat(grey[:, :, None], 3, axis=2)]))
    red = np.zeros((48, 48, 3), np.uint8)
    red[:, :, 0] = 200
    blue = red[:, :, ::-1].copy()
    assert not np.allclose(spec([red]), spec([blue]))  # red and blue weigh differently, so a BGR mix-up would show


def test_colour_is_kept_where_it_is_asked_for() -> None:
    red = np.zeros((48, 48, 3), np.uint8)
    red[:, :, 0] = 255
    spec = PreprocessSpec(image_size=48, grey=False, source_size=None, mean=(0, 0, 0), std=(1, 1, 1))
    assert spec([red])[0, :, 0, 0].tolist() == [1.0, 0.0, 0.0]


def test_a_sharp_crop_is_brought_to_the_detail_of_the_training_faces() -> None:
    stripes = np.zeros((192, 192), np.uint8)
    stripes[:, ::2] = 254
    assert np.ptp(PreprocessSpec(image_size=96)([stripes])[0, 0]) < 0.05
    assert np.ptp(PreprocessSpec(image_size=192, source_size=None)([stripes])[0, 0]) > 3


def test_specs_survive_json() -> None:
    spec = PreprocessSpec(image_size=96, source_size=None)
    assert PreprocessSpec.from_dict(json.loads(json.dumps(asdict(spec)))) == spec


@pytest.mark.parametrize("values", [{"image_size": 0}, {"std": (0.0, 1.0, 1.0)}, {"source_size": 0}])
def test_impossible_specs_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="PreprocessSpec"):
        PreprocessSpec(**values)  # type: ignore[arg-type]


def test_impossible_crops_are_refused() -> None:
    with pytest.raises(ValueError, match="CropSpec"):
        CropSpec(margin=0.0)


def test_the_arithmetic_is_that_of_the_shipped_figures_to_the_bit() -> None:
    # 8-bit networks round their input: a difference in the last bit changes one answer in two thousand
    spec = PreprocessSpec(image_size=8)
    faces = np.random.default_rng(0).integers(0, 256, (2, 8, 8), np.uint8)
    mean, std = (np.array(values, np.float32).reshape(3, 1, 1) for values in (spec.mean, spec.std))
    assert np.array_equal(spec(list(faces)), faces[:, None].astype(np.float32) * (1 / (255 * std)) - mean / std)
    assert {values.dtype for values in spec.scale_and_shift} == {np.dtype(np.float32)}


def test_grey_is_made_one_way_and_keeps_what_is_grey() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert np.array_equal(to_grey(np.dstack([levels] * 3)), levels)
    colour = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    spec = PreprocessSpec(image_size=64, source_size=None)
    assert np.array_equal(spec([colour]), spec([to_grey(colour)]))
    luma = colour @ np.array([0.299, 0.587, 0.114])
    assert np.abs(to_grey(colour) - luma).max() < 1
