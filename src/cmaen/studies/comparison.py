"""People compared between stimuli or groups: means with intervals, and permutation tests corrected for their number."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cmaen.evaluation.intervals import Interval
from cmaen.evaluation.significance import LEVEL, adjust_for_many
from cmaen.recordings.recording import Recording
from cmaen.studies.events import Events, list_levels, list_spans
from cmaen.studies.series import follow
from cmaen.studies.statistics import bound_difference, bound_mean, exchange_groups, flip_signs

Unit = Literal["name", "number", "recording"]
"""What counts as one person: people of the same name; also those of the same number, such as "person 3"; or everybody
in a recording together, for recordings of one participant each."""
UNITS: tuple[Unit, ...] = ("name", "number", "recording")
LEAST_SECONDS = 1.0
"""Seconds for which a person must be seen in a condition to count in it."""
EVERYTHING = "all recordings"
"""The only level where there are no events."""
_DIGITS = 9
"""Decimals of a share of time: what lies behind is rounding, which must not decide on the sign of a difference."""
_NUMBERED = re.compile(r"person( \d+)?")


class Mean(NamedTuple):
    """The mean over people of the share of time of an emotion.

    Attributes:
        level: Stimulus or group.
        emotion: The emotion.
        people: Number of people.
        mean: Mean share of their time, in [0, 1].
        interval: 95 % interval by resampling people, see :func:`cmaen.studies.statistics.bound_mean`.
    """

    level: str
    emotion: str
    people: int
    mean: float
    interval: Interval | None


@dataclass(frozen=True)
class Contrast:
    """The test of one emotion between two stimuli or groups.

    Attributes:
        first, second: The stimuli or groups.
        emotion: The emotion.
        paired: Whether the same people are compared, by flipping signs; otherwise different people, by exchanging them.
        people: Number of people in the first and in the second; both are the same if paired.
        difference: Mean share of time in the second less that in the first.
        interval: 95 % interval of the difference by resampling people.
        p_value: The p-value of this test alone; ``None`` if too few people differ at all for a test, because even the
            smallest p-value that they can give is above :data:`cmaen.evaluation.significance.LEVEL` (Tarone, 1990).
        smallest: Smallest p-value that these people can give, see
            :class:`cmaen.studies.statistics.Permutation`.
        exact: Whether all permutations were looked at.
        adjusted: The p-value adjusted for all tests of the report, see
            :func:`cmaen.evaluation.significance.adjust_for_many`; ``None`` without a test.
    """

    first: str
    second: str
    emotion: str
    paired: bool
    people: tuple[int, int]
    difference: float
    interval: Interval | None
    p_value: float | None
    smallest: float
    exact: bool
    adjusted: float | None = None

    @property
    def is_significant(self) -> bool:
        """Whether the adjusted p-value is at most :data:`cmaen.evaluation.significance.LEVEL`."""
        return self.adjusted is not None and self.adjusted <= LEVEL

    def to_dict(self) -> dict[str, Any]:
        """Return a plain dict, ready for JSON."""
        return {
            "first": self.first,
            "second": self.second,
            "emotion": self.emotion,
            "paired": self.paired,
            "people": list(self.people),
            "difference": self.difference,
            "interval": None if self.interval is None else list(self.interval),
            "p_value": self.p_value,
            "exact": self.exact,
            "adjusted_p_value": self.adjusted,
            "significant": self.is_significant,
        }


@dataclass(frozen=True)
class Factor:
    """A comparison by stimulus or by group.

    Attributes:
        name: ``stimulus``, ``group`` or ``recordings``, which has a single level.
        levels: Stimuli or groups in the order of the events.
        means: Means of each level and emotion.
        contrasts: Tests of each two levels and each emotion.
        left_out: Sentences on people who do not count in a test or mean.
    """

    name: str
    levels: tuple[str, ...]
    means: tuple[Mean, ...]
    contrasts: tuple[Contrast, ...] = ()
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class Comparison:
    """All comparisons of a report.

    Attributes:
        labels: Emotions that are compared, which all recordings have.
        factors: Comparisons by stimulus and by group, or means over all recordings.
        people: Number of people.
        numbered: Number of these who have a number for a name and so count as different people in each recording.
    """

    labels: tuple[str, ...]
    factors: tuple[Factor, ...]
    people: int
    numbered: int = 0

    @property
    def contrasts(self) -> tuple[Contrast, ...]:
        """All differences, whether they are tested or not."""
        return tuple(contrast for factor in self.factors for contrast in factor.contrasts)

    @property
    def tests(self) -> tuple[Contrast, ...]:
        """All differences that are tested."""
        return tuple(contrast for contrast in self.contrasts if contrast.p_value is not None)

    @property
    def attainable(self) -> float:
        """The smallest adjusted p-value that these people and this number of tests can give at best."""
        return min(1.0, len(self.tests) * min((test.smallest for test in self.tests), default=1.0))

    def to_dict(self) -> dict[str, Any]:
        """Return a plain dict, ready for JSON."""
        return {
            "people": self.people,
            "tests": len(self.tests),
            "smallest_attainable_p_value": self.attainable if self.tests else None,
            "factors": [
                {
                    "factor": factor.name,
                    "levels": list(factor.levels),
                    "means": [
                        {**mean._asdict(), "interval": None if mean.interval is None else list(mean.interval)}
                        for mean in factor.means
                    ],
                    "differences": [contrast.to_dict() for contrast in factor.contrasts],
                    "left_out": list(factor.left_out),
                }
                for factor in self.factors
            ],
        }


def compare(
    recordings: Sequence[Recording],
    events: Events | None = None,
    *,
    unit: Unit = "name",
    rng: np.random.Generator | None = None,
) -> Comparison:
    """Compare the shares of time of each emotion between the stimuli and between the groups of some events.

    Two levels are compared within the people who were seen in both; if there is none, between the different people
    that were seen in each. All p-values are adjusted together for their number.

    Args:
        recordings: Recordings, with different names.
        events: Events, by which people are compared; ``None``: only means over all people, of several recordings.
        unit: What counts as one person, see :data:`Unit`.
        rng: The source of all randomness; ``None`` for one with a fixed seed.
    """
    rng = np.random.default_rng(0) if rng is None else rng
    told = [recording for recording in recordings if recording.labels]
    labels = tuple(label for label in (told[0].labels if told else ()) if all(label in one.labels for one in told))
    kinds = {"stimulus": "name", "group": "group"} if events is not None else {}
    factors = [
        _compare_levels(kind, _observe(told, events, attribute, labels, unit), labels, rng)
        for kind, attribute in kinds.items()
        if events is not None and any(list_levels(events.events, attribute))
    ]
    everything = _observe(told, None, "", labels, unit)
    if not factors and labels and len(recordings) > 1:
        factors = [_compare_levels("recordings", everything, labels, rng)]
    numbered = sum(bool(_NUMBERED.fullmatch(name)) for recording in told for name in recording.people)
    return Comparison(labels, _correct(factors), len(everything[EVERYTHING]), numbered if unit == "name" else 0)


def _correct(factors: Sequence[Factor]) -> tuple[Factor, ...]:
    """Adjust the p-values of all tests together."""
    tested = [one.p_value for factor in factors for one in factor.contrasts if one.p_value is not None]
    adjusted = iter(adjust_for_many(tested).tolist())
    return tuple(
        replace(
            factor,
            contrasts=tuple(
                one if one.p_value is None else replace(one, adjusted=next(adjusted)) for one in factor.contrasts
            ),
        )
        for factor in factors
    )


_Observed = Mapping[str, Mapping[str, NDArray[np.float64]]]
"""Seconds of each emotion and seconds seen, float64 [E + 1], by level and person."""


def _observe(
    recordings: Sequence[Recording],
    events: Events | None,
    attribute: str,
    labels: Sequence[str],
    unit: Unit,
) -> _Observed:
    """Sum up the time of each person in each level."""
    levels = [EVERYTHING] if events is None else list(list_levels(events.events, attribute))
    observed: dict[str, dict[str, NDArray[np.float64]]] = {level: {} for level in levels}
    for recording in recordings:
        places = [recording.labels.index(label) for label in labels]
        spans = {level: _find_spans(recording, events, attribute, level) for level in levels}
        for name, appearance in recording.people.items():
            person = name_person(recording.name, name, unit)
            series = follow(recording, appearance)
            values = np.concatenate([series.answered[:, places], series.seen], axis=1)  # [N, E + 1]
            for level, parts in spans.items():
                for start, end in parts:
                    seconds = series.integrate(values, np.array([start, end]))[0]  # [1, E + 1] -> [E + 1]
                    observed[level][person] = observed[level].get(person, 0.0) + seconds
    return observed


def _find_spans(recording: Recording, events: Events | None, attribute: str, level: str) -> list[tuple[float, float]]:
    if events is None:
        return [(-math.inf, math.inf)]
    here = (event for event in events.events if getattr(event, attribute) == level and event.concerns(recording.name))
    return list_spans(here)


def name_person(recording: str, name: str, unit: Unit) -> str:
    """Name the person that someone in a recording counts as in comparisons.

    Args:
        recording: Name of the recording.
        name: Key of the person in it.
        unit: What counts as one person.
    """
    if unit == "recording":
        return recording
    if unit == "name" and _NUMBERED.fullmatch(name):
        return f"{name} of {recording}"
    return name


def _compare_levels(kind: str, observed: _Observed, labels: Sequence[str], rng: np.random.Generator) -> Factor:
    shares = {
        level: {
            person: np.round(seconds[:-1] / seconds[-1], _DIGITS)
            for person, seconds in people.items()
            if seconds[-1] >= LEAST_SECONDS
        }
        for level, people in observed.items()
    }
    means = tuple(
        Mean(level, label, len(values), float(values.mean()), bound_mean(values, rng))
        for level, people in shares.items()
        if people
        for label, values in zip(labels, np.array(list(people.values())).T, strict=True)  # [P, E] -> [E, P]
    )
    pairs = list(combinations(shares, 2))
    contrasts = tuple(contrast for first, second in pairs for contrast in _contrast(first, second, shares, labels, rng))
    return Factor(kind, tuple(observed), means, contrasts, tuple(_list_left_out(observed, shares, pairs)))


def _contrast(
    first: str,
    second: str,
    shares: Mapping[str, Mapping[str, NDArray[np.float64]]],
    labels: Sequence[str],
    rng: np.random.Generator,
) -> Iterator[Contrast]:
    """Compare two levels within the people of both, or between those of each; nothing if one has no people."""
    both = [person for person in shares[first] if person in shares[second]]
    names = (both, both) if both else (list(shares[first]), list(shares[second]))
    if not all(names):
        return
    before, after = (
        np.array([shares[level][person] for person in people])  # [P, E]
        for level, people in zip((first, second), names, strict=True)
    )
    for place, label in enumerate(labels):
        one, other = before[:, place], after[:, place]  # [P], [Q]
        if both:
            test, interval = flip_signs(other - one, rng), bound_mean(other - one, rng)
        else:
            test, interval = exchange_groups(one, other, rng), bound_difference(one, other, rng)
        yield Contrast(
            first=first,
            second=second,
            emotion=label,
            paired=bool(both),
            people=(len(one), len(other)),
            difference=test.difference,
            interval=interval,
            p_value=test.p_value if test.smallest <= LEVEL else None,
            smallest=test.smallest,
            exact=test.exact,
        )


def _list_left_out(
    observed: _Observed,
    shares: Mapping[str, Mapping[str, NDArray[np.float64]]],
    pairs: Sequence[tuple[str, str]],
) -> Iterator[str]:
    """Say who does not count, and where."""
    for level, people in observed.items():
        short = sum(0 < seconds[-1] < LEAST_SECONDS for seconds in people.values())
        if short:
            yield f"“{level}”: {_count(short)} seen for less than {LEAST_SECONDS:g} s left out"
        if not shares[level]:
            yield f"“{level}”: nobody was seen, so it is not compared"
    for first, second in pairs:
        both = shares[first].keys() & shares[second].keys()
        alone = len(shares[first].keys() ^ shares[second].keys())
        if both and alone:
            yield (
                f"“{first}” and “{second}”: {_count(alone)} seen in only one of them left out of their test, which "
                "compares people with themselves"
            )


def _count(people: int) -> str:
    return f"{people:,} {'person' if people == 1 else 'people'}"
