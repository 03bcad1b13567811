"""Every error CMAEN raises on purpose. Each message says what is wrong and what to do about it."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

_LONGEST_LINE = 1000
_UNSHOWABLE = ("Cc", "Cs", "Zl", "Zp")
"""Categories of characters that steer a terminal, or that it has no bytes for."""
_TURNING = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that turn the direction of text."""


class CmaenError(Exception):
    """Base of all errors of this package: catch it to catch them all.

    Its text can be shown anywhere, whatever names and values it quotes: characters that would steer a terminal are
    escaped, and long lines are shortened.
    """

    def __str__(self) -> str:
        return "\n".join(map(shorten, escape(super().__str__()).split("\n")))


def escape(text: str) -> str:
    r"""Text whose control characters are escaped, like ``\x1b``; line breaks and tabs stay."""
    if text.isprintable():
        return text
    return "".join(_escape(character) for character in text)


def _escape(character: str) -> str:
    shown = unicodedata.category(character) not in _UNSHOWABLE and character not in _TURNING
    if shown or character in "\n\t":
        return character
    return character.encode("unicode_escape").decode("ascii")


def shorten(text: str, most: int = _LONGEST_LINE) -> str:
    """Text whose middle is left out where it is longer than ``most`` characters."""
    if len(text) <= most:
        return text
    return f"{text[: most * 2 // 3]} [... {len(text):,} characters ...] {text[-most // 4 :]}"


def describe(error: BaseException) -> str:
    """An error as results name it: its class and its text."""
    return f"{type(error).__name__}: {error}"


@contextmanager
def rename_errors(name: Callable[[Exception], CmaenError]) -> Iterator[None]:
    """Raise whatever goes wrong in this block as the error that ``name`` makes of it; this package's own stay."""
    try:
        yield
    except CmaenError:
        raise
    except Exception as problem:
        raise name(problem) from problem


@contextmanager
def guard(error: type[CmaenError], doing: str) -> Iterator[None]:
    """The one way of calling what is not ours: whatever a foreign library or an object of the user's raises becomes
    a named error of the item at hand.

    Args:
        error: The class of that error.
        doing: What fails, as the beginning of a sentence: "the detector fails".

    Raises:
        CmaenError: One of ``error``; those that are named already pass.
    """
    with rename_errors(lambda problem: error(f"{doing}: {describe(problem)}")):
        yield


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


class SettingError(ConfigError, ValueError):
    """Settings that are out of their ranges; the message lists every one."""


class ResultError(CmaenError, TypeError):
    """Something that is no result of this package where one is meant."""


class NoPixelsError(CmaenError):
    """A result that is to be drawn and holds no pixels."""


class DetectorError(CmaenError):
    """A face detector that is unknown, not installed, or fails on a picture."""


class PredictionError(CmaenError):
    """A face that cannot be cut out or classified."""


class BrokenInstallationError(CmaenError):
    """A package that is installed and does not work, like an OpenCV that another OpenCV has overwritten."""


class MissingExtraError(CmaenError):
    """A feature whose optional dependencies are not installed."""

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f"{feature} needs optional dependencies: {describe_installation(extra)}")
        self._arguments = feature, extra

    def __reduce__(self) -> tuple[type[MissingExtraError], tuple[str, str]]:
        return type(self), self._arguments


def describe_installation(extra: str) -> str:
    """How the optional dependencies of an extra are installed, from an index or in a clone of the repository."""
    return f'pip install "cmaen[{extra}]", or in a clone of the repository: pip install ".[{extra}]"'


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


class BusyError(OutputError):
    """A place that another run is writing."""
