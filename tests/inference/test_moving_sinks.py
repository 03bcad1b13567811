"""The sinks of videos: the video with the faces drawn, and the timeline."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cmaen.drawing import colour_of
from cmaen.errors import OutputError
from cmaen.results import Face, Result
from cmaen.types import EMOTIONS, FaceBox, Frame
from tests.inference.conftest import BLUE, RED, TIMES, picture, plain, write_film

SAD = (0.05, 0.05, 0.1, 0.1, 0.1, 0.5, 0.1)
FACE = Face(SAD, FaceBox(1.04, 2, 30, 40, landmarks=((1, 2), (3, 4), (5, 6), (7, 8), (9, 10))))


class Clock:
    """The timing of a source."""

    rate = Fraction(25)
    time_base = Fraction(1, 1000)
    begins = 0.0
    start = 0.0

    def __init__(self, sound: Path | None = None, *, ends: float | None = None) -> None:
        self.sound = sound
        self.ends = ends


@pytest.fixture
def video_sink() -> Callable[..., object]:
    pytest.importorskip("av")
    from cmaen.inference.sinks.video import VideoSink

    return VideoSink


def draw(sink: object, pictures: list[np.ndarray], times: tuple[float, ...] | None = None) -> None:
    try:
        for number, pixels in enumerate(pictures):
            moment = number / 25 if times is None else times[number]
            sink.write(Result(Frame(number, "film", time=moment)), pixels)
        sink.finish()
    finally:
        sink.close()


def frames_of(path: Path) -> list[tuple[float, np.ndarray]]:
    import av

    with av.open(str(path)) as container:
        return [(frame.time, frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]


def samples_of(path: Path) -> int:
    import av

    with av.open(str(path)) as container:
        if not container.streams.audio:
            return 0
        return sum(frame.samples for frame in container.decode(audio=0))


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".MOV"])
def test_a_video_keeps_its_times_and_pixels(suffix: str, video_sink: Callable[..., object], tmp_path: Path) -> None:
    path = tmp_path / "new" / f"drawn{suffix}"
    draw(video_sink(path, Clock()), [picture(step) for step in range(12)], TIMES)
    frames = frames_of(path)
    assert [moment for moment, _ in frames] == pytest.approx(TIMES, abs=2e-3)
    for step, (_, pixels) in enumerate(frames):
        assert np.abs(pixels.astype(int) - picture(step)).mean() < 6
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", [".mp4", ".avi"])
@pytest.mark.parametrize("colour", [RED, BLUE])
def test_a_video_of_odd_sides_keeps_its_colours(
    suffix: str, colour: tuple[int, int, int], video_sink: Callable[..., object], tmp_path: Path
) -> None:
    path = tmp_path / f"drawn{suffix}"
    draw(video_sink(path, Clock()), [plain(colour, 49, 63)] * 5)
    frames = frames_of(path)
    assert [moment for moment, _ in frames] == pytest.approx([0, 0.04, 0.08, 0.12, 0.16])
    assert frames[0][1].shape == (50, 64, 3)
    assert np.abs(frames[-1][1].astype(int) - colour).max() < 20


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi"])
def test_the_sound_is_copied(suffix: str, film: Path, video_sink: Callable[..., object], tmp_path: Path) -> None:
    path = tmp_path / f"drawn{suffix}"
    draw(video_sink(path, Clock(film)), [picture(step) for step in range(12)], TIMES)
    assert samples_of(path) >= 16000


def test_the_sound_of_a_broadcast_stays_with_its_pictures(video_sink: Callable[..., object], tmp_path: Path) -> None:
    import av

    from cmaen.inference.sources.video import VideoSource

    plain_film = write_film(tmp_path / "film.ts", [picture(0)] * 12, codec="mpeg2video", sound=0.5)
    late = tmp_path / "late.ts"
    with av.open(str(plain_film)) as source, av.open(str(late), "w") as target:
        streams = [target.add_stream_from_template(stream) for stream in source.streams]
        for packet in source.demux():
            if packet.dts is not None:
                hours = int(50_000 / packet.time_base)
                packet.pts, packet.dts = packet.pts + hours, packet.dts + hours
                packet.stream = streams[packet.stream.index]
                target.mux(packet)
    starts = {}
    for path in (plain_film, late):
        source, drawn = VideoSource(path), path.with_suffix(".mp4")
        sink = video_sink(drawn, source)
        for pending in source:
            frame = pending()
            sink.write(Result(frame), frame.image)
        sink.finish()
        source.close()
        with av.open(str(drawn)) as container:
            starts[path] = [stream.start_time * stream.time_base for stream in container.streams]
            assert container.duration < 2e6
    assert starts[plain_film] == starts[late]


def test_a_film_that_is_cut_short_gives_a_whole_video_with_the_sound_up_to_there(
    video_sink: Callable[..., object], tmp_path: Path
) -> None:
    from cmaen.inference.sources.video import VideoSource

    whole = write_film(tmp_path / "whole.mkv", [picture(step) for step in range(60)], sound=2.4)
    cut, drawn = tmp_path / "cut.mkv", tmp_path / "drawn.mp4"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 3 // 4])
    source = VideoSource(cut)
    sink = video_sink(drawn, source)
    count = 0
    for pending in source:
        frame = pending()
        sink.write(Result(frame), frame.image)
        count += 1
    sink.finish()
    source.close()
    assert 5 < count < 60
    assert len(frames_of(drawn)) == count
    assert samples_of(drawn) == pytest.approx(count / 25 * 16000, abs=3000)


def test_a_sound_that_a_container_cannot_hold_is_left_out(
    video_sink: Callable[..., object], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    import av

    wav = tmp_path / "sound.wav"
    with av.open(str(wav), "w") as container:
        tune = container.add_stream("pcm_s16le", rate=16000)
        tone = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.int16), format="s16", layout="mono")
        tone.sample_rate = 16000
        container.mux(tune.encode(tone))
    for suffix in (".mp4", ".m4v"):
        caplog.clear()
        draw(video_sink(tmp_path / f"drawn{suffix}", Clock(wav)), [picture(0)] * 3)
        assert f"the sound of {wav} is left out" in caplog.text
        assert len(frames_of(tmp_path / f"drawn{suffix}")) == 3
    silent = write_film(tmp_path / "silent.mp4", [picture(0)] * 3)
    draw(video_sink(tmp_path / "drawn.mp4", Clock(silent)), [picture(0)] * 3)
    assert samples_of(tmp_path / "drawn.mp4") == 0


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
@pytest.mark.parametrize("finishes", [True, False])
def test_nothing_stays_open(finishes: bool, film: Path, video_sink: Callable[..., object], tmp_path: Path) -> None:
    def opened() -> set[str]:
        links = [os.path.realpath(link) for link in Path("/proc/self/fd").iterdir()]
        return {link for link in links if link == str(film) or link.startswith(str(tmp_path))}

    sink = video_sink(tmp_path / "drawn.mp4", Clock(film))
    sink.write(Result(Frame(0, "film", time=0.0)), picture(0))
    assert str(film) in opened()
    if finishes:
        sink.finish()
    sink.close()
    assert opened() == set()
    assert [path.name for path in tmp_path.iterdir()] == ["drawn.mp4"] * finishes


def test_a_video_of_no_frames_is_no_file(video_sink: Callable[..., object], tmp_path: Path) -> None:
    draw(video_sink(tmp_path / "drawn.mp4", Clock()), [])
    assert list(tmp_path.iterdir()) == []


def test_frames_without_pixels_are_left_out(video_sink: Callable[..., object], tmp_path: Path) -> None:
    sink = video_sink(tmp_path / "drawn.mp4", Clock())
    sink.write(Result(Frame(0, "film", time=0.0), error="gone"), None)
    draw(sink, [picture(0)] * 2)
    assert len(frames_of(tmp_path / "drawn.mp4")) == 2


@pytest.mark.parametrize("suffix", [".mp4", ".avi"])
@pytest.mark.parametrize("rate", ["1000003/40001", "30000/1001", "1", "1/7"])
def test_an_average_rate_may_be_any_fraction(
    suffix: str, rate: str, video_sink: Callable[..., object], tmp_path: Path
) -> None:
    clock, path = Clock(), tmp_path / f"drawn{suffix}"
    clock.rate = Fraction(rate)
    times = tuple(float(number / clock.rate) for number in range(4))
    draw(video_sink(path, clock), [picture(0)] * 4, times)
    assert [moment for moment, _ in frames_of(path)] == pytest.approx(times, abs=2e-3)


def test_times_that_do_not_rise_are_moved(video_sink: Callable[..., object], tmp_path: Path) -> None:
    draw(video_sink(tmp_path / "drawn.mp4", Clock()), [picture(0)] * 4, (0.0, 0.0, 0.1, 0.05))
    assert [moment for moment, _ in frames_of(tmp_path / "drawn.mp4")] == pytest.approx([0, 0.001, 0.1, 0.101])


@pytest.mark.parametrize(("name", "message"), [
    ("drawn.foo", r"a video can be written as \.avi, \.m4v, \.mkv, \.mov, \.mp4"),
    ("drawn.gif", "a video can be written as"),
    ("file/drawn.mp4", r"could not be written: .*; choose another place"),
])  # fmt: skip
def test_a_video_that_cannot_be_written_is_refused_before_the_run(
    name: str, message: str, video_sink: Callable[..., object], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=message):
        video_sink(tmp_path / name, Clock())
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("place", ["frames", "end"])
def test_a_disk_that_becomes_full_leaves_no_half_video(
    place: str, video_sink: Callable[..., object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from av.error import FFmpegError

    def full(*_: object) -> None:
        error = FFmpegError if place == "frames" else OSError
        raise error(errno.ENOSPC, os.strerror(errno.ENOSPC))

    sink = video_sink(tmp_path / "drawn.mp4", Clock())
    if place == "frames":
        monkeypatch.setattr(sink, "_begin", full)
    else:
        monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match=r"drawn.mp4 could not be written: No space left on device; free some space"):
        draw(sink, [picture(0)] * 2)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def timeline() -> Iterator[object]:
    pytest.importorskip("matplotlib")
    import cmaen.inference.sinks.timeline

    return cmaen.inference.sinks.timeline


def feeling(emotion: str, identity: int | None = 1) -> Face:
    return Face(tuple(float(name == emotion) for name in EMOTIONS), FACE.box, identity)


def share(path: Path, emotion: str) -> float:
    """Of the pixels of a picture that have the colour of an emotion."""
    pixels = np.asarray(Image.open(path).convert("RGB")).astype(int)
    return float((np.abs(pixels - colour_of(emotion, EMOTIONS)).max(axis=2) < 4).mean())


@pytest.mark.parametrize("rate", [30, 10, 5, 0.5])
def test_a_timeline_is_drawn_at_any_frame_rate(rate: float, timeline: object, tmp_path: Path) -> None:
    sink = timeline.TimelineSink(tmp_path / "people.png")
    for number in range(40):
        emotion = "happy" if number < 20 else "sad"
        sink.write(Result(Frame(number, "film", time=number / rate), (feeling(emotion),)), None)
    assert not (tmp_path / "people.png").exists()
    sink.finish()
    for emotion in ("happy", "sad"):
        assert 0.2 < share(tmp_path / "people.png", emotion) < 0.4
    assert share(tmp_path / "people.png", "angry") < 0.01


@pytest.mark.parametrize("name", ["people.svg", "people.pdf", "new/people.PNG"])
def test_a_timeline_is_drawn_in_many_formats(name: str, timeline: object, tmp_path: Path) -> None:
    sink = timeline.TimelineSink(tmp_path / name)
    sink.write(Result(Frame(0, "film", time=0.0), (feeling("happy"),)), None)
    sink.finish()
    sink.close()
    assert (tmp_path / name).stat().st_size > 1000


def test_a_timeline_of_nobody_is_a_picture_too(timeline: object, tmp_path: Path) -> None:
    for number, results in enumerate(([], [Result(Frame(0, "film", time=0.0))])):
        sink = timeline.TimelineSink(tmp_path / f"{number}.png")
        for result in results:
            sink.write(result, None)
        sink.finish()
        assert Image.open(tmp_path / f"{number}.png").size[0] > 100


@pytest.mark.parametrize(("name", "message"), [
    ("people.foo", r"a timeline can be drawn as .*, \.png"),
    ("people", "a timeline can be drawn as"),
    ("file/people.png", "file cannot be created: File exists; choose another place"),
])  # fmt: skip
def test_a_timeline_that_cannot_be_drawn_is_refused_before_the_run(
    name: str, message: str, timeline: object, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=message):
        timeline.TimelineSink(tmp_path / name)


def test_someone_who_was_away_leaves_a_gap(timeline: object) -> None:
    line = timeline.Timeline()
    for number in range(100):
        line.add(number / 10, (feeling("happy"),) if number < 20 or number >= 60 else ())
    line.figure()
    assert np.flatnonzero(line._persons[1].counts == 0)[0] == 20
    assert (line._persons[1].counts > 0).sum() == 60


def test_bins_become_twice_as_wide_and_lose_nothing(timeline: object) -> None:
    line = timeline.Timeline(width=1.0)
    for second in range(5 * timeline.BINS):
        line.add(float(second), (feeling("happy" if second < 1000 else "sad"),))
    line.figure()
    person = line._persons[1]
    assert line.width == 8.0
    assert person.sums.shape == (timeline.BINS, 7)
    assert person.counts.sum() == person.sums.sum() == 5 * timeline.BINS
    assert person.sums[:125, EMOTIONS.index("happy")].sum() == 1000
    assert person.counts[: 5 * timeline.BINS // 8].tolist() == [8] * (5 * timeline.BINS // 8)


def test_many_passers_by_do_not_keep_out_who_comes_late(timeline: object) -> None:
    line = timeline.Timeline()
    moment = 0.0
    for passer in range(100):
        for _ in range(4):
            line.add(moment, (feeling("neutral", passer + 1),))
            moment += 0.1
    for _ in range(20):
        line.add(moment, (feeling("happy", 500),))
        moment += 0.1
    labels = [axes.get_ylabel() for axes in line.figure().axes]
    assert len(labels) == timeline.PEOPLE
    assert labels[-1] == "face 500"
    assert len(line._persons) <= 4 * timeline.PEOPLE


def test_a_timeline_ends_with_the_last_face_of_anybody_it_shows(timeline: object) -> None:
    line = timeline.Timeline()
    for number in range(100):
        line.add(number / 10, (feeling("happy", 1), feeling("sad", 2)) if number < 50 else (feeling("sad", 2),))
    figure = line.figure()
    assert [axes.get_ylabel() for axes in figure.axes] == ["face 1", "face 2"]
    assert figure.axes[0].get_xlim()[1] == pytest.approx(10, abs=1)


def test_a_timeline_of_a_part_begins_with_it(timeline: object) -> None:
    line = timeline.Timeline()
    for number in range(100):
        line.add(3600 + number / 10, (feeling("happy"),))
    assert line.width == 0.1  # the hour before costs nothing
    (axes,) = line.figure().axes
    assert axes.get_xlim() == pytest.approx((3600, 3610), abs=1)
    assert (line._persons[1].counts > 0).sum() == 100


def test_a_clock_that_goes_back_takes_nothing_from_a_timeline(timeline: object) -> None:
    line = timeline.Timeline()
    for time in (0.0, 1.0, 0.2, -5.0, 2.0, 3.0):
        line.add(time, (feeling("happy"),))
    line.figure()
    assert np.isfinite(line._persons[1].sums).all()
    assert (line._persons[1].counts[:30] > 0).all()


def test_whatever_matplotlib_raises_is_a_named_error(
    timeline: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = timeline.TimelineSink(tmp_path / "people.png")
    sink.write(Result(Frame(0, "film", time=0.0), (feeling("happy"),)), None)

    def odd(_: object) -> None:
        raise LookupError("odd")

    monkeypatch.setattr(timeline.Timeline, "figure", odd)
    with pytest.raises(OutputError, match=r"people.png could not be written: odd"):
        sink.finish()
    assert list(tmp_path.iterdir()) == []
