"""The frames of a video file or stream with their exact times, by PyAV (FFmpeg).

Any file or stream that FFmpeg opens will do, a variable frame rate is kept, and memory does not grow with the length.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import numpy as np
from av.error import FFmpegError
from av.video.stream import VideoStream

from cmaen.errors import VideoError
from cmaen.images import printable
from cmaen.inference.sources import Pending
from cmaen.types import Frame

PATIENCE = 10.0
"""Seconds after which a stream that sends nothing has ended."""

log = logging.getLogger(__name__)


class VideoSource:
    """The frames of a video, upright, one after the other; a broken one loses only itself.

    Args:
        where: A path, or an address that FFmpeg understands.

    Attributes:
        rate: Frames a second on average.
        time_base: The unit of the frames' times, in seconds.
        sound: The file to copy the sound from; ``None`` of an address, which may be live: it is opened once.
        begins: What its clock shows at the beginning, in seconds; that of a broadcast has run for hours.
        broken: How many packets could not be decoded so far.

    Raises:
        VideoError: It cannot be opened, or holds no video.
    """

    moving = True

    def __init__(self, where: str | Path) -> None:
        self.name = printable(where)
        self.live = "://" in str(where)
        self.sound = None if self.live else Path(where)
        self.broken = 0
        self._waiting = False
        try:
            self._container = av.open(str(where), timeout=PATIENCE if self.live else None)
        except (FFmpegError, OSError, ValueError) as error:
            raise VideoError(f"{self.name} cannot be opened as a video: {error}") from error
        if not self._container.streams.video:
            self._container.close()
            raise VideoError(f"{self.name} holds no video")
        self._stream = self._container.streams.video[0]
        self._stream.thread_type = "AUTO"
        self.rate = Fraction(self._stream.average_rate or self._stream.guessed_rate or 25)
        self.time_base = Fraction(self._stream.time_base or Fraction(1, 1000))
        self.begins = max(self._container.start_time or 0, 0) / av.time_base

    def __iter__(self) -> Iterator[Pending]:
        number = 0
        for packet in self._packets():
            try:
                decoded = packet.decode()
            except FFmpegError:
                self.broken += 1
                continue
            for picture in decoded:
                assert isinstance(picture, av.VideoFrame)
                time = number / float(self.rate) if picture.time is None else picture.time - self.begins
                yield partial(self._frame, number, time, picture)
                number += 1
        if number == 0:
            raise VideoError(f"{self.name} holds no frame that can be decoded")
        if self.broken:
            log.warning("%s: %d broken packets were left out", self.name, self.broken)

    def count(self) -> int | None:
        """As many as the file says, if it does."""
        return self._stream.frames or None

    def close(self) -> None:
        """Let go of the file, unless a thread still waits in it for a stream that has stalled."""
        if not self._waiting:
            self._container.close()

    def _frame(self, number: int, time: float, picture: av.VideoFrame) -> Frame:
        turned = np.rot90(picture.to_ndarray(format="rgb24"), round(picture.rotation / 90) % 4)
        return Frame(number, self.name, np.ascontiguousarray(turned, np.uint8), time)

    def _packets(self) -> Iterator[av.Packet[VideoStream]]:
        packets = self._container.demux(self._stream)
        while True:
            self._waiting = True
            try:
                packet = next(packets)
            except StopIteration:
                return
            except (FFmpegError, OSError) as error:  # the file is cut short, or the stream has stalled
                log.warning("%s ends early: %s", self.name, error)
                return
            finally:
                self._waiting = False
            yield packet
