"""The answers: what was found in a picture; they become dicts and records, and show themselves in a notebook."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from cmaen.errors import NoPixelsError
from cmaen.types import EMOTIONS, UNCERTAIN, UNSURE_BELOW, FaceBox, Frame, Image, Status

if TYPE_CHECKING:
    import pandas
    from PIL import Image as PILImage

    from cmaen.images import ImageInput

_NOTHING = {"predicted_emotion": None, "confidence": None, "probabilities": None}


class Answer(dict[str, Any]):
    """A plain dict in every respect, which remembers the path of its image besides. In a notebook it is a small table.

    Attributes:
        path: As printable text; empty where the image was in memory.
    """

    __slots__ = ("path",)

    def __init__(self, content: Mapping[str, Any], path: str = "") -> None:
        super().__init__(content)
        self.path = path

    @property
    def record(self) -> dict[str, Any]:
        """The answer with its path, see :meth:`Result.to_record`; that of one face as that of a picture."""
        named = {"path": self.path} if self.path else {}
        return {**named, **self} if "faces" in self else {**named, "status": "ok", "error": None, "faces": [self]}

    def to_pandas(self) -> pandas.DataFrame:
        """A data frame of pandas with a row for each face, see :func:`cmaen.to_pandas`."""
        from cmaen.tabulation import make_frame

        return make_frame([self.record])

    def _repr_html_(self) -> str:
        """For notebooks."""
        from cmaen.markup import write_table

        return write_table([self.record])


class Answers(list[dict[str, Any]]):
    """A plain list in every respect, of answers or faces. In a notebook it is a table with a row for each face."""

    __slots__ = ()

    @property
    def records(self) -> list[dict[str, Any]]:
        """A record for each picture: faces that follow each other and have the same path are those of one."""
        records: list[dict[str, Any]] = []
        before: str | None = None
        for answer in self:
            record = (answer if isinstance(answer, Answer) else Answer(answer)).record
            path = record.get("path", "") if "faces" not in answer else None
            if path is not None and path == before:
                records[-1]["faces"].append(answer)
            else:
                records.append(record)
            before = path
        return records

    def to_pandas(self) -> pandas.DataFrame:
        """A data frame of pandas with a row for each face, see :func:`cmaen.to_pandas`."""
        from cmaen.tabulation import make_frame

        return make_frame(self.records)

    def _repr_html_(self) -> str:
        """For notebooks."""
        from cmaen.markup import write_table

        return write_table(self.records)


@dataclass(frozen=True, slots=True)
class Face:
    """The emotion of one face. In a notebook it shows itself: its crop, and a bar for each emotion.

    Attributes:
        probabilities: One for each of the classes, in their order, in [0, 1]; they sum to 1.
        box: Where the face is.
        identity: Who it is among the faces of a video, counted from 1; ``None`` in a still picture.
        classes: What the network tells apart: the seven emotions, or the labels that it was trained with.
        threshold: The confidence below which the answer is :data:`~cmaen.types.UNCERTAIN`; 0 for never.
        certainty: The confidence, see :func:`cmaen.types.certainty_of`; ``None``: the largest probability.
        doubts: Of an unsure face: what is wrong with the picture of it, some of
            :data:`cmaen.inference.doubts.DOUBTS`; empty where nothing was found, and where the network is sure.
        crop: The face cut out and upright, RGB uint8 [side, side, 3], in results of
            :meth:`~cmaen.inference.predictor.EmotionPredictor.predict` alone. Equality does not look at it.

    Raises:
        ValueError: A probability is not finite, like those of a network that has overflowed.
    """

    probabilities: tuple[float, ...]
    box: FaceBox
    identity: int | None = None
    classes: tuple[str, ...] = EMOTIONS
    threshold: float = 0.0
    certainty: float | None = None
    doubts: tuple[str, ...] = ()
    crop: Image | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not all(map(math.isfinite, self.probabilities)):
            raise ValueError(f"the probabilities of a face must be finite, not {self.probabilities}")

    @property
    def emotion(self) -> str:
        """The most probable emotion, or :data:`~cmaen.types.UNCERTAIN`."""
        if self.confidence < self.threshold:
            return UNCERTAIN
        return self.classes[int(np.argmax(self.probabilities))]

    @property
    def confidence(self) -> float:
        """How likely it is that the most probable emotion is right, in [0, 1]."""
        return max(self.probabilities) if self.certainty is None else self.certainty

    @property
    def is_unsure(self) -> bool:
        """Whether the confidence is below 0.5 or below the threshold; pictures show two emotions then."""
        return self.confidence < max(self.threshold, UNSURE_BELOW)

    def summarise(self) -> dict[str, Any]:
        """Emotion, confidence and the probabilities as a plain dict."""
        return {
            "predicted_emotion": self.emotion,
            "confidence": self.confidence,
            "probabilities": dict(zip(self.classes, self.probabilities, strict=True)),
        }

    def to_dict(self) -> dict[str, Any]:
        """Identity (of a video), box, landmarks, emotion and doubts (if any) as a plain dict, ready for JSON."""
        box = self.box
        return {
            **({} if self.identity is None else {"identity": self.identity}),
            "box": [round(float(v), 1) for v in (box.x, box.y, box.width, box.height)],
            "landmarks": [[round(float(x), 1), round(float(y), 1)] for x, y in box.landmarks or ()],
            **self.summarise(),
            **({"doubts": list(self.doubts)} if self.doubts else {}),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Face:
        """The face that :meth:`to_dict` wrote; the detector's score is not in it."""
        landmarks = tuple((x, y) for x, y in values["landmarks"]) or None
        x, y, width, height = values["box"]
        answers = values["probabilities"]
        uncertain = values["predicted_emotion"] == UNCERTAIN and UNCERTAIN not in answers
        return cls(
            probabilities=tuple(answers.values()),
            box=FaceBox(x, y, width, height, landmarks=landmarks),
            identity=values.get("identity"),
            classes=tuple(answers),
            threshold=float("inf") if uncertain else 0.0,
            certainty=values["confidence"],
            doubts=tuple(values.get("doubts", ())),
        )

    def _repr_png_(self) -> bytes:
        """For notebooks; without a crop the bars alone."""
        from cmaen.rendering import render_face

        return render_face(self.to_dict(), self.crop)


@dataclass(frozen=True, slots=True)
class Result:
    """What was found in one picture. In a notebook it shows itself, where it holds its pixels.

    Attributes:
        frame: The picture, with its pixels only in results of
            :meth:`~cmaen.inference.predictor.EmotionPredictor.predict`.
        faces: From the largest to the smallest.
        error: Why there is no answer, the error's class and message; ``None`` where there is one.
        scheme: The label scheme of the answers, see :data:`cmaen.types.FER2013`; ``None`` in records of earlier
            versions.
    """

    frame: Frame
    faces: tuple[Face, ...] = ()
    error: str | None = None
    scheme: str | None = None

    @property
    def status(self) -> Status:
        """``ok`` where there are faces, ``no_face`` where there are none, ``error`` where there is no answer at all."""
        if self.error is not None:
            return "error"
        return "ok" if self.faces else "no_face"

    @property
    def path(self) -> str:
        """The path or address of the picture, as printable text; empty where it was in memory."""
        return self.frame.name

    @property
    def image(self) -> Image | None:
        """The pixels, RGB uint8 [H, W, 3], where the result holds them."""
        return self.frame.image

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height of the picture in pixels; ``None`` where it could not be read."""
        return self.frame.size

    @property
    def time(self) -> float | None:
        """Seconds since the beginning of a video; ``None`` for a still picture."""
        return self.frame.time

    def to_dict(self) -> dict[str, Any]:
        """The answer as a plain dict, ready for JSON; emotion and confidence are the largest face's."""
        return Answer(
            {
                "status": self.status,
                "error": self.error,
                "scheme": self.scheme,
                **(self.faces[0].summarise() if self.faces else _NOTHING),
                "faces": [face.to_dict() for face in self.faces],
            },
            self.path,
        )

    def to_record(self) -> dict[str, Any]:
        """The answer with the name of its file, and the number and time of a video's frame."""
        frame = self.frame
        moment = {} if frame.time is None else {"frame": frame.index, "time": round(frame.time, 4)}
        return {"path": frame.name, **moment, **self.to_dict()}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Result:
        """The result that :meth:`to_record` wrote, without its pixels; a ``size`` is read where one was added."""
        width, height = record.get("size") or (None, None)
        size = None if width is None or height is None else (width, height)
        frame = Frame(record.get("frame", 0), record["path"], time=record.get("time"), size=size)
        return cls(frame, tuple(map(Face.from_dict, record["faces"])), record["error"], record.get("scheme"))

    def plot(self, image: ImageInput | None = None) -> PILImage.Image:
        """The picture with a box and a label for every face, as a PIL image: ``result.plot().save("faces.png")``.

        Args:
            image: The picture, where the result holds no pixels; anything that
                :func:`cmaen.read_image` takes.

        Raises:
            NoPixelsError: The result holds no pixels, and no image is given.
            ImageError: The image cannot be used.
        """
        from PIL import Image as PILImage

        from cmaen.drawing import draw_faces
        from cmaen.images import read_image

        pixels = self.image if image is None else read_image(image)
        if pixels is None:
            raise NoPixelsError(
                f"this result holds no pixels: {self.error or 'only those of predict() do'}; "
                "give the picture, as in result.plot(image)"
            )
        return PILImage.fromarray(draw_faces(pixels, [face.to_dict() for face in self.faces]))

    def to_pandas(self) -> pandas.DataFrame:
        """A data frame of pandas with a row for each face, see :func:`cmaen.to_pandas`."""
        from cmaen.tabulation import make_frame

        return make_frame([self.to_record()])

    def _repr_html_(self) -> str | None:
        """For notebooks: a table where there are no pixels."""
        from cmaen.markup import write_table

        return write_table([self.to_record()]) if self.image is None else None

    def _repr_png_(self) -> bytes | None:
        """For notebooks: a thumbnail; nothing where there are no pixels."""
        from cmaen.rendering import render_picture

        if self.image is None:
            return None
        return render_picture(self.image, [face.to_dict() for face in self.faces])
