"""FER+: the votes of ten annotators on each image of FER2013 (Barsoum et al., ICMI 2016), joined by file name."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

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


def join_votes(faces: FaceSet, path: Path) -> FaceSet:
    """Join votes to faces.

    Args:
        faces: The faces of one split.
        path: A CSV with the ten columns of :data:`CATEGORIES` and the image's name in the column ``file``
            (``train/angry/Training_1.png``) or ``Image name`` (``fer0000000.png``, as FER+ publishes it).

    Raises:
        DataError: The file is not such a CSV, none of its rows belongs to these faces, or they have other classes.
    """
    if faces.classes != EMOTIONS:
        raise DataError(f"FER+ has votes for the seven emotions, but these faces are {', '.join(faces.classes)}")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            columns = reader.fieldnames or []
            key = next((name for name in ("file", "Image name") if name in columns), None)
            if key is None or not set(CATEGORIES) <= set(columns):
                raise DataError(f"{path} lacks columns of FER+: file or 'Image name', and {', '.join(CATEGORIES)}")
            rows = {row[key]: [int(row[name] or 0) for name in CATEGORIES] for row in reader}
        nobody = [0] * len(CATEGORIES)
        votes = np.array([rows.get(name, nobody) for name in faces.names], np.uint8)
    except (OSError, ValueError, OverflowError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as FER+ votes: {error}") from error
    if not votes.any():
        raise DataError(f"no row of {path} belongs to these faces, whose names look like {faces.names[0]!r}")
    return replace(faces, votes=votes)


def with_votes(faces: FaceSet, path: Path | None) -> FaceSet:
    """Join the votes of a file, see :func:`join_votes`; without a file, return the faces unchanged."""
    return faces if path is None else join_votes(faces, path)


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
    the labels. Without votes, the row is the label itself.

    Args:
        faces: The faces of Training, with votes; the regression is fitted on them.
    """
    from sklearn.linear_model import LogisticRegression

    labels = np.eye(len(EMOTIONS), dtype=np.float32)[faces.labels]
    if faces.votes is None:
        return labels
    total = faces.votes.sum(axis=1, dtype=np.float32)
    voted = total > 0
    shares = faces.votes[voted] / total[voted, None]
    regression = LogisticRegression(C=10.0, max_iter=1000).fit(shares, faces.labels[voted])
    rows = np.zeros((len(shares), len(EMOTIONS)), np.float32)
    rows[:, regression.classes_] = regression.predict_proba(shares)
    labels[voted] = rows
    return labels
