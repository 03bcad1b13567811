"""The pipeline over the frames of a video: who is who, and how often it looks."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from cmaen.errors import CheckpointError
from cmaen.inference.detectors import build_detector
from cmaen.inference.pipeline import FacePipeline
from cmaen.inference.sources import open_source
from cmaen.inference.sources.images import ListSource
from cmaen.inference.tuning import Tuning
from cmaen.types import EMOTIONS, FaceBox, Frame
from tests.inference.conftest import BLUE, RED, TIMES, picture, plain
from tests.inference.stand_ins import ByColour, Fickle, Finds, Frames, emotions, film_of, marked


def test_faces_of_a_video_keep_their_identities(film: Path) -> None:
    pipeline = FacePipeline(Fickle(), build_detector())
    with closing(open_source("video", film)) as source:
        results = list(pipeline.results(source, keep_images=True))
    assert [[face.identity for face in result.faces] for result in results] == [[1]] * 12
    assert [result.frame.time for result in results] == pytest.approx(TIMES, abs=1e-3)
    assert results[0].frame.image is not None
    places = [result.faces[0].box.x for result in results]
    assert places[-1] - places[0] == pytest.approx(22, abs=6)


def test_a_detector_that_can_glance_does_so_at_the_frames_of_a_video() -> None:
    class Glances(Finds):
        glances = 0

        def glance(self, image: np.ndarray) -> list[FaceBox]:
            self.glances += 1
            return list(self.faces)

    detector = Glances()
    pipeline = FacePipeline(ByColour(), detector, Tuning(detect_every=0))
    assert len(list(pipeline.results(film_of([plain(RED)] * 3)))) == 3
    assert (detector.glances, len(detector.seen)) == (3, 0)
    assert len(list(pipeline.results(ListSource([plain(RED)])))) == 1
    assert (detector.glances, len(detector.seen)) == (3, 1)


def test_smoothing_is_slower_than_the_face() -> None:
    pictures = [picture(step) for step in range(12)]
    spreads = {}
    for smoothing in (0.0, 0.2, 0.6):
        detector = Finds([FaceBox(100, 50, 88, 120)])
        pipeline = FacePipeline(Fickle(), detector, Tuning(smoothing=smoothing, classify_every=0))
        happy = [
            result.faces[0].probabilities[EMOTIONS.index("happy")] for result in pipeline.results(film_of(pictures))
        ]
        spreads[smoothing] = np.ptp(happy[2:])
    assert spreads[0.0] == 1
    assert 0 < spreads[0.6] < spreads[0.2] < 0.7


@pytest.mark.parametrize("rate", [1, 5, 12.5, 25, 30, 60])
@pytest.mark.parametrize(("detect_every", "classify_every"), [(0, 0), (0.2, 0.06), (0.5, 0.3), (100, 100)])
def test_faces_are_searched_and_classified_as_often_as_asked(
    detect_every: float, classify_every: float, rate: float
) -> None:
    detector, classifier = Finds([FaceBox(100, 50, 88, 120)]), ByColour()
    pipeline = FacePipeline(classifier, detector, Tuning(detect_every=detect_every, classify_every=classify_every))
    results = list(pipeline.results(film_of([picture(0)] * 40, rate)))
    assert len(results) == 40
    assert all([face.identity for face in result.faces] == [1] for result in results)

    def frames(every: float) -> int:
        step = next(step for step in range(1, 10**4) if step / rate > every - 0.003)
        return len(range(0, 40, step))

    assert len(detector.seen) == frames(detect_every)
    assert sum(classifier.batches) == frames(classify_every)


@pytest.mark.parametrize("rate", [0.1, 1, 4])
def test_every_face_of_slides_is_found_and_everyone_is_somebody_else(rate: float) -> None:
    """The face is always in the same place; one person is red, and the next one is blue."""
    slides = [plain(RED if number % 2 else BLUE, 96, 128) for number in range(24)]
    rng = np.random.default_rng(0)
    for slide in slides:
        slide[30:60, 50:80] += rng.integers(0, 25, (30, 30, 1), dtype=np.uint8)
    detector = Finds([FaceBox(50, 30, 30, 30)])
    results = list(FacePipeline(ByColour(), detector).results(film_of(slides, rate)))
    assert [len(result.faces) for result in results] == [1] * 24
    assert [result.faces[0].identity for result in results] == list(range(1, 25))
    assert emotions(results) == [["angry" if number % 2 else "sad"] for number in range(24)]
    assert all(max(result.faces[0].probabilities) == 1 for result in results)  # nothing of the one before


def test_a_cut_ends_an_identity_and_its_smoothed_answer() -> None:
    """Ten frames of one person and ten of another in the same place, at 25 a second."""
    rng = np.random.default_rng(0)
    one, other = (rng.integers(low, low + 100, (96, 128, 3), dtype=np.uint8) for low in (10, 150))
    one[..., 0] += 60
    detector = Finds([FaceBox(50, 30, 30, 30)])
    results = list(FacePipeline(ByColour(), detector, Tuning(smoothing=5)).results(film_of([one] * 10 + [other] * 10)))
    assert [result.faces[0].identity for result in results] == [1] * 10 + [2] * 10
    assert results[9].faces[0].emotion == "angry"
    assert results[10].faces[0].probabilities[EMOTIONS.index("sad")] == 1


def test_identities_ask_the_network_for_nothing() -> None:
    class Older(ByColour):
        def features(self, inputs: np.ndarray) -> np.ndarray:
            raise CheckpointError("model.onnx gives no features")

    detector = Finds([FaceBox(100, 50, 88, 120)])
    results = list(FacePipeline(Older(), detector).results(film_of([picture(0), picture(1), 255 - picture(1)])))
    assert [result.error for result in results] == [None] * 3
    assert [result.faces[0].identity for result in results] == [1, 1, 2]


def test_a_frame_on_which_something_fails_costs_none_of_the_others() -> None:
    frames = [Frame(number, "film", marked({3: 2, 5: 6}.get(number, 9)), number / 25) for number in range(7)]
    frames[1] = Frame(1, "film", None, 1 / 25, "VideoError: gone")
    pipeline = FacePipeline(ByColour(), Finds(), Tuning(detect_every=0))
    results = list(pipeline.results(Frames(frames)))
    assert [result.error for result in results] == [
        None,
        "VideoError: gone",
        None,
        "DetectorError: no luck",
        None,
        "DetectorError: the detector fails on an image of 64 x 48 pixels: RuntimeError: out of memory",
        None,
    ]
    found = [[face.identity for face in result.faces] for result in results]
    assert found == [[1, 2], [], [1, 2], [], [1, 2], [], [1, 2]]


@pytest.mark.parametrize("seconds", [-1.0, float("nan")])
@pytest.mark.parametrize("name", ["smoothing", "detect_every", "classify_every"])
def test_no_time_is_below_zero(name: str, seconds: float) -> None:
    with pytest.raises(ValueError, match=f"{name} must be 0 (seconds or more|to 60 seconds)"):
        FacePipeline(ByColour(), None, Tuning(**{name: seconds}))
