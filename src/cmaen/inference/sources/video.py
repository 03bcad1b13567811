"""The frames of a video file or stream with their exact times, through PyAV (FFmpeg).

Any file or stream that FFmpeg opens is supported. Variable frame rates are kept, and memory does not grow with the
length.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.packet import Packet
from av.video.stream import VideoStream
from numpy.typing import NDArray

from cmaen.errors import VideoError, rename_errors
from cmaen.images.reader import printable
from cmaen.inference.ffmpeg import (
    choose_video,
    explain_unopened,
    left_in,
    matrix_of,
    open_input,
    packets_of,
    pixel_ratio,
    pixels_of,
    reason,
)
from cmaen.inference.sources.base import Pending
from cmaen.inference.sources.excerpt import EXACT, WHOLE, Excerpt
from cmaen.types import Frame

PATIENCE = 10.0
"""Seconds without data after which a stream counts as ended."""
_HELD = 2000
"""Maximum number of packets held undecoded before the start; with an older key frame, decoding begins earlier."""
_NEAR = 10.0
"""Seconds before the start that are read through; a jump costs more than it saves."""
_REORDERED = 2.0
"""Seconds by which a key frame may be shown later than its place in the file says."""
_RESTART = 1.0
"""Seconds by which a clock must go back to count as restarted; a smaller step counts as jitter."""

log = logging.getLogger(__name__)


class VideoSource:
    """The frames of a video as a player shows them, one after the other; a broken packet costs only its own frames.

    Of several streams the best one is read, see :func:`cmaen.inference.ffmpeg.choose_video`. Frames are rotated and
    mirrored as the container says, and their pixels are made square. Their times always increase.

    Args:
        where: Path, or an address that FFmpeg supports.
        excerpt: Selection of the frames to analyse. They keep their numbers and times.
        since: Time in seconds before which nothing is needed, although it belongs to the excerpt.

    Attributes:
        rate: Average frame rate of the selected frames, in frames per second.
        time_base: Unit of the frames' times, in seconds.
        sound: File to copy the sound from; ``None`` for an address, which may be live and is only opened once.
        begins: Time of the container's clock at the beginning, in seconds; in a broadcast it may have run for hours.
        start: Time from which frames are analysed, in seconds.
        ends: Time of the last frame, in seconds; ``None`` until the video has been read to its end.
        broken: Number of packets so far that could not be decoded.

    Raises:
        VideoError: The video cannot be opened, or contains no video stream.
    """

    name: str
    live: bool
    sound: Path | None
    start: float
    rate: Fraction
    time_base: Fraction
    begins: float
    broken: int

    moving = True

    def __init__(self, where: str | Path, excerpt: Excerpt = WHOLE, since: float = 0.0) -> None:
        self.name = printable(where)
        self.live = "://" in str(where)
        self.sound = None if self.live else Path(where)
        self.excerpt = excerpt
        self.start = excerpt.start
        self.ends: float | None = None
        self.broken = 0
        self._since = max(excerpt.start, since) - EXACT
        self._before = 0
        self._seen: tuple[float, int, int] | None = None
        self._matrix: NDArray[np.int32] | None = None
        self._waiting = False

        def explain_failure(problem: Exception) -> VideoError:
            why = explain_unopened(where, problem, live=self.live)
            return VideoError(f"{self.name} cannot be opened as a video: {why}")

        with rename_errors(explain_failure):
            self._container = open_input(where, timeout=PATIENCE if self.live else None)
        try:
            with rename_errors(explain_failure):
                self._stream = self._choose()
                self._stream.thread_type = "AUTO"
                rate = Fraction(self._stream.average_rate or self._stream.guessed_rate or 25)
                self._step = 1 / float(rate)
                self.rate = rate / excerpt.every_frame
                if excerpt.every:
                    self.rate = min(rate, 1 / Fraction(excerpt.every).limit_denominator(1000))
                self.time_base = Fraction(self._stream.time_base or Fraction(1, 1000))
                self.begins = max(self._container.start_time or 0, 0) / av.time_base
                self._ratio = pixel_ratio(self._stream)
        except VideoError:
            self._container.close()
            raise

    def __iter__(self) -> Iterator[Pending]:
        self._last: float | None = None
        taken = 0
        for number, time, picture in self.excerpt.select(self._follow(), live=self.live):
            taken += 1
            if time < self._since:  # decoded only because it lies between a key frame and what is needed
                continue
            yield partial(self._frame, number, time, picture, self._matrix_of(picture))
        if self.broken:
            log.warning("%s: %d broken packets were left out", self.name, self.broken)
        if not taken:
            raise VideoError(f"{self.name} {self._explain_nothing(self._last)}")

    def _follow(self) -> Iterator[tuple[int, float, av.VideoFrame]]:
        """Yield the frames with their numbers and times, and note where they end."""
        for frame in self._set_times():
            self._last = frame[1]
            yield frame
        self.ends = self._last

    def count(self) -> int | None:
        """Return about how many frames are selected, if the file states how many it has."""
        if self.excerpt.start or self.excerpt.end is not None:
            return None
        return self.excerpt.estimate(self._stream.frames, 1 / self._step) or None

    def close(self) -> None:
        """Close the file, unless a thread still waits in it for a stalled stream."""
        if not self._waiting:
            self._container.close()

    def _choose(self) -> VideoStream:
        stream = choose_video(self._container)
        if stream is None:
            kinds = {stream.type for stream in self._container.streams}
            there = "only still images or a format that cannot be decoded" if "video" in kinds else "only sound"
            raise VideoError(f"{self.name} contains no video{f', {there}' if kinds & {'video', 'audio'} else ''}")
        return stream

    def _explain_nothing(self, last: float | None) -> str:
        """Explain why there was no frame."""
        if last is None:
            return "contains no frame that can be decoded"
        until = "" if self.excerpt.end is None else f" to {self.excerpt.end:g} s"
        length = "" if self.ends is None else f": its last frame is at {self.ends:.2f} s"
        return f"has no frame from {self.excerpt.start:g} s{until}{length}"

    def _set_times(self) -> Iterator[tuple[int, float, av.VideoFrame]]:
        """Yield the frames with their numbers from 0 and times in seconds, which always increase."""
        number, last, shift = 0, -math.inf, 0.0
        for picture in self._decode():
            time = max(last + self._step, 0.0)
            if picture.pts is not None:
                shown = float(picture.pts * self.time_base) - self.begins + shift
                if shown > last:
                    time = max(shown, 0.0)
                elif last - shown > _RESTART:
                    shift += time - shown
                else:
                    time = last + self._step / 2
            if last < self._since <= time:
                number = max(number, self._before)
            yield number, time, picture
            number, last = number + 1, time

    def _decode(self) -> Iterator[av.VideoFrame]:
        """Yield all frames, including those that the decoder still holds at the end or after an error."""
        packets = self._packets()
        if self._since > 0:
            packets = self._from_start(packets)
        for packet in packets:
            try:
                pictures = packet.decode()
            except Exception:
                self.broken += 1
                continue
            yield from pictures
        yield from left_in(self._stream)

    def _from_start(self, packets: Iterator[Packet[VideoStream]]) -> Iterator[Packet[VideoStream]]:
        """Yield the packets from the last key frame before the start, and count those before the start."""
        first = self._jump(packets)
        held: list[Packet[VideoStream]] = []
        skips = True
        for packet in packets if first is None else chain([first], packets):
            early = packet.pts is not None and float(packet.pts * self.time_base) - self.begins < self._since
            self._before += early
            if packet.is_keyframe and early and skips:
                held.clear()
            held.append(packet)
            if not early or len(held) > _HELD:
                skips = False
            if not skips:
                yield from held
                held.clear()
        yield from held

    def _jump(self, packets: Iterator[Packet[VideoStream]]) -> Packet[VideoStream] | None:
        """Jump to a key frame before the start, count the packets before it, and return its packet.

        Only a file with an index of all its frames, such as an .mp4 or .mov, tells their number; ``None`` for any
        other, which is read from its beginning without being decoded.
        """
        index: Any = getattr(self._stream, "index_entries", ())  # PyAV has it from version 14.2
        target = round((self._since + self.begins - _REORDERED) / self.time_base)
        if self.live or self._since < _NEAR or not 0 < len(index) == self._stream.frames:
            return None
        try:
            self._container.seek(target, stream=self._stream, backward=True)
            first = next(packets)
            place = index.search_timestamp(first.dts, any_frame=True)
            early = float((first.pts or 0) * self.time_base) - self.begins < self._since
            if first.is_keyframe and early and place >= 0 and index[place].timestamp == first.dts:
                self._before = place
                return first
        except (StopIteration, TypeError, ValueError, av.error.FFmpegError):
            pass  # a damaged index
        self._container.seek(0, stream=self._stream, backward=True)
        return None

    def _matrix_of(self, picture: av.VideoFrame) -> NDArray[np.int32] | None:
        """Return the display matrix of a frame; it is only read again if the frame's rotation or size has changed."""
        seen = (picture.rotation, picture.width, picture.height)
        if seen != self._seen:
            self._seen, self._matrix = seen, matrix_of(picture, self._stream)
        return self._matrix

    def _frame(self, number: int, time: float, picture: av.VideoFrame, matrix: NDArray[np.int32] | None) -> Frame:
        try:
            return Frame(number, self.name, pixels_of(picture, self._ratio, matrix), time)
        except Exception as problem:  # a format that cannot be converted, or lack of memory
            return Frame(number, self.name, None, time, f"VideoError: the frame cannot be converted: {reason(problem)}")

    def _packets(self) -> Iterator[Packet[VideoStream]]:
        def ends_early(problem: Exception) -> None:
            log.warning("%s ends early: %s", self.name, reason(problem))

        packets = packets_of(self._container, self._stream, early=ends_early)
        while True:
            self._waiting = True
            try:
                packet = next(packets, None)
            finally:
                self._waiting = False
            if packet is None:
                return
            yield packet
