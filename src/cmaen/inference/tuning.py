"""Settings of a pipeline that can be changed without rebuilding it, and the ranges that belong to settings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from numbers import Integral, Real
from typing import Any, NamedTuple

from cmaen.errors import SettingError
from cmaen.images.reader import MAX_PIXELS

_ALLOWED = "allowed"


class Range(NamedTuple):
    """Valid values of a number.

    Attributes:
        words: Description of the valid values: "at least 1".
        low, high: Smallest and largest valid value.
        whole: Whether the number must be an integer.
        optional: Whether ``None`` is valid.
    """

    words: str
    low: float
    high: float = float("inf")
    whole: bool = False
    optional: bool = False

    def holds(self, value: Any) -> bool:
        """Whether a value is valid; NaN never is."""
        if value is None:
            return self.optional
        if isinstance(value, bool) or not isinstance(value, Integral if self.whole else Real):
            return False
        return self.low <= float(value) <= self.high


class Kind(NamedTuple):
    """Valid types of a setting that is not a number.

    Attributes:
        words: Description of the valid values: "a name".
        types: Valid types.
    """

    words: str
    types: tuple[type, ...]

    def holds(self, value: Any) -> bool:
        """Whether a value has a valid type."""
        return isinstance(value, self.types)


def number(words: str, low: float, high: float = float("inf"), **of_range: bool) -> dict[str, Range]:
    """Make the metadata of a field that holds a number, see :class:`Range`."""
    return {_ALLOWED: Range(words, low, high, **of_range)}


def choice(words: str, *types: type) -> dict[str, Kind]:
    """Make the metadata of a field that does not hold a number, see :class:`Kind`."""
    return {_ALLOWED: Kind(words, types)}


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """Settings of a pipeline that need no loading, so that an existing pipeline can change them at once.

    The default of each setting is the attribute of the class: ``Tuning.batch_size``.

    Attributes:
        workers: Number of still images decoded and searched at the same time, at least 1; ``None`` for one per core.
        batch_size: Number of still images whose faces are classified together, at least 1.
        threshold: Confidence below which an answer is "uncertain", in [0, 1]; 0 for never. Confidence and probabilities
            are unaffected.
        smoothing: Window in seconds over which the answers of a video are averaged, at most 60; 0 for none. It lies
            around each frame of a file. The answers of a live source fade: one that is half a window old has weight
            1/e.
        detect_every: Seconds between two searches for faces in a video; in between, faces are tracked. A search comes
            earlier if no face is left or the image has changed. 0 to search every frame.
        classify_every: Seconds between two classifications of each face in a video; 0 for every frame.
        max_pixels: Number of pixels above which an image is refused before it is decoded, at least 1; 200 megapixels
            take about 1.5 GB.

    Raises:
        SettingError: A value is out of its range; the message lists all such values. Also a :class:`ValueError`.
    """

    workers: int | None = field(default=None, metadata=number("at least 1", 1, whole=True, optional=True))
    batch_size: int = field(default=32, metadata=number("at least 1", 1, whole=True))
    threshold: float = field(default=0.0, metadata=number("a confidence from 0 to 1", 0, 1))
    smoothing: float = field(default=0.8, metadata=number("0 to 60 seconds", 0, 60))
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
        """Return the range of a setting."""
        allowed = next(one.metadata[_ALLOWED] for one in fields(cls) if one.name == name)
        assert isinstance(allowed, Range)
        return allowed


AS_IT_COMES = Tuning()
"""All settings at their defaults."""
