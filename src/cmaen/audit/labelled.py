"""Labelled faces with a network's answers and what else is known of them: from a table, or asked of a network."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cmaen.checkpoints import Checkpoint, Where
from cmaen.data.encodings import open_file
from cmaen.data.entries import open_entries
from cmaen.data.faces import list_splits
from cmaen.data.labelling import ALIASES, Labelling, plain, read_names, rename
from cmaen.data.table import COLUMNS, SUFFIXES, columns_of, find_columns, header_of, lines_of, to_whole
from cmaen.data.tree import require_enhancement
from cmaen.engines import AUTO, build_engine, probabilities, resolve_engine, select_output
from cmaen.errors import DataError
from cmaen.evaluation.evaluate import Progress
from cmaen.evaluation.run import logits_of, warn_of_seen
from cmaen.evaluation.splits import Names, load_split
from cmaen.listing import name_some
from cmaen.types import CONTEMPT, EMOTIONS

GROUPS = "groups.csv"
"""Name of the table of groups that is read from a folder of faces by default."""
_NAMES = {"path": (*COLUMNS["path"], "name"), "label": COLUMNS["label"]}
_ANY = "*"
"""Folder under which a file name is listed if its line has a folder that the face need not have."""
_TAILS = 4
"""Maximum number of parts of a path by which a line of a table of groups finds its face."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LabelledAnswers:
    """Labelled faces with the answers of a network.

    Attributes:
        classes: Names of the C labels.
        names: Name of each face.
        labels: Label of each face, int64 [N].
        probabilities: Probabilities of the labels, float64 [N, C], whose rows sum to 1; rows of NaN are no answer, as
            for a picture in which no face was found.
        columns: What else is known: by the name of a column, a text for each face, empty if it has no value.
        source: Words that say whose answers these are.
        left_out: Number of faces that are left out, by reason.
    """

    classes: tuple[str, ...]
    names: tuple[str, ...] = field(repr=False)
    labels: NDArray[np.int64] = field(repr=False)
    probabilities: NDArray[np.float64] = field(repr=False)
    columns: Mapping[str, tuple[str, ...]] = field(repr=False)
    source: str = ""
    left_out: Mapping[str, int] = field(default_factory=dict)

    NOTHING: ClassVar[str] = "no answer"
    """Name of the answer for faces without one."""

    def __post_init__(self) -> None:
        lengths = {len(self.names), len(self.labels), len(self.probabilities), *map(len, self.columns.values())}
        if lengths != {len(self.labels)}:
            raise DataError(f"names, labels, probabilities and columns differ in number: {sorted(lengths)}")

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def answers(self) -> NDArray[np.int64]:
        """The most probable label of each face, int64 [N]; C if there is no answer."""
        silent = np.isnan(self.probabilities).any(axis=1)
        return np.where(silent, len(self.classes), np.nan_to_num(self.probabilities).argmax(axis=1))

    @property
    def confidences(self) -> NDArray[np.float64]:
        """The probability of each answer, float64 [N]; NaN if there is none."""
        return np.asarray(self.probabilities.max(axis=1))

    @property
    def without_answer(self) -> int:
        """The number of faces without an answer."""
        return int(np.isnan(self.probabilities).any(axis=1).sum())

    def values(self, column: str) -> tuple[str, ...]:
        """Return the values of a column.

        Raises:
            DataError: There is no such column.
        """
        if column not in self.columns:
            raise DataError(f"there is no column {column!r}; {self.describe_columns()}")
        return self.columns[column]

    def describe_columns(self) -> str:
        """Name the columns that there are."""
        if not self.columns:
            return "the data have no columns: give a CSV with a path, a label and groups, or a CSV of groups"
        return f"there are {name_some(list(self.columns))}"


def read_labelled(
    data: Path | str,
    groups: Path | str | None = None,
    *,
    names: Names = None,
    split: str | None = None,
    checkpoint: Where = None,
    scheme: str | None = None,
    engine: str = AUTO,
    device: str = "cpu",
    progress: Progress | None = None,
) -> LabelledAnswers:
    """Read labelled faces, and what else is known of them; a network answers, unless the answers are there.

    Args:
        data: Faces in any form that :func:`cmaen.data.faces.load_faces` takes; or a CSV with a label and a probability
            of each emotion, as ``cmaen test`` and ``cmaen predict`` write the latter, which needs no network.
        groups: Table with a column of file names, and others of groups; ``None``: the file :data:`GROUPS` in a folder
            of faces, if it is there.
        names: Names of labels that the data write otherwise, see :func:`cmaen.data.faces.load_faces`.
        split: Name of the split, see :func:`cmaen.evaluation.splits.load_split`; ``None``: validation or test if the
            data are split, and otherwise all faces. Not for answers that are there.
        checkpoint: Network to ask, see :meth:`cmaen.checkpoints.Checkpoint.open`.
        scheme: Label scheme of the answers; ``None`` for the first, which is that of the labels.
        engine, device: Engine and device that run the network, see :func:`cmaen.engines.build_engine`.
        progress: Shows the progress of the network; ``None``: none is shown.

    Raises:
        CheckpointError: The checkpoint cannot be used.
        ConfigError: The checkpoint does not have the label scheme or all labels, or the engine does not exist.
        DataError: The data or the groups cannot be read, or no face is left.
    """
    path = Path(data)
    found = _read_ready(path, names)
    if found is None:
        found = _ask(path, names, split, Checkpoint.open(checkpoint), scheme, engine, device, progress)
    elif not (checkpoint is split is scheme is None):
        log.warning("%s holds answers, which are taken as they are: checkpoint, split and scheme are not used", path)
    if groups is None and path.is_dir() and (path / GROUPS).is_file():
        groups = path / GROUPS
    return found if groups is None else join_groups(found, Path(groups))


def _ask(
    path: Path,
    names: Names,
    split: str | None,
    checkpoint: Checkpoint,
    scheme: str | None,
    engine: str,
    device: str,
    progress: Progress | None,
) -> LabelledAnswers:
    """Ask a network about the faces of a data set."""
    card = checkpoint.card
    engine = resolve_engine(engine, checkpoint)
    require_enhancement(path, card.enhancement)
    if split is None and path.exists() and list_splits(path) == {None}:
        split = "all"
    faces = load_split(card, path, split, names)
    warn_of_seen(checkpoint, faces)
    name = next(iter(card.schemes)) if scheme is None else card.resolve_scheme(scheme)
    chosen = card.schemes[name]
    if missing := sorted(set(faces.classes) - set(chosen.labels)):
        raise DataError(f"the label scheme {name} of {card.name} has no {name_some(missing)}")
    logits = logits_of(
        faces,
        card.preprocess,
        select_output(build_engine(engine, checkpoint, device=device), name),
        progress=iter if progress is None else lambda items: progress(items, "batches", len(list(items))),
    )
    places = [chosen.labels.index(label) for label in faces.classes]
    with open_entries(path) as contents:
        known = {entry.name: entry.values for entry in contents.entries}
    columns = list(dict.fromkeys(column for values in known.values() for column in values))
    if path.is_file() and path.suffix.lower() in SUFFIXES:
        columns = columns_of(path)  # without the meanings that rows have besides
    return LabelledAnswers(
        faces.classes,
        faces.names,
        faces.labels,
        probabilities(logits[:, places], chosen.temperature).astype(np.float64),
        {column: tuple(known.get(face, {}).get(column, "") for face in faces.names) for column in columns},
        source=f"{checkpoint.describe()}, scheme {name}",
        left_out={"unreadable": len(faces.unreadable)} if faces.unreadable else {},
    )


def _read_ready(path: Path, meant: Names) -> LabelledAnswers | None:
    """Read a table that holds labels and probabilities; ``None`` if the file is none."""
    if not path.is_file() or path.suffix.lower() not in SUFFIXES:
        return None
    opener, where = partial(open_file, path), str(path)
    columns = header_of(opener, where).columns
    found = find_columns(columns, _NAMES)
    emotions = {ALIASES.get(plain(column), plain(column)): column for column in columns if _is_emotion(column)}
    if "label" not in found or len(emotions) < 2:
        return None
    renamed, left_out = read_names(meant or {}), Counter[str]()
    lines = list(lines_of(opener, where))
    texts = [rename(to_whole(line[found["label"]]), renamed) for _, line in lines]
    labelling = Labelling.of([text for text in texts if text] or ["nothing"], list(emotions))
    names, labels, answers, kept = [], [], [], []
    for (number, line), text in zip(lines, texts, strict=True):
        label = labelling.index(text)
        answer = None if label is None else _read_probabilities([line[column] for column in emotions.values()])
        if label is None:
            left_out["with another label" if text else "without a label"] += 1
        elif answer is None:
            left_out["with numbers that are no probabilities"] += 1
        else:
            names.append((line[found["path"]] if "path" in found else "") or f"row {number}")
            labels.append(label)
            answers.append(answer)
            kept.append(line)
    if not kept:
        raise DataError(f"no line of {where} can be used; they are {_count(left_out) or 'not there'}")
    return LabelledAnswers(
        labelling.classes,
        tuple(names),
        np.array(labels, np.int64),
        np.array(answers, np.float64),
        {column: tuple(line[column] for line in kept) for column in columns if column not in emotions.values()},
        source=f"the answers in {path.name}",
        left_out=dict(left_out),
    )


def _is_emotion(column: str) -> bool:
    return plain(column) in {*EMOTIONS, *ALIASES, CONTEMPT}


def _read_probabilities(texts: Sequence[str]) -> list[float] | None:
    """Read the probabilities of a line, which need not sum to 1; NaN if there are none, ``None`` if invalid."""
    if not any(texts):
        return [math.nan] * len(texts)
    try:
        values = [float(text.replace(",", ".")) if text else 0.0 for text in texts]
    except ValueError:
        return None
    total = sum(values)
    if not math.isfinite(total) or total <= 0 or min(values) < 0:
        return None
    return [value / total for value in values]


def join_groups(answers: LabelledAnswers, path: Path) -> LabelledAnswers:
    """Add the columns of a table to faces, by their file names.

    A line belongs to the face whose path ends like its own, by at least the file name and its folder if both have one:
    ``1.jpg`` and ``faces/happy/1.jpg`` to ``happy/1.jpg``, but not ``sad/1.jpg``. A face has no values if it has no
    line, or several that contradict each other.

    Args:
        answers: The faces.
        path: Table with a column of file names.

    Raises:
        DataError: The table cannot be read, has no column of file names or no others, or belongs to no face.
    """
    opener, where = partial(open_file, path), str(path)
    columns = header_of(opener, where).columns
    named = find_columns(columns, {"path": _NAMES["path"]}).get("path")
    others = [column for column in columns if column and column != named]
    if named is None or not others:
        raise DataError(
            f"{where} needs a column of file names, such as path, and columns of groups; it has "
            f"{name_some(columns) if columns else 'none'}"
        )
    index: dict[str, dict[tuple[str, ...], None]] = {}
    for _, line in lines_of(opener, where):
        values = tuple(line[column] for column in others)
        tails = list(_tails(line[named]))
        for tail in tails:
            key = f"{_ANY}/{tail}" if len(tails) > 1 and tail == tails[-1] else tail
            index.setdefault(key, {})[values] = None
    rows = [_find_line(index, name) for name in answers.names]
    if not any(row is not None for row in rows):
        some = name_some([*answers.names[:2]])
        raise DataError(f"no line of {where} names one of the faces, which are called like {some}")
    empty = ("",) * len(others)
    joined = dict(zip(others, zip(*(empty if row is None else row for row in rows), strict=True), strict=True))
    missing = sum(row is None for row in rows)
    left_out = {**answers.left_out, **({f"not in {path.name} (counted without a group)": missing} if missing else {})}
    return replace(answers, columns={**answers.columns, **joined}, left_out=left_out)


def _tails(path: str) -> Iterator[str]:
    """Yield the ends of a path, the longest first: its last parts, down to the file name."""
    parts = PurePosixPath(path.strip().replace("\\", "/")).parts[-_TAILS:]
    for start in range(len(parts)):
        yield "/".join(parts[start:])


def _find_line(index: Mapping[str, Mapping[tuple[str, ...], Any]], name: str) -> tuple[str, ...] | None:
    """Find the values for a face by the longest end of its path that is listed; ``None`` if none is, or several are."""
    tails = list(_tails(name))
    for tail in [*tails, f"{_ANY}/{name}"] if len(tails) == 1 else tails:
        if (found := index.get(tail)) is not None:
            return next(iter(found)) if len(found) == 1 else None
    return None


def _count(left_out: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {reason}" for reason, count in left_out.items())
