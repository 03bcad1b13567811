"""Results as a table, with the rows of the records: one a face, and one for an image without any."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from cmaen.inference.answers import Answers, read_records
from cmaen.tabulation import make_arrow, make_frame

if TYPE_CHECKING:
    import pandas
    import pyarrow


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
        :data:`~cmaen.tabulation.COLUMNS` and the classes. What does not apply is null. ``path`` is there
        where the images were files.

    Raises:
        MissingExtraError: The extra ``tables`` is not installed.
        ResultError: There is something else among the results; a :class:`TypeError`, too.
    """
    return make_arrow(read_records(results), classes)


def to_pandas(results: Answers | Iterable[Answers], classes: Sequence[str] | None = None) -> pandas.DataFrame:
    """Results as a data frame of pandas; see :func:`to_arrow`. Whole numbers that may be missing are ``Int64``."""
    return make_frame(read_records(results), classes)
