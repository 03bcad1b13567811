"""Evaluation on whole labelled photographs, in which the faces are detected first."""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cmaen.data.labelling import Labelling
from cmaen.errors import DataError
from cmaen.evaluation.intervals import Interval, wilson
from cmaen.types import EMOTIONS

NO_FACE = "no face"


class Photograph(NamedTuple):
    """A photograph: its name, the emotion that it is labelled with, and its path or content."""

    name: str
    label: str
    content: Path | bytes


class PhotographedFaces(NamedTuple):
    """The largest face of each photograph of a list.

    Attributes:
        crops: RGB uint8 [h, w, 3] of each; ``None`` if no face was detected.
        labels: int64 [N], indices into :data:`cmaen.types.EMOTIONS`.
    """

    crops: list[NDArray[np.uint8] | None]
    labels: NDArray[np.int64]


@dataclass(frozen=True)
class PhotographFigures:
    """Figures of the answers for the largest face of each photograph.

    Attributes:
        count: Number of photographs.
        accuracy: Fraction of the photographs that are answered right; one without a detected face counts as wrong.
        accuracy_interval: 95 % interval of the accuracy.
        mean_recall: Mean recall of the emotions that have photographs.
        recall, support: Recall and number of photographs by emotion.
        without_face: Number of photographs that could not be read or in which no face was detected.
        answers: Number of photographs by label and answer, ``{label: {answer: count}}``.
    """

    count: int
    accuracy: float
    accuracy_interval: Interval
    mean_recall: float
    recall: dict[str, float]
    support: dict[str, int]
    without_face: int
    answers: dict[str, dict[str, int]]

    def to_dict(self) -> dict[str, Any]:
        """Return a plain dict, ready for JSON."""
        return asdict(self)


def read_photographs(labels: Path, pictures: Path | None = None) -> Iterator[Photograph]:
    """Read the photographs of a list, one after the other.

    Args:
        labels: CSV with the columns ``file`` (or ``path``) and ``label``: one of the seven emotions, under any of its
            usual names.
        pictures: Folder or zip with the files; ``None``: the folder of the CSV.

    Raises:
        DataError: The list cannot be read, or names a missing file.
    """
    try:
        with labels.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            column = next((name for name in ("file", "path") if name in (reader.fieldnames or ())), None)
            if column is None or "label" not in (reader.fieldnames or ()):
                raise DataError(f"{labels} needs the columns file and label; it has {reader.fieldnames}")
            rows = [(row[column] or "", row["label"] or "") for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{labels} cannot be read as a CSV: {error}") from error
    labelling = Labelling.of([label for _, label in rows], None)
    if labelling.skipped:
        raise DataError(f"{labels} has labels other than {', '.join(EMOTIONS)}: {labelling.skipped}")
    with ExitStack() as stack:
        root = pictures or labels.parent
        archive = stack.enter_context(closing(_archive(root))) if root.is_file() else None
        for name, label in rows:
            index = labelling.index(label)
            assert index is not None
            try:
                content = archive.read(name) if archive else root / name
            except (KeyError, zipfile.BadZipFile, OSError, RuntimeError) as error:
                raise DataError(f"{name}, listed in {labels}, cannot be read from {root}: {error}") from error
            if isinstance(content, Path) and not content.is_file():
                raise DataError(f"{content}, listed in {labels}, does not exist")
            yield Photograph(name, EMOTIONS[index], content)


def measure_photographs(labels: Sequence[str], answers: Sequence[str | None]) -> PhotographFigures:
    """Measure the answers for photographs.

    Args:
        labels: One label for each photograph.
        answers: Answers for the largest face of each photograph; ``None`` if there is no answer.

    Raises:
        DataError: There are no photographs.
    """
    if not labels:
        raise DataError("there are no photographs to measure")
    right = np.array([label == answer for label, answer in zip(labels, answers, strict=True)])
    of_label = np.array(labels)
    present = [emotion for emotion in EMOTIONS if emotion in labels]
    recall = {emotion: float(right[of_label == emotion].mean()) for emotion in present}
    counts: dict[str, dict[str, int]] = {emotion: {} for emotion in present}
    for label, answer in zip(labels, answers, strict=True):
        name = answer or NO_FACE
        counts[label][name] = counts[label].get(name, 0) + 1
    return PhotographFigures(
        count=len(labels),
        accuracy=float(right.mean()),
        accuracy_interval=wilson(int(right.sum()), len(right)),
        mean_recall=float(np.mean(list(recall.values()))),
        recall=recall,
        support={emotion: int((of_label == emotion).sum()) for emotion in present},
        without_face=sum(answer is None for answer in answers),
        answers=counts,
    )


def _archive(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        raise DataError(f"{path} is neither a folder nor a zip file: {error}") from error
