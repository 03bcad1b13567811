from __future__ import annotations

import json
import logging
import threading
import time
import weakref
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cmaen.errors import OutputError, VideoError
from cmaen.inference.run import Summary, run
from cmaen.inference.sinks import Needs, Quit
from cmaen.inference.sinks.pictures import PictureSink
from cmaen.inference.sinks.records import RecordSink
from cmaen.results import Face, Result
from cmaen.types import FaceBox, Frame
from tests.conftest import wait_until
from tests.inference.conftest import RED, plain

FACE = Face((0.1, 0.1, 0.1, 0.4, 0.1, 0.1, 0.1), FaceBox(10, 10, 20, 20), identity=1)
OTHER = Face((0.4, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1), FaceBox(40, 10, 10, 10), identity=2)


class Shown:
    """A source of results, and the pipeline that makes them: five frames of a film."""

    def __init__(self, *, moving: bool = True, live: bool = False, then: BaseException | None = None) -> None:
        self.moving = moving
        self.live = live
        self.made = 0
        self.then = then
        self.closed = False
        self.kept: bool | None = None

    def results(self, source: Shown, *, keep_images: bool = False) -> Iterator[Result]:
        assert source is self
        self.kept = keep_images
        for number in range(5):
            time = number / 25 if self.moving else None
            frame = Frame(number, f"{number}.png", plain(RED) if self.moving or keep_images else None, time)
            self.made += 1
            faces = [(FACE, OTHER), (FACE,), (), (FACE,), (OTHER,)][number]
            yield Result(frame, faces, "VideoError: gone" if number == 2 else None)
        if self.then is not None:
            raise self.then

    def close(self) -> None:
        self.closed = True


class Remembers:
    """A sink that keeps what comes, until it fails or has seen enough."""

    def __init__(
        self, *, needs: Needs = Needs.RECORDS, write: list[BaseException | None] = (), finish: object = None
    ) -> None:
        self.needs = needs
        self.trouble = [*write]
        self.at_finish = finish
        self.results: list[Result] = []
        self.drawn: list[np.ndarray | None] = []
        self.finished = self.closed = 0

    def write(self, result: Result, drawn: np.ndarray | None) -> None:
        if self.trouble and (trouble := self.trouble.pop(0)) is not None:
            raise trouble
        self.results.append(result)
        self.drawn.append(drawn)

    def finish(self) -> None:
        if self.at_finish is not None:
            raise self.at_finish
        self.finished += 1

    def close(self) -> None:
        self.closed += 1


def test_every_sink_takes_every_result_and_the_summary_counts_them() -> None:
    shown, sinks = Shown(), [Remembers(), Remembers(needs=Needs.DRAWING)]
    assert run(shown, shown, sinks) == Summary(frames=5, faces=5, people=2, errors=1, seconds=pytest.approx(0.16))
    for sink in sinks:
        assert [result.frame.index for result in sink.results] == [0, 1, 2, 3, 4]
        assert (sink.finished, sink.closed) == (1, 1)
    assert shown.closed


def test_of_still_pictures_nobody_is_counted_and_there_is_no_time() -> None:
    shown = Shown(moving=False)
    assert run(shown, shown, [])[3:] == (1, 0.0)


@pytest.mark.parametrize("moving", [True, False])
def test_the_frames_of_a_video_have_a_ticker_and_still_pictures_have_none(
    moving: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    tickers, memories = [], []

    def drawing(image: np.ndarray, faces: Iterable[Face], *, ticker: bool, memory: object) -> np.ndarray:
        tickers.append(ticker)
        memories.append(memory)
        return image

    monkeypatch.setattr("cmaen.inference.run.draw_faces", drawing)
    shown = Shown(moving=moving)
    run(shown, shown, [Remembers(needs=Needs.DRAWING)])
    assert set(tickers) == {moving}
    assert len(set(memories)) == 1  # so that tags stay where they are
    assert (memories[0] is not None) is moving


def test_faces_are_drawn_once_for_all_sinks_and_only_where_one_needs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def drawing(image: np.ndarray, faces: Iterable[Face], *, ticker: bool, memory: object) -> np.ndarray:
        calls.append(tuple(faces))
        return image + 1

    monkeypatch.setattr("cmaen.inference.run.draw_faces", drawing)
    shown, sinks = Shown(), [Remembers(needs=Needs.DRAWING), Remembers(needs=Needs.DRAWING), Remembers()]
    run(shown, shown, sinks)
    assert len(calls) == 5
    assert shown.kept
    assert all(one is other for one, other in zip(sinks[0].drawn, sinks[1].drawn, strict=True))
    assert (sinks[0].drawn[0] == np.add(RED, 1)).all()
    shown = Shown()
    run(shown, shown, [Remembers()])
    assert len(calls) == 5
    assert not shown.kept


@pytest.mark.parametrize("needs", Needs)
def test_a_sink_that_fails_is_left_out_and_named_and_the_others_are_whole(needs: Needs, tmp_path: Path) -> None:
    shown = Shown()
    failing = Remembers(needs=needs, write=[None, None, OutputError("the disk is full")])
    whole, records = Remembers(), RecordSink(tmp_path / "faces.jsonl")
    with pytest.raises(OutputError, match=r"^the disk is full$"):
        run(shown, shown, [failing, whole, records])
    assert (len(failing.results), failing.finished) == (2, 0)
    assert failing.closed == 2  # at once, and at the end with all
    assert (len(whole.results), whole.finished) == (5, 1)
    assert len((tmp_path / "faces.jsonl").read_text().splitlines()) == 5
    assert shown.closed


def test_a_sink_that_fails_at_the_end_leaves_the_others_whole_and_each_is_named() -> None:
    shown = Shown()
    sinks = [Remembers(finish=OutputError("one")), Remembers(), Remembers(write=[OutputError("two")])]
    with pytest.raises(OutputError, match=r"^two; one$"):
        run(shown, shown, sinks)
    assert [sink.finished for sink in sinks] == [0, 1, 0]
    assert all(sink.closed for sink in sinks)


def test_when_every_sink_has_failed_the_rest_is_not_looked_at() -> None:
    shown = Shown(then=AssertionError("nobody needs this"))
    sinks = [Remembers(write=[OutputError("one")]), Remembers(write=[None, OutputError("two")])]
    with pytest.raises(OutputError, match=r"^one; two$"):
        run(shown, shown, sinks)
    assert len(sinks[1].results) == 1
    assert shown.closed


def test_whatever_a_sink_raises_costs_the_others_nothing() -> None:
    class Stuck(Remembers):
        def close(self) -> None:
            raise RuntimeError("it cannot be closed")

    shown, whole = Shown(), Remembers()
    sinks = [Remembers(write=[None, ZeroDivisionError("odd")]), Stuck(write=[KeyError("k")]), whole]
    with pytest.raises(OutputError, match=r"Stuck fails: KeyError: 'k'; Remembers fails: ZeroDivisionError: odd"):
        run(shown, shown, sinks)
    assert (len(whole.results), whole.finished, whole.closed) == (5, 1, 1)
    assert shown.closed


def test_the_end_of_the_process_closes_everything() -> None:
    shown, sinks = Shown(), [Remembers(write=[SystemExit()]), Remembers()]
    with pytest.raises(SystemExit):
        run(shown, shown, sinks)
    assert [(sink.finished, sink.closed) for sink in sinks] == [(0, 1), (0, 1)]
    assert shown.closed


def test_who_has_seen_enough_ends_it_well() -> None:
    before = threading.active_count()
    shown, watcher, other = Shown(), Remembers(write=[None, None, Quit()]), Remembers()
    summary = run(shown, shown, [other, watcher])
    assert (summary.frames, len(other.results)) == (3, 3)
    assert other.finished
    assert shown.closed
    assert threading.active_count() <= before


def test_ctrl_c_keeps_what_was_found_in_a_video(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    shown, records = Shown(then=KeyboardInterrupt()), RecordSink(tmp_path / "faces.json")
    with caplog.at_level(logging.WARNING):
        assert run(shown, shown, [records]).frames == 5
    assert "stopped after 5 frames; the results so far are kept" in caplog.text
    assert len(json.loads((tmp_path / "faces.json").read_text())) == 5
    assert [path.name for path in tmp_path.iterdir()] == ["faces.json"]


def test_ctrl_c_leaves_a_folder_to_be_gone_on_with(tmp_path: Path) -> None:
    shown, records = Shown(moving=False), RecordSink(tmp_path / "faces.json")
    with pytest.raises(KeyboardInterrupt):
        run(shown, shown, [records, Remembers(write=[None, None, KeyboardInterrupt()])])
    assert [path.name for path in tmp_path.iterdir()] == ["faces.json.part"]
    assert "1.png" in RecordSink(tmp_path / "faces.json", resume=True).done
    assert shown.closed


def test_a_source_that_fails_midway_leaves_no_half_files(film: Path, tmp_path: Path) -> None:
    pytest.importorskip("av")
    from cmaen.inference.sinks.video import VideoSink
    from cmaen.inference.sources import open_source

    shown, sink = Shown(then=VideoError("the camera has gone")), Remembers()
    timing = open_source("video", film)
    video = VideoSink(tmp_path / "drawn.mp4", timing)
    pictures = PictureSink(tmp_path / "drawn.png")
    with pytest.raises(VideoError, match="the camera has gone"):
        run(shown, shown, [sink, video, pictures])
    timing.close()
    assert (sink.finished, sink.closed) == (0, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["drawn.png"]
    assert Image.open(tmp_path / "drawn.png").size == (64, 48)  # whole
    assert shown.closed


def test_progress_sees_every_result() -> None:
    shown, seen = Shown(), []

    def progress(results: Iterable[Result]) -> Iterator[Result]:
        for result in results:
            seen.append(result.frame.index)
            yield result

    run(shown, shown, [], progress=progress)
    assert seen == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(("live", "ahead"), [(True, 1), (False, 4)])
def test_what_is_live_is_not_made_long_before_it_is_shown(live: bool, ahead: int) -> None:
    shown = Shown(live=live)

    class Slow(Remembers):
        def write(self, result: Result, drawn: np.ndarray | None) -> None:
            super().write(result, drawn)
            due = min(len(self.results) + ahead, 5)
            wait_until(lambda: shown.made >= due)
            time.sleep(0.02)
            assert shown.made == due

    assert run(shown, shown, [Slow()]).frames == 5


def test_records_keep_no_pixels_beside_a_sink_that_draws() -> None:
    sinks = [Remembers(), Remembers(needs=Needs.PIXELS), Remembers(needs=Needs.DRAWING)]
    for moving in (True, False):
        shown = Shown(moving=moving)
        run(shown, shown, sinks)
    records, pixels, drawing = sinks
    assert len(records.results) == len(pixels.results) == 10
    assert all(result.frame.image is None for result in records.results)
    assert all(result.frame.image is not None for result in pixels.results)
    assert all(drawn is None for drawn in (*records.drawn, *pixels.drawn))
    assert all(drawn is not None for drawn in drawing.drawn)
    assert [result.frame.name for result in records.results] == [result.frame.name for result in pixels.results]


def test_pixels_are_dropped_once_every_sink_has_had_them() -> None:
    alive: list[weakref.ref[np.ndarray]] = []

    class Many(Shown):
        def results(self, source: Shown, *, keep_images: bool = False) -> Iterator[Result]:
            for number in range(40):
                image = np.zeros((8, 8, 3), np.uint8)
                alive.append(weakref.ref(image))
                yield Result(Frame(number, f"{number}.png", image), (FACE,))

    class Counts(Remembers):
        most = 0

        def write(self, result: Result, drawn: np.ndarray | None) -> None:
            self.most = max(self.most, sum(one() is not None for one in alive))

    many, counts = Many(moving=False), Counts(needs=Needs.DRAWING)
    run(many, many, [counts, Remembers()])
    assert counts.most <= 8


def test_a_picture_that_cannot_be_drawn_costs_only_itself(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def drawing(image: np.ndarray, faces: Iterable[Face], *, ticker: bool, memory: object) -> np.ndarray:
        if len(list(faces)) == 2:
            raise OverflowError("the box is too large")
        return image

    monkeypatch.setattr("cmaen.inference.run.draw_faces", drawing)
    shown, sink = Shown(), Remembers(needs=Needs.DRAWING)
    run(shown, shown, [sink])
    assert [drawn is None for drawn in sink.drawn] == [True, False, False, False, False]
    assert "0.png cannot be drawn: OverflowError" in caplog.text
