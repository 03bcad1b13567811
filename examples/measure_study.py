"""Whether the intervals and tests of `cmaen report` keep what they promise, on people made by code.

python examples/measure_study.py

It prints how many of the 95% intervals of a share of time hold the true share, for people who show an emotion for a
given share of the time and a given number of seconds at a stretch; the same for means over people; how often tests of
no difference have p <= 0.05, and how often a whole report of no difference calls anything significant; and how often a
report finds a difference that is there.
"""

import numpy as np

from cmaen.recordings.recording import Appearance, Recording
from cmaen.studies.comparison import compare
from cmaen.studies.events import Event, Events
from cmaen.studies.statistics import bound_mean, bound_share, choose_block, exchange_groups, flip_signs
from cmaen.types import EMOTIONS

STEP = 1.0
TIMES = 400
REPORTS = 200


def alternate(count, share, stay, rng):
    """Whether a person shows an emotion, at each of a number of steps."""
    ends, begins = 1 / stay, share / (1 - share) / stay
    shown, draws, series = rng.random() < share, rng.random(count), np.empty(count)
    for place in range(count):
        series[place] = shown
        shown = draws[place] >= ends if shown else draws[place] < begins
    return series


def cover_shares(seconds, share, stay, rng):
    """The intervals that hold the share, those that do so without blocks, and those that there are."""
    held = naive = there = 0
    for _ in range(TIMES):
        series, seen = alternate(round(seconds / STEP), share, stay / STEP, rng), np.ones(round(seconds / STEP))
        interval, alone = bound_share(series, seen, choose_block(series)), bound_share(series, seen, 1)
        there += interval is not None
        held += interval is not None and interval.low <= share <= interval.high
        naive += alone is not None and alone.low <= share <= alone.high
    return held / max(there, 1), naive / TIMES, there / TIMES


def cover_means(people, draw, truth, rng):
    """The intervals of a mean over people that hold the true one."""
    held = [(bound_mean(draw(people), rng) or (1, 0)) for _ in range(TIMES)]
    return np.mean([low <= truth <= high for low, high in held])


def watch(name, calm, moved, rng):
    """A person who watches two films of a minute, with a share of happiness in each."""
    happy = np.concatenate([alternate(120, calm, 8, rng), alternate(120, moved, 8, rng)])
    other = rng.choice([0, 4, 5, 6], 24).repeat(10)  # angry, neutral, sad or surprised for five seconds each
    answers = np.where(happy > 0, EMOTIONS.index("happy"), other)
    probabilities = np.full((240, 7), 0.05)
    probabilities[np.arange(240), answers] = 0.7
    face = Appearance(np.arange(240), probabilities, answers, np.full(240, 0.7), np.full((240, 4), np.nan))
    return Recording(f"{name}.mp4", EMOTIONS, np.arange(240) / 2, {name: face})


def judge(people, calm, moved, rng):
    """Whether a report finds anything, and whether it finds happiness."""
    films = Events((Event("first", 0, 60), Event("second", 60, 120)))
    tests = compare([watch(f"P{number}", calm, moved, rng) for number in range(people)], films).tests
    found = {test.emotion for test in tests if test.is_significant}
    return bool(found), "happy" in found


def main():
    """Print all figures."""
    rng = np.random.default_rng(0)
    print(f"95% intervals of one person's share of time, {TIMES} recordings each: held with blocks, held without, made")
    for seconds, share, stay in (
        *((300, 0.3, 3), (600, 0.3, 3), (600, 0.3, 10), (600, 0.1, 5), (600, 0.03, 5)),
        *((1800, 0.3, 10), (1800, 0.05, 10), (1800, 0.3, 40)),
    ):
        held, naive, there = cover_shares(seconds, share, stay, rng)
        print(
            f"  {seconds / 60:3.0f} min, share {share:.2f}, {stay:2d} s a stretch: {held:.3f} {naive:.3f} {there:.2f}"
        )
    print("95% intervals of a mean over people: held for normal and for skewed shares")
    for people in (6, 10, 20, 50):
        normal = cover_means(people, lambda n: rng.normal(0.4, 0.1, n), 0.4, rng)
        skewed = cover_means(people, lambda n: rng.beta(0.5, 4.5, n), 0.1, rng)
        print(f"  {people:2d} people: {normal:.3f} {skewed:.3f}")
    print(f"tests of no difference with p <= 0.05, of {5 * TIMES}: signs flipped, groups exchanged")
    for people in (6, 8, 12, 20):
        flipped = [flip_signs(rng.standard_t(3, people), rng).p_value <= 0.05 for _ in range(5 * TIMES)]
        split = [
            exchange_groups(rng.beta(0.5, 4.5, people // 2), rng.beta(0.5, 4.5, people - people // 2), rng).p_value
            <= 0.05
            for _ in range(5 * TIMES)
        ]
        print(f"  {people:2d} people: {np.mean(flipped):.3f} {np.mean(split):.3f}")
    print(f"whole reports, {REPORTS} each: anything called significant, happiness called significant")
    for people, calm, moved in (
        (10, 0.3, 0.3),
        (20, 0.3, 0.3),
        (8, 0.2, 0.5),
        (12, 0.2, 0.5),
        (12, 0.25, 0.35),
        (24, 0.25, 0.35),
    ):
        found = np.array([judge(people, calm, moved, rng) for _ in range(REPORTS)])
        print(
            f"  {people:2d} people, happy for {calm:.2f} and {moved:.2f}: "
            f"{found[:, 0].mean():.3f} {found[:, 1].mean():.3f}"
        )


if __name__ == "__main__":
    main()
