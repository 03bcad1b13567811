"""Parts of a video: every so manyth frame, from one time to another."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

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
