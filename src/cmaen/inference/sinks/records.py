"""Records of results as JSON, JSON Lines, CSV or Parquet, and episodes of a video in the forms of other tools, by the
file's ending; resumable, never a partial file.
"""

from __future__ import annotations

import csv
import hashlib
import importlib.util
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from cmaen.errors import CmaenError, MissingExtraError, OutputError
from cmaen.files import check_place, is_same_file, replace_file, sweep, unwritable
from cmaen.inference.people.naming import Settle, rename
from cmaen.inference.sinks.base import Needs
from cmaen.locks import let_go, lock, remove_held
from cmaen.recordings.forms import FORMS, check_form, check_source, find_form, write_episodes
from cmaen.recordings.recording import Recording, make_recordings
from cmaen.results import Result
from cmaen.tabulation import COLUMNS, arrow_schema, rows
from cmaen.types import EMOTIONS, Image

_ROW_GROUP = 10_000
_END = "finished"
"""Key of a line of the part that says that a video is complete."""
_DIGITS = 5
"""Significant digits of a probability in a CSV."""

Records = Iterable[dict[str, Any]]


class Begun(NamedTuple):
    """What an interrupted run has recorded of a video.

    Attributes:
        records: Number of records.
        time: Time of the last one, in seconds.
    """

    records: int
    time: float


class RecordSink:
    """Writes results one by one in constant memory; the complete file appears at the end.

    Until then they are kept as JSON Lines in ``<path>.part``, from which a run can be resumed. One sink can take
    several videos, see :meth:`end`. JSON is one list of :meth:`~cmaen.results.Result.to_record`, JSON Lines has one of
    them per line, and CSV and Parquet have :data:`COLUMNS` and the classes. A CSV has its probabilities to five
    significant digits, which halves it; the other formats are exact. The forms of
    :data:`~cmaen.recordings.forms.FORMS` have the episodes of the videos.

    Args:
        path: Path of the file; the ending names the format, one of :data:`WRITERS` or ``FORMS``.
        also: Paths of further files that get the same results, each in the format of its ending.
        classes: Classes of the probabilities in the results.
        settings: Settings that the answers depend on; a resumed run must have the same.
        resume: Whether to continue an interrupted run from its ``.part`` file, if there is one.
        mixed: Whether pictures may come beside the videos whose episodes are written.
        settle: Returns the final names of people, which are written into all records; ``None`` if people are not
            recognised.

    Attributes:
        done: Names of the images that the interrupted run has finished.
        ended: Names of the videos that it has finished.
        begun: What it has recorded of each video that it has begun and not finished, by name.
        settles: The same for the records of each video by its name, for pictures by "", and for all others by ``None``.
        counts: Number of rows, records or episodes in each finished file, by its path.

    Raises:
        OutputError: The ending does not name a format, a path cannot be written, or another run writes to it; or
            there is the part of an unfinished run, and ``resume`` is not set or its settings differ.
        MissingExtraError: Parquet needs an extra that is not installed.
    """

    needs = Needs.RECORDS

    def __init__(
        self,
        path: Path,
        *,
        also: Sequence[Path] = (),
        classes: Sequence[str] = EMOTIONS,
        settings: dict[str, Any] | None = None,
        resume: bool = False,
        mixed: bool = False,
        settle: Settle | None = None,
    ) -> None:
        self.settles: dict[str | None, Settle] = {} if settle is None else {None: settle}
        self.paths: tuple[Path, ...] = (path, *also)
        for one in self.paths:
            _check(one)
            sweep(one.parent, one.stem)
        self.path = path
        self._classes = tuple(classes)
        self._for_videos = next(filter(find_form, self.paths), None)
        self._source: str | None = None
        self._mixed = mixed
        self.done: Names = Names()
        self.ended: set[str] = set()
        self.begun: dict[str, Begun] = {}
        self.counts: dict[Path, int] = {}
        self._part = path.with_name(path.name + ".part")
        self._header = json.dumps({"settings": settings or {}}) + "\n"
        self._file: TextIO | None = None
        if self._part.exists():
            self._file = self._claim_part()
            try:
                self._go_on(settings or {}, resume=resume)
            except BaseException:
                self._file.close()
                raise

    @property
    def rows(self) -> int:
        """Number of rows or records in the finished file; 0 before it is finished."""
        return self.counts.get(self.path, 0)

    def write(self, result: Result, drawn: Image | None) -> None:
        """See :class:`~cmaen.inference.sinks.base.Sink`; earlier results are kept if the disk is full."""
        self._check_source(result)
        self._append(result.to_record())

    def end(self, video: str) -> None:
        """Note that a video is complete, so that a resumed run skips it."""
        self._append({_END: video})
        self.ended.add(video)

    def read_begun(self, video: str) -> Iterator[dict[str, Any]]:
        """Yield the records of a video that the interrupted run has begun, in order."""
        ours = (record for record in self._read_records() if record["path"] == video)
        return islice(ours, self.begun[video].records if video in self.begun else 0)

    def finish(self) -> None:
        """See :class:`~cmaen.inference.sinks.base.Sink`."""
        try:
            file = self._begin()
            file.flush()
        except OSError as error:
            raise unwritable(self._part, error) from error
        failures: list[CmaenError] = []
        recordings: list[Recording] = []
        for path in self.paths:
            try:
                if find_form(path):
                    recordings = recordings or self._read_recordings(path)
                    self.counts |= write_episodes(path, recordings)
                else:
                    self.counts[path] = self._write_table(path)
            except CmaenError as error:  # noqa: PERF203 - each fails alone
                failures.append(error)
        if failures:
            raise failures[0] if len(failures) == 1 else OutputError("; ".join(map(str, failures)))
        remove_held(self._part, file)

    def close(self) -> None:
        """Release the part, which is kept for ``resume``."""
        if self._file is not None:
            let_go(self._file)

    def _append(self, line: dict[str, Any]) -> None:
        text = json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n"
        try:
            file = self._begin()
            file.write(text)
            file.flush()
        except OSError as error:
            raise unwritable(self._part, error) from error

    def _check_source(self, result: Result) -> None:
        """Refuse a picture where only episodes are wanted, and a source that an output would replace.

        Raises:
            OutputError: The result must not be written.
        """
        if self._for_videos is not None and result.time is None and not self._mixed:
            raise OutputError(
                f"{self._for_videos} is for the episodes of a video, and {result.path} has no time; "
                f"write pictures as {', '.join(WRITERS)}"
            )
        if result.path == self._source:
            return
        self._source = result.path
        for path in self.paths:
            check_source(path, Path(result.path))

    def _write_table(self, path: Path) -> int:
        """Write a file of records, and return the number of its rows or records."""
        with replace_file(path) as temporary:
            return WRITERS[path.suffix.lower()](temporary, self._records(), (*COLUMNS, *self._classes))

    def _read_recordings(self, path: Path) -> list[Recording]:
        """Make a recording of each video; one that shows no face has the classes of the results."""
        of_videos = (record for record in self._records() if "time" in record)
        recordings = make_recordings((row for record in of_videos for row in rows(record)), str(path))
        return [replace(recording, labels=recording.labels or self._classes) for recording in recordings]

    def _begin(self) -> TextIO:
        """Open the part and write its header; it is only created with the first result."""
        if self._file is None:
            self._file = self._claim_part()
            if os.fstat(self._file.fileno()).st_size:  # left by a run that began after the constructor's check
                raise self._refuse_unfinished()
        if self._header:
            self._file.write(self._header)
            self._header = ""
        return self._file

    def _claim_part(self) -> TextIO:
        """Open the part, and lock it against other runs."""
        try:
            while True:
                file = lock(self._part.open("a", encoding="utf-8", newline="\n"), self.path)
                if is_same_file(self._part, file.fileno()):
                    return file
                file.close()  # the run that held the lock has removed the file
        except OSError as error:
            raise unwritable(self._part, error) from error

    def _go_on(self, settings: dict[str, Any], *, resume: bool) -> None:
        """Read the part of an interrupted run in order to continue it."""
        if not resume:
            raise self._refuse_unfinished()
        try:
            if _drop_broken_end(self._part):
                self._read_part(settings)
                self._header = ""
        except OSError as error:
            raise unwritable(self._part, error) from error

    def _refuse_unfinished(self) -> OutputError:
        return OutputError(f"{self._part} holds an unfinished run: delete it, or add --resume to continue it")

    def _read_part(self, now: dict[str, Any]) -> None:
        """Read what the interrupted run has finished, and compare its settings with the current ones."""
        lines = self._lines()
        try:
            before = next(lines)["settings"]
            for line in lines:
                self._count(line)
        except (ValueError, LookupError, TypeError) as error:
            raise OutputError(f"{self._part} was written by another version; delete it to start again") from error
        differing = [
            f"{key} was {before.get(key)!r} and is {now.get(key)!r}"
            for key in sorted(before.keys() | now.keys())
            if before.get(key) != now.get(key)
        ]
        if differing:
            raise OutputError(f"{self._part} cannot be resumed: {'; '.join(differing)}; delete it to start again")

    def _count(self, line: dict[str, Any]) -> None:
        """Count a line of the interrupted run."""
        if _END in line:
            self.ended.add(line[_END])
            self.begun.pop(line[_END], None)
            return
        name = line["path"]
        self.done.add(name)
        if "time" in line:
            self.begun[name] = Begun(self.begun[name].records + 1 if name in self.begun else 1, line["time"])

    def _records(self) -> Records:
        """Read all records; people get their final names."""
        names = {video: settle() for video, settle in self.settles.items()}
        for record in self._read_records():
            known = names.get(record["path"] if "time" in record else "", names.get(None))
            yield record if known is None else rename(record, known)

    def _read_records(self) -> Records:
        """Read the records of the part, which begins with the settings and may say which videos are complete."""
        return (line for line in islice(self._lines(), 1, None) if _END not in line)

    def _lines(self) -> Iterator[dict[str, Any]]:
        with self._part.open(encoding="utf-8") as file:
            for line in file:
                yield json.loads(line)


class Names:
    """A set of names, stored as short hashes so that millions fit into memory."""

    def __init__(self) -> None:
        self._keys: set[int] = set()

    def add(self, name: str) -> None:
        """Add a name."""
        self._keys.add(self._key(name))

    def __contains__(self, name: object) -> bool:
        return self._key(str(name)) in self._keys

    @staticmethod
    def _key(name: str) -> int:
        return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big")


def _check(path: Path) -> None:
    if find_form(path):
        check_form(path)
        return
    if path.suffix.lower() not in WRITERS:
        raise OutputError(
            f"{path}: the results can be written as {', '.join(WRITERS)}; episodes of a video, as {', '.join(FORMS)}"
        )
    if path.suffix.lower() == ".parquet" and importlib.util.find_spec("pyarrow") is None:
        raise MissingExtraError("writing Parquet", "scale")
    check_place(path)


def _drop_broken_end(part: Path) -> int:
    """Cut off the line that a kill left incomplete, and return the number of bytes that remain."""
    with part.open("rb+") as file:
        end = 0
        for line in file:
            if line.endswith(b"\n"):
                end += len(line)
        file.truncate(end)
    return end


def _write_json(path: Path, records: Records, _: Sequence[str]) -> int:
    count = 0
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for count, record in enumerate(records, start=1):
            file.write(("[\n" if count == 1 else ",\n") + json.dumps(record, indent=2, ensure_ascii=False))
        file.write("\n]\n" if count else "[]\n")
    return count


def _write_json_lines(path: Path, records: Records, _: Sequence[str]) -> int:
    count = 0
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for count, record in enumerate(records, start=1):  # noqa: B007 - it is what is told
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
    return count


def _write_csv(path: Path, records: Records, columns: Sequence[str]) -> int:
    shares = {"confidence", *columns[len(COLUMNS) :]}

    def shorten(name: str, value: Any) -> Any:
        return f"{value:.{_DIGITS}g}" if name in shares and isinstance(value, float) else value

    count = 0
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        for count, row in enumerate((row for record in records for row in rows(record)), start=1):  # noqa: B007
            writer.writerow({name: shorten(name, value) for name, value in row.items()})
    return count


def _write_parquet(path: Path, records: Records, columns: Sequence[str]) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = arrow_schema(columns)
    everything = (row for record in records for row in rows(record))
    count = 0
    with pq.ParquetWriter(path, schema) as writer:
        while group := list(islice(everything, _ROW_GROUP)):
            writer.write_table(pa.Table.from_pylist(group, schema=schema))
            count += len(group)
    return count


WRITERS: dict[str, Callable[[Path, Records, Sequence[str]], int]] = {
    ".json": _write_json,
    ".jsonl": _write_json_lines,
    ".csv": _write_csv,
    ".parquet": _write_parquet,
}
