"""The frames of a video as plain values, for callers of the predictor."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from cmaen.results import Result
from cmaen.types import Image

log = logging.getLogger(__name__)


class AnalysedFrame(NamedTuple):
    """A frame of a video and its faces as plain dicts, ready for JSON.

    Attributes:
        number: From 0.
        time: In seconds.
        image: RGB uint8 [H, W, 3].
        faces: Each with its ``identity``, else as :meth:`EmotionPredictor.predict_faces` gives them.
        error: Why there is no answer for the frame; ``None`` where there is one.
    """

    number: int
    time: float
    image: Image
    faces: list[dict[str, Any]]
    error: str | None = None


def analyse_frames(results: Iterable[Result]) -> Iterator[AnalysedFrame]:
    """The frames of some results; one that could not be decoded is said and left out."""
    for result in results:
        frame = result.frame
        if frame.image is None:
            log.warning("frame %d of %s is left out: %s", frame.index, frame.name, result.error)
            continue
        faces = [face.to_dict() for face in result.faces]
        yield AnalysedFrame(frame.index, frame.time or 0.0, frame.image, faces, result.error)
