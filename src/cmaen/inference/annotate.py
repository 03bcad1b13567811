"""Drawing of the results onto the image."""

from __future__ import annotations

from collections.abc import Iterable

from cmaen.drawing.style import draw_faces
from cmaen.errors import ResultError, guard
from cmaen.images.reader import Channels, ImageInput, read_image
from cmaen.inference.anonymising import hide_faces
from cmaen.inference.answers import Answers, read_faces
from cmaen.types import Image


def annotate(
    image: ImageInput, faces: Answers | Iterable[Answers], *, channels: Channels = "rgb", anonymise: bool = False
) -> Image:
    """Return a copy of the image with an outline and a tag for every face, see :func:`cmaen.drawing.style.draw_faces`.

    ``annotate("photo.jpg", predictor.predict_single("photo.jpg"))``

    Args:
        image: Any input that the predictor takes, see :func:`cmaen.read_image`.
        faces: Return value of any method of :class:`~cmaen.inference.predictor.EmotionPredictor` for this image: a
            result, a dict, a list of faces, or a frame of a video.
        channels: Channel order of an array: ``rgb``, or ``bgr`` for arrays that OpenCV reads. The result is always RGB.
        anonymise: Whether to make faces unrecognisable before anything is drawn: those given, and all others that a
            careful search of the picture finds. No search finds every face, so look at the result before you share it.

    Returns:
        RGB uint8 [H, W, 3].

    Raises:
        DetectorError: The search for the faces to hide fails.
        ImageError: The image cannot be used.
        ResultError: ``faces`` is not a result, or holds the results of several images; also a :class:`TypeError`.
    """
    found = read_faces(faces)
    pixels = read_image(image, channels=channels)
    with guard(ResultError, "the faces cannot be drawn"):
        return draw_faces(hide_faces(pixels, found) if anonymise else pixels, found)
