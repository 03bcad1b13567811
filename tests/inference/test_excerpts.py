"""Parts of a video: frames at regular moments, or every so manyth one, from one time to another."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cmaen.errors import VideoError
from cmaen.inference.sources import Excerpt

av = pytest.importorskip("av")

from cmaen.inference.sources.video import VideoSource  # noqa: E402
from tests.inference.films import (  # noqa: E402
    FILM,
    copied,
    counted,
    frames_of,
    number_of,
    seconds_of_sound,
    write,
)


@pytest.fixture(scope="module", params=[".mkv", ".ts", ".mp4"])
def film(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the film in a container."""
    suffix: str = request.param
    codec = "mpeg2video" if suffix == ".ts" else "libx264"
    path = tmp_path_factory.mktemp("films") / f"film{suffix}"
    return write(path, FILM, codec=codec, options={"g": "8", "bf": "2", "qscale": "2"})


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
    film: Path, every: int, start: float, end: float | None, expected: range
) -> None:
    with av.open(str(film)) as container:
        begins = max(container.start_time, 0) / 1e6
        first = float(container.streams.video[0].start_time * container.streams.video[0].time_base) - begins
    frames = frames_of(film, Excerpt(0.0, start + first * (start > 0), end and end + first, every))
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
    {"every": -1.0}, {"every": float("nan")}, {"every": float("inf")}, {"every_frame": 0}, {"every_frame": -1},
    {"every": 0.5, "every_frame": 2}, {"start": -1.0}, {"start": float("nan")}, {"start": float("inf")},
    {"end": 0.0}, {"end": float("nan")}, {"start": 2.0, "end": 1.0},
])  # fmt: skip
def test_excerpts_that_there_are_not(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must"):
        Excerpt(**options)


def chosen(
    times: list[float], every: float, start: float = 0.0, end: float | None = None, *, live: bool = False
) -> list[float]:
    frames = [(number, time, None) for number, time in enumerate(times)]
    return [time for _, time, _ in Excerpt(every, start, end).select(frames, live=live)]


@pytest.mark.parametrize("rate", [5, 12.5, 24, 25, 29.97, 30, 50, 59.94, 120])
@pytest.mark.parametrize("every", [0.2, 0.5, 1.0, 2.5])
def test_moments_are_regular_at_any_frame_rate(every: float, rate: float) -> None:
    times = [number / rate for number in range(round(20 * rate))]
    found = chosen(times, every)
    assert len(found) == round(20 / every)
    assert found == pytest.approx([number * every for number in range(len(found))], abs=0.5 / rate + 1e-9)


def test_a_film_of_one_frame_a_second_is_seen_whole_although_its_clock_trembles() -> None:
    times = [0.0, 0.96, 2.03, 2.95, 4.04, 5.0, 5.97]
    assert chosen(times, 1.0) == times
    assert chosen(times, 0.2) == times
    assert chosen(times, 2.0) == [0.0, 2.03, 4.04, 5.97]


def test_nothing_is_seen_twice_where_frames_are_rare() -> None:
    times = [0.0, 0.04, 0.08, 7.0, 7.04, 7.5, 8.0]
    assert chosen(times, 0.5) == [0.0, 0.08, 7.0, 7.5, 8.0]


@settings(max_examples=200)
@given(
    st.lists(st.floats(0.001, 3.0), max_size=60),
    st.floats(0.05, 2.0),
    st.floats(0, 5),
    st.one_of(st.none(), st.floats(5.1, 60)),
)
def test_each_moment_has_its_nearest_frame(steps: list[float], every: float, start: float, end: float | None) -> None:
    times = list(itertools.accumulate(steps, initial=0.0))
    inside = [time for time in times if start <= time and (end is None or time <= end)]
    assume(all(min(abs(time - edge) for time in times) > 0.001 for edge in (start, *([] if end is None else [end]))))
    found = chosen(times, every, start, end)
    assert found == sorted(set(found) & set(inside))
    moments = itertools.takewhile(
        lambda moment: inside and moment <= inside[-1], (start + every * n for n in itertools.count())
    )
    for moment in moments:
        nearest = min(abs(time - moment) for time in inside)
        assert min(abs(time - moment) for time in found) == pytest.approx(nearest, abs=1e-6)
    assert chosen(times, every, start, end, live=True)[:1] == inside[:1]


def test_a_live_source_never_waits_for_the_next_frame() -> None:
    taken: list[float] = []

    def frames() -> Iterator[tuple[int, float, None]]:
        for number in range(100):
            yield number, number / 25, None
            taken.append(number / 25)

    for _, time, _ in Excerpt(0.5).select(frames(), live=True):
        assert not taken or taken[-1] < time
    assert chosen([number / 25 for number in range(60)], 0.5, live=True) == [0.0, 0.52, 1.0, 1.52, 2.0]


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_regular_moments_of_a_film_whose_frame_rate_varies(suffix: str, tmp_path: Path) -> None:
    times = [number / 50 for number in range(20)] + [0.4 + number / 10 for number in range(20)]
    path = write(tmp_path / f"film{suffix}", FILM, times=times)
    frames = frames_of(path, Excerpt(0.2, start=0.2))
    assert [frame.time for frame in frames] == pytest.approx(
        [0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6, 1.8, 2.0, 2.2], abs=2e-3
    )
    assert [number_of(frame.image) for frame in frames] == [frame.index for frame in frames]


def test_times_in_milliseconds_are_exact_to_the_frame(tmp_path: Path) -> None:
    path = write(tmp_path / "film.mkv", FILM[:30], rate=30)  # whose frames are at 0.333, 0.367, …
    for start in (0.333, 1 / 3, 0.33333):
        assert [frame.index for frame in frames_of(path, Excerpt(start=start, end=start + 0.034))] == [10, 11]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
@pytest.mark.parametrize("options", [{"g": "50", "bf": "2"}, {"g": "400", "bf": "3"}, {"g": "25", "bf": "0"}])
def test_a_start_far_in_a_film_is_exact(suffix: str, options: dict[str, str], tmp_path: Path) -> None:
    codec = "mpeg2video" if suffix == ".ts" else "libx264"
    pictures = [counted(number % 256) for number in range(400)]
    path = write(tmp_path / f"film{suffix}", pictures, codec=codec, options=options | {"qscale": "2"})
    whole = {frame.index: frame.time for frame in frames_of(path)}
    regular = frames_of(path, Excerpt(0.7))
    for start in (11.0, 15.2):
        frames = frames_of(path, Excerpt(start=start))
        assert [(frame.index, frame.time) for frame in frames] == [
            (number, time) for number, time in whole.items() if time >= start
        ]
        assert all(number_of(frame.image) == frame.index % 256 for frame in frames)
        assert frames_of(path, Excerpt(0.7), since=start) == [frame for frame in regular if frame.time >= start]


def test_a_start_far_in_a_film_with_an_index_is_jumped_to(tmp_path: Path) -> None:
    pytest.importorskip("av", minversion="14.2")
    path = write(tmp_path / "film.mp4", [counted(number % 256) for number in range(400)], options={"g": "25"})
    source = VideoSource(path, Excerpt(start=15.0))
    read = source._packets
    count = itertools.count()

    def counting() -> Iterator[object]:
        for packet in read():
            next(count)
            yield packet

    source._packets = counting  # type: ignore[method-assign, assignment]
    assert [pending().index for pending in source] == list(range(375, 400))
    assert next(count) < 120, "the film is not read from its beginning"
    source.close()
