"""The value types that travel between the rooms: frozen, validated, free of heavy imports."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

EMOTIONS: tuple[str, ...] = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
"""The seven emotions in the one order that every array, file and checkpoint of this project uses."""

CONTEMPT = "contempt"
"""The eighth emotion of FER+."""

FER2013, PERCEIVED, OWN = "fer2013", "perceived", "own"
"""The label schemes. ``fer2013``: what the label in FER2013 would be. ``perceived``: the share of annotators who would
see each emotion, learnt from the votes of FER+. ``own``: labels of your own, alone in their checkpoint."""

PERCEIVED_LABELS: tuple[str, ...] = (*EMOTIONS, CONTEMPT)
"""What the network answers under ``perceived``; contempt is left out of the answers unless it is asked for."""

UNCERTAIN = "uncertain"
"""The answer where the most probable emotion is not probable enough, see :attr:`FaceEmotion.threshold`."""

COLOURS = {
    "angry": (214, 39, 40),
    "disgust": (140, 86, 75),
    "fear": (148, 103, 189),
    "happy": (44, 160, 44),
    "neutral": (90, 100, 115),
    "sad": (31, 119, 180),
    "surprise": (230, 120, 0),
    CONTEMPT: (23, 150, 170),
}
"""The emotions' colours in pictures and plots, RGB."""

_GREY = (64, 64, 64)

_PALETTE = ((31, 119, 180), (230, 120, 0), (44, 160, 44), (214, 39, 40), (148, 103, 189), (140, 86, 75), (23, 150, 170))

Image = NDArray[np.uint8]
"""RGB picture, uint8 [H, W, 3]."""

Status = Literal["ok", "no_face", "error"]


def colour_of(name: str, classes: Sequence[str]) -> tuple[int, int, int]:
    """The colour of a class in pictures and plots, RGB; that of an emotion is always the same."""
    if name == UNCERTAIN and name not in classes:
        return _GREY
    return COLOURS[name] if name in COLOURS else _PALETTE[classes.index(name) % len(_PALETTE)]


def hex_of(name: str, classes: Sequence[str]) -> str:
    """The same colour as ``#rrggbb``."""
    return "#{:02x}{:02x}{:02x}".format(*colour_of(name, classes))


def certainty_of(probabilities: Sequence[float], sharpening: float) -> float | None:
    """The confidence of an answer that is not its probability, see :attr:`cmaen.checkpoints.card.Scheme.sharpening`.

    ``max(p ** s) / sum(p ** s)``; ``None`` with a power of 1, where the two are the same.
    """
    if sharpening == 1:
        return None
    powers = np.asarray(probabilities, np.float64) ** sharpening
    return float(powers.max() / powers.sum())


@dataclass(frozen=True, slots=True)
class FaceBox:
    """A face in pixels of its image: the box, its five landmarks and the detector's score; every number is finite.

    Attributes:
        x, y: Left and top edge; may lie outside the image where a face is cut off.
        width, height: Size, above 0.
        score: The detector's confidence in [0, 1].
        landmarks: Left eye, right eye, nose, left and right mouth corner as seen in the image when the face is
            upright (left = smaller x), ``(x, y)`` each; ``None`` where the detector has none.

    Raises:
        ValueError: A size is not above 0, a number is not finite, or there are not five landmarks.
    """

    x: float
    y: float
    width: float
    height: float
    score: float = 1.0
    landmarks: tuple[tuple[float, float], ...] | None = None

    def __post_init__(self) -> None:
        if not (self.width > 0 and self.height > 0):
            raise ValueError(f"a face box needs a positive size, not {self.width} x {self.height}")
        if self.landmarks is not None and len(self.landmarks) != 5:
            raise ValueError(f"a face has five landmarks, not {len(self.landmarks)}")
        numbers = [self.x, self.y, self.width, self.height, self.score, *chain.from_iterable(self.landmarks or ())]
        if not all(map(math.isfinite, numbers)):
            raise ValueError(f"the numbers of a face must be finite: {self}")

    @property
    def area(self) -> float:
        """Area in square pixels."""
        return self.width * self.height


@dataclass(frozen=True, slots=True)
class FaceEmotion:
    """The emotion of one face.

    Attributes:
        probabilities: One for each of the classes, in their order; they sum to 1.
        face: Where the face is.
        identity: Who it is among the faces of a video, counted from 1; ``None`` in a still picture.
        classes: What the network tells apart: the seven emotions, or the labels that it was trained with.
        threshold: The confidence below which the answer is :data:`UNCERTAIN`; 0 for never.
        certainty: The confidence, see :func:`certainty_of`; ``None``: the largest probability.

    Raises:
        ValueError: A probability is not finite, like those of a network that has overflowed.
    """

    probabilities: tuple[float, ...]
    face: FaceBox
    identity: int | None = None
    classes: tuple[str, ...] = EMOTIONS
    threshold: float = 0.0
    certainty: float | None = None

    def __post_init__(self) -> None:
        if not all(map(math.isfinite, self.probabilities)):
            raise ValueError(f"the probabilities of a face must be finite, not {self.probabilities}")

    @property
    def emotion(self) -> str:
        """The most probable emotion, or :data:`UNCERTAIN`."""
        if self.confidence < self.threshold:
            return UNCERTAIN
        return self.classes[int(np.argmax(self.probabilities))]

    @property
    def confidence(self) -> float:
        """How likely it is that the most probable emotion is right."""
        return max(self.probabilities) if self.certainty is None else self.certainty

    def classification(self) -> dict[str, Any]:
        """Emotion, confidence and the probabilities as a plain dict."""
        return {
            "predicted_emotion": self.emotion,
            "confidence": self.confidence,
            "probabilities": dict(zip(self.classes, self.probabilities, strict=True)),
        }

    def as_dict(self) -> dict[str, Any]:
        """Identity (of a video), box, landmarks and emotion as a plain dict, ready for JSON."""
        face = self.face
        return {
            **({} if self.identity is None else {"identity": self.identity}),
            "box": [round(float(v), 1) for v in (face.x, face.y, face.width, face.height)],
            "landmarks": [[round(float(x), 1), round(float(y), 1)] for x, y in face.landmarks or ()],
            **self.classification(),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> FaceEmotion:
        """The face that :meth:`as_dict` wrote; the detector's score is not in it."""
        landmarks = tuple((x, y) for x, y in values["landmarks"]) or None
        x, y, width, height = values["box"]
        face = FaceBox(x, y, width, height, landmarks=landmarks)
        answers = values["probabilities"]
        uncertain = values["predicted_emotion"] == UNCERTAIN and UNCERTAIN not in answers
        return cls(
            probabilities=tuple(answers.values()),
            face=face,
            identity=values.get("identity"),
            classes=tuple(answers),
            threshold=float("inf") if uncertain else 0.0,
            certainty=values["confidence"],
        )


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture on its way from a source to the sinks.

    Attributes:
        index: From 0, in its source.
        name: Of its file, address or camera; may be empty for a picture in memory.
        image: Its pixels; ``None`` where they could not be read, and where no sink needs them any more.
        time: In seconds since the beginning of a video; ``None`` for a still picture.
        error: What is wrong with it: the error's class and message.
    """

    index: int
    name: str = ""
    image: Image | None = None
    time: float | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """What was found in one frame: faces from the largest to the smallest, or why there is no answer.

    ``scheme`` names the label scheme of the answers, see :data:`FER2013`; ``None`` in records of earlier versions.
    """

    frame: Frame
    faces: tuple[FaceEmotion, ...] = ()
    error: str | None = None
    scheme: str | None = None

    @property
    def status(self) -> Status:
        """Whether there are faces, none, or no answer at all."""
        if self.error is not None:
            return "error"
        return "ok" if self.faces else "no_face"

    def as_dict(self) -> dict[str, Any]:
        """The answer as a plain dict, ready for JSON; emotion and confidence are the largest face's."""
        nothing = {"predicted_emotion": None, "confidence": None, "probabilities": None}
        return {
            "status": self.status,
            "error": self.error,
            "scheme": self.scheme,
            **(self.faces[0].classification() if self.faces else nothing),
            "faces": [face.as_dict() for face in self.faces],
        }

    def as_record(self) -> dict[str, Any]:
        """The answer with the name of its file, and the number and time of a video's frame."""
        frame = self.frame
        moment = {} if frame.time is None else {"frame": frame.index, "time": round(frame.time, 4)}
        return {"path": frame.name, **moment, **self.as_dict()}

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Result:
        """The result that :meth:`as_record` wrote, without its pixels."""
        frame = Frame(record.get("frame", 0), record["path"], time=record.get("time"))
        faces = tuple(map(FaceEmotion.from_dict, record["faces"]))
        return cls(frame, faces, record["error"], record.get("scheme"))
