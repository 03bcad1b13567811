"""The one door to FFmpeg (by PyAV): what it is asked, and what its errors mean.

They are of many kinds, also Python's own for what PyAV did not foresee, like an ``IndexError`` where a stream begins in
the middle of a file. Who calls PyAV therefore guards the call, see :mod:`cmaen.inference.guard`, and is told of any
error that ends a stream, see :func:`packets_of`.
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
"""What a stream is for, as bits: FFmpeg's ``AV_DISPOSITION_DEFAULT``; covers, thumbnails and still pictures."""
_FREED_TWICE = frozenset({"apng", "png"})
"""Decoders whose side data (the name of a colour profile) PyAV frees, and FFmpeg once more; they know no matrix."""
_MOST_STRETCH = 8
"""Pixels are not stretched further: a container that asks for more is wrong."""


def reason(problem: Exception) -> str:
    """What an error of FFmpeg or PyAV means, without its number and without the name of a function."""
    if isinstance(problem, IndexError):
        return "another of its streams begins too late to be recognised"
    if isinstance(problem, av.error.InvalidDataError):
        return "its data are damaged, or of a format that FFmpeg does not know"
    if isinstance(problem, av.error.EOFError):
        return "it ends too early"
    return getattr(problem, "strerror", None) or str(problem) or type(problem).__name__


def open_input(where: str | Path, *, timeout: float | None = None) -> InputContainer:
    """Open a file or an address for reading; odd letters in its metadata do no harm."""
    return av.open(str(where), metadata_errors="replace", timeout=timeout)


def choose_video(container: InputContainer) -> VideoStream | None:
    """The stream to look at: no cover, no thumbnails, and none that FFmpeg cannot decode.

    That is the one which the container has marked as its default, unless another has more than twice as many pixels
    (many containers mark the first one, even if it is a preview); of several or none, the one with the most pixels.
    """
    streams = [
        stream for stream in container.streams.video if stream.codec_context is not None and not _is(stream, _STILL)
    ]
    most = max((_pixels(stream) for stream in streams), default=0)

    def rank(stream: VideoStream) -> tuple[bool, int]:
        return _is(stream, _DEFAULT) and 2 * _pixels(stream) >= most, _pixels(stream)

    return max(streams, key=rank, default=None)


def choose_audio(container: InputContainer) -> AudioStream | None:
    """The stream to listen to: the default one, else the first."""
    return max(container.streams.audio, key=lambda stream: _is(stream, _DEFAULT), default=None)


def packets_of(
    container: InputContainer, stream: Stream, *, early: Callable[[Exception], None]
) -> Iterator[Packet[Any]]:
    """The packets of a stream as far as it can be read; what ends it before its end is handed to ``early``."""
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
    """The frames that a decoder still holds when no more packets come."""
    with suppress(Exception):  # there is nothing more, and some decoders have been asked already
        return stream.decode(None)
    return []


def pixel_ratio(stream: VideoStream) -> Fraction:
    """The width of a pixel against its height; 1 where the container says nothing that makes sense."""
    ratio = stream.sample_aspect_ratio
    if ratio is None or not Fraction(1, _MOST_STRETCH) <= ratio <= _MOST_STRETCH:
        return Fraction(1)
    return Fraction(ratio)


def matrix_of(picture: av.VideoFrame, stream: VideoStream) -> NDArray[np.int32] | None:
    """The display matrix of a picture decoded from a stream, int32 [9], see :func:`displayed`.

    To be asked seldom: a picture whose side data were looked at is in a cycle of references and stays in memory until
    Python looks for those.
    """
    if stream.codec_context.name in _FREED_TWICE:
        return None
    matrix: Any = picture.side_data.get("DISPLAYMATRIX")
    return None if matrix is None else np.frombuffer(bytes(matrix), np.int32)


def pixels_of(picture: av.VideoFrame, ratio: Fraction, matrix: NDArray[np.int32] | None = None) -> Image:
    """A decoded picture as a player shows it: of square pixels, and turned and mirrored as its container says.

    Args:
        picture: Decoded.
        ratio: The width of its pixels against their height; the shorter side of a pixel is stretched.
        matrix: Its display matrix, if it has one.

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
    """A picture turned and mirrored as its display matrix says, to the nearest quarter of a turn.

    Args:
        image: RGB uint8 [H, W, 3].
        matrix: ``a b u c d v x y w``, int32 [9], of which ``x' = a x + c y`` and ``y' = b x + d y`` are followed.

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
    """Why a video cannot be opened, and what to do."""
    name = str(where)
    if live:
        if isinstance(problem, av.error.InvalidDataError):
            return "what is there is no video; a page that shows one has another address than its video"
        return reason(problem)
    path = Path(where)
    if name.isdecimal() or name.startswith("/dev/video"):
        index = name.removeprefix("/dev/video") or "0"
        return f"there is no such file; a webcam is --real-time --camera-index {index}, or video({index}) in Python"
    with suppress(OSError, ValueError):
        if path.is_dir():
            return "it is a folder; the images of a folder are read with --directory"
        if not path.exists():
            return f"there is no such file{' (the link leads nowhere)' if path.is_symlink() else ''}; check the path"
        if not os.access(path, os.R_OK):
            return "the file may not be read; check its permissions"
        if path.is_file() and path.stat().st_size == 0:
            return "the file is empty; copy or download it again"
    if getattr(problem, "errno", None) == errno.ENOENT:
        return "there is no such file; check the path"
    if isinstance(problem, av.error.InvalidDataError | av.error.EOFError):
        return (
            "it is no video that FFmpeg knows, or it is incomplete: an .mp4 or .mov without its end cannot be read; "
            "copy or download it again"
        )
    return reason(problem)


def _is(stream: Stream, what: int) -> bool:
    """Whether a stream is one of some things, which are bits; PyAV's flags have not always been numbers."""
    return bool(int(getattr(stream.disposition, "value", stream.disposition)) & what)


def _pixels(stream: VideoStream) -> int:
    return stream.codec_context.width * stream.codec_context.height
