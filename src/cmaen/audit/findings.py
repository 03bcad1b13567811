"""The results of an audit as values, which become JSON, a table and a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from cmaen.audit.gaps import Share
from cmaen.audit.labelled import LabelledAnswers
from cmaen.audit.permutations import Design
from cmaen.evaluation.intervals import Interval
from cmaen.evaluation.significance import LEVEL

Kind = Literal["accuracy", "calibration", "recall", "errors"]
"""What a test compares: the accuracy, the calibration error, the recall of a label, or the mistakes made with it."""


@dataclass(frozen=True)
class Figures:
    """The figures of a group that is judged.

    Attributes:
        accuracy: Fraction of its faces that are answered right; a face without an answer counts as wrong.
        expected_accuracy: Accuracy of the faces of all groups, with the labels and strata of this group.
        confidence: Mean confidence; ``None`` if no face has an answer.
        calibration_error: Expected calibration error (ECE), in [0, 1], in bins that all groups share; ``None`` too.
        calibration_interval: Its 95 % bootstrap interval.
        recall: Recall by label; labels without faces are left out.
        confusion: Number of faces, counts[label][answer]; the last answer stands for none.
    """

    accuracy: Share
    expected_accuracy: float
    confidence: float | None
    calibration_error: float | None
    calibration_interval: Interval | None
    recall: Mapping[str, Share]
    confusion: Sequence[Sequence[int]]


@dataclass(frozen=True)
class Group:
    """A group of faces.

    Attributes:
        name: The value in the column of groups.
        faces: Number of faces.
        people: Number of people; ``None`` if they are unknown.
        figures: Its figures; ``None`` if the group is not judged.
    """

    name: str
    faces: int
    people: int | None = None
    figures: Figures | None = None


@dataclass(frozen=True)
class GapTest:
    """A permutation test of whether a figure differs between groups.

    Attributes:
        kind: What is compared.
        label: The label, for recall and errors; otherwise ``None``.
        answer: The wrong answer with the largest gap, for errors; otherwise ``None``.
        group: The group with the largest gap to all other groups together.
        value, others: The figure of this group, and of all others.
        gap: Their difference beyond what chance, labels and strata explain.
        interval: 95 % interval of the gap.
        p: Fraction of permutations with a gap as large.
        p_adjusted: The same, corrected for all tests of the audit (Holm).
        detectable: Gap that would have been found with a probability of 80 %, roughly.
        spread: Standard deviation of the gap among permutations, at its largest over the groups.
        comparisons: Number of gaps among which the test looks for the largest.
    """

    kind: Kind
    label: str | None
    answer: str | None
    group: str
    value: float
    others: float
    gap: float
    interval: Interval
    p: float
    spread: float
    comparisons: int
    p_adjusted: float = 1.0
    detectable: float = 0.0

    @property
    def is_finding(self) -> bool:
        """Whether chance is ruled out, with all tests of the audit taken into account."""
        return self.p_adjusted <= LEVEL


@dataclass(frozen=True)
class ColumnAudit:
    """The comparison of the groups of one column.

    Attributes:
        column: Name of the column, or of two columns for their intersection.
        groups: Its groups, those that are not judged included.
        tests: The tests; none if fewer than two groups are judged.
        without_value: Number of faces without a value, which belong to no group.
        design: What was permuted; ``None`` without tests.
        notes: What was not compared, and why.
    """

    column: str
    groups: tuple[Group, ...]
    tests: tuple[GapTest, ...] = ()
    without_value: int = 0
    design: Design | None = None
    notes: tuple[str, ...] = ()

    @property
    def judged(self) -> tuple[Group, ...]:
        """The groups that are judged."""
        return tuple(group for group in self.groups if group.figures is not None)

    @property
    def findings(self) -> tuple[GapTest, ...]:
        """The tests that found a gap, the surest first."""
        return tuple(sorted((test for test in self.tests if test.is_finding), key=lambda test: test.p_adjusted))


@dataclass(frozen=True)
class Audit:
    """The result of an audit.

    Attributes:
        answers: The labelled faces with their answers.
        columns: The comparison of each column's groups.
        permutations: Number of permutations of each column's groups.
        seed: Seed of all randomness.
        person: Column of the people; ``None`` if they are unknown.
        within: Columns of the strata.
    """

    answers: LabelledAnswers
    columns: tuple[ColumnAudit, ...]
    permutations: int
    seed: int = 0
    person: str | None = None
    within: tuple[str, ...] = ()

    @property
    def findings(self) -> tuple[tuple[str, GapTest], ...]:
        """The tests that found a gap, each with its column."""
        return tuple((column.column, test) for column in self.columns for test in column.findings)

    @property
    def tests(self) -> int:
        """The number of tests, for which the p-values are corrected."""
        return sum(len(column.tests) for column in self.columns)

    def to_dict(self) -> dict[str, Any]:
        """Return a plain dict, ready for JSON; it holds no names of faces."""
        return {
            "faces": len(self.answers),
            "classes": list(self.answers.classes),
            "source": self.answers.source,
            "left_out": dict(self.answers.left_out),
            "without_answer": self.answers.without_answer,
            "level": LEVEL,
            "tests": self.tests,
            "permutations": self.permutations,
            "seed": self.seed,
            "person": self.person,
            "within": list(self.within),
            "columns": [
                {
                    **asdict(column),
                    "tests": [{**asdict(test), "is_finding": test.is_finding} for test in column.tests],
                }
                for column in self.columns
            ],
        }
