"""Where results go. A new sink is one new file, one line in :data:`SINKS` and one test."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from importlib import import_module
from typing import NamedTuple, Protocol

from cmaen.errors import MissingExtraError
from cmaen.results import Result
from cmaen.types import Image


class Quit(Exception):  # noqa: N818 - nothing is wrong
    """Somebody who watches has seen enough."""


class Needs(IntEnum):
    """What a sink takes of each result, each more than the one before. What no sink needs is not kept."""

    RECORDS = 0
    """The answers; such a sink may keep all results, for they come without pixels."""
    PIXELS = 1
    """The answers and the frame; it must let go of the frame once it is written."""
    DRAWING = 2
    """These, and the frame with its faces drawn."""


class Sink(Protocol):
    """Takes results as they come. Making one checks all that can be checked before the first result.

    Attributes:
        needs: What it takes of each result, see :class:`Needs`.
    """

    needs: Needs

    def write(self, result: Result, drawn: Image | None) -> None:
        """Take one result.

        Args:
            result: Without pixels for a sink that needs records alone.
            drawn: The frame with its faces drawn, RGB uint8 [H, W, 3]; ``None`` for a sink that needs no drawing, and
                where the frame could not be read.

        Raises:
            OutputError: It cannot be written, and nothing after it can.
            Quit: No more is wanted.
        """
        ...

    def finish(self) -> None:
        """Make whole what was written.

        Raises:
            OutputError: It cannot be.
        """
        ...

    def close(self) -> None:
        """Let go of everything; of what is not finished no half file stays."""
        ...


class _Home(NamedTuple):
    """Where a sink lives, and the extra that it needs."""

    module: str
    name: str
    extra: str | None = None


SINKS = {
    "records": _Home("records", "RecordSink"),
    "pictures": _Home("pictures", "PictureSink"),
    "crops": _Home("crops", "CropSink"),
    "video": _Home("video", "VideoSink", "video"),
    "timeline": _Home("timeline", "TimelineSink", "report"),
    "window": _Home("window", "WindowSink", "video"),
}


def sink_class(kind: str) -> Callable[..., Sink]:
    """The class of a sink by its kind, one of :data:`SINKS`.

    Raises:
        MissingExtraError: What it needs is not installed.
    """
    home = SINKS[kind]
    try:
        found: Callable[..., Sink] = getattr(import_module(f"{__name__}.{home.module}"), home.name)
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"the sink {kind}", home.extra or "dev") from error
    return found


__all__ = ["SINKS", "Needs", "Quit", "Sink", "sink_class"]
