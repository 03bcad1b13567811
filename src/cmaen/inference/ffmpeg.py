"""The only module that reads with FFmpeg (through PyAV), and the meanings of its errors.

PyAV raises errors of many kinds, including Python's own for cases that it did not foresee, such as an ``IndexError`` if
a stream begins in the middle of a file. Callers of PyAV therefore guard the call, see :func:`cmaen.errors.guard`, and
are told of any error that ends a stream, see :func:`packets_of`.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream
from numpy.typing import NDArray

from cmaen.types import Image

log = logging.getLogger(__name__)

_DEFAULT, _STILL = 1, (1 << 10) | (1 << 11) | (1 << 20)
"""Bits of a stream's disposition: FFmpeg's ``AV_DISPOSITION_DEFAULT``; covers, thumbnails and still pictures."""
_FREED_TWICE = frozenset({"apng", "png"})
"""Decoders whose side data (the name of a colour profile) both PyAV and FFmpeg free; they have no display matrix."""
_MOST_STRETCH = 8
"""Largest pixel aspect ratio that is applied; a container that asks for more is wrong."""


def reason(problem: Exception) -> str:
    """Explain an error of FFmpeg or PyAV, without its number and without the name of a function."""
    if isinstance(problem, IndexError):
        return "another of its streams begins too late to be recognised"
    if isinstance(problem, av.error.InvalidDataError):
        return "its data are damaged, or of a format that FFmpeg does not know"
    if isinstance(problem, av.error.EOFError):
        return "it ends too early"
    return getattr(problem, "strerror", None) or str(problem) or type(problem).__name__


def open_input(where: str | Path, *, timeout: float | None = None) -> InputContainer:
    """Open a file or an address for reading; invalid characters in its metadata are replaced."""
    return av.open(str(where), metadata_errors="replace", timeout=timeout)


def choose_video(container: InputContainer) -> VideoStream | None:
    """Choose the video stream: neither covers nor thumbnails, and only what FFmpeg can decode.

    The container's default stream is chosen unless another has more than twice as many pixels, because many containers
    mark the first stream even if it is a preview. With several defaults or none, the stream with the most pixels is
    chosen.
    """
    streams = [
        stream for stream in container.streams.video if stream.codec_context is not None and not _is(stream, _STILL)
    ]
    most = max((_pixels(stream) for stream in streams), default=0)

    def rank(stream: VideoStream) -> tuple[bool, int]:
        return _is(stream, _DEFAULT) and 2 * _pixels(stream) >= most, _pixels(stream)

    return max(streams, key=rank, default=None)


def choose_audio(container: InputContainer) -> AudioStream | None:
    """Choose the audio stream: the default one, otherwise the first."""
    return max(container.streams.audio, key=lambda stream: _is(stream, _DEFAULT), default=None)


def packets_of(
    container: InputContainer, stream: Stream, *, early: Callable[[Exception], None]
) -> Iterator[Packet[Any]]:
    """Yield the packets of a stream as far as it can be read; an error before its end is passed to ``early``."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except Exception as problem:
            early(problem)
            return
        yield packet


def left_in(stream: VideoStream) -> list[av.VideoFrame]:
    """Return the frames that the decoder still holds after the last packet."""
    with suppress(Exception):  # nothing is left, and some decoders have already been flushed
        return stream.decode(None)
    return []


def pixel_ratio(stream: VideoStream) -> Fraction:
    """Return the width of a pixel relative to its height; 1 if the container gives no sensible value."""
    ratio = stream.sample_aspect_ratio
    if ratio is None or not Fraction(1, _MOST_STRETCH) <= ratio <= _MOST_STRETCH:
        return Fraction(1)
    return Fraction(ratio)


def matrix_of(picture: av.VideoFrame, stream: VideoStream) -> NDArray[np.int32] | None:
    """Read the display matrix of a decoded frame, int32 [9], see :func:`apply_display_matrix`.

    Call it rarely: reading the side data puts the frame into a reference cycle, so that it stays in memory until the
    garbage collector runs.
    """
    if stream.codec_context.name in _FREED_TWICE:
        return None
    matrix: Any = picture.side_data.get("DISPLAYMATRIX")
    return None if matrix is None else np.frombuffer(bytes(matrix), np.int32)


def pixels_of(picture: av.VideoFrame, ratio: Fraction, matrix: NDArray[np.int32] | None = None) -> Image:
    """Convert a decoded frame as a player shows it: with square pixels, rotated and mirrored as its container says.

    Args:
        picture: Decoded frame.
        ratio: Width of its pixels relative to their height; the shorter side of a pixel is stretched.
        matrix: Display matrix of the frame, if it has one.

    Returns:
        RGB uint8 [H, W, 3], contiguous.
    """
    width, height = picture.width, picture.height
    if ratio > 1:
        width = round(width * ratio)
    elif ratio < 1:
        height = round(height / ratio)
    image = np.asarray(picture.to_ndarray(format="rgb24", width=width, height=height), np.uint8)
    if matrix is not None:
        image = apply_display_matrix(image, matrix)
    return np.ascontiguousarray(image)


def apply_display_matrix(image: Image, matrix: NDArray[np.int32]) -> Image:
    """Rotate and mirror an image as its display matrix says, to the nearest quarter turn.

    Args:
        image: RGB uint8 [H, W, 3].
        matrix: ``a b u c d v x y w``, int32 [9]; only ``x' = a x + c y`` and ``y' = b x + d y`` are applied.

    Returns:
        RGB uint8 [H, W, 3] or [W, H, 3].
    """
    a, b, _, c, d, *_ = (int(value) for value in matrix)
    across, down = a, d
    if abs(a) + abs(d) < abs(b) + abs(c):
        image = image.transpose(1, 0, 2)  # [H, W, 3] -> [W, H, 3]
        across, down = c, b
    return image[:: -1 if down < 0 else 1, :: -1 if across < 0 else 1]


def explain_unopened(where: str | Path, problem: Exception, *, live: bool) -> str:
    """Explain why a video cannot be opened, and what to do."""
    name = str(where)
    if live:
        if isinstance(problem, av.error.InvalidDataError):
            return "the address does not lead to a video; the video on a web page has an address of its own"
        return reason(problem)
    path = Path(where)
    if name.isdecimal() or name.startswith("/dev/video"):
        index = name.removeprefix("/dev/video") or "0"
        return f"there is no such file; a webcam is --real-time --camera-index {index}, or video({index}) in Python"
    with suppress(OSError, ValueError):
        if path.is_dir():
            return "it is a folder; use --directory for the images of a folder"
        if not path.exists():
            return f"there is no such file{' (the link is broken)' if path.is_symlink() else ''}; check the path"
        if not os.access(path, os.R_OK):
            return "there is no permission to read the file; check its permissions"
        if path.is_file() and path.stat().st_size == 0:
            return "the file is empty; copy or download it again"
    if getattr(problem, "errno", None) == errno.ENOENT:
        return "there is no such file; check the path"
    if isinstance(problem, av.error.InvalidDataError | av.error.EOFError):
        return (
            "FFmpeg cannot read it as a video, or it is incomplete: an .mp4 or .mov without its end cannot be read; "
            "copy or download it again"
        )
    return reason(problem)


def _is(stream: Stream, what: int) -> bool:
    """Whether a stream's disposition has any of these bits; older versions of PyAV give flags that are not numbers."""
    return bool(int(getattr(stream.disposition, "value", stream.disposition)) & what)


def _pixels(stream: VideoStream) -> int:
    return stream.codec_context.width * stream.codec_context.height
