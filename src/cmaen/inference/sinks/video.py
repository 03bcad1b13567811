"""A video with the faces drawn on it, with the times and the sound of the one that it comes from."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import av
import cv2
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from cmaen.errors import OutputError, rename_errors
from cmaen.files import replace_file, unwritable
from cmaen.inference.ffmpeg import choose_audio, open_input, packets_of, reason
from cmaen.inference.sinks.base import Needs
from cmaen.results import Result
from cmaen.types import Image

CODECS = {".avi": "mpeg4"} | dict.fromkeys((".m4v", ".mkv", ".mov", ".mp4"), "libx264")
"""By the suffix of the file; an ``.avi`` holds frames at a constant rate only."""

_MOST_TICKS = 65535
"""Of a second in MPEG-4."""
_PREROLL = 0.05
"""Seconds of sound before the first picture that are kept, since decoders need a little to begin with."""

log = logging.getLogger(__name__)


class Timing(Protocol):
    """What a video takes over from its source.

    Attributes:
        rate: Frames a second, for players that ask.
        time_base: The unit of the frames' times, in seconds.
        sound: A video whose first audio stream is copied; ``None`` for silence.
        begins: What the sound's clock shows where the frames' times are 0, in seconds.
        start: The frames' time at which the new video begins, in seconds.
        ends: The time of the last frame, in seconds; ``None`` before the source was read to its end.
    """

    rate: Fraction
    time_base: Fraction
    sound: Path | None
    begins: float
    start: float
    ends: float | None


class VideoSink:
    """Writes the frames of a video with their faces drawn; the file appears at the end, whole, if there was a frame.

    The sound is copied as far as there are pictures; to its end where the source was read to its own. Should it make
    trouble, the video is written without it, or without the rest of it.

    Args:
        path: Its suffix names the container, one of :data:`CODECS`.
        timing: The source, or its like.

    Raises:
        OutputError: The suffix names no container, or the file cannot be written.
    """

    needs = Needs.DRAWING

    def __init__(self, path: Path, timing: Timing) -> None:
        if path.suffix.lower() not in CODECS:
            raise OutputError(f"{path}: a video can be written as {', '.join(CODECS)}")
        self.path = path
        self._timing = timing
        self._time_base = timing.time_base
        self._stream: VideoStream | None = None
        self._sound: _Sound | None = None
        self._last = -1
        self._time = 0.0
        self._stack = ExitStack()
        temporary = self._stack.enter_context(replace_file(path))
        try:
            with rename_errors(lambda problem: OutputError(f"{path} cannot be written as a video: {reason(problem)}")):
                self._container: OutputContainer = av.open(str(temporary), "w")
        except OutputError:
            self._abandon()
            raise

    def write(self, result: Result, drawn: Image | None) -> None:
        """See :class:`~cmaen.inference.sinks.base.Sink`."""
        if drawn is None or result.frame.time is None:
            return
        with rename_errors(self._unwritable):
            stream = self._stream or self._begin(drawn)
            picture = av.VideoFrame.from_ndarray(_fit(drawn, stream.width, stream.height), format="rgb24")
            self._time = result.frame.time - self._timing.start
            self._last = max(self._last + 1, round(self._time / self._time_base))
            picture.pts, picture.time_base = self._last, self._time_base
            self._container.mux(stream.encode(picture))
        self._copy_sound(self._time)

    def finish(self) -> None:
        """See :class:`~cmaen.inference.sinks.base.Sink`."""
        if self._stream is None:
            self.close()
            return
        with rename_errors(self._unwritable):
            self._container.mux(self._stream.encode())
        until, ends = self._time + 1 / float(self._timing.rate), self._timing.ends
        self._copy_sound(None if ends is not None and until > ends - self._timing.start else until)
        with rename_errors(self._unwritable):
            self._let_go()
        self._stack.close()

    def close(self) -> None:
        """See :class:`~cmaen.inference.sinks.base.Sink`."""
        try:
            self._let_go()
        except Exception as problem:
            log.debug("%s: %s", self.path, problem)
        self._abandon()

    def _begin(self, image: Image) -> VideoStream:
        codec, rate = CODECS[self.path.suffix.lower()], self._timing.rate
        if rate.numerator > _MOST_TICKS:
            rate = rate.limit_denominator(250)
        stream = self._container.add_stream(codec, rate=rate)
        assert isinstance(stream, VideoStream)
        stream.height, stream.width = (side + side % 2 for side in image.shape[:2])
        stream.pix_fmt = "yuv420p"
        if codec == "mpeg4":
            stream.codec_context.bit_rate = 6_000_000
            self._time_base = 1 / rate
        else:
            stream.options = {"preset": "veryfast", "crf": "20"}
        stream.codec_context.time_base = self._time_base
        if self._timing.sound is not None:
            begins = self._timing.begins + self._timing.start
            self._sound = _Sound.of(self._timing.sound, self._container, begins=begins)
        self._stream = stream
        return stream

    def _unwritable(self, problem: Exception) -> OutputError:
        return unwritable(self.path, problem)

    def _copy_sound(self, time: float | None) -> None:
        """Copy the sound up to a time, or to its end; the video is worth more than what is wrong with its sound."""
        if self._sound is None:
            return
        try:
            self._sound.copy_until(time)
        except Exception as problem:
            until = "" if time is None else f" from {time:.1f} s on"
            log.warning("the sound of %s is left out%s: %s", self._timing.sound, until, reason(problem))
            self._sound.close()
            self._sound = None

    def _let_go(self) -> None:
        if self._sound is not None:
            self._sound.close()
        self._container.close()

    def _abandon(self) -> None:
        """Remove the temporary file, if it has not taken its place."""
        self._stack.__exit__(_Abandoned, _Abandoned(), None)


class _Abandoned(Exception):  # noqa: N818
    """Tells the temporary file to go away."""


class _Sound:
    """Copies the packets of an audio stream, as far as the pictures have come."""

    def __init__(
        self,
        path: Path,
        source: InputContainer,
        stream: AudioStream,
        target: AudioStream,
        container: OutputContainer,
        *,
        begins: float,
    ) -> None:
        self._path, self._source, self._target, self._container = path, source, target, container
        self._begins = begins
        self._packets = self._set_times(packets_of(source, stream, early=self._ends_early))
        self._next: Packet[AudioStream] | None = None

    @classmethod
    def of(cls, path: Path, container: OutputContainer, *, begins: float) -> _Sound | None:
        """``None``, with a word of warning, where there is no sound or the container cannot hold it."""
        source = None
        try:
            source = open_input(path)
            stream = choose_audio(source)
            if stream is not None:
                _try_sound(path, container.format.name)
                target = container.add_stream_from_template(stream)
                return cls(path, source, stream, target, container, begins=begins)
        except Exception as problem:
            log.warning("the sound of %s is left out: %s", path, reason(problem))
        if source is not None:
            source.close()
        return None

    def copy_until(self, time: float | None) -> None:
        """Copy what comes before a time, or everything."""
        while True:
            self._next = self._next or next(self._packets, None)
            packet = self._next
            if packet is None:  # the end
                return
            if time is not None and packet.pts is not None and float(packet.pts * packet.time_base) > time:
                return
            packet.stream = self._target
            self._container.mux(packet)
            self._next = None

    def close(self) -> None:
        """Let go of the file that the sound comes from."""
        self._source.close()

    def _set_times(self, packets: Iterator[Packet[AudioStream]]) -> Iterator[Packet[AudioStream]]:
        """The packets at the frames' times, from 0 on; a clock that is set back goes on from where it was."""
        shift: int | None = None
        last = 0
        for packet in packets:
            if packet.pts is None or not packet.size:  # the last one holds nothing
                continue
            if packet.dts is None:
                packet.dts = packet.pts
            if shift is None:
                shift = -round(self._begins / packet.time_base)
            if packet.dts + shift < last:
                if packet.dts + shift < -_PREROLL / packet.time_base:
                    continue
                if last - packet.dts - shift > 1 / packet.time_base:
                    shift = last - packet.dts
            last = packet.dts + shift + (packet.duration or 0)
            packet.dts, packet.pts = packet.dts + shift, packet.pts + shift
            yield packet

    def _ends_early(self, problem: Exception) -> None:
        log.warning("the sound of %s ends early: %s", self._path, reason(problem))


def _try_sound(path: Path, container: str) -> None:
    """Write the first packet of the sound to nowhere; what is wrong with it may only show when a container is closed.

    Raises:
        Exception: A container of this kind cannot hold it.
    """
    with open_input(path) as source, av.open(io.BytesIO(), "w", format=container) as target:
        stream = choose_audio(source)
        assert stream is not None
        copy = target.add_stream_from_template(stream)
        for packet in source.demux(stream):
            if packet.size:
                packet.stream = copy
                target.mux(packet)
                return


def _fit(image: Image, width: int, height: int) -> Image:
    """A picture of the size that the video has.

    Codecs need even sides: the last row or column is repeated. A picture of quite another size, as those of a broadcast
    may have after a while, is made to fit and stands on black.
    """
    rows, columns = image.shape[:2]
    if (rows, columns) == (height, width):
        return image
    if 0 <= height - rows <= 1 and 0 <= width - columns <= 1:
        return np.pad(image, ((0, height - rows), (0, width - columns), (0, 0)), mode="edge")
    factor = min(height / rows, width / columns)
    size = (max(1, min(width, round(columns * factor))), max(1, min(height, round(rows * factor))))
    canvas = np.zeros((height, width, 3), np.uint8)
    top, left = (height - size[1]) // 2, (width - size[0]) // 2
    canvas[top : top + size[1], left : left + size[0]] = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return canvas
