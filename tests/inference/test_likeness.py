from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from cmaen.checkpoints import Checkpoint
from cmaen.images.reader import read_image
from cmaen.inference.alignment import crop_face
from cmaen.inference.detectors import build_detector
from cmaen.inference.likeness import ALIKE, CONTINUED, Likeness
from tests.conftest import EXAMPLES, drawn_face

PHOTO = read_image(EXAMPLES / "astronaut.png")


@pytest.fixture(scope="module")
def likeness_in() -> Callable[[np.ndarray], Likeness]:
    spec, detector = Checkpoint.open().card.crop, build_detector("yunet", threads=1)
    return lambda image: Likeness.of(crop_face(image, detector(image)[0], spec))


@pytest.mark.parametrize(
    "change", ["darker", "brighter", "noise", "smaller", "turned", "compressed", "shifted", "pale"]
)
def test_the_same_face_is_alike(change: str, likeness_in: Callable[[np.ndarray], Likeness]) -> None:
    rng = np.random.default_rng(0)
    turn = cv2.getRotationMatrix2D((256, 256), 8, 1)
    changed = {
        "darker": lambda: (PHOTO * 0.6).astype(np.uint8),
        "brighter": lambda: np.clip(PHOTO * 1.3, 0, 255).astype(np.uint8),
        "noise": lambda: np.clip(PHOTO + rng.normal(0, 10, PHOTO.shape), 0, 255).astype(np.uint8),
        "smaller": lambda: cv2.resize(PHOTO, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
        "turned": lambda: cv2.warpAffine(PHOTO, turn, (512, 512)),
        "compressed": lambda: cv2.imdecode(cv2.imencode(".jpg", PHOTO, [cv2.IMWRITE_JPEG_QUALITY, 20])[1], 1),
        "shifted": lambda: np.roll(PHOTO, (9, 17), axis=(0, 1)),
        "pale": lambda: (60 + PHOTO * 0.6).astype(np.uint8),
    }[change]()
    assert likeness_in(PHOTO).to(likeness_in(np.ascontiguousarray(changed))) > ALIKE


def test_a_face_is_like_itself_and_the_same_either_way(likeness_in: Callable[[np.ndarray], Likeness]) -> None:
    one = likeness_in(PHOTO)
    assert one.to(one) == pytest.approx(1)
    assert one.colours.sum(axis=1) == pytest.approx([1, 1])
    assert 0 < CONTINUED < ALIKE < 1


def test_the_astronaut_is_like_no_drawn_face_and_no_part_of_the_picture(
    likeness_in: Callable[[np.ndarray], Likeness],
) -> None:
    rng = np.random.default_rng(0)
    astronaut = likeness_in(PHOTO)
    others = [np.repeat(drawn_face(emotion, rng)[:, :, None], 3, axis=2) for emotion in range(7)]
    others += [PHOTO[top : top + 100, left : left + 100] for top in (0, 250, 400) for left in (0, 200, 400)]
    for other in others:
        assert astronaut.to(Likeness.of(np.ascontiguousarray(other))) < CONTINUED


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (3, 500), (20, 20), (900, 700)])
def test_crops_of_any_shape_and_of_one_colour(shape: tuple[int, int]) -> None:
    """A wall shares its colours with itself but has no shape, so that it is not taken for a face."""
    wall = Likeness.of(np.full((*shape, 3), 90, np.uint8))
    assert wall.to(wall) == pytest.approx(0.5)
    assert wall.to(Likeness.of(np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8))) <= ALIKE
