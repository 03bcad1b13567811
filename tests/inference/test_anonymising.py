"""Which faces are hidden: found, nearly found, followed, just lost, about to be found; and what cannot be searched."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmaen import EmotionPredictor, annotate
from cmaen.errors import DetectorError
from cmaen.images.reader import read_image
from cmaen.inference.anonymising import (
    AHEAD,
    CAREFULLY,
    GROWTH,
    HOLD,
    NEARLY,
    Anonymiser,
    build_searchers,
    hide_faces,
    unite_boxes,
)
from cmaen.inference.detectors.base import DetectorOptions
from cmaen.inference.run import run
from cmaen.inference.sinks import Needs, Quit
from cmaen.results import Face, Result
from cmaen.types import FaceBox, Frame
from tests.conftest import EXAMPLES
from tests.inference.test_run import Remembers, Shown

NOISE = np.random.default_rng(0).integers(0, 256, (120, 300, 3), dtype=np.uint8)
LEFT, RIGHT = FaceBox(20, 40, 30, 30), FaceBox(200, 40, 30, 30)
RATE = 25


def analysed(*boxes: FaceBox) -> tuple[Face, ...]:
    return tuple(Face((0.1, 0.1, 0.1, 0.4, 0.1, 0.1, 0.1), box, identity=1) for box in boxes)


def show(number: int, *boxes: FaceBox, error: str | None = None, moving: bool = True) -> Result:
    frame = Frame(number, f"{number}", NOISE, number / RATE if moving else None)
    return Result(frame, analysed(*boxes), error)


class Script:
    """A detector that finds what was written down for each of its calls."""

    def __init__(self, *found: Sequence[FaceBox] | Exception) -> None:
        self.found = list(found)
        self.calls = 0

    def __call__(self, image: np.ndarray) -> list[FaceBox]:
        found = self.found[min(self.calls, len(self.found) - 1)]
        self.calls += 1
        if isinstance(found, Exception):
            raise found
        return list(found)


NOTHING = Script([])


def is_hidden(image: np.ndarray | None, box: FaceBox) -> bool:
    """Whether a few blocks are left of a face's box."""
    assert image is not None
    rows, columns = slice(int(box.y), int(box.y + box.height)), slice(int(box.x), int(box.x + box.width))
    part = image[rows, columns]
    return len(np.unique(part.reshape(-1, 3), axis=0)) < 40 and not np.array_equal(part, NOISE[rows, columns])


def watch(anonymiser: Anonymiser, results: Sequence[Result]) -> list[Result]:
    return [*(ready for result in results for ready in anonymiser.add(result)), *anonymiser.finish()]


def test_faces_that_were_analysed_and_those_that_only_the_search_finds_are_hidden() -> None:
    (ready,) = Anonymiser([Script([RIGHT])]).add(show(0, LEFT, moving=False))
    assert is_hidden(ready.frame.image, LEFT)
    assert is_hidden(ready.frame.image, RIGHT)
    assert np.array_equal(ready.frame.image[:, 110:160], NOISE[:, 110:160])
    assert ready.faces == analysed(LEFT)


def test_a_face_that_only_the_tracker_follows_is_hidden() -> None:
    results = watch(Anonymiser([NOTHING]), [show(number, LEFT) for number in range(5)])
    assert [is_hidden(result.frame.image, LEFT) for result in results] == [True] * 5


def test_a_lost_face_stays_hidden_for_a_while_and_where_it_may_have_gone() -> None:
    found = [[LEFT]] * 3 + [[]] * 60
    results = watch(Anonymiser([Script(*found)]), [show(number) for number in range(63)])
    hidden = [is_hidden(result.frame.image, LEFT) for result in results]
    assert all(hidden[: 3 + round(HOLD * RATE) - 2])
    assert not any(hidden[4 + round(HOLD * RATE) :])
    changed = [(result.frame.image != NOISE).any(axis=(0, 2)).sum() for result in results]
    last = 2 + round(HOLD * RATE) - 1
    assert changed[last] >= changed[2] * (1 + 0.4 * GROWTH)


def test_a_lost_face_is_hidden_where_it_would_be_had_it_moved_on() -> None:
    places = [FaceBox(20 + 8 * number, 40, 30, 30) for number in range(25)]
    found = [[place] for place in places[:10]] + [[]] * 15
    results = watch(Anonymiser([Script(*found)]), [show(number) for number in range(25)])
    assert all(is_hidden(result.frame.image, place) for place, result in zip(places, results, strict=True))


def test_a_face_is_hidden_shortly_before_it_is_found() -> None:
    found = [[]] * 30 + [[RIGHT]] * 3
    results = watch(Anonymiser([Script(*found)]), [show(number) for number in range(33)])
    hidden = [is_hidden(result.frame.image, RIGHT) for result in results]
    assert all(hidden[30 - round(AHEAD * RATE) + 1 :])
    assert not any(hidden[: 30 - round(AHEAD * RATE) - 1])


def test_a_face_that_moves_leaves_no_trail() -> None:
    places = [FaceBox(20 + 4 * number, 40, 30, 30) for number in range(45)]
    results = watch(Anonymiser([Script(*([place] for place in places))]), [show(number) for number in range(45)])
    for place, result in zip(places, results, strict=True):
        assert is_hidden(result.frame.image, place)
    assert np.array_equal(results[-1].frame.image[:, :100], NOISE[:, :100])
    assert np.array_equal(results[0].frame.image[:, 120:], NOISE[:, 120:])


def test_the_blocks_over_a_face_that_only_jitters_do_not_move() -> None:
    """Else its frames together would show more of it than one does."""
    rng = np.random.default_rng(0)
    shaken = (rng.uniform(-0.7, 0.7, 3) for _ in range(20))  # less than a tenth of the face, even added up
    boxes = [FaceBox(20 + x, 40 + y, 30, 30 + height) for x, y, height in shaken]
    results = watch(Anonymiser([Script(*([box] for box in boxes))]), [show(number) for number in range(20)])
    first, *others = (result.frame.image for result in results)
    assert all(np.array_equal(first, other) for other in others)


def test_a_frame_that_could_not_be_analysed_is_hidden_as_a_whole() -> None:
    results = watch(Anonymiser([NOTHING]), [show(0), show(1, error="PredictionError: it fails"), show(2)])
    assert [is_hidden(result.frame.image, FaceBox(0, 0, 300, 120)) for result in results] == [False, True, False]


def test_a_picture_that_cannot_be_searched_is_hidden_as_a_whole_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    script = Script([LEFT], ValueError("broken"), DetectorError("broken too"), [LEFT])
    with caplog.at_level(logging.WARNING, "cmaen"):
        ready = watch(Anonymiser([script]), [show(number, moving=False) for number in range(4)])
    whole = [is_hidden(result.frame.image, FaceBox(0, 0, 300, 120)) for result in ready]
    assert whole == [False, True, True, False]
    assert [record.message.split(":")[0] for record in caplog.records] == ["1"]


def test_a_frame_that_could_not_be_read_passes_in_its_turn() -> None:
    results = [show(0, LEFT), Result(Frame(1, time=0.04), error="VideoError: gone"), show(2, LEFT)]
    ready = watch(Anonymiser([NOTHING]), results)
    assert [result.frame.index for result in ready] == [0, 1, 2]
    assert ready[1] is results[1]


def test_a_live_source_is_not_held_back() -> None:
    anonymiser = Anonymiser([NOTHING], ahead=0)
    for number in range(3):
        (ready,) = anonymiser.add(show(number, LEFT))
        assert ready.frame.index == number
        assert is_hidden(ready.frame.image, LEFT)


def test_only_so_many_pixels_are_held_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cmaen.inference.anonymising._PIXELS_HELD", 3 * 120 * 300)
    anonymiser = Anonymiser([NOTHING])
    assert [len(anonymiser.add(show(number))) for number in range(6)] == [0, 0, 0, 1, 1, 1]
    assert len(anonymiser.finish()) == 3


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.one_of(st.none(), st.floats(-1, 3)),
            st.sampled_from([(), (LEFT,), (RIGHT, LEFT)]),
            st.sampled_from(["whole", "failed", "unreadable"]),
        ),
        max_size=30,
    ),
    st.sampled_from([0.0, AHEAD]),
)
def test_whatever_the_clock_does_every_answer_comes_once_unchanged_and_in_order(
    frames: list[tuple[float | None, tuple[FaceBox, ...], str]], ahead: float
) -> None:
    results = []
    for number, (time, boxes, state) in enumerate(frames):
        frame = Frame(number, image=None if state == "unreadable" else NOISE, time=time)
        results.append(Result(frame, analysed(*boxes), None if state == "whole" else "VideoError: gone"))
    ready = watch(Anonymiser([Script([LEFT], [], [RIGHT])], ahead=ahead), results)
    assert [result.to_record() for result in ready] == [result.to_record() for result in results]
    for result in ready:
        if result.frame.image is not None:
            assert all(is_hidden(result.frame.image, face.box) for face in result.faces)


def test_a_video_is_searched_carefully_now_and_then_and_quickly_in_between() -> None:
    calls: list[str] = []

    class Careful(Script):
        def __call__(self, image: np.ndarray) -> list[FaceBox]:
            calls.append("careful")
            return []

        def glance(self, image: np.ndarray) -> list[FaceBox]:
            calls.append("glance")
            return []

    watch(Anonymiser([Careful([])]), [show(number) for number in range(21)])
    step = round(CAREFULLY * RATE)
    assert [number for number, call in enumerate(calls) if call == "careful"] == list(range(0, 21, step))
    assert len(calls) == 21


def test_the_search_has_low_scores_and_takes_faces_of_any_size() -> None:
    (usual,) = build_searchers()
    (strict,) = build_searchers("yunet", DetectorOptions(max_side=200, min_score=0.9, min_face=80))
    for detector in (usual, strict):
        assert detector.min_score == NEARLY
        assert detector.min_face == 0
        assert (detector.max_side, detector.closer) == (640, 1280)
    (large,) = build_searchers(None, DetectorOptions(max_side=2000, min_score=0.2))
    assert (large.max_side, large.min_score) == (2000, 0.2)


@pytest.mark.parametrize("seed", range(5))
def test_of_boxes_that_are_united_no_two_are_the_same_face_and_none_is_lost(seed: int) -> None:
    rng = np.random.default_rng(seed)
    boxes = [FaceBox(*rng.uniform(0, 200, 2).tolist(), *rng.uniform(5, 60, 2).tolist()) for _ in range(25)]
    united = unite_boxes(boxes)
    assert len(united) < len(boxes)
    for box in boxes:
        assert any(
            one.x <= box.x
            and one.y <= box.y
            and one.x + one.width >= box.x + box.width - 1e-9
            and one.y + one.height >= box.y + box.height - 1e-9
            for one in united
        )


def test_every_sink_is_given_hidden_faces_and_all_results_also_when_the_video_is_stopped() -> None:
    for then in (None, KeyboardInterrupt()):
        shown = Shown(then=then)
        sinks = [Remembers(needs=needs) for needs in Needs]
        run(shown, shown, sinks, anonymiser=Anonymiser([Script([FaceBox(20, 10, 20, 20)])]))
        for sink in sinks:
            assert [result.frame.index for result in sink.results] == [0, 1, 2, 3, 4]
            assert sink.finished == 1
        assert all(result.frame.image is None for result in sinks[0].results)


def test_sinks_never_see_the_pixels_of_a_face() -> None:
    noisy = Shown()
    noisy.results = lambda source, keep_images: (show(number, LEFT) for number in range(6))  # type: ignore[method-assign]
    sinks = [Remembers(needs=Needs.PIXELS), Remembers(needs=Needs.DRAWING)]
    run(noisy, noisy, sinks, anonymiser=Anonymiser([NOTHING]))
    for sink in sinks:
        assert len(sink.results) == 6
        assert all(is_hidden(result.frame.image, LEFT) for result in sink.results)
    inner = slice(int(LEFT.y) + 5, int(LEFT.y) + 20), slice(int(LEFT.x) + 5, int(LEFT.x) + 25)
    assert all(not np.array_equal(drawn[inner], NOISE[inner]) for drawn in sinks[1].drawn if drawn is not None)


def test_whoever_quits_has_quit() -> None:
    shown = Shown()
    sink = Remembers(write=[Quit()])
    run(shown, shown, [sink], anonymiser=Anonymiser([NOTHING]))
    assert sink.finished == 1


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    return read_image(EXAMPLES / "astronaut.png")


def test_a_picture_is_annotated_over_hidden_faces(picture: np.ndarray) -> None:
    (search,) = build_searchers()
    (face, *_) = search(picture)
    hidden = hide_faces(picture, [])
    assert search(hidden) == []
    assert np.array_equal(annotate(picture, [], anonymise=True), hidden)
    drawn = annotate(picture, [replace(analysed(face)[0], identity=None).to_dict()], anonymise=True)
    assert not np.array_equal(drawn, hidden)  # an outline and a tag
    x, y = round(face.x + face.width / 2), round(face.y + face.height / 3)
    assert np.array_equal(drawn[y - 9 : y + 9, x - 20 : x + 20], hidden[y - 9 : y + 9, x - 20 : x + 20])
    elsewhere = {**analysed(FaceBox(10, 400, 60, 60))[0].to_dict(), "identity": None}
    assert len(np.unique(annotate(picture, [elsewhere], anonymise=True)[410:440, 20:60].reshape(-1, 3), axis=0)) < 40


def test_the_portraits_of_an_analysed_video_are_hidden_and_its_answers_stay(
    film: Path, predictor: EmotionPredictor
) -> None:
    pytest.importorskip("av")
    plain, hidden = (predictor.predict_video(film, anonymise=anonymise) for anonymise in (False, True))
    assert [result.to_record() for result in hidden.results] == [result.to_record() for result in plain.results]
    (search,) = build_searchers()
    assert search(np.asarray(plain.plot().convert("RGB")))
    assert not search(np.asarray(hidden.plot().convert("RGB")))
