"""What containers say about their pictures, and containers that say it wrongly or stop in the middle."""

from __future__ import annotations

import gc
import itertools
import os
import subprocess
import sys
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PILImage
from PIL import ImageCms

from cmaen.errors import OutputError, VideoError, rename_errors
from cmaen.inference.pipeline import FacePipeline
from cmaen.inference.run import run
from cmaen.inference.sources import Excerpt, open_source
from cmaen.results import Result
from cmaen.types import Frame
from tests.inference.conftest import picture, plain
from tests.inference.test_pipeline import ByColour

av = pytest.importorskip("av")

from cmaen.inference import ffmpeg  # noqa: E402
from cmaen.inference.sinks.records import RecordSink  # noqa: E402
from cmaen.inference.sinks.video import VideoSink  # noqa: E402
from cmaen.inference.sources.video import VideoSource  # noqa: E402
from tests.inference.films import broadcast, counted, matrix_of, number_of, write  # noqa: E402

FILM = [counted(number) for number in range(40)]


def frames_of(path: Path, excerpt: Excerpt | None = None) -> list[Frame]:
    with closing(open_source("video", path, excerpt=excerpt)) as source:
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


@pytest.mark.parametrize("kind", ["InvalidDataError", "IndexError", "OSError", "RuntimeError"])
def test_a_stream_that_ends_in_an_error_of_any_kind_loses_no_frame(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever FFmpeg's decoders hold back, for their threads and for frames that refer to later ones, is asked for."""
    path = write(tmp_path / "film.mkv", FILM, options={"crf": "12", "bf": "3", "threads": "4"})
    error = getattr(av.error, kind, None)
    problem = error(1, "odd") if error is not None else {"IndexError": IndexError, "OSError": OSError}.get(
        kind, RuntimeError
    )("odd")  # fmt: skip
    demux = ffmpeg.packets_of

    def ending(container: object, stream: object, *, early: object) -> object:
        for packet in demux(container, stream, early=early):
            if packet.size == 0:
                early(problem)
                return
            yield packet

    monkeypatch.setattr("cmaen.inference.sources.video.packets_of", ending)
    assert numbers_of(path) == list(range(40))
    assert "ends early" in caplog.text


@pytest.mark.parametrize("suffix", [".mkv", ".ts", ".mp4", ".avi"])
def test_a_video_cut_short_anywhere_gives_what_it_holds_or_says_what_is_wrong(suffix: str, tmp_path: Path) -> None:
    codec = "mpeg2video" if suffix == ".ts" else "libx264"
    whole = write(tmp_path / f"whole{suffix}", FILM, codec=codec, options={"bf": "0"}, sound=(0.0, 1.6))
    content, cut = whole.read_bytes(), tmp_path / f"cut{suffix}"
    seen = []
    for length in np.linspace(0, len(content), 24).astype(int):
        cut.write_bytes(content[:length])
        try:
            numbers = numbers_of(cut)
        except VideoError as error:
            message = str(error)
            assert "cut" + suffix in message
            assert "Errno" not in message
            assert any(words in message for words in ("cannot be opened", "contains no"))
            numbers = []
        if suffix != ".ts":  # which shows damaged blocks
            assert numbers == list(range(len(numbers)))
        seen.append(len(numbers))
    assert seen[-1] == 40
    if suffix in (".mkv", ".avi"):
        assert seen == sorted(seen)
        assert len(set(seen)) > 10


def test_a_stream_whose_sound_begins_in_its_middle(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = broadcast(tmp_path / "film.ts")
    with av.open(str(path)) as container:
        assert not container.streams.audio  # FFmpeg does not know of it
        with pytest.raises(IndexError):
            list(container.demux(container.streams.video[0]))
    source = VideoSource(path)
    records, drawn = tmp_path / "faces.jsonl", tmp_path / "drawn.mp4"
    summary = run(source, FacePipeline(ByColour(), lambda _: []), [RecordSink(records), VideoSink(drawn, source)])
    assert summary.frames == 450
    assert summary.errors == 0
    assert len(records.read_text().splitlines()) == 450
    assert len(frames_of(drawn)) == 450
    assert "begins too late" in caplog.text


def test_a_sound_that_makes_trouble_costs_only_itself(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "film.mkv", FILM, sound=(0.0, 1.6))

    class Bad:
        dts = pts = 0
        duration = 1
        time_base = Fraction(1, 1000)

        def __setattr__(self, *_: object) -> None:
            raise IndexError("list index out of range")

    monkeypatch.setattr("cmaen.inference.sinks.video.packets_of", lambda *_, **__: iter([Bad()]))
    assert numbers_of(copied(path, tmp_path / "new.mp4")) == list(range(40))
    assert "the sound of" in caplog.text

    def broken(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("cmaen.inference.sinks.video.choose_audio", broken)
    assert numbers_of(copied(path, tmp_path / "newer.mp4")) == list(range(40))


@pytest.mark.parametrize("error", [IndexError("odd"), MemoryError(), av.error.InvalidDataError(1, "odd")])
def test_a_frame_that_cannot_be_converted_costs_only_itself(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "film.mkv", FILM[:6])
    convert, calls = ffmpeg.pixels_of, itertools.count()

    def fickle(*arguments: object) -> np.ndarray:
        if next(calls) == 2:
            raise error
        return convert(*arguments)

    monkeypatch.setattr("cmaen.inference.sources.video.pixels_of", fickle)
    frames = frames_of(path)
    assert [frame.error is None for frame in frames] == [True, True, False, True, True, True]
    assert str(frames[2].error).startswith("VideoError: the frame cannot be converted")
    assert [frame.index for frame in frames] == list(range(6))


def test_whatever_ffmpeg_raises_when_a_video_is_written_is_a_named_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = VideoSource(write(tmp_path / "film.mkv", FILM[:3]))
    sink = VideoSink(tmp_path / "new.mp4", source)

    def odd(_: object) -> None:
        raise LookupError("odd")

    monkeypatch.setattr(sink, "_begin", odd)
    frame = next(iter(source))()
    with pytest.raises(OutputError, match=r"new.mp4 could not be written"):
        sink.write(Result(frame), frame.image)
    sink.close()
    source.close()
    assert not (tmp_path / "new.mp4").exists()


@pytest.mark.parametrize("until", [1, 5, 30])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_the_sound_ends_with_the_last_picture_that_was_shown(suffix: str, until: int, tmp_path: Path) -> None:
    path = write(tmp_path / "film.mp4", FILM, sound=(0.0, 20.0))
    drawn = copied(path, tmp_path / f"drawn{suffix}", until=until)
    assert len(frames_of(drawn)) == until
    assert seconds_of_sound(drawn) == pytest.approx(until / 25, abs=0.2)
    whole = copied(path, tmp_path / f"whole{suffix}")
    assert seconds_of_sound(whole) == pytest.approx(20, abs=0.3)  # nobody has left early


@pytest.mark.parametrize("suffix", [".mkv", ".ts", ".mp4"])
@pytest.mark.parametrize(("every", "start", "end", "expected"), [
    (1, 0, None, range(40)),
    (3, 0, None, range(0, 40, 3)),
    (1, 0.5, None, range(13, 40)),
    (1, 1.0, 1.2, range(25, 31)),
    (5, 0.5, 1.25, range(15, 32, 5)),
    (1, 0, 0.1, range(3)),
    (40, 0, None, [0]),
    (1, 1.56, None, [39]),
])  # fmt: skip
def test_an_excerpt_keeps_numbers_and_times(
    suffix: str, every: int, start: float, end: float | None, expected: range, tmp_path: Path
) -> None:
    codec = "mpeg2video" if suffix == ".ts" else "libx264"
    path = write(tmp_path / f"film{suffix}", FILM, codec=codec, options={"g": "8", "bf": "2", "qscale": "2"})
    with av.open(str(path)) as container:
        begins = max(container.start_time, 0) / 1e6
        first = float(container.streams.video[0].start_time * container.streams.video[0].time_base) - begins
    frames = frames_of(path, Excerpt(every, start + first * (start > 0), end and end + first))
    assert [frame.index for frame in frames] == list(expected)
    assert [number_of(frame.image) for frame in frames] == list(expected)
    assert [frame.time for frame in frames] == pytest.approx([number / 25 + first for number in expected], abs=2e-3)


def test_what_lies_before_an_excerpt_is_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = [counted(number % 256) for number in range(100)]
    path = write(tmp_path / "film.mkv", pictures, options={"g": "10", "crf": "20"})
    source = VideoSource(path, Excerpt(start=3.0))
    decoded = itertools.count()
    packets = source._from_start

    def counting(given: object) -> object:
        for packet in packets(given):
            next(decoded)
            yield packet

    monkeypatch.setattr(source, "_from_start", counting)
    assert [pending().index for pending in source] == list(range(75, 100))
    assert next(decoded) < 45
    source.close()


def test_an_excerpt_is_written_from_its_beginning_with_its_sound(tmp_path: Path) -> None:
    path = write(tmp_path / "film.mkv", FILM, sound=(0.0, 1.6))
    for suffix in (".mp4", ".mkv"):
        drawn = copied(path, tmp_path / f"drawn{suffix}", Excerpt(start=0.8, end=1.2))
        frames = frames_of(drawn)
        assert [number_of(frame.image) for frame in frames] == list(range(20, 31))
        assert frames[0].time < 0.08
        assert frames[-1].time - frames[0].time == pytest.approx(0.4, abs=3e-3)
        assert seconds_of_sound(drawn) == pytest.approx(0.44, abs=0.2)


@pytest.mark.parametrize("options", [{"start": 9.0}, {"start": 0.41, "end": 0.43}, {"start": 1.59, "end": 1.8}])
def test_an_excerpt_without_a_frame_is_said(options: dict[str, float], tmp_path: Path) -> None:
    path = write(tmp_path / "film.mkv", FILM)
    with pytest.raises(VideoError, match=f"has no frame from {options['start']:g} s"):
        frames_of(path, Excerpt(**options))


@pytest.mark.parametrize("options", [
    {"every": 0}, {"every": -1}, {"start": -1.0}, {"start": float("nan")}, {"start": float("inf")},
    {"end": 0.0}, {"end": float("nan")}, {"start": 2.0, "end": 1.0},
])  # fmt: skip
def test_excerpts_that_there_are_not(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Excerpt(**options)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("0", None, "a webcam is --real-time --camera-index 0"),
        ("12", None, "a webcam is --real-time --camera-index 12"),
        ("/dev/video3", None, "a webcam is --real-time --camera-index 3"),
        ("nothing.mp4", None, "there is no such file; check the path"),
        ("empty.mp4", b"", "the file is empty"),
        ("half.mp4", "half", "incomplete: an .mp4 or .mov without its end"),
        ("text.mkv", b"no video", "FFmpeg cannot read it as a video"),
        ("folder", "folder", "it is a folder; use --directory for the images of a folder"),
    ],
)
def test_what_cannot_be_opened_says_why(
    name: str, content: bytes | str | None, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if content == "half":
        whole = write(tmp_path / "whole.mp4", FILM).read_bytes()
        Path(name).write_bytes(whole[: len(whole) // 2])
    elif content == "folder":
        Path(name).mkdir()
    elif content is not None:
        Path(name).write_bytes(content)
    with pytest.raises(VideoError) as caught:
        open_source("video", name)
    assert "cannot be opened as a video" in str(caught.value)
    assert words in str(caught.value)
    assert "Errno" not in str(caught.value)


def test_a_file_that_is_named_like_a_camera_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "film.mkv", FILM[:3]).rename("0")
    assert numbers_of(Path("0")) == [0, 1, 2]


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="needs permissions that count")
def test_a_file_that_may_not_be_read_is_said(tmp_path: Path) -> None:
    path = write(tmp_path / "film.mkv", FILM[:3])
    path.chmod(0)
    with pytest.raises(VideoError, match="no permission to read the file"):
        VideoSource(path)


def test_an_address_that_refuses_is_said_in_words() -> None:
    with pytest.raises(VideoError, match="cannot be opened as a video: Connection refused"):
        open_source("video", "tcp://127.0.0.1:9/film.ts")


def test_metadata_in_another_encoding_do_no_harm(tmp_path: Path) -> None:
    path = write(tmp_path / "film.mkv", FILM[:3])
    content = path.read_bytes()
    assert content.count(b"Lavf") >= 1
    path.write_bytes(content.replace(b"Lavf", b"La\xe9\xff"))
    assert numbers_of(path) == [0, 1, 2]


def test_the_guard_names_every_error_and_lets_named_ones_pass() -> None:
    def name(problem: Exception) -> VideoError:
        return VideoError(f"the film breaks: {ffmpeg.reason(problem)}")

    odd = av.error.InvalidDataError(-1, "x")
    for problem in (IndexError("x"), ValueError("odd"), odd, KeyError("k"), OSError(28, "full"), MemoryError()):
        with pytest.raises(VideoError, match=r"the film breaks: \S") as caught, rename_errors(name):
            raise problem
        assert caught.value.__cause__ is problem
    with pytest.raises(OutputError, match="as it is"), rename_errors(name):
        raise OutputError("as it is")
    with pytest.raises(KeyboardInterrupt), rename_errors(name):
        raise KeyboardInterrupt


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
