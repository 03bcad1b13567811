"""Videos: frames in with their exact times, faces with identities and smoothed emotions out, frames and sound written.

PyAV (FFmpeg) reads and writes, so any file or stream that FFmpeg opens will do, a variable frame rate is kept, and
sound is copied as it is. Memory does not grow with the length.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
from av.error import FFmpegError

from cmaen.errors import OutputError, VideoError
from cmaen.inference.predictor import EmotionPredictor
from cmaen.inference.tracking import FaceTracker
from cmaen.types import FaceEmotion, Image

DETECT_EVERY = 6
JUDGE_EVERY = 2
SMOOTHING = 0.4

log = logging.getLogger(__name__)


class Frame(NamedTuple):
    """One picture of a video: its number from 0, its time in seconds, and its pixels, RGB uint8 [H, W, 3]."""

    number: int
    time: float
    image: Image


@dataclass(frozen=True, slots=True)
class TrackedFace:
    """A face of a frame: who it is, counted from 1, and its smoothed emotion."""

    identity: int
    face: FaceEmotion

    def as_dict(self) -> dict[str, Any]:
        """A plain dict, ready for JSON."""
        return {"identity": self.identity, **self.face.as_dict()}


class AnalysedFrame(NamedTuple):
    """A frame, and its faces as :meth:`TrackedFace.as_dict` gives them: plain dicts, ready for JSON."""

    number: int
    time: float
    image: Image
    faces: list[dict[str, Any]]


class VideoAnalyser:
    """Finds, follows and judges the faces of one video, frame by frame.

    Args:
        predictor: Finds faces and judges them.
        detect_every: Frames from one search for faces to the next; between them the optical flow follows.
        judge_every: Frames from one answer of the network to the next, for each face.
        smoothing: Seconds after which an old answer counts 1/e; 0 switches the smoothing off.
    """

    def __init__(
        self,
        predictor: EmotionPredictor,
        *,
        detect_every: int = DETECT_EVERY,
        judge_every: int = JUDGE_EVERY,
        smoothing: float = SMOOTHING,
    ) -> None:
        self.predictor = predictor
        self.detect_every = detect_every
        self.judge_every = judge_every
        self.smoothing = smoothing
        self._tracker = FaceTracker()
        self._frames = 0

    def __call__(self, image: Image, time: float) -> tuple[TrackedFace, ...]:
        """The faces of the next frame, RGB uint8 [H, W, 3], ``time`` in seconds."""
        if self._frames % self.detect_every == 0:
            tracks = self._tracker.detected(image, self.predictor.locate(image), time)
        else:
            tracks = self._tracker.followed(image)
        due = [track for track in tracks if track.probabilities is None or self._frames % self.judge_every == 0]
        answers = self.predictor.classify([self.predictor.crop(image, track.face) for track in due])
        for track, probabilities in zip(due, answers, strict=True):
            track.judge(probabilities, time, self.smoothing)
        self._frames += 1
        return tuple(
            TrackedFace(track.number, FaceEmotion(tuple(track.probabilities.tolist()), track.face))
            for track in tracks
            if track.probabilities is not None
        )


class VideoReader:
    """The frames of a video file or stream, upright, one after the other; a broken one loses only itself.

    Args:
        source: A path, or an address that FFmpeg understands.

    Attributes:
        broken: How many packets could not be decoded so far.

    Raises:
        VideoError: It cannot be opened, or holds no video.
    """

    def __init__(self, source: str | Path) -> None:
        try:
            self._container = av.open(str(source))
        except (FFmpegError, OSError, ValueError) as error:
            raise VideoError(f"{source} cannot be opened as a video: {error}") from error
        if not self._container.streams.video:
            raise VideoError(f"{source} holds no video")
        self.source = source
        self.broken = 0
        self._stream = self._container.streams.video[0]
        self._stream.thread_type = "AUTO"

    @property
    def rate(self) -> Fraction:
        """Frames a second on average."""
        return Fraction(self._stream.average_rate or self._stream.guessed_rate or 25)

    @property
    def time_base(self) -> Fraction:
        """The unit of the frames' times, in seconds."""
        return Fraction(self._stream.time_base or Fraction(1, 1000))

    @property
    def frames(self) -> int | None:
        """How many there are, if the file says so."""
        return self._stream.frames or None

    def __iter__(self) -> Iterator[Frame]:
        number = 0
        for packet in self._packets():
            try:
                decoded = packet.decode()
            except FFmpegError:
                self.broken += 1
                continue
            for frame in decoded:
                time = frame.time if frame.time is not None else number / float(self.rate)
                turned = np.rot90(frame.to_ndarray(format="rgb24"), round(frame.rotation / 90) % 4)
                yield Frame(number, time, np.ascontiguousarray(turned))
                number += 1
        if number == 0:
            raise VideoError(f"{self.source} holds no frame that can be decoded")
        if self.broken:
            log.warning("%s: %d broken packets were left out", self.source, self.broken)

    def _packets(self) -> Iterator[Any]:
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except FFmpegError as error:  # the file is cut short
                log.warning("%s ends early: %s", self.source, error)
                return
            yield packet

    def close(self) -> None:
        """Let go of the file."""
        self._container.close()


class VideoWriter:
    """Writes frames at their own times; leaving the ``with`` block ends the file properly.

    Args:
        path: The suffix names the container: ``.mp4``, ``.mkv``, ``.mov`` or ``.avi``.
        rate: Frames a second on average.
        time_base: Unit of the frames' times.
        sound: A video whose first audio stream is copied.

    Raises:
        OutputError: The file cannot be written.
    """

    def __init__(
        self, path: Path, *, rate: int | Fraction, time_base: Fraction, sound: str | Path | None = None
    ) -> None:
        self.path = path
        self._time_base = time_base
        self._sound = sound
        self._rate = rate
        try:
            self._container = av.open(str(path), "w")
        except (FFmpegError, OSError, ValueError) as error:
            raise OutputError(f"{path} cannot be written as a video: {error}") from error
        self._stream: Any = None
        self._last = -1
        self._audio: _Sound | None = None

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            if self._stream is not None:
                for packet in self._stream.encode():
                    self._container.mux(packet)
            if self._audio is not None:
                self._audio.copy_until(None)
        except (FFmpegError, OSError) as error:
            raise OutputError(f"{self.path} cannot be written: {error}") from error
        finally:
            self._container.close()

    def write(self, frame: Frame) -> None:
        """Write one frame, after those that come before it.

        Raises:
            OutputError: The disk is full.
        """
        if self._stream is None:
            self._begin(frame.image)
        picture = av.VideoFrame.from_ndarray(self._even(frame.image), format="rgb24")
        stamp = max(self._last + 1, round(frame.time / self._time_base))
        picture.pts, picture.time_base, self._last = stamp, self._time_base, stamp
        try:
            for packet in self._stream.encode(picture):
                self._container.mux(packet)
            if self._audio is not None:
                self._audio.copy_until(frame.time)
        except (FFmpegError, OSError) as error:
            raise OutputError(f"{self.path} cannot be written: {error}") from error

    def _begin(self, image: Image) -> None:
        codec = "mpeg4" if self.path.suffix.lower() == ".avi" else "libx264"
        self._stream = self._container.add_stream(codec, rate=self._rate)
        self._stream.height, self._stream.width = (side + side % 2 for side in image.shape[:2])
        self._stream.pix_fmt = "yuv420p"
        if codec == "libx264":
            self._stream.codec_context.time_base = self._time_base
            self._stream.options = {"preset": "veryfast", "crf": "20"}
        else:
            self._stream.codec_context.bit_rate = 6_000_000
            self._time_base = 1 / Fraction(self._rate)  # an AVI has no finer one
            self._stream.codec_context.time_base = self._time_base
        if self._sound is not None:
            self._audio = _Sound.of(self._sound, self._container)

    @staticmethod
    def _even(image: Image) -> Image:
        """With even sides, which the codecs need; the last row or column is repeated."""
        height, width = image.shape[:2]
        if height % 2 or width % 2:
            image = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        return image


class _Sound:
    """Copies the packets of an audio stream, as far as the pictures have come."""

    def __init__(self, source: Any, stream: Any, target: Any, container: Any) -> None:
        self._source, self._target, self._container = source, target, container
        self._packets = source.demux(stream)
        self._next: Any = None

    @classmethod
    def of(cls, path: str | Path, container: Any) -> _Sound | None:
        """``None``, with a word of warning, where there is no sound or the container cannot hold it."""
        source = av.open(str(path))
        if not source.streams.audio:
            return None
        stream = source.streams.audio[0]
        try:
            target = container.add_stream_from_template(stream)
        except (FFmpegError, ValueError) as error:
            log.warning("the sound of %s is left out: %s", path, error)
            return None
        return cls(source, stream, target, container)

    def copy_until(self, time: float | None) -> None:
        """Copy what comes before a time, or everything."""
        while True:
            if self._next is None:
                self._next = next(self._packets, None)
            packet = self._next
            if packet is None or packet.dts is None:  # the end
                return
            if time is not None and packet.pts is not None and float(packet.pts * packet.time_base) > time:
                return
            packet.stream = self._target
            self._container.mux(packet)
            self._next = None
