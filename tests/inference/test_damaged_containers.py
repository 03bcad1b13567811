"""Containers that stop in the middle, hold what cannot be decoded, or cannot be opened at all."""

from __future__ import annotations

import itertools
import os
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from cmaen.errors import OutputError, VideoError, rename_errors
from cmaen.inference.pipeline import FacePipeline
from cmaen.inference.run import run
from cmaen.inference.sources import open_source
from cmaen.results import Result
from tests.inference.stand_ins import ByColour

av = pytest.importorskip("av")

from cmaen.inference import ffmpeg  # noqa: E402
from cmaen.inference.sinks.records import RecordSink  # noqa: E402
from cmaen.inference.sinks.video import VideoSink  # noqa: E402
from cmaen.inference.sources.video import VideoSource  # noqa: E402
from tests.inference.films import (  # noqa: E402
    FILM,
    broadcast,
    copied,
    frames_of,
    numbers_of,
    write,
)


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
