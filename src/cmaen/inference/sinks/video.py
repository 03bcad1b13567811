"""A video with the faces drawn on it, with the times and the sound of its source."""

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
"""Codecs by the suffix of the file; an ``.avi`` only holds frames at a constant rate."""

_MOST_TICKS = 65535
"""Largest number of clock ticks per second in MPEG-4."""
_PREROLL = 0.05
"""Seconds of sound kept before the first frame, because decoders need a short lead-in."""

log = logging.getLogger(__name__)


class Timing(Protocol):
    """Properties that a video takes over from its source.

    Attributes:
        rate: Nominal frame rate, in frames per second.
        time_base: Unit of the frames' times, in seconds.
        sound: Path of a video whose first audio stream is copied; ``None`` for no sound.
        begins: Time of the sound's clock when the frames' time is 0, in seconds.
        start: Time of the frames at which the new video begins, in seconds.
        ends: Time of the last frame, in seconds; ``None`` until the source has been read to its end.
    """

    rate: Fraction
    time_base: Fraction
    sound: Path | None
    begins: float
    start: float
    ends: float | None


class VideoSink:
    """Writes the frames of a video with their faces drawn; the complete file appears at the end if there was a frame.

    The sound is copied as far as there are frames; if the source was read to its end, the sound is copied to its end
    too. If the sound causes an error, the video is written without it or without the rest of it.

    Args:
        path: Path of the video; the suffix names the container, one of :data:`CODECS`.
        timing: The source, or an object with its properties.

    Raises:
        OutputError: The suffix does not name a container, or the file cannot be written.
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
        """Copy the sound up to a time, or to its end; an error in the sound must not stop the video."""
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
        """Remove the temporary file, unless it has already replaced the output."""
        self._stack.__exit__(_Abandoned, _Abandoned(), None)


class _Abandoned(Exception):  # noqa: N818
    """Makes the context of the temporary file remove it."""


class _Sound:
    """Copies the packets of an audio stream as far as the frames have come."""

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
        """Open the sound; ``None``, with a warning on errors, if there is none or the container cannot hold it."""
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
        """Copy the packets before a time, or all of them."""
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
        """Close the file that the sound comes from."""
        self._source.close()

    def _set_times(self, packets: Iterator[Packet[AudioStream]]) -> Iterator[Packet[AudioStream]]:
        """Shift the packets to the frames' times, from 0 on; if the clock is set back, the times continue."""
        shift: int | None = None
        last = 0
        for packet in packets:
            if packet.pts is None or not packet.size:  # the last packet is empty
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
    """Write the first packet of the sound to memory; some errors only show when a container is closed.

    Raises:
        Exception: A container of this kind cannot hold the sound.
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
    """Fit an image to the size of the video.

    Codecs need even sides, so the last row or column is repeated. An image of a quite different size, as can occur
    within a broadcast, is scaled to fit and placed on black.
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
