from __future__ import annotations

import cv2
import numpy as np
import pytest

from cmaen.images.reader import read_image
from cmaen.inference.scenes import Glance
from cmaen.types import FaceBox
from tests.conftest import EXAMPLES
from tests.inference.conftest import BLUE, RED, plain

PHOTO = read_image(EXAMPLES / "astronaut.png")
NOISE = np.random.default_rng(0).normal(0, 6, PHOTO.shape)


def turned(degrees: float, shift: float, zoom: float) -> np.ndarray:
    matrix = cv2.getRotationMatrix2D((256, 256), degrees, zoom)
    matrix[:, 2] += shift
    return cv2.warpAffine(PHOTO, matrix, (512, 512), borderMode=cv2.BORDER_REPLICATE)


def bytes_of(image: np.ndarray) -> np.ndarray:
    return np.clip(image, 0, 255).astype(np.uint8)


SAME = {
    "itself": PHOTO,
    "noise": bytes_of(PHOTO + NOISE),
    "brighter": bytes_of(PHOTO * 1.06),
    "moved": turned(0, 12, 1),
    "turned and nearer": turned(2, 0, 1.03),
    "a pan": np.roll(PHOTO, 40, axis=1),
    "compressed": cv2.imdecode(cv2.imencode(".jpg", PHOTO, [cv2.IMWRITE_JPEG_QUALITY, 20])[1], cv2.IMREAD_COLOR),
}
OTHERS = {
    "a wall": plain(RED, 512, 512),
    "black": np.zeros_like(PHOTO),
    "its negative": 255 - PHOTO,
    "noise": np.random.default_rng(1).integers(0, 256, PHOTO.shape, dtype=np.uint8),
    "another size": PHOTO[:, :300],
    "half of it nearer": cv2.resize(PHOTO[200:400, 300:500], (512, 512)),
}


@pytest.mark.parametrize("name", SAME)
def test_the_same_scene(name: str) -> None:
    assert not Glance.at(SAME[name]).is_cut_from(Glance.at(PHOTO))


@pytest.mark.parametrize("name", OTHERS)
def test_another_scene(name: str) -> None:
    one, other = Glance.at(np.ascontiguousarray(OTHERS[name])), Glance.at(PHOTO)
    assert one.is_cut_from(other)
    assert other.is_cut_from(one)
    assert one.differs_from(other)


def test_walls_of_other_colours_and_walls_with_a_little_noise() -> None:
    assert Glance.at(plain(RED)).is_cut_from(Glance.at(plain(BLUE)))
    rng = np.random.default_rng(2)
    for level in range(0, 256, 8):  # also where the noise crosses from one bin of colours into the next
        wall = np.full((90, 120, 3), level, np.uint8)
        noisy = bytes_of(wall + rng.normal(0, 4, wall.shape))
        assert not Glance.at(noisy).is_cut_from(Glance.at(wall))
        assert not Glance.at(noisy).differs_from(Glance.at(wall))


def test_a_change_is_less_than_a_cut() -> None:
    changed = PHOTO.copy()
    changed[100:220, 20:140] = 255 - changed[100:220, 20:140]
    assert Glance.at(changed).differs_from(Glance.at(PHOTO))
    assert not Glance.at(changed).is_cut_from(Glance.at(PHOTO))
    assert not Glance.at(SAME["noise"]).differs_from(Glance.at(PHOTO))


def test_a_face_that_is_known_may_move() -> None:
    changed = PHOTO.copy()
    changed[100:220, 20:140] = 255 - changed[100:220, 20:140]
    one, other = Glance.at(changed), Glance.at(PHOTO)
    assert not one.differs_from(other, [FaceBox(30, 110, 100, 100)])
    assert one.differs_from(other, [FaceBox(300, 300, 100, 100), FaceBox(-900, -900, 100, 100)])


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1), (3, 2), (48, 4), (17, 1900), (2160, 3840)])
def test_pictures_of_any_shape(shape: tuple[int, int]) -> None:
    glance = Glance.at(np.full((*shape, 3), 90, np.uint8))
    assert max(glance.grey.shape) <= 320
    assert glance.colours.sum() == pytest.approx(1)
    assert not glance.is_cut_from(glance)
