"""Containers made by code with PyAV, friendly and hostile, and what this package sees in them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from cmaen.inference.sources import Excerpt, open_source
from cmaen.results import Result
from cmaen.types import Frame

av = pytest.importorskip("av")

from cmaen.inference.sinks.video import VideoSink  # noqa: E402

RATE = 25
UNIT = 1 << 16


def matrix_of(a: int, b: int, c: int, d: int) -> list[int]:
    """A display matrix of whole numbers, as FFmpeg keeps it."""
    return [a * UNIT, b * UNIT, 0, c * UNIT, d * UNIT, 0, 0, 0, 1 << 30]


def counted(number: int, height: int = 64, width: int = 96) -> np.ndarray:
    """A picture that tells its number, of up to 255, by eight black or white fields."""
    image = np.full((height, width, 3), 128, np.uint8)
    for bit in range(8):
        left = bit * width // 8
        image[: height // 2, left : left + width // 8] = 235 if number >> bit & 1 else 16
    return image


FILM = [counted(number) for number in range(40)]


def number_of(image: np.ndarray) -> int:
    """The number that a picture tells."""
    height, width = image.shape[:2]
    middles = [(2 * bit + 1) * width // 16 for bit in range(8)]
    return sum((image[height // 4, middle].mean() > 128) << bit for bit, middle in enumerate(middles))


def write(
    path: Path,
    pictures: Sequence[np.ndarray],
    *,
    times: Sequence[float] | None = None,
    rate: Fraction | int = RATE,
    codec: str = "libx264",
    ratio: Fraction | None = None,
    matrix: Sequence[int] | None = None,
    preview: tuple[int, int] | None = None,
    default: int | None = None,
    options: dict[str, str] | None = None,
    sound: tuple[float, float] | None = None,
) -> Path:
    """A film; if they are given, with a green preview as its first stream, and a tone from one second to another."""
    height, width = pictures[0].shape[:2]
    sizes = [*([preview] if preview else []), (width, height)]
    unit = Fraction(1, RATE) if codec == "mpeg2video" else Fraction(1, 1000)
    with av.open(str(path), "w") as container:
        streams = []
        for place, size in enumerate(sizes):
            stream = container.add_stream(codec, rate=rate)
            stream.width, stream.height = size
            stream.pix_fmt, stream.options = "yuv420p", options or {"crf": "12"}
            stream.codec_context.time_base = unit
            if ratio is not None:
                stream.codec_context.sample_aspect_ratio = ratio
            if matrix is not None:
                stream.set_display_matrix(matrix)
            if default == place:
                stream.disposition = 1
            streams.append(stream)
        tune = container.add_stream("aac", rate=16000) if sound else None
        for number, picture in enumerate(pictures):
            for stream in streams:
                if stream is streams[-1]:
                    pixels = picture
                else:
                    pixels = np.zeros((stream.height, stream.width, 3), np.uint8)
                    pixels[..., 1] = 200
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
                moment = number / float(rate) if times is None else times[number]
                frame.pts, frame.time_base = round(moment / unit), unit
                container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode())
        if tune is not None:
            first, last = sound
            wave = np.sin(np.arange(int(16000 * (last - first))) / 10).astype(np.float32)[None]
            tone = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
            tone.sample_rate, tone.pts, tone.time_base = 16000, round(16000 * first), Fraction(1, 16000)
            container.mux(tune.encode(tone))
            container.mux(tune.encode())
    return path


def broadcast(path: Path) -> Path:
    """A transport stream of 450 frames whose sound exists only in its middle, where FFmpeg does not look for it."""
    rng = np.random.default_rng(0)
    grain = [rng.integers(0, 255, (64, 96, 3), dtype=np.uint8) for _ in range(7)]
    content = b""
    for first, count, sound in ((0, 250, None), (250, 50, (10.0, 12.0)), (300, 150, None)):
        part = path.with_suffix(f".{first}.ts")
        times = [(first + number) / RATE for number in range(count)]
        pictures = [grain[number % 7] for number in range(count)]
        write(part, pictures, times=times, codec="mpeg2video", options={"g": "5", "b": "2M"}, sound=sound)
        content += part.read_bytes()
        part.unlink()
    path.write_bytes(content)
    return path


def frames_of(path: Path, excerpt: Excerpt | None = None, since: float | None = None) -> list[Frame]:
    with closing(open_source("video", path, excerpt=excerpt, since=since)) as source:
        return [pending() for pending in source]


def numbers_of(path: Path, excerpt: Excerpt | None = None) -> list[int]:
    return [number_of(frame.image) for frame in frames_of(path, excerpt)]


def copied(path: Path, target: Path, excerpt: Excerpt | None = None, *, until: int | None = None) -> Path:
    """The video written anew, up to a number of frames."""
    source = open_source("video", path, excerpt=excerpt)
    sink = VideoSink(target, source)
    try:
        for pending in itertools.islice(source, until):
            frame = pending()
            sink.write(Result(frame), frame.image)
        sink.finish()
    finally:
        sink.close()
        source.close()
    return target


def seconds_of_sound(path: Path) -> float:
    with av.open(str(path)) as container:
        return sum(frame.samples for frame in container.decode(audio=0)) / 16000 if container.streams.audio else 0.0
