"""Smoothing over a window of time: right at any sampling rate, not shifted, and as sure as it is right."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmaen.errors import SettingError
from cmaen.inference import smoothing
from cmaen.inference.pipeline import FacePipeline
from cmaen.inference.smoothing import MOST, SPREAD, Stretch, count_independent, hold_back
from cmaen.inference.tuning import Tuning
from cmaen.types import EMOTIONS, FaceBox, Frame
from tests.inference.conftest import RED, picture, plain
from tests.inference.stand_ins import ByColour, Fickle, Finds, Frames, film_of

HAPPY, SAD = np.eye(7)[3], np.eye(7)[5]


class Moment:
    """Something that waits for later answers."""

    def __init__(self, time: float, side: int = 0) -> None:
        self.time = time
        self.frame = Frame(0, image=np.zeros((side, side, 3), np.uint8) if side else None)


def steps(times: list[float], change: float) -> Stretch:
    stretch = Stretch()
    for time in times:
        stretch.add(HAPPY if time < change else SAD, time)
    return stretch


@pytest.mark.parametrize("rate", [5, 10, 25, 50])
def test_a_change_stays_where_it_is_at_any_sampling_rate(rate: int) -> None:
    times = [number / rate for number in range(4 * rate)]
    stretch = steps(times, change=2.0)
    smoothed = {time: stretch.smooth(time, 0.8) for time in times}
    assert all(answer is not None for answer in smoothed.values())
    for time, answer in smoothed.items():
        assert answer is not None
        share = float(np.clip((2.0 - time + 0.4) / 0.8, 0, 1))
        assert answer.probabilities[3] == pytest.approx(share, abs=1 / (0.8 * rate) + 0.01)
        assert (answer.probabilities[3] > 0.5) == (time < 2.0) or abs(time - 2.0) <= 0.5 / rate
    assert len(stretch.answers) <= 0.8 * rate + 2, "what no later frame needs is forgotten"


def test_one_frame_a_second_is_not_smoothed_and_a_rare_answer_holds_until_the_next() -> None:
    stretch = steps([0.0, 1.0, 2.0], change=1.0)
    for time, expected in ((0.0, HAPPY), (1.0, SAD), (2.0, SAD)):
        answer = stretch.smooth(time, 0.8)
        assert answer is not None
        assert answer.independent == 1
        assert np.array_equal(answer.probabilities, expected)
    stretch = steps([0.0, 3.0], change=3.0)
    assert [float(stretch.smooth(time, 0.2).probabilities[3]) for time in (0.0, 1.0, 2.8, 2.95)] == [1, 1, 1, 0]  # type: ignore[union-attr]
    assert Stretch().smooth(0.0, 1.0) is None


def test_an_answer_that_is_no_number_costs_none_of_the_others() -> None:
    stretch = Stretch()
    for number, row in enumerate((HAPPY, np.full(7, np.nan), HAPPY)):
        stretch.add(row, number / 10)
    answer = stretch.smooth(0.1, 1.0)
    assert answer is not None
    assert np.array_equal(answer.probabilities, HAPPY)
    lone = Stretch()
    lone.add(np.full(7, np.nan), 0.0)
    assert np.isnan(lone.smooth(0.0, 1.0).probabilities).all()  # type: ignore[union-attr]


def answers(count: int, seed: int, noise: float) -> np.ndarray:
    """Answers to different faces of one label: logits that vary around one."""
    rng = np.random.default_rng(seed)
    logits = np.eye(7)[3] * 2 + rng.normal(0, noise, (count, 7))
    shares = np.exp(logits)
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def test_answers_count_as_independent_if_they_vary_and_do_not_change() -> None:
    different = [count_independent(answers(16, seed, 1.3)) for seed in range(50)]
    assert np.mean(different) > 5
    assert np.mean([count_independent(answers(16, seed, 0.05)) for seed in range(50)]) < 1.1
    one, other = answers(8, 0, 0.02), answers(8, 1, 0.02)[:, ::-1]
    assert count_independent(np.concatenate([one, other])) < 1.5, "an expression that changes"
    assert count_independent(np.concatenate([one[:5], other[:6], one[:5]])) < 1.7, "and changes back"
    assert count_independent(one[:1]) == 1


@given(
    st.lists(st.lists(st.floats(0, 1), min_size=7, max_size=7), min_size=1, max_size=40).map(np.array),
)
def test_the_number_of_independent_answers_is_within_its_limits(rows: np.ndarray) -> None:
    assert 1 <= count_independent(rows) <= min(len(rows), MOST)


def test_frames_wait_for_what_is_half_a_window_later_and_not_longer() -> None:
    given_out: list[float] = []
    taken: list[float] = []

    def frames() -> object:
        for number in range(100):
            taken.append(number / 25)
            yield Moment(number / 25)

    for one in hold_back(frames(), 0.4):  # type: ignore[type-var, arg-type]
        given_out.append(one.time)
        assert taken[-1] - one.time <= 0.4 + 0.05
        assert taken[-1] - one.time >= 0.4 or taken[-1] == 99 / 25
    assert given_out == taken
    assert [one.time for one in hold_back(iter([Moment(5.0), Moment(0.0), Moment(9.0)]), 60)] == [5.0, 0.0, 9.0]


def test_the_memory_of_what_waits_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smoothing, "_PIXELS", 3 * 100 * 100)
    held = 0

    def frames() -> object:
        nonlocal held
        for number in range(50):
            held += 1
            yield Moment(number / 25, side=100)

    times = []
    for one in hold_back(frames(), 60.0):  # type: ignore[type-var, arg-type]
        held -= 1
        assert held <= 3
        times.append(one.time)
    assert times == [number / 25 for number in range(50)]


def shares_of(pipeline: FacePipeline, source: Frames) -> list[float]:
    return [result.faces[0].probabilities[EMOTIONS.index("sad")] for result in pipeline.results(source)]


def test_a_file_is_smoothed_around_each_frame_and_a_live_source_from_before_it() -> None:
    whole = FacePipeline(ByColour(), None, Tuning(smoothing=0.8, classify_every=0))

    class Steady(ByColour):
        """Changes its mind without a change of scene."""

        def probabilities(self, inputs: np.ndarray) -> np.ndarray:
            self.batches.append(len(inputs))
            return np.eye(7)[[0 if len(self.batches) <= 25 else 5] * len(inputs)]

    class Live(Frames):
        live = True

    steady = [plain(RED)] * 50
    symmetric = shares_of(replace(whole, classifier=Steady()), film_of(steady))
    assert symmetric[14] == 0 < symmetric[15]
    assert symmetric[24] < 0.5 < symmetric[25]
    assert symmetric[34] < 1 == symmetric[35]
    frames = [Frame(number, "film", image, number / 25) for number, image in enumerate(steady)]

    def watch(source: Frames) -> list[float]:
        return shares_of(replace(whole, classifier=Steady()), source)

    live = watch(Live(frames))
    assert live[24] == 0
    assert live[35] == pytest.approx(1 - math.exp(-11 / 25 / 0.4))
    prompt = Frames(frames)
    prompt.prompt = True  # type: ignore[attr-defined]
    assert watch(prompt) == live


def test_a_prompt_source_has_its_answer_before_it_goes_on() -> None:
    answered: list[int] = []

    class Prompt(Frames):
        prompt = True

        def __iter__(self) -> object:  # type: ignore[override]
            for number in range(20):
                assert len(answered) >= number - 8, "the answers of the service do not wait for later frames"
                yield lambda number=number: Frame(number, "film", plain(RED), number / 25)

    results = FacePipeline(ByColour(), None, Tuning(smoothing=5)).results(Prompt([]))
    answered.extend(result.frame.index for result in results)
    assert answered == list(range(20))


def test_the_confidence_of_smoothed_answers_rises_with_those_that_are_independent() -> None:
    faces = {}
    for name, classifier in {"same": ByColour(), "varies": Fickle()}.items():
        pipeline = FacePipeline(classifier, Finds([FaceBox(100, 50, 88, 120)]), Tuning(smoothing=2, classify_every=0))
        faces[name] = [result.faces[0] for result in pipeline.results(film_of([picture(0)] * 50))]
    assert all(face.confidence == 1 for face in faces["same"])
    middle = faces["varies"][25]
    assert max(middle.probabilities) == pytest.approx(0.5, abs=0.02)
    assert max(middle.probabilities) <= middle.confidence < 0.65


def test_a_window_has_its_limits() -> None:
    for wrong in (-0.1, 61, float("nan")):
        with pytest.raises(SettingError, match="smoothing must be 0 to 60 seconds"):
            Tuning(smoothing=wrong)
    assert SPREAD > 0
