"""Groups permuted among faces or people: how large gaps between groups are if the group does not matter.

If a group does not matter, its name could as well stand beside any other face with the same label, or beside any other
person. Permuting the names many times shows which gaps chance alone makes; the test is exact for any number of faces
(Fisher, 1935; for facial expressions, the statistical module of Lian and Celiktutan, arXiv 2505.20512).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cmaen.errors import DataError

Design = Literal["faces", "people", "within people"]
"""What is permuted: the groups of faces, those of people with all their faces, or those of one person's faces."""

Codes = NDArray[np.int64]

MOST_GAPS = 200_000_000
"""Maximum number of gaps over all permutations, which take four bytes each."""
_BLOCK = 2_000_000
"""Number of faces, over all permutations, that are counted at once."""
_CLOSE = 1e-5
"""Difference below which two statistics count as equal, since they are rounded."""


@dataclass(frozen=True)
class Units:
    """The things whose groups are permuted.

    Attributes:
        design: What they are.
        of_face: Unit of each face, int64 [N].
        codes: Group of each unit, int64 [U].
        cells: Cell of each unit, int64 [U]; groups change places within a cell only.
    """

    design: Design
    of_face: Codes
    codes: Codes
    cells: Codes

    @classmethod
    def choose(cls, codes: Codes, labels: Codes, strata: Codes, people: Codes | None = None) -> Units:
        """Choose what to permute.

        Without people, the groups of faces with the same label and stratum. If people belong to one group each, the
        groups of people in the same stratum, since the faces of a person are alike; if most people with several faces
        have faces in several groups, those of the faces of one person with the same label and stratum.

        Args:
            codes: Group of each face, int64 [N].
            labels: Label of each face, int64 [N].
            strata: Stratum of each face, int64 [N].
            people: Person of each face, int64 [N].
        """
        faces = np.arange(len(codes))
        if people is None:
            return cls("faces", faces, codes, _number(labels, strata))
        groups_of = _count_distinct(people, codes)
        several = np.bincount(people) > 1
        if 2 * np.count_nonzero(groups_of[several] > 1) > np.count_nonzero(several):
            return cls("within people", faces, codes, _number(labels, strata, people))
        units = _number(people, codes, strata)
        _, first = np.unique(units, return_index=True)
        of_one_label = bool((_count_distinct(units, labels) == 1).all())
        cells = _number(strata, labels) if of_one_label else strata
        return cls("people", units, codes[first], cells[first])

    def permute(self, count: int, rng: np.random.Generator) -> Codes:
        """Permute the groups ``count`` times: the group of each face, int64 [count, N]."""
        drawn = np.tile(self.codes, (count, 1))  # [U] -> [count, U]
        order = np.argsort(self.cells, kind="stable")
        starts = np.flatnonzero(np.diff(self.cells[order])) + 1
        for cell in np.split(order, starts):
            if len(cell) > 1 and (self.codes[cell] != self.codes[cell[0]]).any():
                drawn[:, cell] = rng.permuted(drawn[:, cell], axis=1)
        return drawn if self.design != "people" else drawn[:, self.of_face]  # [count, U] -> [count, N]


class Outcome(NamedTuple):
    """The result of a test.

    Attributes:
        group: The group with the largest gap to all others, beside what chance makes, as its code.
        figure: The figure in which it has this gap, as its number among all figures.
        gap: The observed gap, beyond what is expected.
        p: Fraction of the permutations, the observed groups included, with a gap as large as the observed one.
        spread: Largest standard deviation of a gap of the test among the permutations.
    """

    group: int
    figure: int
    gap: float
    p: float
    spread: float


def permute_gaps(
    measure: Callable[[Codes], NDArray[np.float32]],
    units: Units,
    *,
    permutations: int,
    rng: np.random.Generator,
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> NDArray[np.float32]:
    """Measure the gaps of the observed groups, then those of permuted ones: float32 [1 + P, K, F].

    Args:
        measure: Function that measures the gaps between each of K groups and all others in F figures, for several
            assignments of groups: int64 [P, N] -> float32 [P, K, F].
        units: What to permute.
        permutations: Number of permutations.
        rng: The source of all randomness.
        progress: Wraps the loop over the parts of the work, to show progress.

    Raises:
        DataError: The gaps take too much memory.
    """
    observed = measure(units.codes[units.of_face][None])
    if (permutations + 1) * observed.size > MOST_GAPS:
        raise DataError(
            f"{permutations:,} permutations of {observed.shape[1]} groups and {observed.shape[2]} figures take too "
            f"much memory; use at most {MOST_GAPS // observed.size - 1:,} permutations, or combine groups"
        )
    size = max(1, _BLOCK // max(len(units.of_face), observed.size))
    starts = range(0, permutations, size)
    drawn = [measure(units.permute(min(size, permutations - start), rng)) for start in progress(starts)]
    return np.concatenate([observed, *drawn])


def judge_gaps(gaps: NDArray[np.float32], among: NDArray[np.bool_]) -> Outcome | None:
    """Test whether the largest of some gaps is larger than chance makes it.

    Each gap is compared with its own standard deviation among the permutations, so that small groups, whose gaps vary
    most, do not decide the test.

    Args:
        gaps: Gaps beyond those that are expected, those of the observed groups first, float32 [1 + P, K, F].
        among: Selection of the gaps that belong to the test, bool [K, F].

    Returns:
        The result; ``None`` if no gap varies, so that there is nothing to test.
    """
    chosen = gaps[:, among].astype(np.float64)  # [1 + P, K, F] -> [1 + P, G]
    spread = chosen.std(axis=0)
    varies = spread > _CLOSE
    if not varies.any():
        return None
    scores = np.abs(chosen[:, varies]) / spread[varies]
    largest = scores.max(axis=1)
    best = int(np.flatnonzero(varies)[scores[0].argmax()])
    group, figure = np.argwhere(among)[best]
    return Outcome(
        int(group),
        int(figure),
        float(chosen[0, best]),
        float((largest >= largest[0] - _CLOSE).mean()),
        float(spread.max()),
    )


def _number(*parts: Codes) -> Codes:
    """Number the combinations of several codes, from 0, without gaps."""
    _, numbers = np.unique(np.stack(parts, axis=1), axis=0, return_inverse=True)
    return np.asarray(numbers, np.int64).reshape(-1)


def _count_distinct(owners: Codes, values: Codes) -> Codes:
    """Count the distinct values of each owner, int64 [max + 1]."""
    pairs = np.unique(np.stack([owners, values], axis=1), axis=0)
    return np.bincount(pairs[:, 0], minlength=int(owners.max(initial=-1)) + 1)
