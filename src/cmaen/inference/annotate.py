"""Drawing what was found onto the picture."""

from __future__ import annotations

from collections.abc import Iterable

from cmaen.drawing import draw_faces
from cmaen.errors import ResultError, guard
from cmaen.images import Channels, ImageInput, read_image
from cmaen.inference.answers import Answers, read_faces
from cmaen.types import Image


def annotate(image: ImageInput, faces: Answers | Iterable[Answers], *, channels: Channels = "rgb") -> Image:
    """A copy of the picture with an outline and a tag for every face, see :func:`cmaen.drawing.draw_faces`.

    ``annotate("photo.jpg", predictor.predict_single("photo.jpg"))``

    Args:
        image: Anything that the predictor takes, see :func:`cmaen.read_image`.
        faces: What any method of :class:`~cmaen.inference.predictor.EmotionPredictor` gives for the picture: a result,
            a dict, a list of faces or of boxes' faces, or a frame of a video.
        channels: Of an array: ``rgb``, or ``bgr`` for what OpenCV reads; what comes back is RGB.

    Returns:
        RGB uint8 [H, W, 3].

    Raises:
        ImageError: The image cannot be used.
        ResultError: ``faces`` is no answer, or holds answers to several pictures; a :class:`TypeError`, too.
    """
    found = read_faces(faces)
    pixels = read_image(image, channels=channels)
    with guard(ResultError, "the faces cannot be drawn"):
        return draw_faces(pixels, found)
