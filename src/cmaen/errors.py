"""All errors that CMAEN raises on purpose. Each message says what is wrong and what to do about it."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

_LONGEST_LINE = 1000
_UNSHOWABLE = ("Cc", "Cs", "Zl", "Zp")
"""Categories of characters that control a terminal, or that cannot be encoded for it."""
_TURNING = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that change the direction of text."""


class CmaenError(Exception):
    """The base class of all errors of this package.

    Its text can be shown anywhere, whatever names and values it quotes: characters that would control a terminal are
    escaped, and long lines are shortened.
    """

    def __str__(self) -> str:
        return "\n".join(map(shorten, escape(super().__str__()).split("\n")))


def escape(text: str) -> str:
    r"""Escape the control characters of a text, as in ``\x1b``; line breaks and tabs stay."""
    if text.isprintable():
        return text
    return "".join(_escape(character) for character in text)


def _escape(character: str) -> str:
    shown = unicodedata.category(character) not in _UNSHOWABLE and character not in _TURNING
    if shown or character in "\n\t":
        return character
    return character.encode("unicode_escape").decode("ascii")


def shorten(text: str, most: int = _LONGEST_LINE) -> str:
    """Shorten a text longer than ``most`` characters by leaving out its middle."""
    if len(text) <= most:
        return text
    return f"{text[: most * 2 // 3]} [... {len(text):,} characters ...] {text[-most // 4 :]}"


def describe(error: BaseException) -> str:
    """Describe an error as in results: by its class and its text."""
    return f"{type(error).__name__}: {error}"


@contextmanager
def rename_errors(name: Callable[[Exception], CmaenError]) -> Iterator[None]:
    """Convert any error raised in this block to the one that ``name`` returns; this package's own errors pass."""
    try:
        yield
    except CmaenError:
        raise
    except Exception as problem:
        raise name(problem) from problem


@contextmanager
def guard(error: type[CmaenError], doing: str) -> Iterator[None]:
    """Guard a call of third-party code: whatever it raises becomes a named error of the item at hand.

    Args:
        error: Class of that error.
        doing: What fails, as the beginning of a sentence: "the detector fails".

    Raises:
        CmaenError: An ``error``; errors of this package pass unchanged.
    """
    with rename_errors(lambda problem: error(f"{doing}: {describe(problem)}")):
        yield


class ImageError(CmaenError):
    """An image that cannot be used. The subclasses name the reason."""


class ImageNotFoundError(ImageError):
    """The path does not exist, or is a broken link."""


class ImagePermissionError(ImageError):
    """The file exists, but permission to read it is denied."""


class NotAFileError(ImageError):
    """The path is a folder or a device instead of an image file."""


class EmptyImageError(ImageError):
    """The file or the array contains no data."""


class UnreadableImageError(ImageError):
    """The bytes are not an image in a known format, whatever the name says."""


class TruncatedImageError(ImageError):
    """The image is truncated or damaged: it begins correctly but cannot be decoded to its end."""


class SlowImageError(ImageError):
    """The image takes longer to decode than the limit (protection against malicious files)."""


class ImageTooLargeError(ImageError):
    """The image has more pixels than the limit (protection against decompression bombs)."""


class ImageArrayError(ImageError):
    """An array has the wrong dtype, shape or number of channels."""


class NoFaceError(CmaenError):
    """An image has no face, but one is needed."""


class VideoError(CmaenError):
    """A video or a camera cannot be opened, or returns no frame."""


class DataError(CmaenError):
    """A data set cannot be read or does not contain what it should."""


class EventsError(DataError):
    """The events of a study cannot be read, or none of them can be used."""


class SplitError(DataError):
    """A split does not exist, or may not be used for the requested purpose."""


class CheckpointError(CmaenError):
    """A checkpoint is missing, damaged or of another architecture."""


class EnhancementError(CheckpointError):
    """A network was trained on enhanced faces, and what enhances faces like them is missing or fails."""


class ExportError(CmaenError):
    """An exported network does not compute what the trained one does."""


class ConfigError(CmaenError):
    """A configuration contains mistakes; the message lists all of them."""


class SettingError(ConfigError, ValueError):
    """Settings are out of range; the message lists all of them."""


class ResultError(CmaenError, TypeError):
    """An object is not a result of this package where one is expected."""


class NoPixelsError(CmaenError):
    """A result to be drawn has no pixels."""


class DetectorError(CmaenError):
    """A face detector is unknown, not installed, or fails on a picture."""


class PredictionError(CmaenError):
    """A face cannot be cropped or classified."""


class RecognitionError(CmaenError):
    """The network that tells people apart is missing, damaged or fails."""


class GalleryError(RecognitionError):
    """A folder of photographs of people cannot be read, or shows nobody."""


class PluginError(CmaenError):
    """A plug-in of another package cannot be imported or used; the message names the package."""


class BrokenInstallationError(CmaenError):
    """An installed package does not work, such as an OpenCV that another OpenCV has overwritten."""


class MissingExtraError(CmaenError):
    """The optional dependencies of a feature are not installed."""

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f"{feature} needs optional dependencies: {describe_installation(extra)}")
        self._arguments = feature, extra

    def __reduce__(self) -> tuple[type[MissingExtraError], tuple[str, str]]:
        return type(self), self._arguments


def describe_installation(extra: str) -> str:
    """Describe how to install the optional dependencies of an extra, from an index or in a clone of the repository."""
    return f'pip install "cmaen[{extra}]", or in a clone of the repository: pip install ".[{extra}]"'


class ServiceError(CmaenError):
    """A server cannot be reached, refuses a request, or returns an invalid answer.

    Attributes:
        answers: Answers to earlier images, if there were several requests.
    """

    def __init__(self, message: str, answers: Sequence[dict[str, Any]] = ()) -> None:
        super().__init__(message)
        self.answers: list[dict[str, Any]] = list(answers)


class OutputError(CmaenError):
    """A result could not be written; what was there before is unchanged."""


class BusyError(OutputError):
    """Another run is writing the output."""
