"""A recording: the answers for each person of a video over time, read from any table of results."""

from __future__ import annotations

import json
import math
import os
import re
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmaen.data.encodings import READ_ERRORS, open_file, open_text
from cmaen.data.table import lines_of
from cmaen.errors import DataError, MissingExtraError
from cmaen.tabulation import COLUMNS, rows
from cmaen.types import PERCEIVED_LABELS, UNCERTAIN

NO_ANSWER = -1
"""Answer of a face whose emotion is uncertain, in :attr:`Appearance.answers`."""
LONGEST = 3.0
"""Number of typical intervals after which a frame no longer stands for the time that follows it."""
_NOT_LABELS = {*COLUMNS, "person", "image"}
_DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+(e[-+]?\d+)?", re.IGNORECASE)

Row = Mapping[str, Any]
"""A row of :func:`cmaen.tabulation.rows`; the values may be text."""


@dataclass(frozen=True)
class Appearance:
    """One person in one recording: N faces, at most one in each frame, in the order of time.

    Attributes:
        frames: Index of each face's frame in :attr:`Recording.times`, int64 [N], increasing.
        probabilities: Probabilities of the recording's labels, float64 [N, E].
        answers: Index of each answer in the labels, or :data:`NO_ANSWER`, int64 [N].
        confidence: Confidence of each answer, in [0, 1], float64 [N].
        boxes: Left, top, width and height of each face in pixels, float64 [N, 4]; NaN where they are not known.
    """

    frames: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    answers: NDArray[np.int64]
    confidence: NDArray[np.float64]
    boxes: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.frames)


@dataclass(frozen=True)
class Recording:
    """What was seen in one video: F frames that were looked at, and the people in them.

    Attributes:
        name: Path or address of the video.
        labels: Emotions, in the order of the probabilities.
        times: Time of each frame in seconds of the video, float64 [F], increasing.
        people: Faces of each person; the key is a name, or "person 3". A frame may show nobody.
        scheme: Label scheme of the answers; ``None`` if the results do not say.
        failed: Number of frames without an answer because of an error; they are not among the F.
        left_out: Number of rows that could not be read.
    """

    name: str
    labels: tuple[str, ...]
    times: NDArray[np.float64]
    people: Mapping[str, Appearance]
    scheme: str | None = None
    failed: int = 0
    left_out: int = 0

    @cached_property
    def interval(self) -> float:
        """The typical time between two frames in seconds, a median; 0 for a single frame."""
        return float(np.median(np.diff(self.times))) if len(self.times) > 1 else 0.0

    @cached_property
    def durations(self) -> NDArray[np.float64]:
        """Seconds for which each frame stands, float64 [F]: until the next one, for :data:`LONGEST` intervals at most.

        The last frame stands for one interval. What lies beyond is time that was not recorded.
        """
        steps = np.diff(self.times, append=self.times[-1:] + self.interval)
        return np.minimum(steps, LONGEST * self.interval)

    @property
    def seconds(self) -> float:
        """Seconds that were recorded."""
        return float(self.durations.sum())


def read_recordings(path: str | os.PathLike[str]) -> list[Recording]:
    """Read the recordings of a file of results: one for each video that it names, in the order of the file.

    Args:
        path: CSV, Parquet, JSON or JSON Lines as ``cmaen inference --output`` writes it. A CSV may have been saved by
            a spreadsheet: with semicolons or tabs, decimal commas, a byte order mark or in UTF-16.

    Raises:
        DataError: The file cannot be read, or has no results of a video.
        MissingExtraError: Parquet needs an extra that is not installed.
    """
    path = Path(path)
    read = _READERS.get(path.suffix.lower())
    if read is None:
        raise DataError(f"{path}: results are read from {', '.join(_READERS)}")
    with _name_errors(path):
        return make_recordings(read(path), str(path))


def make_recordings(rows_: Iterable[Row], where: str) -> list[Recording]:
    """Make a recording of each video in the rows, in their order.

    Args:
        rows_: Rows of :func:`cmaen.tabulation.rows`; a row that cannot be read is counted and left out.
        where: Name of their source, for errors.

    Raises:
        DataError: There is no row, or no row has a time.
    """
    videos: dict[str, _Video] = {}
    seen = timed = 0
    for row in rows_:
        seen += 1
        timed += _number(row.get("time")) is not None
        videos.setdefault(_text(row.get("path")), _Video()).add(row)
    if not seen:
        raise DataError(f"{where} has no results")
    if not timed:
        raise DataError(f"{where} has no times, so its results are not of a video; cmaen inference --video makes them")
    found = [video.finish(name or where) for name, video in videos.items()]
    recordings = [recording for recording in found if len(recording.times) or recording.failed]
    if not recordings:
        raise DataError(f"{where} has no row that can be read, of {seen:,}")
    lost = sum(recording.left_out for recording in found) - sum(recording.left_out for recording in recordings)
    return [replace(recordings[0], left_out=recordings[0].left_out + lost), *recordings[1:]]


def _numbers() -> array[float]:
    return array("d")


@dataclass
class _Person:
    """Faces of a person as they are read."""

    times: array[float] = field(default_factory=_numbers)
    numbers: array[float] = field(default_factory=_numbers)


@dataclass
class _Video:
    """Rows of a video as they are read, in compact arrays: two hours with three people take 60 MB."""

    labels: tuple[str, ...] = ()
    scheme: str | None = None
    times: array[float] = field(default_factory=_numbers)
    people: dict[str, _Person] = field(default_factory=dict)
    failed: int = 0
    left_out: int = 0

    def add(self, row: Row) -> None:
        time = _number(row.get("time"))
        if _text(row.get("status")) == "error":
            self.failed += 1
        elif time is None:
            self.left_out += 1
        elif not _text(row.get("predicted_emotion")):
            self.times.append(time)
        else:
            self._add_face(row, time)

    def _add_face(self, row: Row, time: float) -> None:
        self.labels = self.labels or _find_labels(row)
        self.scheme = self.scheme or _text(row.get("scheme")) or None
        shares = [_number(row.get(name)) for name in self.labels]
        answer, confidence = _text(row["predicted_emotion"]), _number(row.get("confidence"))
        known = answer == UNCERTAIN or answer in self.labels
        if not shares or not known or confidence is None or any(share is None for share in shares):
            self.left_out += 1
            return
        index = self.labels.index(answer) if answer in self.labels else NO_ANSWER
        box = [_number(row.get(name)) for name in ("x", "y", "width", "height")]
        person = self.people.setdefault(_name(row), _Person())
        person.times.append(time)
        person.numbers.extend([index, confidence, *(math.nan if side is None else side for side in box)])
        person.numbers.extend(share for share in shares if share is not None)
        self.times.append(time)

    def finish(self, name: str) -> Recording:
        times = np.unique(np.frombuffer(self.times, np.float64)) if self.times else np.empty(0)
        return Recording(
            name=name,
            labels=self.labels,
            times=times,
            people={key: self._appear(self.people[key], times) for key in sorted(self.people, key=_in_order)},
            scheme=self.scheme,
            failed=self.failed,
            left_out=self.left_out,
        )

    def _appear(self, person: _Person, times: NDArray[np.float64]) -> Appearance:
        """Sort a person's faces by time; of two faces in one frame the more confident one stays."""
        moments = np.frombuffer(person.times, np.float64)
        numbers = np.frombuffer(person.numbers, np.float64).reshape(len(moments), -1)
        order = np.lexsort((-numbers[:, 1], moments))
        frames, first = np.unique(np.searchsorted(times, moments[order]), return_index=True)
        kept = numbers[order][first]
        return Appearance(
            frames=frames.astype(np.int64),
            probabilities=kept[:, 6:],
            answers=kept[:, 0].astype(np.int64),
            confidence=kept[:, 1],
            boxes=kept[:, 2:6],
        )


def _find_labels(row: Row) -> tuple[str, ...]:
    """Find the emotions among the columns: the usual ones, or every column of numbers that has no other meaning."""
    usual = tuple(name for name in PERCEIVED_LABELS if _number(row.get(name)) is not None)
    if len(usual) > 1:
        return usual
    others = ((name, _number(value)) for name, value in row.items() if name not in _NOT_LABELS)
    return tuple(name for name, value in others if value is not None and 0 <= value <= 1)


def _name(row: Row) -> str:
    """Name the person in a row: by a given name, or by the number of the track."""
    if person := _text(row.get("person")):
        return person
    identity = _number(row.get("identity"))
    return "person" if identity is None else f"person {identity:.0f}"


def _in_order(name: str) -> tuple[Any, ...]:
    """Sort by name, and numbers within names by value: person 2 before person 10."""
    return tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"([0-9]+)", name))


def _text(value: Any) -> str:
    """Return the text of a cell; empty if there is none."""
    return "" if value is None or value != value else str(value).strip()


def _number(value: Any) -> float | None:
    """Return the number in a cell, which may have a decimal comma; ``None`` if there is no finite one."""
    if isinstance(value, str) and _DECIMAL_COMMA.fullmatch(value.strip()):
        value = value.replace(",", ".")
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _read_csv(path: Path) -> Iterator[Row]:
    return (values for _, values in lines_of(partial(open_file, path), str(path)))


def _read_json(path: Path) -> Iterator[Row]:
    with open_text(partial(open_file, path)) as file:
        records = json.load(file)
    for record in records if isinstance(records, list) else [records]:
        yield from _rows_of(record)


def _read_json_lines(path: Path) -> Iterator[Row]:
    """Yield the rows; a line that a kill has cut off is a row without a time, which is left out."""
    with open_text(partial(open_file, path)) as file:
        for line in file:
            if line.strip():
                try:
                    record = json.loads(line)
                except (ValueError, RecursionError):
                    record = None
                yield from _rows_of(record)


def _rows_of(record: Any) -> Iterator[Row]:
    try:
        yield from list(rows(record))
    except (KeyError, TypeError, ValueError, AttributeError):
        yield {}


def _read_parquet(path: Path) -> Iterator[Row]:
    try:
        import pyarrow.parquet as pq
    except ModuleNotFoundError as error:
        raise MissingExtraError("reading Parquet", "scale") from error
    with open_file(path) as file:
        for batch in pq.ParquetFile(file).iter_batches():
            yield from batch.to_pylist()


@contextmanager
def _name_errors(path: Path) -> Iterator[None]:
    """Turn errors in reading a file, among them PyArrow's and JSON's, into an error that names it."""
    try:
        yield
    except (*READ_ERRORS, ValueError, RecursionError) as error:
        raise DataError(f"{path} cannot be read as results: {error}") from error


_READERS: dict[str, Callable[[Path], Iterator[Row]]] = {
    ".csv": _read_csv,
    ".tsv": _read_csv,
    ".json": _read_json,
    ".jsonl": _read_json_lines,
    ".parquet": _read_parquet,
}
