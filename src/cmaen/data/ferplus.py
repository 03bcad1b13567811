"""FER+: the votes of ten annotators on each image of FER2013 (Barsoum et al., ICMI 2016), joined by name or pixels."""

from __future__ import annotations

import csv
import logging
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cmaen.data.keys import Fer2013Keys, face_keys, find_rows, order_like, packaged
from cmaen.data.splits import FaceSet
from cmaen.errors import DataError
from cmaen.types import EMOTIONS

CATEGORIES = (
    "neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt", "unknown", "NF",
)  # fmt: skip
_EMOTION_COLUMNS = [
    CATEGORIES.index(name) for name in ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
]


_PERCEIVED_COLUMNS = [*_EMOTION_COLUMNS, CATEGORIES.index("contempt")]


AUTO: Final = "auto"
"""The votes that come with the package, for the faces of FER2013 alone."""
NONE: Final = "none"
"""No votes."""
VOTES = "ferplus.npz"
"""File beside this module: the votes of the faces of :class:`cmaen.data.keys.Fer2013Keys`, Training then PublicTest."""
_LEAST_KNOWN = 0.01
"""Share of the faces that must be FER2013's before any of them gets the votes that come with the package."""
_SAME_FILE = 0.99
"""Share of the packaged votes that another file must hold to be taken for the same votes."""

_IN_KAGGLE = re.compile(r"fer\d{7}\.png")
"""The name of a row of Kaggle's CSV, see :mod:`cmaen.data.fer2013`."""
_PUBLISHED = "Image name"
"""The column of names in the file that FER+ publishes."""

log = logging.getLogger(__name__)


def join_votes(faces: FaceSet, path: Path) -> FaceSet:
    """Join the votes of a file to faces.

    The file that FER+ publishes follows the rows of Kaggle's CSV. The names in it do not: after its first 59 rows they
    lag behind, because a picture without a face may take no number. So it is joined to Kaggle's CSV by the number of
    the row, and by name only to files that FER+'s own script has named.

    A file with the votes that come with the package is joined to faces under other names by their pixels, see
    :func:`join_known_votes`.

    Args:
        faces: The faces of one split.
        path: A CSV with the ten columns of :data:`CATEGORIES` and the image's name in the column ``file``
            (``train/angry/Training_1.png``) or ``Image name`` (``fer0000000.png``, as FER+ publishes it). Where no name
            is that of a face, the last parts of the names are compared.

    Raises:
        DataError: The file is not such a CSV, none of its rows belongs to these faces, or they have other classes.
    """
    if faces.classes != EMOTIONS:
        raise DataError(f"FER+ has votes for the seven emotions, but these faces are {', '.join(faces.classes)}")
    names, votes, published = _read_votes(path)
    if published and all(map(_IN_KAGGLE.fullmatch, faces.names)):
        names = _number_rows(names, path)
    joined = _by_name(faces.names, names, votes)
    if not joined.any():
        joined = _by_name(_last_parts(faces.names), _last_parts(names), votes)
    if joined.any():
        return replace(faces, votes=joined)
    known = join_known_votes(faces)
    if known.votes is not None and _are_packaged(votes):
        return known
    raise DataError(
        f"no row of {path} belongs to these faces, whose names look like {faces.names[0]!r}; the votes of FER2013 come "
        "with cmaen and need no file"
    )


def with_votes(faces: FaceSet, votes: Path | str | None = AUTO) -> FaceSet:
    """Join votes to faces.

    Args:
        faces: The faces of one split.
        votes: A CSV, see :func:`join_votes`; :data:`AUTO`, see :func:`join_known_votes`; :data:`NONE` or ``None`` to
            leave the faces unchanged.

    Raises:
        DataError: See :func:`join_votes`.
    """
    if votes is None or votes == NONE:
        return faces
    return join_known_votes(faces) if votes == AUTO else join_votes(faces, Path(votes))


def join_known_votes(faces: FaceSet) -> FaceSet:
    """Join the votes that come with the package to the faces of FER2013, which are known by their pixels.

    Other faces are returned unchanged: those with other classes, and sets of which less than one face in a hundred is
    known, where blank pictures, which any set may have, do not count. A face that FER+ does not know has no votes.

    Args:
        faces: The faces of one split, in any order and under any names.
    """
    if faces.classes != EMOTIONS or not len(faces):
        return faces
    known = Fer2013Keys.read()
    rows = find_rows(np.concatenate([known.training, known.validation]), face_keys(faces.images))
    telling = sum(rows[row] >= 0 and image.min() < image.max() for row, image in enumerate(faces.images))
    if telling < max(1.0, _LEAST_KNOWN * len(faces)):
        return faces
    joined = replace(faces, votes=_take(_packaged_votes(), rows))
    if not (majority(joined) >= 0).any():
        return faces
    log.info("%d of %d faces have the FER+ votes that come with cmaen", count_voted(joined), len(faces))
    return joined


def count_voted(faces: FaceSet) -> int:
    """Count the faces that have votes."""
    return 0 if faces.votes is None else int(faces.votes.any(axis=1).sum())


class _Rows(NamedTuple):
    """The rows of a CSV: names of images, votes uint8 [R, 10], and whether it is in the form that FER+ publishes."""

    names: list[str]
    votes: NDArray[np.uint8]
    published: bool


def _read_votes(path: Path) -> _Rows:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            columns = reader.fieldnames or []
            key = next((name for name in ("file", _PUBLISHED) if name in columns), None)
            if key is None or not set(CATEGORIES) <= set(columns):
                raise DataError(f"{path} lacks columns of FER+: file or 'Image name', and {', '.join(CATEGORIES)}")
            rows = [((row[key] or "").strip(), [int(row[name] or 0) for name in CATEGORIES]) for row in reader]
        votes = np.array([counts for _, counts in rows], np.uint8).reshape(-1, len(CATEGORIES))
    except (OSError, ValueError, OverflowError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as FER+ votes: {error}") from error
    return _Rows([name for name, _ in rows], votes, key == _PUBLISHED)


def _number_rows(names: Sequence[str], path: Path) -> list[str]:
    """Name the rows of FER+'s file like those of Kaggle's CSV, by their number; no name in it may be ahead of its row.

    A row without a name, a picture without a face, stays without one.
    """
    if any(name > f"fer{number:07d}.png" for number, name in enumerate(names)):
        raise DataError(
            f"{path} lacks rows of FER+'s own file, which follow those of Kaggle's CSV; use the whole file, or "
            "leave it out: the votes of FER2013 come with cmaen"
        )
    return [f"fer{number:07d}.png" if name else "" for number, name in enumerate(names)]


def _by_name(wanted: Sequence[str], names: Sequence[str], votes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the votes of the faces with these names, uint8 [N, 10]; all zero without a row, or without a name."""
    row_of = {name: row for row, name in enumerate(names) if name}
    rows = np.array([row_of.get(name, -1) for name in wanted], np.int64)
    return _take(votes, rows)


def _last_parts(names: Sequence[str]) -> list[str]:
    """Cut names to their last parts, and those that are not the only ones of that name to nothing."""
    parts = [PurePosixPath(name).name for name in names]
    several = {name for name, count in Counter(parts).items() if count > 1}
    return ["" if name in several else name for name in parts]


def _take(votes: NDArray[np.uint8], rows: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Take the votes [M, 10] in these rows [N], uint8 [N, 10]; all zero for the row -1."""
    padded = np.concatenate([votes, np.zeros((1, len(CATEGORIES)), np.uint8)])
    return np.asarray(padded[rows], np.uint8)


def _packaged_votes() -> NDArray[np.uint8]:
    with np.load(packaged(VOTES)) as kept:
        return np.asarray(kept["votes"], np.uint8)


def _are_packaged(votes: NDArray[np.uint8]) -> bool:
    """Whether votes in any order include those that come with the package."""
    there, own = (Counter(map(tuple, rows.tolist())) for rows in (votes, _packaged_votes()))
    del own[(0,) * len(CATEGORIES)]
    return (own & there).total() >= _SAME_FILE * own.total()


def vote_distribution(faces: FaceSet) -> NDArray[np.float32]:
    """Compute the annotators' distribution over the seven emotions, float32 [N, 7], rows summing to 1.

    Votes for contempt, unknown and "not a face" are ignored; if no other votes are left, the row is the label itself.
    """
    labels = np.eye(len(EMOTIONS), dtype=np.float32)[faces.labels]
    if faces.votes is None:
        return labels
    votes = faces.votes[:, _EMOTION_COLUMNS].astype(np.float32)
    total = votes.sum(axis=1, keepdims=True)
    return np.where(total > 0, votes / np.maximum(total, 1), labels).astype(np.float32)


def perceived_distribution(faces: FaceSet) -> NDArray[np.float32]:
    """Compute the annotators' distribution over the seven emotions and contempt: the target of ``perceived``.

    Args:
        faces: Faces with votes.

    Returns:
        float32 [N, 8] in the order of :data:`cmaen.types.PERCEIVED_LABELS`. Rows sum to 1, or to 0 if the face is not a
        target: it has no votes, or most annotators saw no face or could not tell.
    """
    assert faces.votes is not None
    votes = faces.votes[:, _PERCEIVED_COLUMNS].astype(np.float32)
    votes[majority(faces) < 0] = 0
    return np.asarray(votes / np.maximum(votes.sum(axis=1, keepdims=True), 1), np.float32)


def majority(faces: FaceSet) -> NDArray[np.int64]:
    """Find the emotion that most annotators saw, by the majority protocol of FER+ (Barsoum et al., 2016).

    Args:
        faces: Faces with votes.

    Returns:
        int64 [N], indices into :data:`cmaen.types.PERCEIVED_LABELS`; -1 if the face has no votes, or if more annotators
        saw no face, or could not tell, than saw any one emotion. Among emotions with equally many votes, the first in
        FER+'s order is chosen, as in its own code.
    """
    assert faces.votes is not None
    most = faces.votes.argmax(axis=1)
    places = {column: place for place, column in enumerate(_PERCEIVED_COLUMNS)}
    found = np.array([places.get(column, -1) for column in range(len(CATEGORIES))], np.int64)[most]
    return np.where(faces.votes.any(axis=1), found, -1)


def find_agreed(faces: FaceSet) -> NDArray[np.bool_]:
    """Find the faces of which more than half of all annotators saw the majority's emotion, bool [N]."""
    assert faces.votes is not None
    total = faces.votes.sum(axis=1, dtype=np.int64)
    return np.asarray((majority(faces) >= 0) & (2 * faces.votes.max(axis=1).astype(np.int64) > total))


def label_distribution(faces: FaceSet) -> NDArray[np.float32]:
    """Compute P(FER2013's label | votes) by logistic regression, float32 [N, 7].

    The annotators of FER+ saw other emotions than the labels of FER2013 (33 % neutral against 17 %, 4 % fear against 14
    %), so their plain distribution teaches a network to answer "neutral" too often. This distribution has the priors of
    the labels. Without votes, the row is the label itself. The regression sees FER2013 in one order, whatever its
    form, because its result depends on the order by up to 0.004.

    Args:
        faces: The faces of Training, with votes; the regression is fitted on them.
    """
    from sklearn.linear_model import LogisticRegression

    labels = np.eye(len(EMOTIONS), dtype=np.float32)[faces.labels]
    if faces.votes is None:
        return labels
    total = faces.votes.sum(axis=1, dtype=np.float32)
    voted = total > 0
    order = order_like(Fer2013Keys.read().training, face_keys(faces.images), faces.labels)
    order = order[voted[order]]  # [N] -> [V]
    shares = faces.votes[order] / total[order, None]
    regression = LogisticRegression(C=10.0, max_iter=1000).fit(shares, faces.labels[order])
    rows = np.zeros((len(shares), len(EMOTIONS)), np.float32)
    rows[:, regression.classes_] = regression.predict_proba(shares)
    labels[order] = rows
    return labels
