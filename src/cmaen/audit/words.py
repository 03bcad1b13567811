"""The results of an audit in sentences, for readers who do not know the figures."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from cmaen.audit.auditor import FEW_FACES, FEW_PEOPLE, is_small
from cmaen.audit.findings import Audit, ColumnAudit, GapTest
from cmaen.audit.labelled import LabelledAnswers
from cmaen.audit.permutations import Design
from cmaen.drawing.lettering import write_count
from cmaen.evaluation.significance import LEVEL
from cmaen.listing import name_some

CAUTION = (
    "A gap says that answers and labels agree less often in one group, not why: the faces may differ in light or size, "
    "the emotions may be shown differently, or the labels themselves may be biased."
)
"""What a gap does not show."""
_DESIGNS: dict[Design, str] = {
    "faces": "The groups of faces with the same label",
    "people": "The groups of people, each with all their faces,",
    "within people": "The groups of the faces of one person with the same label",
}


class Verdict(NamedTuple):
    """An audit in sentences.

    Attributes:
        summary: Sentence on how many gaps were found.
        findings: Sentences on each gap, the surest first.
        limits: Sentences on what may have been missed, or why nothing could be compared.
    """

    summary: str
    findings: tuple[str, ...]
    limits: tuple[str, ...]

    @property
    def sentences(self) -> list[str]:
        """All sentences, in reading order."""
        return [self.summary, *self.findings, *self.limits]


def judge(audit: Audit) -> Verdict:
    """Sum up an audit in sentences."""
    if not audit.tests:
        return Verdict("Nothing could be compared.", (), tuple(_describe_nothing(audit)))
    comparisons = write_count(audit.tests, "comparison")
    needed = math.ceil(audit.tests / LEVEL)
    if audit.permutations + 1 < needed:
        advice = f"{audit.permutations:,} permutations are too few to find anything in {comparisons}"
        return Verdict("Nothing could be found.", (), (f"{advice}: use at least {needed:,}.",))
    found, limits = audit.findings, tuple(describe_power(audit))
    if not found:
        return Verdict(f"In {comparisons}, no gap between groups was found that chance does not explain.", (), limits)
    gaps = write_count(len(found), "gap between groups was", "gaps between groups were")
    summary = f"In {comparisons}, {gaps} found that chance does not explain."
    return Verdict(summary, tuple(describe_finding(column, test) for column, test in found), limits)


def describe_finding(column: str, test: GapTest) -> str:
    """Describe the gap that a test found."""
    low, high = sorted(abs(100 * end) for end in test.interval)
    if test.interval.low < 0 < test.interval.high:
        low = -low
    size = f"{abs(100 * test.gap):.0f} points {'more' if test.gap > 0 else 'fewer'}"
    p = write_p(test.p_adjusted)
    evidence = f"95% interval {low:.0f} to {high:.0f}, corrected p {p if p.startswith('<') else f'= {p}'}"
    ours, others = f"{test.value:.0%}", f"{test.others:.0%} in all other groups"
    if test.kind == "accuracy":
        said = f"{ours} of the faces are answered right, against {others}: {size} than labels explain"
    elif test.kind == "recall":
        said = f"{ours} of the {test.label} faces are recognised, against {others}: {size}"
    elif test.kind == "errors":
        taken = "get no answer" if test.answer == LabelledAnswers.NOTHING else f"are taken for {test.answer}"
        said = f"{ours} of the {test.label} faces {taken}, against {others}: {size}"
    else:
        said = (
            f"confidences are off by {100 * test.value:.0f} points on average (ECE), against {100 * test.others:.0f} "
            f"in all other groups: {size} than chance explains"
        )
    return f"{test.group} ({column}): {said} ({evidence})."


def describe_power(audit: Audit) -> Iterator[str]:
    """Describe, for each column, the gap in accuracy that would most likely have been found."""
    for column in audit.columns:
        test = next((test for test in column.tests if test.kind == "accuracy"), None)
        if test is not None and not test.is_finding:
            yield (
                f"Between groups of {column.column}, a gap in accuracy of {100 * test.detectable:.0f} points would "
                "have been found in four of five cases; a smaller one may have been missed."
            )


def describe_design(audit: Audit, column: ColumnAudit) -> str:
    """Describe what was permuted; empty without tests."""
    if column.design is None:
        return ""
    strata = f" and {' and '.join(audit.within)}" if audit.within else ""
    if column.design == "people":
        strata = f" with the same {' and '.join(audit.within)}" if audit.within else ""
    return f"{_DESIGNS[column.design]}{strata} were permuted {audit.permutations:,} times."


def describe_small(column: ColumnAudit) -> str:
    """Name the groups that are too small to be judged; empty if there are none."""
    small = [group for group in column.groups if is_small(group)]
    if not small:
        return ""
    by_people = any(group.people is not None for group in small)
    limit = f"fewer than {FEW_FACES} faces{f' or {FEW_PEOPLE} people' if by_people else ''}"
    return f"Too small to be judged ({limit}): {name_some([f'{group.name} ({group.faces})' for group in small])}."


def describe_column(column: ColumnAudit) -> list[str]:
    """Describe what was not compared in a column, and why."""
    said = [describe_small(column)]
    if column.without_value:
        verbs = "has no value and belongs" if column.without_value == 1 else "have no value and belong"
        said.append(f"{write_count(column.without_value, 'face')} {verbs} to no group.")
    said += [f"{note[0].upper()}{note[1:]}." for note in column.notes]
    return [sentence for sentence in said if sentence]


def describe_left_out(audit: Audit) -> list[str]:
    """Describe which faces are left out of the audit, or have no answer."""
    said = [f"{count:,} {reason}" for reason, count in audit.answers.left_out.items()]
    sentences = [f"Left out: {'; '.join(said)}."] if said else []
    if silent := audit.answers.without_answer:
        verb = "has" if silent == 1 else "have"
        sentences.append(f"{write_count(silent, 'face')} {verb} no answer, which counts as a wrong one.")
    return sentences


def write_p(value: float) -> str:
    """Write a p-value: ``0.012``, or ``< 0.001``."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


def name_test(test: GapTest) -> str:
    """Name what a test compares, such as ``recall of fear``."""
    if test.kind == "accuracy":
        return "accuracy"
    if test.kind == "calibration":
        return "calibration error"
    if test.kind == "recall":
        return f"recall of {test.label}"
    answer = "no answer" if test.answer == LabelledAnswers.NOTHING else f"taken for {test.answer}"
    return f"{test.label}, {answer}"


def _describe_nothing(audit: Audit) -> Iterator[str]:
    """Say for each column why nothing could be compared."""
    for column in audit.columns:
        for note in column.notes[:1]:
            yield f"{column.column}: {note}."
