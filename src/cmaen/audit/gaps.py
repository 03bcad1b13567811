"""Figures of groups of faces, and the gaps between each group and all others, for many assignments of groups at once.

Intervals of shares are Wilson's. If several faces are of one person, they tell less than as many faces of different
people: the number of faces is divided by the design effect (Kish, 1965), which is estimated from the people.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmaen.evaluation.calibration import count_bins
from cmaen.evaluation.intervals import Interval, wilson

ACCURACY, CALIBRATION, FIRST_RATE = 0, 1, 2
"""Numbers of the figures: accuracy, calibration error, and the first of the rates, see :class:`GapMeter`."""
DRAWS = 1000
"""Number of bootstrap samples."""
_BLOCK = 1_000_000
"""Number of faces or people, over all bootstrap samples, that are drawn at once."""

Codes = NDArray[np.int64]


@dataclass(frozen=True)
class GapMeter:
    """Measures gaps between groups.

    The figures are, in this order: the accuracy beyond that of everybody's faces with the same labels and strata; the
    expected calibration error (ECE); and for each label and answer, the fraction of the label's faces with this answer,
    which is the recall if they are the same.

    Attributes:
        labels: Label of each face, int64 [N].
        answers: Answer for each face, int64 [N]; one more than the last label if there is none.
        confidences: Confidence of each answer, float64 [N]; NaN if there is none.
        strata: Stratum of each face, int64 [N].
        classes: Number of labels.
        bins: Number of bins of equal mass for the calibration error.
    """

    labels: Codes
    answers: Codes
    confidences: NDArray[np.float64]
    strata: Codes
    classes: int
    bins: int

    @property
    def figures(self) -> int:
        """The number of figures."""
        return FIRST_RATE + self.classes * (self.classes + 1)

    def rate(self, label: int, answer: int) -> int:
        """Return the number of the figure that is the rate of an answer among the faces with a label."""
        return FIRST_RATE + label * (self.classes + 1) + answer

    @cached_property
    def right(self) -> NDArray[np.bool_]:
        """Whether each face is answered right, bool [N]."""
        return np.asarray(self.labels == self.answers)

    @cached_property
    def expected(self) -> NDArray[np.float64]:
        """The accuracy of all faces with the same label and stratum, for each face, float64 [N]."""
        cells = self.strata * self.classes + self.labels
        counts, hits = np.bincount(cells), np.bincount(cells, self.right)
        return np.asarray((hits / np.maximum(counts, 1))[cells])

    @cached_property
    def excess(self) -> NDArray[np.float64]:
        """Confidence minus 1 if the answer is right, minus 0 if it is wrong, float64 [N]; 0 without an answer."""
        return np.where(np.isnan(self.confidences), 0.0, np.nan_to_num(self.confidences) - self.right)

    @cached_property
    def bin_of(self) -> Codes:
        """The bin of each face by its confidence, int64 [N]; the last one holds those without an answer."""
        order = np.argsort(self.confidences, kind="stable")  # NaN comes last
        answered = int(np.count_nonzero(~np.isnan(self.confidences)))
        bin_of = np.full(len(self.labels), self.bins, np.int64)
        for number, members in enumerate(np.array_split(order[:answered], self.bins)):
            bin_of[members] = number
        return bin_of

    def measure(self, codes: Codes, groups: int) -> NDArray[np.float32]:
        """Measure the gap between each of K groups and all other faces, float32 [P, K, F]; 0 if one of them is empty.

        Args:
            codes: Group of each face, int64 [P, N].
            groups: Number of groups, K.
        """
        places = codes + groups * np.arange(len(codes))[:, None]  # [P, N]
        cells = len(codes) * groups
        answers = self.classes + 1

        def count(kind: Codes, kinds: int, weights: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
            repeated = None if weights is None else np.broadcast_to(weights, codes.shape).ravel()
            found = np.bincount((places * kinds + kind).ravel(), repeated, minlength=cells * kinds)
            return found.reshape(len(codes), groups, kinds).astype(np.float64)

        pairs = count(self.labels * answers + self.answers, self.classes * answers)
        shape = (len(codes), groups, self.classes, answers)
        inside = pairs.reshape(shape)
        outside = inside.sum(axis=1, keepdims=True) - inside
        gaps = np.empty((len(codes), groups, self.figures), np.float32)
        rates = _share(inside, inside.sum(axis=3, keepdims=True)) - _share(outside, outside.sum(axis=3, keepdims=True))
        there = (inside.sum(axis=3) > 0) & (outside.sum(axis=3) > 0)
        gaps[..., FIRST_RATE:] = np.where(there[..., None], rates, 0.0).reshape(len(codes), groups, -1)
        ours, others = inside.sum(axis=(2, 3)), outside.sum(axis=(2, 3))
        beyond = count(np.zeros_like(self.labels), 1, self.right - self.expected)[..., 0]  # these sum to 0
        gaps[..., ACCURACY] = np.where((ours > 0) & (others > 0), _share(beyond, ours) + _share(beyond, others), 0.0)
        misfits = count(self.bin_of, self.bins + 1, self.excess)
        others_misfits = misfits.sum(axis=1, keepdims=True) - misfits
        ours -= inside[..., -1].sum(axis=2)
        others -= outside[..., -1].sum(axis=2)
        errors = [
            _share(np.abs(found).sum(axis=2), number) for found, number in ((misfits, ours), (others_misfits, others))
        ]
        gaps[..., CALIBRATION] = np.where((ours > 0) & (others > 0), errors[0] - errors[1], 0.0)
        return gaps

    def weigh(self, codes: Codes, groups: int) -> NDArray[np.float64]:
        """Compute weights that are proportional to the precision of gaps, float64 [P, K, F]; 0 for an empty group.

        A gap varies the less, the more faces there are on both sides: about with the root of 1 / ours + 1 / others.
        People who change places carry different numbers of faces of each label, so that gaps can only be compared
        after multiplication with these weights (studentised permutation tests; Chung and Romano, 2013).

        Args:
            codes: Group of each face, int64 [P, N].
            groups: Number of groups, K.
        """
        places = (codes + groups * np.arange(len(codes))[:, None]) * self.classes + self.labels
        ours = np.bincount(places.ravel(), minlength=len(codes) * groups * self.classes)
        ours = ours.reshape(len(codes), groups, self.classes).astype(np.float64)  # [P, K, C]
        by_label = _balance(ours)
        weights = np.empty((len(codes), groups, self.figures))
        weights[..., :FIRST_RATE] = _balance(ours.sum(axis=2))[..., None]
        weights[..., FIRST_RATE:] = np.repeat(by_label, self.classes + 1, axis=2)
        return weights

    def expect(self, codes: Codes, groups: int, cells: Codes) -> NDArray[np.float64]:
        """Compute the mean gaps if groups change places within cells, float64 [K, F]; NaN for the calibration error.

        Args:
            codes: Group of each face, int64 [N].
            groups: Number of groups, K.
            cells: Cell of each face, int64 [N]; all faces of a cell have the same label and stratum.
        """
        answers = self.classes + 1
        size, pairs = int(cells.max()) + 1, groups * self.classes
        found = np.bincount(cells * answers + self.answers, minlength=size * answers).reshape(size, answers)
        shares = _share(found, found.sum(axis=1, keepdims=True))[cells]  # [N, A]
        place = codes * self.classes + self.labels
        inside = np.stack([np.bincount(place, shares[:, answer], minlength=pairs) for answer in range(answers)], axis=1)
        inside = inside.reshape(groups, self.classes, answers)
        outside = inside.sum(axis=0) - inside
        ours, others = inside.sum(axis=2, keepdims=True), outside.sum(axis=2, keepdims=True)
        rates = np.where((ours > 0.5) & (others > 0.5), _share(inside, ours) - _share(outside, others), 0.0)
        beyond = shares[np.arange(len(codes)), self.labels] - self.expected
        sums = np.bincount(codes, beyond, minlength=groups)
        sizes = np.bincount(codes, minlength=groups).astype(np.float64)
        gaps = np.full((groups, self.figures), np.nan)
        gaps[:, ACCURACY] = _share(sums, sizes) + _share(sums, len(codes) - sizes)
        gaps[:, FIRST_RATE:] = rates.reshape(groups, -1)
        return gaps

    def share(self, members: NDArray[np.bool_], hits: NDArray[np.bool_], people: Codes | None) -> Share:
        """Compute the fraction of some faces that fulfil something, with its 95 % interval.

        Args:
            members: The faces, bool [N].
            hits: Whether each face of all fulfils it, bool [N].
            people: Person of each face, int64 [N]; ``None`` if all faces are of different people.
        """
        chosen = hits[members]
        if not len(chosen):
            return Share(0.0, Interval(0.0, 1.0), 0)
        value = float(chosen.mean())
        count = _count_independent(chosen, None if people is None else people[members])
        return Share(value, wilson(value * count, count), len(chosen))

    def bootstrap_calibration(
        self, members: NDArray[np.bool_], people: Codes | None, rng: np.random.Generator
    ) -> NDArray[np.float64]:
        """Resample the calibration error of some faces, or people with all their faces, float64 [:data:`DRAWS`]."""
        chosen = np.flatnonzero(members & ~np.isnan(self.confidences))
        owners = np.arange(len(chosen)) if people is None else np.unique(people[chosen], return_inverse=True)[1]
        units = int(owners.max(initial=-1)) + 1
        if not units:
            return np.full(DRAWS, np.nan)
        sums = np.bincount(owners * self.bins + self.bin_of[chosen], self.excess[chosen], minlength=units * self.bins)
        by_unit, sizes = sums.reshape(units, self.bins), np.bincount(owners, minlength=units)
        found, step = [], max(1, _BLOCK // units)
        for start in range(0, DRAWS, step):
            drawn = rng.integers(0, units, (min(step, DRAWS - start), units))
            places = drawn + units * np.arange(len(drawn))[:, None]
            times = np.bincount(places.ravel(), minlength=drawn.size).reshape(drawn.shape).astype(np.float64)
            found.append(np.abs(times @ by_unit).sum(axis=1) / (times @ sizes))
        return np.concatenate(found)

    def calibration_error(self, members: NDArray[np.bool_]) -> float | None:
        """Compute the expected calibration error of some faces; ``None`` if none of them has an answer."""
        answered = int(np.count_nonzero(members & ~np.isnan(self.confidences)))
        if not answered:
            return None
        sums = np.bincount(self.bin_of[members], self.excess[members], minlength=self.bins)
        return float(np.abs(sums).sum() / answered)


@dataclass(frozen=True, slots=True)
class Share:
    """A fraction of faces.

    Attributes:
        value: The fraction, in [0, 1]; 0 without faces.
        interval: Its 95 % interval.
        faces: Number of faces.
    """

    value: float
    interval: Interval
    faces: int


def choose_bins(sizes: Sequence[int]) -> int:
    """Choose the number of bins of the calibration error: as many as the smallest group fills with 20 faces each."""
    return count_bins(min(sizes))


def subtract(first: Share, second: Share) -> Interval:
    """Compute the 95 % interval of the difference of two independent shares (Newcombe, 1998, method 10)."""
    gap = first.value - second.value
    low = np.hypot(first.value - first.interval.low, second.interval.high - second.value)
    high = np.hypot(first.interval.high - first.value, second.value - second.interval.low)
    return Interval(float(gap - low), float(gap + high))


def centre(value: float, draws: NDArray[np.float64]) -> Interval:
    """Compute a 95 % interval around a value from bootstrap samples, without their bias."""
    low, high = np.quantile(draws - draws.mean(), (0.025, 0.975))
    return Interval(float(value + low), float(value + high))


def _count_independent(hits: NDArray[np.bool_], people: Codes | None) -> float:
    """Estimate the number of independent faces that tell as much of a share as these, from 1 to their number."""
    count, value = len(hits), float(hits.mean())
    if people is None:
        return float(count)
    _, owners = np.unique(people, return_inverse=True)
    number = int(owners.max()) + 1
    if number == count:
        return float(count)
    if number == 1 or value in (0.0, 1.0):
        return float(number)
    sums = np.bincount(owners, hits - value)
    variance = number / (number - 1) * float(np.square(sums).sum()) / count**2
    return float(np.clip(value * (1 - value) / max(variance, 1e-12), 1.0, count))


def _balance(ours: NDArray[Any]) -> NDArray[np.float64]:
    """Compute the root of the harmonic size of each group and all others, [P, K, ...] -> [P, K, ...]."""
    others = ours.sum(axis=1, keepdims=True) - ours
    return np.asarray(np.sqrt(_share(ours * others, ours + others)))


def _share(part: NDArray[Any], whole: NDArray[Any]) -> NDArray[np.float64]:
    return np.asarray(part / np.maximum(whole, 1))
