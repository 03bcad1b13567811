"""An audit: whether a network serves groups of people differently well, beyond what chance and labels explain.

For each column of groups it compares accuracy, the recall of each emotion, the calibration error, and the kinds of
mistakes, with intervals and permutation tests (see :mod:`cmaen.audit.permutations`). All tests of an audit are
corrected together for their number. A group that is too small is named and not judged.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from cmaen.audit.findings import Audit, ColumnAudit, Group
from cmaen.audit.gap_tests import GroupComparison, Progress
from cmaen.audit.labelled import LabelledAnswers
from cmaen.errors import DataError
from cmaen.evaluation.significance import LEVEL, adjust_for_many
from cmaen.listing import name_some

FEW_FACES = 30
"""Number of faces below which a group is too small to be judged."""
FEW_PEOPLE = 5
"""Number of people below which a group is too small, if people are known."""
MOST_GROUPS = 50
"""Maximum number of groups of a column that are compared."""
PERMUTATIONS = 9_999
"""Default number of permutations of a column's groups."""
POWER = 0.8
"""Probability with which a gap of the size :attr:`cmaen.audit.findings.GapTest.detectable` is found."""
BETWEEN = " × "
"""Text between the names of two columns, or of their values, in an intersection."""
_NUMBER = re.compile(r"\D{0,3}(\d+)")

Codes = NDArray[np.int64]


def audit(
    answers: LabelledAnswers,
    by: Sequence[str],
    *,
    person: str | None = None,
    within: Sequence[str] = (),
    intersections: bool = False,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
    progress: Progress | None = None,
) -> Audit:
    """Compare groups of faces by the answers of a network.

    ``audit(read_labelled("faces.csv"), ["gender", "age"]).findings``

    Args:
        answers: Labelled faces with their answers, see :func:`cmaen.audit.labelled.read_labelled`.
        by: Columns of groups, each compared on its own.
        person: Column that names the person; faces of one person are then treated as belonging together.
        within: Columns of strata, such as the source of a face: only faces in the same stratum are compared.
        intersections: Whether to compare the intersections of each two columns, too.
        permutations: Number of permutations of each column's groups, at least 1.
        seed: Seed of all randomness; the same seed gives the same audit.
        progress: Shows the progress of the permutations; ``None``: none is shown.

    Raises:
        DataError: There is no such column, a column has no values, or there are no columns or no faces.
    """
    by = list(dict.fromkeys(by))
    if not by:
        raise DataError(f"no column of groups is named; {answers.describe_columns()}")
    if not len(answers):
        raise DataError("there are no labelled faces to audit")
    groups = {name: answers.values(name) for name in by}
    if person in by:
        raise DataError(f"the column {person!r} cannot name both the people and their groups")
    if intersections:
        for first, second in combinations(by, 2):
            pairs = zip(groups[first], groups[second], strict=True)
            groups[first + BETWEEN + second] = tuple(BETWEEN.join(pair) if all(pair) else "" for pair in pairs)
    strata = [answers.values(name) for name in within]
    auditor = _Auditor(
        answers,
        None if person is None else _number_people(answers.values(person)),
        _number(zip(*strata, strict=True)) if strata else np.zeros(len(answers), np.int64),
        permutations,
        progress,
    )
    rngs = [np.random.default_rng([seed, place]) for place in range(len(groups))]
    columns = [
        auditor.audit_column(name, values, rng) for (name, values), rng in zip(groups.items(), rngs, strict=True)
    ]
    return Audit(answers, tuple(_correct(columns)), permutations, seed, person=person, within=tuple(within))


@dataclass(frozen=True)
class _Auditor:
    """What all columns of an audit share."""

    answers: LabelledAnswers
    people: Codes | None
    strata: Codes
    permutations: int
    progress: Progress | None

    def audit_column(self, column: str, values: Sequence[str], rng: np.random.Generator) -> ColumnAudit:
        """Compare the groups of a column; the p-values are not yet corrected."""
        groups = self._count(values)
        if not groups:
            raise DataError(f"no face has a value in the column {column!r}")
        enough = [group.name for group in groups if not is_small(group)]
        found = ColumnAudit(
            column,
            tuple(groups),
            without_value=sum(not value for value in values),
            notes=tuple(_advise([group.name for group in groups], enough)),
        )
        if not enough or len(enough) > MOST_GROUPS:
            return found
        place = {name: number for number, name in enumerate(enough)}
        codes = np.array([place.get(value, -1) for value in values], np.int64)
        comparison = GroupComparison.of(self.answers, enough, codes, self.strata, self.people)
        figures = comparison.describe_groups(rng)
        found = replace(found, groups=tuple(replace(group, figures=figures.get(group.name)) for group in groups))
        if len(enough) < 2:
            return found
        tests, notes = comparison.test(self.permutations, rng, self.progress)
        return replace(found, tests=tuple(tests), design=comparison.units.design, notes=(*found.notes, *notes))

    def _count(self, values: Sequence[str]) -> list[Group]:
        """Count the faces and the people of each group, in the order of their names; numbers come in theirs."""
        sizes = Counter(value for value in values if value)
        people = defaultdict[str, set[int]](set)
        if self.people is not None:
            for value, person in zip(values, self.people.tolist(), strict=True):
                people[value].add(person)
        return [
            Group(name, sizes[name], None if self.people is None else len(people[name]))
            for name in sorted(sizes, key=_in_order)
        ]


def is_small(group: Group) -> bool:
    """Whether a group is too small to be judged."""
    return group.faces < FEW_FACES or (group.people is not None and group.people < FEW_PEOPLE)


def _advise(names: Sequence[str], enough: Sequence[str]) -> list[str]:
    """Say what is unusual about the groups of a column."""
    said = []
    if len(names) == 1:
        said.append(f"every face with a value has the same one, {names[0]}, so there is nothing to compare")
    elif not enough:
        said.append("every group is too small, so there is nothing to compare")
    elif len(enough) == 1:
        said.append(f"only {enough[0]} is large enough, so there is nothing to compare it with")
    elif len(enough) > MOST_GROUPS:
        said.append(
            f"{len(enough):,} groups are too many to compare (at most {MOST_GROUPS}): combine values, such as ages "
            "into ranges"
        )
    plain = Counter(" ".join(name.split()).casefold() for name in names)
    alike = [name for name in names if plain[" ".join(name.split()).casefold()] > 1]
    if alike:
        said.append(f"some groups differ in case or spaces only: {name_some(alike)}")
    return said


def _correct(columns: Sequence[ColumnAudit]) -> list[ColumnAudit]:
    """Adjust the p-values of all tests for their number, and estimate which gaps would have been found."""
    adjusted = iter(adjust_for_many([test.p for column in columns for test in column.tests]).tolist())
    number = sum(len(column.tests) for column in columns)
    normal = NormalDist()

    def estimate(comparisons: int) -> float:
        return normal.inv_cdf(1 - LEVEL / (2 * number * comparisons)) + normal.inv_cdf(POWER)

    return [
        replace(
            column,
            tests=tuple(
                replace(test, p_adjusted=next(adjusted), detectable=test.spread * estimate(test.comparisons))
                for test in column.tests
            ),
        )
        for column in columns
    ]


def _number(values: Iterable[object]) -> Codes:
    """Number values from 0 in the order of their first appearance."""
    numbers: dict[object, int] = {}
    return np.array([numbers.setdefault(value, len(numbers)) for value in values], np.int64)


def _number_people(names: Sequence[str]) -> Codes:
    """Number people by their names; a face without a name is a person of its own."""
    return _number(name or place for place, name in enumerate(names))


def _in_order(name: str) -> tuple[float, str]:
    """Return a key that sorts by the number that a name begins with, and otherwise alphabetically."""
    found = _NUMBER.match(name)
    return (float(found[1][:15]) if found else float("inf"), name)
