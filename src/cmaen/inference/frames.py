"""The frames of a video as plain values for callers of the predictor."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from PIL import Image as PILImage

from cmaen.drawing.rendering import render_picture
from cmaen.drawing.style import draw_faces
from cmaen.results import Result
from cmaen.tabulation import make_frame
from cmaen.types import Image

if TYPE_CHECKING:
    import pandas

log = logging.getLogger(__name__)


class AnalysedFrame(NamedTuple):
    """A frame of a video and its faces as plain dicts, ready for JSON.

    Attributes:
        number: Frame number, from 0.
        time: Time in seconds.
        image: RGB uint8 [H, W, 3].
        faces: Dicts of :meth:`EmotionPredictor.predict_faces`, each with an ``identity``.
        error: Why there is no answer for the frame; otherwise ``None``.
    """

    number: int
    time: float
    image: Image
    faces: list[dict[str, Any]]
    error: str | None = None

    def plot(self) -> PILImage.Image:
        """Draw the frame with a box and a label for every face, as a PIL image."""
        return PILImage.fromarray(draw_faces(self.image, self.faces))

    def to_pandas(self) -> pandas.DataFrame:
        """Make a pandas data frame with one row for each face, see :func:`cmaen.to_pandas`."""
        return make_frame([self.record])

    @property
    def record(self) -> dict[str, Any]:
        """The frame as a record without pixels, see :meth:`cmaen.results.Result.to_record`."""
        status = "error" if self.error is not None else "ok" if self.faces else "no_face"
        moment = {"frame": self.number, "time": round(self.time, 4)}
        return {**moment, "status": status, "error": self.error, "faces": self.faces}

    def _repr_png_(self) -> bytes:
        """Display a thumbnail in a notebook."""
        return render_picture(self.image, self.faces)


def analyse_frames(results: Iterable[Result]) -> Iterator[AnalysedFrame]:
    """Yield the frames of some results; frames that could not be decoded are logged and left out."""
    for result in results:
        frame = result.frame
        if frame.image is None:
            log.warning("frame %d of %s is left out: %s", frame.index, frame.name, result.error)
            continue
        faces = [face.to_dict() for face in result.faces]
        yield AnalysedFrame(frame.index, frame.time or 0.0, frame.image, faces, result.error)
