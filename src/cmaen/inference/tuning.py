"""The settings of a pipeline that can be changed while it stands, and the ranges that travel with settings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from numbers import Integral, Real
from typing import Any, NamedTuple

from cmaen.errors import SettingError
from cmaen.images import MAX_PIXELS

_ALLOWED = "allowed"


class Range(NamedTuple):
    """The values that a number may have.

    Attributes:
        words: What it must be: "at least 1".
        low, high: The least and the greatest value.
        whole: Whether it is counted.
        optional: Whether it may be left open, which is ``None``.
    """

    words: str
    low: float
    high: float = float("inf")
    whole: bool = False
    optional: bool = False

    def holds(self, value: Any) -> bool:
        """Whether a value is in it; no number is not."""
        if value is None:
            return self.optional
        if isinstance(value, bool) or not isinstance(value, Integral if self.whole else Real):
            return False
        return self.low <= float(value) <= self.high


class Kind(NamedTuple):
    """The values that something may have which is no number.

    Attributes:
        words: What it must be: "a name".
        types: One of which it is.
    """

    words: str
    types: tuple[type, ...]

    def holds(self, value: Any) -> bool:
        """Whether a value is of the kind."""
        return isinstance(value, self.types)


def number(words: str, low: float, high: float = float("inf"), **of_range: bool) -> dict[str, Range]:
    """The metadata of a field that holds a number, see :class:`Range`."""
    return {_ALLOWED: Range(words, low, high, **of_range)}


def choice(words: str, *types: type) -> dict[str, Kind]:
    """The metadata of a field that holds no number, see :class:`Kind`."""
    return {_ALLOWED: Kind(words, types)}


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """The settings of a pipeline that need no loading: a pipeline that stands takes others at once.

    The default of each is the attribute of the class: ``Tuning.batch_size``.

    Attributes:
        workers: Still pictures that are decoded and searched for faces at the same time, at least 1; ``None`` for one a
            core.
        batch_size: Still pictures whose faces are classified together, at least 1.
        threshold: The confidence below which an answer is "uncertain", in [0, 1]; 0 for never. Confidence and
            probabilities stay.
        smoothing: Of a video: seconds after which an old answer counts 1/e; 0 switches the smoothing off.
        detect_every: Of a video: seconds from one search for faces to the next; between them the faces are followed.
            They are searched earlier where none is left and where the picture has changed; 0 for every frame.
        classify_every: Of a video: seconds from one answer of the network to the next, for each face; 0 for every
            frame.
        max_pixels: Larger pictures are refused before they are decoded, at least 1; 200 megapixels take about 1.5 GB.

    Raises:
        SettingError: A value is out of its range; the message lists every one. A :class:`ValueError`, too.
    """

    workers: int | None = field(default=None, metadata=number("at least 1", 1, whole=True, optional=True))
    batch_size: int = field(default=32, metadata=number("at least 1", 1, whole=True))
    threshold: float = field(default=0.0, metadata=number("a confidence from 0 to 1", 0, 1))
    smoothing: float = field(default=0.4, metadata=number("0 seconds or more", 0))
    detect_every: float = field(default=0.2, metadata=number("0 seconds or more", 0))
    classify_every: float = field(default=0.06, metadata=number("0 seconds or more", 0))
    max_pixels: int = field(default=MAX_PIXELS, metadata=number("at least 1", 1, whole=True))

    def __post_init__(self) -> None:
        problems = list(self._find_problems())
        if problems:
            raise SettingError("; ".join(problems))

    def _find_problems(self) -> Iterator[str]:
        for one in fields(self):
            allowed: Range | Kind = one.metadata[_ALLOWED]
            value = getattr(self, one.name)
            if not allowed.holds(value):
                yield f"{one.name} must be {allowed.words}, not {value!r}"

    @classmethod
    def range_of(cls, name: str) -> Range:
        """The values that a setting may have."""
        allowed = next(one.metadata[_ALLOWED] for one in fields(cls) if one.name == name)
        assert isinstance(allowed, Range)
        return allowed


AS_IT_COMES = Tuning()
"""Every setting as it is where nothing is said of it."""
