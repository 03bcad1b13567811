"""Results of an image: they convert to dicts and records, and notebooks display them."""

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

    from cmaen.images.reader import ImageInput

_NOTHING = {"predicted_emotion": None, "confidence": None, "probabilities": None}


class Answer(dict[str, Any]):
    """A plain dict that also remembers the path of its image. A notebook displays it as a small table.

    Attributes:
        path: Path as printable text; empty if the image was in memory.
    """

    __slots__ = ("path",)

    def __init__(self, content: Mapping[str, Any], path: str = "") -> None:
        super().__init__(content)
        self.path: str = path

    @property
    def record(self) -> dict[str, Any]:
        """The answer with its path, see :meth:`Result.to_record`; a single face becomes the record of an image."""
        named = {"path": self.path} if self.path else {}
        return {**named, **self} if "faces" in self else {**named, "status": "ok", "error": None, "faces": [self]}

    def to_pandas(self) -> pandas.DataFrame:
        """Make a pandas data frame with one row for each face, see :func:`cmaen.to_pandas`."""
        from cmaen.tabulation import make_frame

        return make_frame([self.record])

    def _repr_html_(self) -> str:
        """Display the answer in a notebook."""
        from cmaen.drawing.markup import write_table

        return write_table([self.record])


class Answers(list[dict[str, Any]]):
    """A plain list of answers or faces. A notebook displays it as a table with one row for each face."""

    __slots__ = ()

    @property
    def records(self) -> list[dict[str, Any]]:
        """One record for each image; consecutive faces with the same path belong to one image."""
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
        """Make a pandas data frame with one row for each face, see :func:`cmaen.to_pandas`."""
        from cmaen.tabulation import make_frame

        return make_frame(self.records)

    def _repr_html_(self) -> str:
        """Display the answers in a notebook."""
        from cmaen.drawing.markup import write_table

        return write_table(self.records)


@dataclass(frozen=True, slots=True)
class Face:
    """The emotion of one face. A notebook displays its crop and a bar for each emotion.

    Attributes:
        probabilities: Probabilities of the classes in order, in [0, 1]; they sum to 1.
        box: Box of the face.
        identity: Number of the person in a video, counted from 1; ``None`` for a still image.
        person: Name of the recognised person, or a name such as "person 3" if it is not known; ``None`` if people are
            not recognised.
        classes: Classes of the network: the seven emotions, or the labels that it was trained with.
        threshold: Confidence below which the answer is :data:`~cmaen.types.UNCERTAIN`; 0 for never.
        certainty: Confidence, see :func:`cmaen.types.certainty_of`; ``None`` for the largest probability.
        doubts: Faults of an unsure face's image, a selection of :data:`cmaen.inference.doubts.DOUBTS`; empty if none
            was found, and if the network is sure.
        crop: Upright face crop, RGB uint8 [side, side, 3], only in results of
            :meth:`~cmaen.inference.predictor.EmotionPredictor.predict`. It is ignored in comparisons.

    Raises:
        ValueError: A probability is not finite, because the network has overflowed.
    """

    probabilities: tuple[float, ...]
    box: FaceBox
    identity: int | None = None
    classes: tuple[str, ...] = EMOTIONS
    threshold: float = 0.0
    certainty: float | None = None
    doubts: tuple[str, ...] = ()
    crop: Image | None = field(default=None, compare=False, repr=False)
    person: str | None = None

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
        """Probability that the most probable emotion is right, in [0, 1]."""
        return max(self.probabilities) if self.certainty is None else self.certainty

    @property
    def is_unsure(self) -> bool:
        """Whether the confidence is below 0.5 or the threshold; drawings then show two emotions."""
        return self.confidence < max(self.threshold, UNSURE_BELOW)

    def summarise(self) -> dict[str, Any]:
        """Return emotion, confidence and probabilities as a plain dict."""
        return {
            "predicted_emotion": self.emotion,
            "confidence": self.confidence,
            "probabilities": dict(zip(self.classes, self.probabilities, strict=True)),
        }

    def to_dict(self) -> dict[str, Any]:
        """Return identity, person and doubts (if any), box, landmarks and emotion as a plain dict, ready for JSON."""
        box = self.box
        return {
            **({} if self.identity is None else {"identity": self.identity}),
            **({} if self.person is None else {"person": self.person}),
            "box": [round(float(v), 1) for v in (box.x, box.y, box.width, box.height)],
            "landmarks": [[round(float(x), 1), round(float(y), 1)] for x, y in box.landmarks or ()],
            **self.summarise(),
            **({"doubts": list(self.doubts)} if self.doubts else {}),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Face:
        """Restore a face from the dict of :meth:`to_dict`, which does not contain the detector's score."""
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
            person=values.get("person"),
        )

    def _repr_png_(self) -> bytes:
        """Display the face in a notebook; without a crop, only the bars."""
        from cmaen.drawing.rendering import render_face

        return render_face(self.to_dict(), self.crop)


@dataclass(frozen=True, slots=True)
class Result:
    """The result of one image. A notebook displays the image if the result holds its pixels.

    Attributes:
        frame: The image; it has pixels only in results of :meth:`~cmaen.inference.predictor.EmotionPredictor.predict`.
        faces: Faces, the largest first.
        error: Class and message of the error if there is no answer; otherwise ``None``.
        scheme: Label scheme of the answers, see :data:`cmaen.types.FER2013`; ``None`` in records of earlier versions.
    """

    frame: Frame
    faces: tuple[Face, ...] = ()
    error: str | None = None
    scheme: str | None = None

    @property
    def status(self) -> Status:
        """``ok`` if there are faces, ``no_face`` if there are none, ``error`` if there is no answer at all."""
        if self.error is not None:
            return "error"
        return "ok" if self.faces else "no_face"

    @property
    def path(self) -> str:
        """Path or address of the image, as printable text; empty if it was in memory."""
        return self.frame.name

    @property
    def image(self) -> Image | None:
        """Pixels, RGB uint8 [H, W, 3]; ``None`` if the result does not hold them."""
        return self.frame.image

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height of the image in pixels; ``None`` if it could not be read."""
        return self.frame.size

    @property
    def time(self) -> float | None:
        """Seconds since the beginning of a video; ``None`` for a still image."""
        return self.frame.time

    def to_dict(self) -> dict[str, Any]:
        """Return the answer as a plain dict, ready for JSON; emotion and confidence are those of the largest face."""
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
        """Return the answer with the name of its file, and the number and time of a video frame."""
        frame = self.frame
        moment = {} if frame.time is None else {"frame": frame.index, "time": round(frame.time, 4)}
        return {"path": frame.name, **moment, **self.to_dict()}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Result:
        """Restore a result from the record of :meth:`to_record`, without pixels; an added ``size`` is read."""
        width, height = record.get("size") or (None, None)
        size = None if width is None or height is None else (width, height)
        frame = Frame(record.get("frame", 0), record["path"], time=record.get("time"), size=size)
        return cls(frame, tuple(map(Face.from_dict, record["faces"])), record["error"], record.get("scheme"))

    def plot(self, image: ImageInput | None = None) -> PILImage.Image:
        """Draw a box and a label for every face, as a PIL image: ``result.plot().save("faces.png")``.

        Args:
            image: The image, if the result holds no pixels; any input of :func:`cmaen.read_image`.

        Raises:
            NoPixelsError: The result holds no pixels, and no image is given.
            ImageError: The image cannot be used.
        """
        from PIL import Image as PILImage

        from cmaen.drawing.style import draw_faces
        from cmaen.images.reader import read_image

        pixels = self.image if image is None else read_image(image)
        if pixels is None:
            raise NoPixelsError(
                f"this result holds no pixels: {self.error or 'only results of predict() do'}; "
                "pass the image, as in result.plot(image)"
            )
        return PILImage.fromarray(draw_faces(pixels, [face.to_dict() for face in self.faces]))

    def to_pandas(self) -> pandas.DataFrame:
        """Make a pandas data frame with one row for each face, see :func:`cmaen.to_pandas`."""
        from cmaen.tabulation import make_frame

        return make_frame([self.to_record()])

    def _repr_html_(self) -> str | None:
        """Display a table in a notebook if there are no pixels."""
        from cmaen.drawing.markup import write_table

        return write_table([self.to_record()]) if self.image is None else None

    def _repr_png_(self) -> bytes | None:
        """Display a thumbnail in a notebook if there are pixels."""
        from cmaen.drawing.rendering import render_picture

        if self.image is None:
            return None
        return render_picture(self.image, [face.to_dict() for face in self.faces])
