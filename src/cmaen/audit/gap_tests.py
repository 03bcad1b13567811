"""The comparison of the groups of one column: the figures of each, and a test of every figure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmaen.audit.findings import Figures, GapTest, Kind
from cmaen.audit.gaps import ACCURACY, CALIBRATION, FIRST_RATE, GapMeter, centre, choose_bins, subtract
from cmaen.audit.labelled import LabelledAnswers
from cmaen.audit.permutations import Outcome, Units, judge_gaps, permute_gaps
from cmaen.evaluation.intervals import Interval
from cmaen.listing import name_some

FEW_OF_LABEL = 5
"""Number of faces with a label below which a group is not judged on this label, and of mistakes on their kind."""

Progress = Callable[[Iterable[Any], str, int], Iterable[Any]]
"""Function that wraps a loop, to show progress: (items, name of the items, number of items) -> items."""

Codes = NDArray[np.int64]


@dataclass(frozen=True)
class GroupComparison:
    """The faces of the groups that are compared.

    Attributes:
        classes: Names of the labels.
        names: Names of the K groups.
        codes: Group of each face, int64 [N].
        people: Person of each face, int64 [N]; ``None`` if unknown.
        meter: Measures the gaps.
        units: What is permuted.
    """

    classes: tuple[str, ...]
    names: Sequence[str]
    codes: Codes
    people: Codes | None
    meter: GapMeter
    units: Units

    @classmethod
    def of(
        cls, answers: LabelledAnswers, names: Sequence[str], codes: Codes, strata: Codes, people: Codes | None
    ) -> GroupComparison:
        """Select the faces of some groups.

        Args:
            answers: All faces.
            names: Names of the groups; at least one.
            codes: Group of each face, int64 [N]; negative for the faces of no group.
            strata: Stratum of each face, int64 [N].
            people: Person of each face, int64 [N].
        """
        keep = codes >= 0
        codes, labels = codes[keep], answers.labels[keep]
        people = None if people is None else np.unique(people[keep], return_inverse=True)[1].astype(np.int64)
        strata = np.unique(strata[keep], return_inverse=True)[1].astype(np.int64)
        bins = choose_bins(np.bincount(codes).tolist())
        chosen, confidences = answers.answers[keep], answers.confidences[keep]
        meter = GapMeter(labels, chosen, confidences, strata, len(answers.classes), bins)
        return cls(answers.classes, names, codes, people, meter, Units.choose(codes, labels, strata, people))

    def describe_groups(self, rng: np.random.Generator) -> dict[str, Figures]:
        """Describe each group by its figures."""
        meter, found = self.meter, {}
        for number, name in enumerate(self.names):
            members = self.codes == number
            confidences = meter.confidences[members & ~np.isnan(meter.confidences)]
            error = meter.calibration_error(members)
            draws = meter.bootstrap_calibration(members, self.people, rng)
            found[name] = Figures(
                accuracy=meter.share(members, meter.right, self.people),
                expected_accuracy=float(meter.expected[members].mean()),
                confidence=float(confidences.mean()) if len(confidences) else None,
                calibration_error=error,
                calibration_interval=None if error is None else _above_zero(centre(error, draws)),
                recall={
                    label: meter.share(members & (meter.labels == place), meter.right, self.people)
                    for place, label in enumerate(self.classes)
                    if (members & (meter.labels == place)).any()
                },
                confusion=self._count_answers(members).tolist(),
            )
        return found

    def test(
        self, permutations: int, rng: np.random.Generator, progress: Progress | None
    ) -> tuple[list[GapTest], list[str]]:
        """Test every figure for gaps between the groups.

        Returns:
            The tests, with p-values that are not yet corrected; and sentences on what was not tested, and why.
        """
        meter = self.meter
        gaps = permute_gaps(
            self._choose_measure(),
            self.units,
            permutations=permutations,
            rng=rng,
            progress=iter if progress is None else lambda items: progress(items, "permutations", len(list(items))),
        )
        gaps -= self._expect(gaps)
        answered = np.bincount(self.codes[~np.isnan(meter.confidences)], minlength=len(self.names)) >= FEW_OF_LABEL
        tests = [self._judge("accuracy", None, gaps, np.ones(len(self.names), bool), [ACCURACY], rng)]
        if np.count_nonzero(answered) > 1:
            tests.append(self._judge("calibration", None, gaps, answered, [CALIBRATION], rng))
        counts = np.stack([self._count_answers(self.codes == code) for code in range(len(self.names))])  # [K, C, A]
        labelled, mistakes = counts.sum(axis=2), counts.sum(axis=0)
        notes = []
        for place, label in enumerate(self.classes):
            enough = labelled[:, place] >= FEW_OF_LABEL
            if np.count_nonzero(enough) < 2:
                if labelled[:, place].any():
                    notes.append(
                        f"{label} is not compared: fewer than two groups have at least {FEW_OF_LABEL} faces with this "
                        "label"
                    )
                continue
            if not enough.all():
                left = name_some([self.names[code] for code in np.flatnonzero(~enough).tolist()])
                notes.append(f"{label} is not judged in {left}: fewer than {FEW_OF_LABEL} faces with this label")
            wrong = [answer for answer in np.flatnonzero(mistakes[place] >= FEW_OF_LABEL).tolist() if answer != place]
            tests.append(self._judge("recall", place, gaps, enough, [meter.rate(place, place)], rng))
            tests.append(
                self._judge("errors", place, gaps, enough, [meter.rate(place, answer) for answer in wrong], rng)
            )
        return [test for test in tests if test is not None], notes

    def _choose_measure(self) -> Callable[[Codes], NDArray[np.float32]]:
        """Choose how gaps are measured: weighted if permuted groups have other numbers of faces than the observed ones.

        The weights of the observed groups are 1.
        """
        groups = len(self.names)
        if self.units.design != "people":
            return lambda codes: self.meter.measure(codes, groups)
        observed = self.meter.weigh(self.codes[None], groups)
        scale = np.divide(1.0, observed, out=np.zeros_like(observed), where=observed > 0)

        def measure(codes: Codes) -> NDArray[np.float32]:
            weights = self.meter.weigh(codes, groups) * scale
            return (self.meter.measure(codes, groups) * weights).astype(np.float32)

        return measure

    def _expect(self, gaps: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compute the mean gaps of all permutations, float32 [K, F]: exactly where that is possible.

        The mean of the permutations that were drawn is close to it, but would tell apart gaps of equal size in either
        direction, which must count as equal.
        """
        expected: NDArray[np.float32] = gaps.mean(axis=0)
        if self.units.design != "people":
            exact = self.meter.expect(self.codes, len(self.names), self.units.cells)
            known = ~np.isnan(exact)
            expected[known] = exact[known]
            return expected
        expected[:, ACCURACY] = 0.0
        if not self.meter.strata.any():
            expected[:, FIRST_RATE:] = 0.0
        return expected

    def _judge(
        self,
        kind: Kind,
        place: int | None,
        gaps: NDArray[np.float32],
        groups: NDArray[np.bool_],
        figures: Sequence[int],
        rng: np.random.Generator,
    ) -> GapTest | None:
        """Test some figures in some groups; ``None`` if nothing varies."""
        among = np.zeros(gaps.shape[1:], bool)
        among[np.ix_(groups, np.isin(np.arange(gaps.shape[2]), figures))] = True
        outcome = judge_gaps(gaps, among) if among.any() else None
        if outcome is None:
            return None
        if len(self.names) == 2 and (outcome.gap > 0) == (kind in ("accuracy", "recall")):
            outcome = outcome._replace(group=1 - outcome.group, gap=-outcome.gap)  # name the group that is worse off
        comparisons = len(figures) * (1 if len(self.names) == 2 else int(groups.sum()))
        return self._describe(kind, place, outcome, comparisons, rng)

    def _describe(
        self, kind: Kind, place: int | None, outcome: Outcome, comparisons: int, rng: np.random.Generator
    ) -> GapTest:
        """Describe the result of a test: the group with the largest gap to all others, and the figure of both."""
        meter, answer = self.meter, None
        of_label = np.ones(len(self.codes), bool) if place is None else meter.labels == place
        ours = of_label & (self.codes == outcome.group)
        parts = (ours, of_label & ~ours)
        if kind == "calibration":
            values = [meter.calibration_error(members) or 0.0 for members in parts]
            draws = [meter.bootstrap_calibration(members, self.people, rng) for members in parts]
            interval = centre(outcome.gap, draws[0] - draws[1])
        else:
            hits = meter.right
            if kind == "errors" and place is not None:
                number = outcome.figure - meter.rate(place, 0)
                hits, answer = meter.answers == number, (*self.classes, LabelledAnswers.NOTHING)[number]
            shares = [meter.share(members, hits, self.people) for members in parts]
            values = [share.value for share in shares]
            shift = outcome.gap - (values[0] - values[1])
            low, high = subtract(*shares)
            interval = Interval(low + shift, high + shift)
        return GapTest(
            kind,
            None if place is None else self.classes[place],
            answer,
            self.names[outcome.group],
            values[0],
            values[1],
            gap=outcome.gap,
            interval=interval,
            p=outcome.p,
            spread=outcome.spread,
            comparisons=comparisons,
        )

    def _count_answers(self, members: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Count the answers to some faces, int64 [C, C + 1]: rows are labels; the last column stands for no answer."""
        size = len(self.classes)
        pairs = self.meter.labels[members] * (size + 1) + self.meter.answers[members]
        return np.bincount(pairs, minlength=size * (size + 1)).reshape(size, size + 1)


def _above_zero(interval: Interval) -> Interval:
    return Interval(max(interval.low, 0.0), max(interval.high, 0.0))
