"""The frames of a video as plain values, for callers of the predictor."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from PIL import Image as PILImage

from cmaen.drawing import draw_faces
from cmaen.rendering import render_picture
from cmaen.results import Result
from cmaen.tabulation import make_frame
from cmaen.types import Image

if TYPE_CHECKING:
    import pandas

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

    def plot(self) -> PILImage.Image:
        """The frame with a box and a label for every face, as a PIL image."""
        return PILImage.fromarray(draw_faces(self.image, self.faces))

    def to_pandas(self) -> pandas.DataFrame:
        """A data frame of pandas with a row for each face, see :func:`cmaen.to_pandas`."""
        return make_frame([self.record])

    @property
    def record(self) -> dict[str, Any]:
        """The frame as a record without pixels, see :meth:`cmaen.results.Result.to_record`."""
        status = "error" if self.error is not None else "ok" if self.faces else "no_face"
        moment = {"frame": self.number, "time": round(self.time, 4)}
        return {**moment, "status": status, "error": self.error, "faces": self.faces}

    def _repr_png_(self) -> bytes:
        """For notebooks: a thumbnail."""
        return render_picture(self.image, self.faces)


def analyse_frames(results: Iterable[Result]) -> Iterator[AnalysedFrame]:
    """The frames of some results; one that could not be decoded is said and left out."""
    for result in results:
        frame = result.frame
        if frame.image is None:
            log.warning("frame %d of %s is left out: %s", frame.index, frame.name, result.error)
            continue
        faces = [face.to_dict() for face in result.faces]
        yield AnalysedFrame(frame.index, frame.time or 0.0, frame.image, faces, result.error)
