"""The words and small pieces of a report: what its figures say in sentences, and text that is safe in HTML."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape as escape_html
from pathlib import PureWindowsPath
from typing import Any

from cmaen.drawing.lettering import write_count, write_percent, write_time
from cmaen.errors import escape
from cmaen.evaluation.intervals import Interval
from cmaen.evaluation.significance import LEVEL
from cmaen.naming import make_unique
from cmaen.studies.comparison import LEAST_SECONDS, Comparison, Contrast
from cmaen.studies.people import PAUSE, RecordingSummary
from cmaen.studies.statistics import LEAST_BLOCKS, LEAST_PEOPLE, RESAMPLES

LONGEST = 80
"""Characters of a name on the page, at most."""
MOST_FINDINGS = 12
"""Significant differences that are told in sentences, at most."""

CAUTION = (
    "These are a network’s readings of faces, moment by moment. They say what a face looked like, not what a person "
    "felt, and they are wrong for some faces more often than for others."
)


def write_safely(value: Any, most: int = LONGEST) -> str:
    """Write any text as one line of HTML of limited length; control characters and markup are escaped."""
    line = " ".join(escape(str(value)).split())
    return escape_html(line if len(line) <= most else f"{line[: most - 1]}…")


def shorten_names(summaries: Sequence[RecordingSummary]) -> list[str]:
    """Shorten the names of recordings to those of their files, where these differ."""
    names = [summary.recording.name for summary in summaries]
    return make_unique([PureWindowsPath(name).name or name for name in names], names)


def write_interval(interval: Interval | None, sign: str = "") -> str:
    """Write an interval of shares in percent, or a dash where there is none."""
    if interval is None:
        return "–"
    if sign:
        return f"{write_points(interval.low)} to {write_points(interval.high)}"
    return f"{write_percent(interval.low)} to {write_percent(interval.high)}"


def write_points(difference: float) -> str:
    """Write a difference of shares in percentage points, with its sign."""
    points = round(100 * difference, 1)
    return "0.0" if points == 0 else f"{points:+.1f}".replace("-", "−")


def write_p(value: float | None) -> str:
    """Write a p-value."""
    if value is None:
        return "–"
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def sum_up(summaries: Sequence[RecordingSummary], comparison: Comparison) -> Iterator[str]:
    """Say in sentences what a report is about."""
    seconds = sum(summary.recording.seconds for summary in summaries)
    empty = sum(summary.empty for summary in summaries)
    missing = sum(summary.missing for summary in summaries)
    people = write_count(comparison.people, "person", "people") if comparison.people else "nobody"
    told = f"{write_count(len(summaries), 'recording')} with {people}"
    lack = f", {write_time(empty)} of it without any face" if empty >= 0.5 else ""
    gaps = f". Another {write_time(missing)} was not recorded" if missing >= 0.5 else ""
    yield f"{told}: {write_time(seconds)} was recorded{lack}{gaps}."
    if comparison.numbered and len(summaries) > 1:
        yield (
            f"{write_count(comparison.numbered, 'person has', 'people have')} a number for a name, which stands for "
            "someone else in each recording."
        )
    if comparison.contrasts:
        yield judge(comparison)


def judge(comparison: Comparison) -> str:
    """Say in a sentence what the tests of a comparison show together."""
    count = len(comparison.tests)
    found = sum(contrast.is_significant for contrast in comparison.contrasts)
    if not count and all(one.smallest == 1 and one.difference == 0 for one in comparison.contrasts):
        return "Nobody differs between any two of them, so there is nothing to test."
    if not count:
        return (
            "No difference can be significant, so none was tested: there are too few people. A paired test flips the "
            "sign of each person’s difference, and with 5 people there are only 32 ways to do so, of which the two "
            f"most extreme make up 6%; at least 6 people are needed to get below {100 * LEVEL:.0f}%, and two groups of "
            "different people need about 4 in each."
        )
    if comparison.attainable > LEVEL:
        return (
            f"No difference can be significant: with so few people, the smallest p-value that the "
            f"{write_count(count, 'test')} of this report can give at best, corrected for their number, is "
            f"{write_p(comparison.attainable)}. More people or fewer tests are needed."
        )
    if not found:
        return (
            f"None of the {write_count(count, 'difference')} that were tested is significant after correction for "
            "their number. That does not show that there is no difference."
        )
    verb = "is" if found == 1 else "are"
    return (
        f"{found} of the {write_count(count, 'difference')} that were tested {verb} significant after correction for "
        "their number."
    )


def tell_findings(comparison: Comparison) -> Iterator[str]:
    """Tell the significant differences in sentences, the smallest p-values first."""
    found = sorted((one for one in comparison.tests if one.is_significant), key=_order)
    for one in found[:MOST_FINDINGS]:
        more = "more" if one.difference > 0 else "less"
        people = f"{one.people[1]} people" if one.paired else f"{one.people[0]} and {one.people[1]} people"
        interval = "" if one.interval is None else f"95% interval {write_interval(one.interval, '+')}, "
        yield (
            f"{one.emotion}: {abs(100 * one.difference):.1f} percentage points of the time {more} in “{one.second}” "
            f"than in “{one.first}” ({interval}{people}, corrected p = {write_p(one.adjusted)})."
        )
    if len(found) > MOST_FINDINGS:
        yield f"{len(found) - MOST_FINDINGS} more are in the table below."


def _order(contrast: Contrast) -> tuple[float, float]:
    return contrast.adjusted or 0.0, -abs(contrast.difference)


def explain_person() -> Iterator[str]:
    """Explain the figures of one person."""
    yield (
        "A share is the part of the time that a person was seen in which an emotion was the network’s answer. The "
        "shares of a person add up to 100%, with “uncertain” where a confidence limit was set. The mean is the mean "
        "probability over the same time."
    )
    yield (
        "The 95% interval of a share says how much it would vary in other recordings of the same person, in the same "
        "situation and of the same length. It comes from blocks of time (a circular block bootstrap), because "
        "neighbouring moments are nearly the same; the length of a block is chosen by how long a person’s answers "
        f"stay alike. With fewer than {LEAST_BLOCKS} blocks there is no interval. It does not cover the network’s "
        "errors, and for an emotion that was shown only two or three times it is too narrow."
    )
    yield (
        "Unsure is the time with a confidence below 50%. A frame stands for the time until the next one, for three "
        "typical intervals at most; what lies beyond counts as not recorded."
    )
    yield (
        "A number for a name is that of a track: someone who leaves the picture may come back under another number, "
        "unless people were recognised when the video was analysed."
    )
    yield (
        "An episode is a stretch of at least half a second with one answer. A transition is an episode that follows "
        f"one of another emotion within {PAUSE:g} seconds."
    )


def explain_comparison(comparison: Comparison) -> Iterator[str]:
    """Explain the figures of several people, and what the tests assume; nothing if there are none."""
    if not comparison.factors:
        return
    yield (
        "Means are over people: each person counts once, however long the recording is, if seen for at least "
        f"{LEAST_SECONDS:g} second. Their 95% intervals come from drawing people, not frames, {RESAMPLES:,} times with "
        "replacement (a bootstrap), widened for few people as Student’s t would be; with fewer than "
        f"{LEAST_PEOPLE} people there is none."
    )
    if any(one.paired for one in comparison.contrasts):
        yield (
            "Two conditions that the same people were seen in are compared by a paired permutation test. It asks how "
            "often a mean difference at least as large would come about if the sign of each person’s difference were "
            "flipped at random. It assumes that people are independent of each other, and that without an effect a "
            "person’s difference is as likely to be positive as negative by the same amount. Both hold if the order "
            "of the conditions was drawn by lot for each person; if everybody saw them in the same order, the test "
            "cannot tell the condition from the order, fatigue or practice."
        )
    if any(not one.paired for one in comparison.contrasts):
        yield (
            "Conditions or groups of different people are compared by exchanging people between them at random. This "
            "assumes that people are independent, and that without an effect it would not matter which group a person "
            "was in; groups that were not drawn by lot may differ for other reasons."
        )
    if comparison.contrasts:
        yield (
            f"The p-values are corrected for the number of all {write_count(len(comparison.tests), 'test')} of this "
            f"report (Holm, 1979). Only a corrected p-value of at most {LEVEL:g} is called significant: then the "
            f"chance that anything is called so where there is no difference is {100 * LEVEL:.0f}% at most. "
            "Where too few people differ for any p-value to be as small, the difference is shown without a test."
        )
