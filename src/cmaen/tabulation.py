"""Records as rows, one per face and one for an image without a face; for CSV, Parquet, pandas and Arrow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cmaen.errors import MissingExtraError
from cmaen.types import EMOTIONS

if TYPE_CHECKING:
    import pandas
    import pyarrow

COLUMNS = (
    "path", "frame", "time", "status", "error", "scheme", "face", "identity", "person", "x", "y", "width", "height",
    "predicted_emotion", "confidence",
)  # fmt: skip
"""Columns of CSV and Parquet, with one row per face and one for a frame without a face; the probabilities follow.

``identity`` is the number of a track in one video; ``person`` is the name of a recognised person, or "person 3", and
empty if people are not recognised."""
_OF_FRAMES = ("path", "frame", "time", "status", "error", "scheme")
_TEXTS = ("path", "status", "error", "scheme", "person", "predicted_emotion")
_NUMBERS = ("image", "frame", "face", "identity")
_IMAGE = "image"

Record = Mapping[str, Any]
"""Record of :meth:`cmaen.results.Result.to_record`."""


def rows(record: Record) -> Iterator[dict[str, Any]]:
    """Yield the rows of a record, by column; columns that do not apply are left out."""
    common: dict[str, Any] = {key: record[key] for key in _OF_FRAMES if key in record}
    if not record["faces"]:
        yield common
    for number, face in enumerate(record["faces"], start=1):
        box = dict(zip(("x", "y", "width", "height"), face["box"], strict=True))
        own = {key: face[key] for key in ("identity", "person", "predicted_emotion", "confidence") if key in face}
        yield {**common, "face": number, **box, **own, **face.get("probabilities", {})}


def kind_of(column: str) -> str:
    """Return the type of a column: ``string``, ``int64`` or ``float64``."""
    return "string" if column in _TEXTS else "int64" if column in _NUMBERS else "float64"


def arrow_schema(columns: Sequence[str]) -> Any:
    """Make the Arrow schema of a table with these columns; needs PyArrow."""
    import pyarrow as pa

    return pa.schema([(name, pa.type_for_alias(kind_of(name))) for name in columns])


def make_arrow(records: Iterable[Record], classes: Sequence[str] | None = None) -> pyarrow.Table:
    """Make an Arrow table of records, see :func:`cmaen.to_arrow`.

    Raises:
        MissingExtraError: The extra ``tables`` is not installed.
    """
    try:
        import pyarrow
    except ModuleNotFoundError as error:
        raise MissingExtraError("a table of Arrow", "tables") from error
    everything, columns = _tabulate(records, classes)
    return pyarrow.Table.from_pylist(everything, schema=arrow_schema(columns))


def make_frame(records: Iterable[Record], classes: Sequence[str] | None = None) -> pandas.DataFrame:
    """Make a pandas data frame of records, see :func:`cmaen.to_pandas`.

    Raises:
        MissingExtraError: The extra ``tables`` is not installed.
    """
    try:
        import pandas
    except ModuleNotFoundError as error:
        raise MissingExtraError("a data frame of pandas", "tables") from error
    everything, columns = _tabulate(records, classes)
    types = {"int64": "Int64", "string": "object", "float64": "float64"}
    frame = pandas.DataFrame(everything, columns=list(columns), dtype="object")
    return frame.astype({name: types[kind_of(name)] for name in columns})


def _tabulate(records: Iterable[Record], classes: Sequence[str] | None) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    """Collect the rows and the columns that they may have."""
    records = list(records)
    if classes is None:
        found = (name for record in records for face in record["faces"] for name in face.get("probabilities", ()))
        classes = tuple(dict.fromkeys(found)) or EMOTIONS
    everything = [{_IMAGE: number, **row} for number, record in enumerate(records) for row in rows(record)]
    return everything, (_IMAGE, *COLUMNS, *classes)
