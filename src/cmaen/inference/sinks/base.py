"""The protocol of sinks, and the table of all kinds."""

from __future__ import annotations

from enum import IntEnum
from typing import Protocol

from cmaen.inference.registry import Entry
from cmaen.results import Result
from cmaen.types import Image


class Quit(Exception):  # noqa: N818 - not an error
    """The viewer wants to stop."""


class Needs(IntEnum):
    """Data that a sink needs of each result; each level includes the one before. Other data are dropped."""

    RECORDS = 0
    """Only the answers; such a sink may keep all results, because they come without pixels."""
    PIXELS = 1
    """The answers and the frame, which must be released once it is written."""
    DRAWING = 2
    """The answers, the frame, and the frame with its faces drawn."""


class Sink(Protocol):
    """Takes results one by one. The constructor checks everything that can be checked before the first result.

    Attributes:
        needs: Data that it needs of each result, see :class:`Needs`.
    """

    needs: Needs

    def write(self, result: Result, drawn: Image | None) -> None:
        """Write one result.

        Args:
            result: Result, without pixels if the sink only needs records.
            drawn: The frame with its faces drawn, RGB uint8 [H, W, 3]; ``None`` if the sink does not need it, or if the
                frame could not be read.

        Raises:
            OutputError: The result cannot be written, nor can any later one.
            Quit: No more results are wanted.
        """
        ...

    def finish(self) -> None:
        """Complete the output.

        Raises:
            OutputError: The output cannot be completed.
        """
        ...

    def close(self) -> None:
        """Release everything; unfinished output leaves no partial file."""
        ...


SINKS = {
    "records": Entry("cmaen.inference.sinks.records:RecordSink"),
    "people": Entry("cmaen.inference.sinks.people:PeopleSink"),
    "pictures": Entry("cmaen.inference.sinks.pictures:PictureSink"),
    "crops": Entry("cmaen.inference.sinks.crops:CropSink"),
    "video": Entry("cmaen.inference.sinks.video:VideoSink", "video"),
    "timeline": Entry("cmaen.inference.sinks.timeline:TimelineSink"),
    "chart": Entry("cmaen.inference.sinks.chart:ChartSink"),
    "window": Entry("cmaen.inference.sinks.window:WindowSink", "video"),
}
"""Entries by kind; each class takes its target and options of its own."""
