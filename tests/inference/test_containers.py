"""What containers say about their pictures: turned, stretched, at odd times, beside other streams."""

from __future__ import annotations

import gc
import itertools
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PILImage
from PIL import ImageCms

from cmaen.errors import VideoError
from cmaen.results import Result
from cmaen.types import Frame
from tests.inference.conftest import picture, plain

av = pytest.importorskip("av")

from cmaen.inference import ffmpeg  # noqa: E402
from cmaen.inference.sinks.video import VideoSink  # noqa: E402
from cmaen.inference.sources.video import VideoSource  # noqa: E402
from tests.inference.films import (  # noqa: E402
    FILM,
    copied,
    frames_of,
    matrix_of,
    number_of,
    numbers_of,
    seconds_of_sound,
    write,
)

MATRICES = {
    "nothing": ((1, 0, 0, 1), lambda image: image),
    "a quarter": ((0, 1, -1, 0), lambda image: np.rot90(image, -1)),
    "a half": ((-1, 0, 0, -1), lambda image: np.rot90(image, 2)),
    "three quarters": ((0, -1, 1, 0), lambda image: np.rot90(image, 1)),
    "left is right": ((-1, 0, 0, 1), lambda image: image[:, ::-1]),
    "upside down": ((1, 0, 0, -1), lambda image: image[::-1]),
    "rows are columns": ((0, 1, 1, 0), lambda image: image.transpose(1, 0, 2)),
    "rows are columns, turned": ((0, -1, -1, 0), lambda image: np.rot90(image, 2).transpose(1, 0, 2)),
    "a matrix of nothing": ((0, 0, 0, 0), lambda image: image),
}


@pytest.mark.parametrize("name", MATRICES)
@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_a_video_is_turned_and_mirrored_as_its_matrix_says(name: str, suffix: str, tmp_path: Path) -> None:
    values, expected = MATRICES[name]
    path = write(tmp_path / f"film{suffix}", [picture(0)] * 2, matrix=matrix_of(*values))
    for frame in frames_of(path):
        seen = expected(picture(0))
        assert frame.image.shape == seen.shape
        assert frame.image.flags.c_contiguous
        assert np.abs(frame.image.astype(int) - seen).mean() < 4


def test_a_matrix_that_turns_by_no_quarter_is_taken_for_the_nearest() -> None:
    image = picture(0)
    for degrees, turns in ((7, 0), (-30, 0), (80, -1), (100, -1), (185, 2), (-95, 1)):
        angle = np.radians(degrees)
        matrix = np.array([np.cos(angle), np.sin(angle), 0, -np.sin(angle), np.cos(angle), 0, 0, 0, 1]) * (1 << 16)
        assert np.array_equal(ffmpeg.apply_display_matrix(image, matrix.astype(np.int32)), np.rot90(image, turns)), (
            degrees
        )


@pytest.mark.parametrize(
    ("ratio", "width", "height"), [("2", 192, 64), ("1/2", 96, 128), ("16/15", 102, 64), ("1", 96, 64), ("64", 96, 64)]
)
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_pixels_become_square_and_a_video_written_anew_keeps_its_shape(
    ratio: str, width: int, height: int, suffix: str, tmp_path: Path
) -> None:
    path = write(tmp_path / f"film{suffix}", FILM[:5], ratio=Fraction(ratio))
    frames = frames_of(path)
    assert {frame.image.shape for frame in frames} == {(height, width, 3)}
    assert [number_of(frame.image) for frame in frames] == list(range(5))
    with av.open(str(copied(path, tmp_path / f"new{suffix}"))) as container:
        stream = container.streams.video[0]
        shape = Fraction(stream.width, stream.height) * (stream.sample_aspect_ratio or 1)
    assert float(shape) == pytest.approx(width / height, rel=0.02)


def test_a_frame_is_let_go_at_once_whatever_its_matrix(tmp_path: Path) -> None:
    """PyAV's frames are in a cycle with their side data once these are looked at."""
    path = write(tmp_path / "film.mp4", [picture(0)] * 12, matrix=matrix_of(-1, 0, 0, 1))
    gc.collect()
    gc.disable()
    try:
        assert len(frames_of(path)) == 12
        kept = [one for one in gc.get_objects() if type(one).__name__ == "SideDataContainer"]
    finally:
        gc.enable()
    assert len(kept) <= 1


@pytest.mark.parametrize("suffix", [".png", ".apng", ".jpg", ".webp"])
def test_a_picture_with_a_colour_profile_is_a_film_of_one_frame(suffix: str, tmp_path: Path) -> None:
    """In a process of its own: where PyAV frees the profile's name twice, it is the process that ends."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    kind = "PNG" if suffix == ".apng" else None
    PILImage.fromarray(picture(0)).save(tmp_path / f"film{suffix}", kind, icc_profile=profile)
    count = (
        "import gc, sys; from contextlib import closing; from cmaen.inference.sources.video import VideoSource\n"
        "with closing(VideoSource(sys.argv[1])) as film: print(len([pending() for pending in film]))\n"
        "del film; gc.collect()"
    )
    command = [sys.executable, "-c", count, str(tmp_path / f"film{suffix}")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr


def test_wide_pixels_of_a_video_that_was_filmed_upright(tmp_path: Path) -> None:
    path = write(tmp_path / "film.mp4", FILM[:2], ratio=Fraction(2), matrix=matrix_of(0, 1, -1, 0))
    assert {frame.image.shape for frame in frames_of(path)} == {(192, 64, 3)}  # 192 x 64, and then turned


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov", ".ts", ".avi"])
def test_the_best_of_several_streams_is_read(suffix: str, tmp_path: Path) -> None:
    path = write(tmp_path / f"film{suffix}", FILM[:5], preview=(32, 32))
    assert numbers_of(path) == list(range(5))


@pytest.mark.parametrize(("default", "width"), [(0, 96), (1, 80)])
def test_of_two_streams_of_about_the_same_size_the_default_one_is_read(
    default: int, width: int, tmp_path: Path
) -> None:
    path = write(tmp_path / "film.mkv", [plain((200, 0, 0), 64, 80)] * 3, preview=(96, 64), default=default)
    assert {frame.image.shape[1] for frame in frames_of(path)} == {width}


def test_covers_are_no_video(tmp_path: Path) -> None:
    path = tmp_path / "song.mp4"
    with av.open(str(path), "w") as container:
        tune, cover = container.add_stream("aac", rate=16000), container.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 640, 480, "yuvj420p"
        cover.disposition = 1 << 10
        tone = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), format="fltp", layout="mono")
        tone.sample_rate, tone.pts = 16000, 0
        container.mux(cover.encode(av.VideoFrame.from_ndarray(plain((0, 9, 0), 480, 640), format="rgb24")))
        container.mux(cover.encode())
        container.mux(tune.encode(tone))
        container.mux(tune.encode())
    with pytest.raises(VideoError, match="contains no video, only still images"):
        VideoSource(path)


def rising(times: list[float]) -> bool:
    return all(one < other for one, other in itertools.pairwise(times))


@pytest.mark.parametrize(
    "times",
    [
        [number**1.5 / 30 for number in range(20)],  # a variable rate
        [float(number) for number in range(20)],  # one frame a second
        [10 * number for number in range(20)],  # one frame in ten seconds
    ],
)
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_frames_keep_the_times_of_any_rate(suffix: str, times: list[float], tmp_path: Path) -> None:
    path = write(tmp_path / f"film{suffix}", FILM[: len(times)], times=times)
    assert [frame.time for frame in frames_of(path)] == pytest.approx(times, abs=2e-3)


class Shown:
    """A decoded picture with a time in units of 1/1000 s."""

    side_data: dict[str, bytes] = {}  # noqa: RUF012
    width, height, rotation = 96, 64, 0

    def __init__(self, pts: int | None) -> None:
        self.pts = pts

    def to_ndarray(self, **_: object) -> np.ndarray:
        return FILM[0]


@pytest.mark.parametrize(("pts", "expected"), [
    ([None] * 4, [0, 0.04, 0.08, 0.12]),
    ([0, 0, 0, 0], [0, 0.02, 0.04, 0.06]),
    ([-80, -40, 0, 40, 80], [0, 0.02, 0.04, 0.06, 0.08]),
    ([0, 40, 20, 80], [0, 0.04, 0.06, 0.08]),
    ([90_000, 90_040, 0, 40, 80], [90, 90.04, 90.08, 90.12, 90.16]),  # a clock that was set anew
    ([0, None, 80, None], [0, 0.04, 0.08, 0.12]),
    ([5, 1000, 999, 998, 1200], [0.005, 1, 1.02, 1.04, 1.2]),
])  # fmt: skip
def test_times_rise_even_if_the_containers_do_not(
    pts: list[int | None], expected: list[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = VideoSource(write(tmp_path / "film.mkv", FILM[:2]))
    monkeypatch.setattr(source, "_decode", lambda: map(Shown, pts))
    assert [pending().time for pending in source] == pytest.approx(expected)
    source.close()


@pytest.fixture(scope="module")
def long_tune(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film of 1.6 seconds whose sound goes on until 20."""
    return write(tmp_path_factory.mktemp("tune") / "film.mp4", FILM, sound=(0.0, 20.0))


@pytest.mark.parametrize("until", [1, 5, 30])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_the_sound_ends_with_the_last_picture_that_was_shown(
    suffix: str, until: int, long_tune: Path, tmp_path: Path
) -> None:
    drawn = copied(long_tune, tmp_path / f"drawn{suffix}", until=until)
    assert len(frames_of(drawn)) == until
    assert seconds_of_sound(drawn) == pytest.approx(until / 25, abs=0.2)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_the_sound_is_whole_where_nobody_has_left_early(suffix: str, long_tune: Path, tmp_path: Path) -> None:
    whole = copied(long_tune, tmp_path / f"whole{suffix}")
    assert seconds_of_sound(whole) == pytest.approx(20, abs=0.3)


def test_pictures_that_change_their_size_fit_the_video_that_is_written(tmp_path: Path) -> None:
    source = VideoSource(write(tmp_path / "film.mkv", FILM[:3]))
    sink = VideoSink(tmp_path / "new.mp4", source)
    for number, image in enumerate(
        (picture(0), plain((200, 10, 10), 90, 50), picture(0), plain((9, 200, 9), 700, 900))
    ):
        sink.write(Result(Frame(number, "film", image, number / 25)), image)
    sink.finish()
    source.close()
    frames = frames_of(tmp_path / "new.mp4")
    assert [frame.image.shape for frame in frames] == [picture(0).shape] * 4
    assert np.abs(frames[1].image[150, 160].astype(int) - (200, 10, 10)).max() < 25
    assert frames[1].image[150, 20].max() < 25  # beside it is black
