"""Every error CMAEN raises on purpose. Each message says what is wrong and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class CmaenError(Exception):
    """Base of all errors of this package: catch it to catch them all."""


class ImageError(CmaenError):
    """An image that cannot be used. The subclasses name the reason."""


class ImageNotFoundError(ImageError):
    """There is no file at the path, or the path is a broken link."""


class ImagePermissionError(ImageError):
    """The file is there but may not be read."""


class NotAFileError(ImageError):
    """The path names a folder or a device where an image file is meant."""


class EmptyImageError(ImageError):
    """The file or the array holds no data."""


class UnreadableImageError(ImageError):
    """The bytes are no image in a format that is known, whatever the name says."""


class TruncatedImageError(ImageError):
    """The image is cut short or damaged: it starts well and does not decode to its end."""


class SlowImageError(ImageError):
    """The image takes longer to decode than the limit (a guard against files that are made to)."""


class ImageTooLargeError(ImageError):
    """The image has more pixels than the limit (a guard against decompression bombs)."""


class ImageArrayError(ImageError):
    """An array of the wrong dtype, shape or channel count."""


class NoFaceError(CmaenError):
    """An image without a face, where one is needed."""


class VideoError(CmaenError):
    """A video or a camera that cannot be opened, or gives no frame."""


class DataError(CmaenError):
    """A data set that cannot be read or does not hold what it should."""


class SplitError(DataError):
    """A split that is not there, or that may not be used for what was asked."""


class CheckpointError(CmaenError):
    """A checkpoint that is missing, corrupt or of another architecture."""


class ExportError(CmaenError):
    """An exported network that does not compute what the trained one does."""


class ConfigError(CmaenError):
    """A configuration with one or more mistakes; the message lists every one."""


class DetectorError(CmaenError):
    """A face detector that is unknown or not installed."""


class MissingExtraError(CmaenError):
    """A feature whose optional dependencies are not installed."""

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f"{feature} needs the optional dependencies: pip install 'cmaen[{extra}]'")


class ServiceError(CmaenError):
    """A server that cannot be reached, refuses a request, or answers what it should not.

    Attributes:
        answers: To the images before, where there were several requests.
    """

    def __init__(self, message: str, answers: Sequence[dict[str, Any]] = ()) -> None:
        super().__init__(message)
        self.answers = list(answers)


class OutputError(CmaenError):
    """A result that could not be written; what stood there before is untouched."""
