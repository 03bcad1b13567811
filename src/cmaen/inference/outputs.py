"""Writing predictions: JSON, JSON Lines, CSV or Parquet by the file's suffix, and annotated pictures."""

from __future__ import annotations

import csv
import hashlib
import importlib.util
import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from PIL import Image as PILImage

from cmaen.errors import MissingExtraError, OutputError
from cmaen.files import replacing
from cmaen.types import EMOTIONS, Image

FORMATS = (".json", ".jsonl", ".csv", ".parquet")
_ROW_GROUP = 10_000
CSV_COLUMNS = (
    "path",
    "status",
    "error",
    "face",
    "x",
    "y",
    "width",
    "height",
    "predicted_emotion",
    "confidence",
    *EMOTIONS,
)


def check_output(path: Path) -> None:
    """Refuse, before the work begins, an output that could not be written at its end; makes its folder.

    Raises:
        OutputError: The suffix names no format of :data:`FORMATS`, or the place cannot be written.
        MissingExtraError: Parquet needs an extra.
    """
    if path.suffix.lower() not in FORMATS:
        raise OutputError(f"{path}: the results can be written as {', '.join(FORMATS)}")
    if path.suffix.lower() == ".parquet" and importlib.util.find_spec("pyarrow") is None:
        raise MissingExtraError("writing Parquet", "scale")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{path.parent} cannot be made: {error.strerror}") from error
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise OutputError(f"{path} cannot be written; choose another place")


class ResultFile:
    """Results that are written one by one, in flat memory; the file itself appears at the end, whole.

    Until then they stand as JSON Lines in ``<path>.part``, from which a run that was stopped can go on. JSON is one
    list; JSON Lines one dict a line; CSV and Parquet one row a face, and one for an image without any.

    Args:
        path: Its suffix names the format, one of :data:`FORMATS`.
        resume: Go on with the part of a run that was stopped, if there is one.

    Raises:
        OutputError: As :func:`check_output`; or there is the part of an unfinished run, and ``resume`` is not set.
    """

    def __init__(self, path: Path, *, resume: bool = False) -> None:
        check_output(path)
        self.path = path
        self._part = path.with_name(path.name + ".part")
        self._done: set[int] = set()
        if self._part.exists():
            if not resume:
                raise OutputError(f"{self._part} holds an unfinished run: add --resume to go on with it, or delete it")
            self._drop_broken_end()
            self._done = {_key(result["path"]) for result in self._results()}
        try:
            self._file = self._part.open("a", encoding="utf-8")
        except OSError as error:
            raise OutputError(f"{self._part} cannot be written: {error.strerror}") from error

    def __enter__(self) -> ResultFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with suppress(OSError):  # what a full disk has refused is refused again
            self._file.close()
        if kind is None:
            self._finish()

    def __contains__(self, path: str) -> bool:
        """Whether the result of an image was written before this run."""
        return _key(path) in self._done

    def write(self, result: dict[str, Any]) -> None:
        """Write one result dict, with its ``path``.

        Raises:
            OutputError: The disk is full; what was written before is kept.
        """
        try:
            self._file.write(json.dumps(result, ensure_ascii=False) + "\n")
            self._file.flush()
        except OSError as error:
            raise OutputError(
                f"{self._part} cannot be written: {error.strerror}; --resume goes on from here"
            ) from error

    def _finish(self) -> None:
        with replacing(self.path) as temporary:
            WRITERS[self.path.suffix.lower()](temporary, self._results())
        self._part.unlink()

    def _results(self) -> Iterator[dict[str, Any]]:
        with self._part.open(encoding="utf-8") as file:
            for line in file:
                yield json.loads(line)

    def _drop_broken_end(self) -> None:
        """Cut off the line that a kill has left half written."""
        with self._part.open("rb+") as file:
            end = 0
            for line in file:
                if line.endswith(b"\n"):
                    end += len(line)
            file.truncate(end)


def _write_json(path: Path, results: Iterable[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8") as file:
        separator = "[\n"
        for result in results:
            file.write(separator + json.dumps(result, indent=2, ensure_ascii=False))
            separator = ",\n"
        file.write("[]\n" if separator == "[\n" else "\n]\n")


def _write_json_lines(path: Path, results: Iterable[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(result, ensure_ascii=False) + "\n" for result in results)


def _write_csv(path: Path, results: Iterable[dict[str, Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, CSV_COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(row for result in results for row in _rows(result))


def _write_parquet(path: Path, results: Iterable[dict[str, Any]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {"face": pa.int64()} | dict.fromkeys(("path", "status", "error", "predicted_emotion"), pa.string())
    schema = pa.schema([(name, types.get(name, pa.float64())) for name in CSV_COLUMNS])
    rows = (row for result in results for row in _rows(result))
    with pq.ParquetWriter(path, schema) as writer:
        while group := list(islice(rows, _ROW_GROUP)):
            writer.write_table(pa.Table.from_pylist(group, schema=schema))


WRITERS: dict[str, Callable[[Path, Iterable[dict[str, Any]]], None]] = {
    ".json": _write_json,
    ".jsonl": _write_json_lines,
    ".csv": _write_csv,
    ".parquet": _write_parquet,
}


def write_picture(path: Path, image: Image) -> None:
    """Write an RGB picture; the suffix names the format.

    Raises:
        OutputError: The suffix names no picture format, or the file cannot be written.
    """
    try:
        with replacing(path) as temporary:
            PILImage.fromarray(image).save(temporary)
    except ValueError as error:
        raise OutputError(f"{path}: {error}; use .png or .jpg") from error


def _rows(result: dict[str, Any]) -> Iterable[dict[str, Any]]:
    common = {key: result[key] for key in ("path", "status", "error")}
    if not result["faces"]:
        yield common
    for number, face in enumerate(result["faces"]):
        box = dict(zip(("x", "y", "width", "height"), face["box"], strict=True))
        emotion = {key: face[key] for key in ("predicted_emotion", "confidence")}
        yield {**common, "face": number, **box, **emotion, **face["probabilities"]}


def _key(path: str) -> int:
    """A short stand-in for a path, so that a million of them fit."""
    return int.from_bytes(hashlib.blake2b(path.encode(), digest_size=8).digest(), "big")
