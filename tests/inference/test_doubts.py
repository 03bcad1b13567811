"""Why an answer may be unsure: named of pictures that are made so, and not of those that are fine."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from cmaen import EmotionPredictor
from cmaen.evaluation.corruptions import blur, low_light, noise
from cmaen.images.reader import read_image
from cmaen.inference.doubts import DOUBTS, LEAST_CLARITY, LEAST_SIDE, find_doubts, measure_clarity, measure_turn
from cmaen.inference.pipeline import FacePipeline
from cmaen.results import Face, Result
from cmaen.types import FaceBox, Frame, certainty_of
from tests.conftest import EXAMPLES

PORTRAIT = read_image(EXAMPLES / "astronaut.png")[58:178, 165:285]
AHEAD = ((30.0, 40.0), (70.0, 40.0), (50.0, 60.0), (35.0, 80.0), (65.0, 80.0))
RNG = np.random.default_rng(0)


class Film(list):
    """Frames to come, of a video or one by one."""

    live = False

    def __init__(self, frames, *, moving: bool = True) -> None:
        super().__init__(frames)
        self.moving = moving

    def close(self) -> None: ...


def turned(landmarks, degrees: float):
    angle = np.deg2rad(degrees)
    matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return tuple(tuple(matrix @ point) for point in landmarks)


def small(side: int) -> np.ndarray:
    return np.asarray(cv2.resize(PORTRAIT, (side, side), interpolation=cv2.INTER_AREA), np.uint8)


def test_a_good_face_has_none() -> None:
    assert find_doubts(PORTRAIT, AHEAD) == ()
    assert find_doubts(cv2.cvtColor(PORTRAIT, cv2.COLOR_RGB2GRAY)) == ()
    assert find_doubts(noise(PORTRAIT[None], 3, RNG)[0], AHEAD) == ()
    assert find_doubts(small(48), AHEAD) == ()


def test_each_is_named_alone() -> None:
    assert find_doubts(small(LEAST_SIDE - 1)) == ("small",)
    assert find_doubts(small(LEAST_SIDE)) == ()
    assert find_doubts(blur(PORTRAIT[None], 3, RNG)[0]) == ("blurred",)
    assert find_doubts(low_light(PORTRAIT[None], 3, RNG)[0]) == ("dark",)
    aside = (*AHEAD[:2], (66.0, 60.0), *AHEAD[3:])
    assert find_doubts(PORTRAIT, aside) == ("turned",)


def test_several_are_named_in_their_order() -> None:
    tiny = (cv2.GaussianBlur(small(24), (0, 0), 3) * 0.2).astype(np.uint8)
    aside = (*AHEAD[:2], (80.0, 60.0), *AHEAD[3:])
    assert find_doubts(tiny, aside) == DOUBTS


def test_dark_skin_in_good_light_is_not_dark() -> None:
    """Half as bright as the portrait, but for its highlights."""
    skin = (PORTRAIT * 0.5).astype(np.uint8)
    skin[PORTRAIT > 215] = 200
    assert skin.mean() < 0.6 * PORTRAIT.mean()
    assert find_doubts(skin) == ()


@pytest.mark.parametrize("degrees", [0, 30, 90, 180, -75])
def test_a_tilted_head_is_not_turned(degrees: float) -> None:
    assert measure_turn(turned(AHEAD, degrees)) == pytest.approx(0, abs=1e-9)
    aside = (*AHEAD[:2], (66.0, 60.0), *AHEAD[3:])
    assert measure_turn(turned(aside, degrees)) == pytest.approx(0.4)


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (2, 2), (3, 400), (64, 64, 3), (65, 31)])
def test_pictures_of_any_shape(shape: tuple[int, ...]) -> None:
    for value in (0, 255):
        found = find_doubts(np.full(shape, value, np.uint8), ((5, 5),) * 5)
        assert set(found) <= set(DOUBTS)
        assert "turned" in found  # eyes in one place are no face seen from the front
        assert ("dark" in found) == (value == 0)
        assert measure_clarity(np.full(shape, value, np.uint8)) == LEAST_CLARITY


def test_clarity_falls_with_blur_and_distance() -> None:
    for good in (PORTRAIT, noise(PORTRAIT[None], 3, RNG)[0], small(48), cv2.cvtColor(PORTRAIT, cv2.COLOR_RGB2GRAY)):
        assert measure_clarity(good) == 1
    blurred = [measure_clarity(blur(PORTRAIT[None], severity, RNG)[0]) for severity in (2, 3, 4, 5)]
    assert blurred == sorted(blurred, reverse=True)
    assert LEAST_CLARITY < blurred[-1] < blurred[0] < 1
    distant = [measure_clarity(small(side)) for side in (32, 20, 14, 10)]
    assert distant == sorted(distant, reverse=True)
    assert LEAST_CLARITY < distant[-1] < distant[0]
    twice = np.asarray(cv2.resize(PORTRAIT, None, fx=2, fy=2), np.uint8)
    assert measure_clarity(twice) == 1  # blurred only at full size


@pytest.mark.parametrize("moving", [False, True])
def test_a_blurred_face_is_answered_less_confidently(moving: bool) -> None:
    predictor = EmotionPredictor(threads=1)
    pipeline = replace(predictor.pipeline, detector=None)
    faces = {}
    for name, image in {"clear": PORTRAIT, "blurred": blur(PORTRAIT[None], 4, RNG)[0]}.items():
        source = Film([lambda image=image: Frame(0, image=image, time=0.0)], moving=moving)
        (result,) = pipeline.results(source)
        (faces[name],) = result.faces
    sharpening = predictor.pipeline.classifier.sharpening
    assert faces["clear"].confidence == certainty_of(faces["clear"].probabilities, sharpening)
    assert faces["blurred"].confidence < certainty_of(faces["blurred"].probabilities, sharpening)
    (label,) = replace(predictor.under("fer2013").pipeline, detector=None).results(source)
    assert label.faces[0].confidence == max(label.faces[0].probabilities)


def test_only_unsure_faces_have_them() -> None:
    predictor = EmotionPredictor(threads=1)
    dark = (PORTRAIT * 0.04).astype(np.uint8)
    results = {
        threshold: replace(predictor.pipeline, detector=None)
        .tune(threshold=threshold)
        .answer(lambda: Frame(0, image=dark))
        for threshold in (0.0, 1.0)
    }
    for result in results.values():
        (face,) = result.faces
        assert ("dark" in face.doubts) == face.is_unsure
    unsure = results[1.0].faces[0]
    assert unsure.is_unsure
    told = unsure.to_dict()
    assert told["doubts"] == list(unsure.doubts)
    assert Face.from_dict(told).doubts == unsure.doubts
    assert "doubts" not in Face((1.0, 0.0), FaceBox(0, 0, 1, 1), classes=("a", "b")).to_dict()
    assert isinstance(results[0.0], Result)


def test_faces_of_a_video_have_them(monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = EmotionPredictor(threads=1)
    photo = read_image(EXAMPLES / "astronaut.png")

    film = Film(lambda number=number: Frame(number, image=photo, time=number / 25) for number in range(2))
    monkeypatch.setattr("cmaen.inference.pipeline.find_doubts", lambda crop, landmarks: ("blurred",))
    sure: FacePipeline = predictor.pipeline
    for pipeline, expected in ((sure, ()), (sure.tune(threshold=1.0), ("blurred",))):
        results = list(pipeline.results(film))
        assert [result.faces[0].doubts for result in results] == [expected] * 2
