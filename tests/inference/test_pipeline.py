from __future__ import annotations

import json
import shutil
import threading
import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
import pytest
from PIL import Image

from cmaen.checkpoints import Checkpoint
from cmaen.engines import build_engine, probabilities
from cmaen.errors import CheckpointError, DetectorError
from cmaen.inference import pipeline as pipeline_module
from cmaen.inference.alignment import crop_face
from cmaen.inference.classifier import FaceClassifier
from cmaen.inference.detectors import build_detector
from cmaen.inference.pipeline import FacePipeline
from cmaen.inference.sources import Pending, open_source
from cmaen.inference.sources.images import ListSource
from cmaen.inference.tuning import Tuning
from cmaen.preprocessing import CropSpec
from cmaen.results import Face, Result
from cmaen.types import EMOTIONS, FER2013, FaceBox, Frame
from tests.conftest import change_card
from tests.inference.conftest import BLUE, RED, TIMES, picture, plain, write_film

FACES = [FaceBox(8, 8, 24, 24), FaceBox(40, 20, 12, 12)]


class ByColour:
    """A classifier that takes red for angry and blue for sad, and keeps the crops that it is given."""

    labels = EMOTIONS
    scheme = FER2013
    sharpening = 1.0

    def __init__(self) -> None:
        self.crops: list[np.ndarray] = []
        self.batches: list[int] = []

    def crop(self, image: np.ndarray, face: FaceBox) -> np.ndarray:
        return crop_face(image, face, CropSpec(margin=1.0))

    def reduce(self, crop: np.ndarray) -> np.ndarray:
        return crop

    def inputs(self, crops: Sequence[np.ndarray]) -> np.ndarray:
        self.crops += crops
        return np.array([crop.mean(axis=(0, 1)) for crop in crops], np.float32).reshape(-1, 3, 1, 1)

    def probabilities(self, inputs: np.ndarray) -> np.ndarray:
        self.batches.append(len(inputs))
        return np.eye(7)[np.where(inputs[:, 0, 0, 0] > inputs[:, 2, 0, 0], 0, 5)]

    def features(self, inputs: np.ndarray) -> np.ndarray:
        return inputs[:, :, 0, 0]

    def __call__(self, crops: Sequence[np.ndarray]) -> np.ndarray:
        return self.probabilities(self.inputs(crops))


class Fickle(ByColour):
    """Answers happy and sad in turn."""

    def probabilities(self, inputs: np.ndarray) -> np.ndarray:
        self.batches.append(len(inputs))
        return np.eye(7)[[3 if len(self.batches) % 2 else 5] * len(inputs)]


class Finds:
    """A detector that finds the same faces everywhere, and fails where the first pixel says so."""

    FAILURES: ClassVar = {
        1: cv2.error("odd"),
        2: DetectorError("no luck"),
        3: ValueError("no number"),
        6: RuntimeError("out of memory"),
    }

    def __init__(self, faces: Sequence[FaceBox] = FACES) -> None:
        self.faces = faces
        self.seen: list[np.ndarray] = []

    def __call__(self, image: np.ndarray) -> list[FaceBox]:
        self.seen.append(image)
        number = int(image[0, 0, 0])
        if number in self.FAILURES:
            raise self.FAILURES[number]
        if number == 4:
            return [FaceBox(float("nan"), 0, 10, 10)]
        return [] if number == 5 else list(self.faces)


class Frames:
    """A source of frames that are there already."""

    live = False

    def __init__(self, frames: Iterable[Frame], *, moving: bool = True) -> None:
        self.frames = frames
        self.moving = moving

    def __iter__(self) -> Iterator[Pending]:
        return (partial(lambda frame: frame, frame) for frame in self.frames)

    def count(self) -> int | None:
        return None

    def close(self) -> None:
        pass


def film_of(pictures: Iterable[np.ndarray], rate: float = 25) -> Frames:
    return Frames(Frame(number, "film", image, number / rate) for number, image in enumerate(pictures))


def marked(number: int) -> np.ndarray:
    image = plain(BLUE)
    image[0, 0] = number
    return image


def emotions(results: Iterable[Result]) -> list[list[str]]:
    return [[face.emotion for face in result.faces] for result in results]


def test_the_faces_of_a_detector_of_ones_own_are_classified_in_its_order() -> None:
    detector, classifier = Finds(), ByColour()
    image = plain(BLUE)
    image[8:32, 8:32] = RED
    (result,) = FacePipeline(classifier, detector).results(ListSource([image]))
    assert [face.box for face in result.faces] == FACES
    assert emotions([result]) == [["angry", "sad"]]
    assert (result.status, result.error) == ("ok", None)
    assert all(face.identity is None for face in result.faces)
    assert [crop.shape for crop in classifier.crops] == [(24, 24, 3), (12, 12, 3)]


@pytest.mark.parametrize("batch_size", [1, 3, 32])
def test_a_picture_on_which_the_detector_fails_costs_none_of_the_others(batch_size: int) -> None:
    images = [marked(number) for number in (0, 1, 2, 3, 4, 5, 9)]
    results = list(
        FacePipeline(ByColour(), Finds(), Tuning(batch_size=batch_size)).results(ListSource([*images, b"text"]))
    )
    assert [result.status for result in results] == ["ok", *["error"] * 4, "no_face", "ok", "error"]
    names = ["None", *["DetectorError"] * 4, "None", "None", "UnreadableImageError"]
    assert [str(result.error).split(":")[0] for result in results] == names
    assert [len(result.faces) for result in results] == [2, 0, 0, 0, 0, 0, 2, 0]
    assert [result.frame.index for result in results] == list(range(8))


def test_a_face_that_the_network_has_no_number_for_is_an_error_of_its_picture_alone() -> None:
    class Overflows(ByColour):
        def probabilities(self, inputs: np.ndarray) -> np.ndarray:
            answers = super().probabilities(inputs)
            answers[inputs[:, 0, 0, 0] > inputs[:, 2, 0, 0]] = np.nan
            return answers

    pipeline = FacePipeline(Overflows(), None)
    results = list(pipeline.results(ListSource([plain(BLUE), plain(RED), plain(BLUE)])))
    assert [result.status for result in results] == ["ok", "error", "ok"]
    assert str(results[1].error).startswith("ValueError: the probabilities of a face must be finite, not (nan,")
    pipeline = pipeline.tune(detect_every=0, classify_every=0)
    results = list(pipeline.results(film_of([plain(BLUE), plain(RED), plain(RED), plain(BLUE), plain(BLUE)])))
    assert [result.status for result in results] == ["ok", "error", "error", "ok", "ok"]


@pytest.mark.parametrize(("batch_size", "workers"), [(1, 1), (4, 1), (4, 3), (32, 4)])
def test_the_order_and_the_answers_do_not_depend_on_batches_and_workers(batch_size: int, workers: int) -> None:
    colours = [RED if number % 3 else BLUE for number in range(20)]
    classifier = ByColour()
    pipeline = FacePipeline(classifier, None, Tuning(batch_size=batch_size, workers=workers))
    results = list(pipeline.results(ListSource([plain(colour) for colour in colours])))
    assert emotions(results) == [["angry" if colour == RED else "sad"] for colour in colours]
    assert [result.frame.index for result in results] == list(range(20))
    assert classifier.batches == [batch_size] * (20 // batch_size) + [20 % batch_size] * (20 % batch_size > 0)


def test_pixels_are_kept_only_where_a_sink_needs_them() -> None:
    images = [plain(RED) for _ in range(20)]
    classifier = ByColour()
    pipeline = FacePipeline(classifier, Finds())
    assert all(result.frame.image is None for result in pipeline.results(ListSource(images)))
    classifier.batches.clear()
    assert all((result.frame.image == RED).all() for result in pipeline.results(ListSource(images), keep_images=True))
    assert max(classifier.batches) <= 8 * len(FACES)  # few large pictures are held at the same time


def test_without_a_detector_the_whole_picture_is_the_face() -> None:
    classifier = ByColour()
    pipeline = FacePipeline(classifier, None)
    (result,) = pipeline.results(ListSource([plain(RED, 30, 50)]))
    assert result.faces[0].box == FaceBox(0, 0, 50, 30)
    assert classifier.crops[0].shape == (30, 50, 3)


@pytest.mark.parametrize(("colour", "emotion"), [(RED, "angry"), (BLUE, "sad")])
@pytest.mark.parametrize("kind", ["array", "bytes", "picture", "path", "video", "camera"])
def test_what_is_red_reaches_detector_and_classifier_red(
    kind: str, colour: tuple[int, int, int], emotion: str, tmp_path: Path
) -> None:
    image, path = Image.fromarray(plain(colour)), tmp_path / "plain.png"
    image.save(path)
    if kind in ("video", "camera"):
        source = open_source(kind, write_film(tmp_path / "plain.mp4", [plain(colour)] * 3))
    else:
        source = ListSource(
            [{"array": plain(colour), "bytes": path.read_bytes(), "picture": image, "path": path}[kind]]
        )
    detector, classifier = Finds(), ByColour()
    with closing(source):
        results = list(FacePipeline(classifier, detector, Tuning(detect_every=0)).results(source, keep_images=True))
    assert emotions(results) == [[emotion, emotion]] * len(results)
    for pixels in (*detector.seen, *classifier.crops, *(result.frame.image for result in results)):
        assert np.abs(pixels.astype(int) - colour).max() < 12


@pytest.mark.parametrize("grey", [True, False])
def test_the_network_sees_red_before_green_before_blue(grey: bool, tmp_path: Path) -> None:
    folder, colour = tmp_path / "copy", np.array([200, 90, 10])
    shutil.copytree(Checkpoint.open().folder, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    card = Checkpoint.open(folder).card
    spec = replace(card.preprocess, grey=grey)
    change_card(folder, preprocess=spec)
    seen = np.rint(np.repeat(colour @ [0.299, 0.587, 0.114], 3)) if grey else colour
    by_hand = np.array((seen / 255 - spec.mean) / spec.std, np.float32)
    network_input = np.broadcast_to(by_hand[None, :, None, None], (1, 3, spec.image_size, spec.image_size))
    logits = build_engine("onnx", folder)(np.ascontiguousarray(network_input))
    expected = probabilities(logits, card.schemes[FER2013].temperature)[0]
    for detector in (None, Finds()):
        classifier = FaceClassifier(folder, scheme=FER2013)
        (result,) = FacePipeline(classifier, detector).results(ListSource([plain(tuple(colour))]))
        assert result.faces[0].probabilities == pytest.approx(expected, abs=1e-5)


def test_faces_of_a_video_keep_their_identities(film: Path) -> None:
    pipeline = FacePipeline(Fickle(), build_detector())
    with closing(open_source("video", film)) as source:
        results = list(pipeline.results(source))
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
    for smoothing in (0.0, 0.2, 1.0):
        detector = Finds([FaceBox(100, 50, 88, 120)])
        pipeline = FacePipeline(Fickle(), detector, Tuning(smoothing=smoothing, classify_every=0))
        happy = [
            result.faces[0].probabilities[EMOTIONS.index("happy")] for result in pipeline.results(film_of(pictures))
        ]
        spreads[smoothing] = np.ptp(happy[2:])
    assert spreads[0.0] == 1
    assert 0 < spreads[1.0] < spreads[0.2] < 0.7


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


@pytest.mark.parametrize("moving", [True, False])
def test_who_leaves_early_leaves_no_thread_and_frames_are_not_taken_far_ahead(moving: bool) -> None:
    taken: list[int] = []

    def frames() -> Iterator[Frame]:
        for number in range(10**6):
            taken.append(number)
            yield Frame(number, "film", plain(RED), number / 25)

    before = threading.active_count()
    pipeline = FacePipeline(ByColour(), None, Tuning(workers=2, batch_size=4))
    with closing(pipeline.results(Frames(frames(), moving=moving))) as results:
        assert next(results).frame.index == 0
    assert threading.active_count() <= before
    assert len(taken) < 20


def test_an_error_of_the_source_is_raised() -> None:
    def images() -> Iterator[bytes]:
        yield b"text"
        raise OSError("the source has gone")

    for source in (ListSource(images()), Frames((Frame(0, "film") if number else 1 / 0) for number in (1, 0))):
        with pytest.raises((OSError, ZeroDivisionError)):
            list(FacePipeline(ByColour(), None).results(source))


def test_no_pictures_are_no_results() -> None:
    assert list(FacePipeline(ByColour(), None).results(ListSource([]))) == []


@pytest.mark.parametrize("name", ["workers", "batch_size"])
def test_what_must_be_at_least_one(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be at least 1, not 0"):
        FacePipeline(ByColour(), None, Tuning(**{name: 0}))


@pytest.mark.parametrize("seconds", [-1.0, float("nan")])
@pytest.mark.parametrize("name", ["smoothing", "detect_every", "classify_every"])
def test_no_time_is_below_zero(name: str, seconds: float) -> None:
    with pytest.raises(ValueError, match=f"{name} must be 0 seconds or more"):
        FacePipeline(ByColour(), None, Tuning(**{name: seconds}))


def test_the_numbers_of_a_detector_of_ones_own_may_be_numpys() -> None:
    box = FaceBox(*np.array([8, 8, 24, 24, 1], np.float32), landmarks=tuple(map(tuple, np.ones((5, 2), np.float32))))
    record = Result(Frame(0), (Face((1 / 7,) * 7, box),)).to_record()
    assert json.loads(json.dumps(record))["faces"][0]["box"] == [8, 8, 24, 24]


class OddError(Exception):
    """What no library of ours raises."""


@pytest.mark.parametrize("batch_size", [1, 3, 32])
@pytest.mark.parametrize("part", ["detector", "crop", "inputs", "probabilities"])
def test_whatever_fails_on_one_picture_costs_none_of_the_others(part: str, batch_size: int) -> None:
    """A part of the way raises, on the red picture alone, what nobody foresaw."""

    def fails_on_red(pixels: np.ndarray) -> None:
        if (pixels.reshape(-1, 3)[0] == RED).all():
            raise OddError("odd")

    class Fails(ByColour):
        def crop(self, image: np.ndarray, face: FaceBox) -> np.ndarray:
            if part == "crop":
                fails_on_red(image)
            return super().crop(image, face)

        def inputs(self, crops: list[np.ndarray]) -> np.ndarray:
            if part == "inputs":
                for crop in crops:
                    fails_on_red(crop)
            return super().inputs(crops)

        def probabilities(self, inputs: np.ndarray) -> np.ndarray:
            if part == "probabilities" and any(row.reshape(3, -1)[0, 0] > 128 for row in inputs):
                raise OddError("odd")
            return super().probabilities(inputs)

    def detector(image: np.ndarray) -> list[FaceBox]:
        if part == "detector":
            fails_on_red(image)
        return [FaceBox(0, 0, 20, 20)]

    colours = [BLUE, BLUE, RED, BLUE, BLUE]
    pipeline = FacePipeline(Fails(), detector, Tuning(batch_size=batch_size))
    results = list(pipeline.results(ListSource([plain(colour) for colour in colours])))
    assert [result.status for result in results] == ["ok", "ok", "error", "ok", "ok"]
    error = "DetectorError" if part == "detector" else "PredictionError"
    assert str(results[2].error).startswith(error)
    assert "OddError: odd" in str(results[2].error)


@pytest.mark.parametrize("given", [None, [(1, 2, 3, 4)], ["face"], 3])
def test_a_detector_that_gives_no_faces_is_named(given: object) -> None:
    (result,) = FacePipeline(ByColour(), lambda image: given).results(ListSource([plain(BLUE)]))
    assert str(result.error).startswith("DetectorError: the detector ")


def test_few_large_pictures_are_in_memory_however_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline_module, "_PIXELS_KEPT", 4 * 64 * 48)
    monkeypatch.setattr(pipeline_module, "_PIXELS_WORKED_ON", 64 * 48)
    alive: list[weakref.ref[np.ndarray]] = []

    class Decoded(Frames):
        def __iter__(self) -> Iterator[Pending]:
            def decode(index: int) -> Frame:
                image = plain(BLUE)
                alive.append(weakref.ref(image))
                return Frame(index, image=image)

            return (partial(decode, index) for index in range(60))

    pipeline, most = FacePipeline(ByColour(), lambda image: [], Tuning(workers=2)), 0
    for result in pipeline.results(Decoded([], moving=False), keep_images=True):
        assert result.frame.image is not None
        del result
        most = max(most, sum(one() is not None for one in alive))
    assert len(alive) == 60
    assert most <= 14  # a batch of 4, as many that wait, those of the workers
