"""Results as a table with the rows of the records: one per face, and one for each image without a face."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from cmaen.inference.answers import Answers, read_records
from cmaen.tabulation import make_arrow, make_frame

if TYPE_CHECKING:
    import pandas
    import pyarrow


def to_arrow(results: Answers | Iterable[Answers], classes: Sequence[str] | None = None) -> pyarrow.Table:
    """Make an Arrow table of results.

    ``to_arrow(predictor.predict_batch(paths))``

    Args:
        results: Return value of any method of :class:`~cmaen.inference.predictor.EmotionPredictor`, one or several:
            results, dicts, faces or frames of a video.
        classes: Columns of the probabilities; ``None`` for the classes of the faces, or the seven emotions if there are
            no faces.

    Returns:
        ``image``, the number of the image from 0; then the columns of a CSV or Parquet file,
        :data:`~cmaen.tabulation.COLUMNS` and the classes. Values that do not apply are null. ``path`` is present if the
        images were files.

    Raises:
        MissingExtraError: The extra ``tables`` is not installed.
        ResultError: One of the items is not a result; also a :class:`TypeError`.
    """
    return make_arrow(read_records(results), classes)


def to_pandas(results: Answers | Iterable[Answers], classes: Sequence[str] | None = None) -> pandas.DataFrame:
    """Make a pandas data frame of results, see :func:`to_arrow`; integers that may be missing are ``Int64``."""
    return make_frame(read_records(results), classes)
