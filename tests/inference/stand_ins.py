"""Classifiers, detectors and sources that are simple enough to know their answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import ClassVar

import cv2
import numpy as np

from cmaen.errors import DetectorError
from cmaen.inference.alignment import crop_face
from cmaen.inference.sources import Pending
from cmaen.preprocessing import CropSpec
from cmaen.results import Result
from cmaen.types import EMOTIONS, FER2013, FaceBox, Frame
from tests.inference.conftest import BLUE, plain

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
