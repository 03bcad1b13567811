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
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream

from cmaen.errors import OutputError
from cmaen.files import replacing, unwritable
from cmaen.inference.sinks import Needs
from cmaen.types import Image, Result

CODECS = {".avi": "mpeg4"} | dict.fromkeys((".m4v", ".mkv", ".mov", ".mp4"), "libx264")
"""By the suffix of the file; an ``.avi`` holds frames at a constant rate only."""

log = logging.getLogger(__name__)


class Timing(Protocol):
    """What a video takes over from its source.

    Attributes:
        rate: Frames a second, for players that ask.
        time_base: The unit of the frames' times, in seconds.
        sound: A video whose first audio stream is copied; ``None`` for silence.
        begins: What the sound's clock shows where the frames' times are 0, in seconds.
    """

    rate: Fraction
    time_base: Fraction
    sound: Path | None
    begins: float


class VideoSink:
    """Writes the frames of a video with their faces drawn; the file appears at the end, whole, if there was a frame.

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
        self._stack = ExitStack()
        temporary = self._stack.enter_context(replacing(path))
        try:
            self._container: OutputContainer = av.open(str(temporary), "w")
        except (FFmpegError, OSError, ValueError) as error:
            self._abandon()
            raise OutputError(f"{path} cannot be written as a video: {error}") from error

    def write(self, result: Result, drawn: Image | None) -> None:
        """See :class:`~cmaen.inference.sinks.Sink`."""
        time = result.frame.time
        if drawn is None or time is None:
            return
        try:
            stream = self._stream or self._begin(drawn)
            picture = av.VideoFrame.from_ndarray(_even(drawn), format="rgb24")
            self._last = max(self._last + 1, round(time / self._time_base))
            picture.pts, picture.time_base = self._last, self._time_base
            self._container.mux(stream.encode(picture))
            if self._sound is not None:
                self._sound.copy_until(time)
        except (FFmpegError, OSError, ValueError) as error:
            raise unwritable(self.path, error) from error

    def finish(self) -> None:
        """See :class:`~cmaen.inference.sinks.Sink`."""
        if self._stream is None:
            self.close()
            return
        try:
            self._container.mux(self._stream.encode())
            if self._sound is not None:
                self._sound.copy_until(None)
            self._let_go()
        except (FFmpegError, OSError) as error:
            raise unwritable(self.path, error) from error
        self._stack.close()

    def close(self) -> None:
        """See :class:`~cmaen.inference.sinks.Sink`."""
        try:
            self._let_go()
        except (FFmpegError, OSError) as error:
            log.debug("%s: %s", self.path, error)
        self._abandon()

    def _begin(self, image: Image) -> VideoStream:
        codec = CODECS[self.path.suffix.lower()]
        stream = self._container.add_stream(codec, rate=self._timing.rate)
        assert isinstance(stream, VideoStream)
        stream.height, stream.width = (side + side % 2 for side in image.shape[:2])
        stream.pix_fmt = "yuv420p"
        if codec == "mpeg4":
            stream.codec_context.bit_rate = 6_000_000
            self._time_base = 1 / self._timing.rate
        else:
            stream.options = {"preset": "veryfast", "crf": "20"}
        stream.codec_context.time_base = self._time_base
        if self._timing.sound is not None:
            self._sound = _Sound.of(self._timing.sound, self._container, begins=self._timing.begins)
        self._stream = stream
        return stream

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
        self._packets = self._readable(source.demux(stream))
        self._next: av.Packet[AudioStream] | None = None

    @classmethod
    def of(cls, path: Path, container: OutputContainer, *, begins: float) -> _Sound | None:
        """``None``, with a word of warning, where there is no sound or the container cannot hold it."""
        source = av.open(str(path))
        try:
            if source.streams.audio:
                _try_sound(path, container.format.name)
                stream = source.streams.audio[0]
                target = container.add_stream_from_template(stream)
                return cls(path, source, stream, target, container, begins=begins)
        except (FFmpegError, ValueError) as error:
            log.warning("the sound of %s is left out: %s", path, error)
        source.close()
        return None

    def copy_until(self, time: float | None) -> None:
        """Copy what comes before a time, or everything."""
        while True:
            self._next = self._next or next(self._packets, None)
            packet = self._next
            if packet is None or packet.dts is None:  # the end
                return
            if time is not None and packet.pts is not None and float(packet.pts * packet.time_base) > time:
                return
            packet.stream = self._target
            self._container.mux(packet)
            self._next = None

    def close(self) -> None:
        """Let go of the file that the sound comes from."""
        self._source.close()

    def _readable(self, packets: Iterator[av.Packet[AudioStream]]) -> Iterator[av.Packet[AudioStream]]:
        """The packets, at the frames' times, up to where the file is cut short, if it is."""
        try:
            for packet in packets:
                if packet.dts is not None and packet.pts is not None:
                    begins = round(self._begins / packet.time_base)
                    packet.dts, packet.pts = packet.dts - begins, packet.pts - begins
                yield packet
        except FFmpegError as error:
            log.warning("the sound of %s ends early: %s", self._path, error)


def _try_sound(path: Path, container: str) -> None:
    """Write the first packet of the sound to nowhere; what is wrong with it may only show when a container is closed.

    Raises:
        FFmpegError, ValueError: A container of this kind cannot hold it.
    """
    with av.open(str(path)) as source, av.open(io.BytesIO(), "w", format=container) as target:
        stream = source.streams.audio[0]
        packet = next(source.demux(stream))
        packet.stream = target.add_stream_from_template(stream)
        target.mux(packet)


def _even(image: Image) -> Image:
    """With even sides, which the codecs need; the last row or column is repeated."""
    height, width = image.shape[:2]
    if height % 2 or width % 2:
        image = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    return image
