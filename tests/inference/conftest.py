"""Films made by code, without any of this package's own writing, and the frames that sources give."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cmaen import EmotionPredictor
from cmaen.images.reader import read_image
from cmaen.inference.sources import Source
from cmaen.types import Frame
from tests.conftest import EXAMPLES

TIMES = (0.0, 0.04, 0.08, 0.2, 0.24, 0.28, 0.5, 0.54, 0.6, 0.64, 0.9, 1.0)
RED, BLUE = (230, 20, 30), (30, 20, 230)


def picture(step: int) -> np.ndarray:
    """The astronaut, who moves to the right, uint8 [302, 322, 3]."""
    return np.ascontiguousarray(np.roll(read_image(EXAMPLES / "astronaut.png")[:302, 60:382], 2 * step, axis=1))


def plain(colour: tuple[int, int, int], height: int = 48, width: int = 64) -> np.ndarray:
    """A picture of one colour, uint8 [height, width, 3]."""
    return np.full((height, width, 3), colour, np.uint8)


def write_film(
    path: Path,
    pictures: Sequence[np.ndarray],
    *,
    times: Sequence[float] | None = None,
    sound: float = 0.0,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
) -> Path:
    """A film of pictures with even sides, at 25 a second or at their times, with so many seconds of sound."""
    av = pytest.importorskip("av")
    times = [number / 25 for number in range(len(pictures))] if times is None else times
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt, stream.options = "yuv420p", options or {"crf": "12"}
        tune = container.add_stream("aac", rate=16000) if sound else None
        unit = Fraction(1, 25) if codec == "mpeg2video" else Fraction(1, 1000)
        stream.codec_context.time_base = unit
        for time, pixels in zip(times, pictures, strict=True):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            frame.pts, frame.time_base = round(time / unit), unit
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if tune is not None:
            wave = np.sin(np.arange(int(16000 * sound)) / 10).astype(np.float32)[None]
            tone = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
            tone.sample_rate, tone.pts = 16000, 0
            container.mux(tune.encode(tone))
            container.mux(tune.encode())
    return path


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve frames at uneven times, in which one face moves, and a second of sound."""
    path = tmp_path_factory.mktemp("films") / "film.mp4"
    return write_film(path, [picture(step) for step in range(len(TIMES))], times=TIMES, sound=1.0)


@pytest.fixture(scope="session")
def astronaut() -> np.ndarray:
    """uint8 [512, 512, 3], with one face."""
    return read_image(EXAMPLES / "astronaut.png")


@pytest.fixture(scope="session")
def predictor() -> EmotionPredictor:
    """The shipped weights and detector."""
    return EmotionPredictor()


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A face, a wall, and a file that is no picture."""
    folder = tmp_path / "pictures"
    (folder / "below").mkdir(parents=True)
    shutil.copy(EXAMPLES / "astronaut.png", folder / "below" / "face.png")
    Image.fromarray(plain(RED)).save(folder / "wall.png")
    (folder / "text.jpg").write_text("text")
    return folder


@pytest.fixture
def output(tmp_path: Path) -> Path:
    folder = tmp_path / "output"
    folder.mkdir()
    return folder


def frames_of(source: Source) -> list[Frame]:
    """Read a source to its end."""
    with closing(source):
        return [pending() for pending in source]
