from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from cmaen.checkpoints import Checkpoint
from cmaen.images import read_image
from cmaen.inference.classifier import FaceClassifier
from cmaen.inference.detectors import build_detector
from cmaen.inference.likeness import Likeness, likenesses
from tests.conftest import EXAMPLES, drawn_face

PHOTO = read_image(EXAMPLES / "astronaut.png")


@pytest.fixture(scope="module")
def likeness_in() -> Callable[[np.ndarray], Likeness]:
    classifier, detector = FaceClassifier(Checkpoint.open().folder, threads=1), build_detector("yunet", threads=1)

    def of(image: np.ndarray) -> Likeness:
        crops = [classifier.crop(image, detector(image)[0])]
        return likenesses(crops, classifier.features(classifier.inputs(crops)))[0]

    return of


@pytest.mark.parametrize("change", ["darker", "brighter", "noise", "smaller", "turned", "compressed", "shifted"])
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
    }[change]()
    assert likeness_in(PHOTO).agrees(likeness_in(np.ascontiguousarray(changed)))


def test_drawn_faces_and_the_astronaut_are_all_unlike(likeness_in: Callable[[np.ndarray], Likeness]) -> None:
    classifier = FaceClassifier(Checkpoint.open().folder, threads=1)
    rng = np.random.default_rng(0)
    drawn = [np.repeat(drawn_face(emotion, rng)[:, :, None], 3, axis=2) for emotion in range(7)]
    everybody = [likeness_in(PHOTO), *likenesses(drawn, classifier.features(classifier.inputs(drawn)))]
    for number, one in enumerate(everybody):
        assert [one.agrees(other) for other in everybody] == [place == number for place in range(len(everybody))]


def test_all_three_have_to_agree_and_numbers_have_to_be_finite() -> None:
    one, other = np.eye(2, dtype=np.float32)
    same = Likeness(one, one, one)
    assert same.agrees(Likeness(one, one, one))
    for place in range(3):
        for different in (other, one * 0, one * np.nan, -one):
            assert not same.agrees(Likeness(*[different if place == index else one for index in range(3)]))


def test_a_face_of_one_colour_is_like_none() -> None:
    wall = Likeness.of(np.full((20, 30, 3), 90, np.uint8), np.ones(4, np.float32))
    assert not wall.agrees(wall)
    assert np.linalg.norm(wall.features) == pytest.approx(1)
