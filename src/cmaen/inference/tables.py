"""Results as a table, with the rows of the records: one a face, and one for an image without any."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from cmaen.errors import MissingExtraError
from cmaen.inference.answers import Answers, read_records
from cmaen.inference.sinks.records import COLUMNS, arrow_schema, kind_of, rows
from cmaen.types import EMOTIONS

if TYPE_CHECKING:
    import pandas
    import pyarrow

_IMAGE = "image"


def to_arrow(results: Answers | Iterable[Answers], classes: Sequence[str] | None = None) -> pyarrow.Table:
    """Results as a table of Arrow.

    ``to_arrow(predictor.predict_batch(paths))``

    Args:
        results: What any method of :class:`~cmaen.inference.predictor.EmotionPredictor` gives, one or several: results,
            dicts, faces or frames of a video.
        classes: The columns of the probabilities; ``None`` for those of the faces, the seven emotions where there is
            none.

    Returns:
        ``image``, the number of the image from 0; then the columns of a CSV or Parquet file,
        :data:`~cmaen.inference.sinks.records.COLUMNS` and the classes. What does not apply is null. ``path`` is there
        where the images were files.

    Raises:
        MissingExtraError: The extra ``tables`` is not installed.
        ResultError: There is something else among the results; a :class:`TypeError`, too.
    """
    try:
        import pyarrow
    except ModuleNotFoundError as error:
        raise MissingExtraError("a table of Arrow", "tables") from error
    everything, columns = _tabulate(results, classes)
    return pyarrow.Table.from_pylist(everything, schema=arrow_schema(columns))


def to_pandas(results: Answers | Iterable[Answers], classes: Sequence[str] | None = None) -> pandas.DataFrame:
    """Results as a data frame of pandas; see :func:`to_arrow`. Whole numbers that may be missing are ``Int64``."""
    try:
        import pandas
    except ModuleNotFoundError as error:
        raise MissingExtraError("a data frame of pandas", "tables") from error
    everything, columns = _tabulate(results, classes)
    types = {"int64": "Int64", "string": "object", "float64": "float64"}
    frame = pandas.DataFrame(everything, columns=list(columns), dtype="object")
    return frame.astype({name: types[kind_of(name)] for name in columns})


def _tabulate(
    results: Answers | Iterable[Answers], classes: Sequence[str] | None
) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    """The rows, and the columns that they may have."""
    records = list(read_records(results))
    if classes is None:
        found = (name for record in records for face in record["faces"] for name in face.get("probabilities", ()))
        classes = tuple(dict.fromkeys(found)) or EMOTIONS
    everything = [{_IMAGE: number, **row} for number, record in enumerate(records) for row in rows(record)]
    return everything, (_IMAGE, *COLUMNS, *classes)
