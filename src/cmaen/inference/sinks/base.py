"""What a sink is, and which there are."""

from __future__ import annotations

from enum import IntEnum
from typing import Protocol

from cmaen.inference.registry import Entry
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
"""By kind; each class takes what it writes to, and options of its own."""
