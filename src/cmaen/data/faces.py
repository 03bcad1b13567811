"""Loading labelled faces in any supported form: folders, zips, tables of files, published layouts, Kaggle's CSV."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import cv2
import numpy as np

from cmaen.checkpoints import Card
from cmaen.data.cache import collect_any
from cmaen.data.drawing import split_off
from cmaen.data.entries import Entry, open_entries
from cmaen.data.fer2013 import is_kaggle_csv, load_kaggle_csv, official_split, splits_of_kaggle_csv
from cmaen.data.labelling import Labelling, plain, read_names, rename
from cmaen.data.reading import SIDE, Face, collect
from cmaen.data.splits import FaceSet, Split, split_named
from cmaen.data.stored import split_blocks
from cmaen.data.table import SUFFIXES, columns_of
from cmaen.errors import CmaenError, DataError, SplitError
from cmaen.listing import BESIDE, LeftOut, name_some
from cmaen.preprocessing import to_grey
from cmaen.types import EMOTIONS

PLACES = tuple(Path(folder) / name for folder in ("data", ".") for name in ("fer2013.zip", "fer2013.csv", "fer2013"))
"""Default places of FER2013."""
LOOKED_AT = 200
"""Number of faces that :func:`look_at` looks at."""

log = logging.getLogger(__name__)


def find_data() -> Path:
    """Find FER2013 in one of :data:`PLACES`.

    Raises:
        DataError: It is in none of them.
    """
    for place in PLACES:
        if place.exists():
            log.info("data: %s", place)
            return place
    places = ", ".join(map(str, PLACES))
    raise DataError(f"FER2013 was not found in {places}: give its folder, zip or CSV with --data, or put it there")


def load_faces(
    path: Path,
    split: Split,
    *,
    colour: bool = False,
    labels: Sequence[str] | str | None = None,
    side: int = SIDE,
    names: Mapping[Any, Any] | None = None,
) -> FaceSet:
    """Load the faces of one split, into memory or, if they are too many, into a file; see :mod:`cmaen.data.cache`.

    Files that are not pictures, belong to no split or have a class that is not wanted are left out, counted and logged.

    Args:
        path: A folder ``<class>/*.png`` or ``<split>/<class>/*.png``, linked folders included; a folder in a published
            layout, which is logged, see :mod:`cmaen.data.layouts.table`; a zip of either, or a folder of such zips; a
            CSV or JSON lines of files, see :mod:`cmaen.data.table` (with a path, a label and optionally a split, a
            group and a box); or Kaggle's CSV of FER2013. If a file's name in a class folder has an official prefix of
            FER2013 (``Training_``, ``PublicTest_``, ``PrivateTest_``), the prefix determines the split.
        split: The split to load. If there is no validation split, a tenth of the others is drawn for it, see
            :func:`cmaen.data.drawing.split_off`.
        colour: Whether to keep colour.
        labels: The classes, see :class:`Labelling`; ``None`` for the seven emotions, also under their other names.
        side: Side in pixels to which faces are resized if they differ in size, are not square or are photographs.
        names: Names for labels that are written in another way, such as ``{1: "surprise"}`` for numbers; see
            :func:`cmaen.data.labelling.read_names`.

    Raises:
        DataError: The path holds no faces or is damaged, or colour is wanted and there is none. Single images that
            cannot be read are left out and listed in ``FaceSet.unreadable``; classes that are not wanted are named.
        SplitError: The split does not exist, or none of its images can be read; the message says which, and why.
    """
    if split is Split.BOTH:
        validation, test = (
            load_faces(path, part, colour=colour, labels=labels, side=side, names=names)
            for part in (Split.VALIDATION, Split.TEST)
        )
        return validation.join(test, split)
    left_out, there = LeftOut(), Counter[Split | None]()
    if _is_kaggle(path):
        if colour:
            raise DataError(f"{path} has no colour: Kaggle's CSV is grey; set preprocess.grey=true")
        if names:
            log.warning("the names for labels are not used, because those of Kaggle's CSV are known")
        faces = load_kaggle_csv(path, split, labels)
        if not len(faces):
            there = splits_of_kaggle_csv(path)
    else:
        with open_entries(path) as contents:
            left_out, entries = contents.left_out, _rename_labels(contents.entries, names)
            there.update(entry.split for entry in entries)
            contents.say(path)
            faces = _of_split(entries, split=split, colour=colour, labels=labels, side=side)
    if not there and BESIDE in left_out.counts:
        count = left_out.counts[BESIDE].total()
        raise SplitError(
            f"{path} has no class folders: its {count:,} pictures lie side by side. Put those of each class into a "
            f"folder of its own, like {path / 'happy' / '1.jpg'}, or list them in a CSV with the columns path and label"
        )
    if not len(faces):
        raise SplitError(f"{path} holds no readable image of the split {split.folder}{_why(faces, there, left_out)}")
    if colour and all((block == block[..., :1]).all() for block in split_blocks(faces.images)):
        raise DataError(
            f"the images of {path} have no colour, so the network must not expect it; set preprocess.grey=true"
        )
    return faces


class Look(NamedTuple):
    """What some faces of a data set look like.

    Attributes:
        colour: Whether any of them has colour.
        side: Median of their shorter sides, in pixels.
        even: Whether they are squares of one size.
    """

    colour: bool
    side: int
    even: bool


def look_at(path: Path) -> Look | None:
    """Look at up to :data:`LOOKED_AT` faces of a data set, evenly spread; ``None`` if none of them can be read.

    Raises:
        DataError: See :func:`load_faces`.
    """
    if _is_kaggle(path):
        return Look(False, SIDE, True)
    shapes, colour = [], False
    with open_entries(path) as contents:
        for entry in contents.entries[:: max(1, len(contents.entries) // LOOKED_AT)]:
            # an unreadable one is named when it is loaded
            with suppress(CmaenError, ValueError, OverflowError, cv2.error):
                image = entry.read()
                shapes.append(image.shape[:2])
                colour = colour or bool((image != image[..., :1]).any())
    if not shapes:
        return None
    height, _ = shapes[0]
    return Look(colour, int(np.median([min(shape) for shape in shapes])), {*shapes} == {(height, height)})


def measured_split(path: Path) -> Split:
    """Return the default split of a measurement: validation, or test if there is a test split but no validation split.

    Otherwise a tenth of Training would be drawn as validation, which says less than a real test split and nothing about
    a network that was trained on these faces.

    Raises:
        DataError: See :func:`load_faces`.
    """
    if not path.exists():
        return Split.VALIDATION
    splits = list_splits(path)
    return Split.TEST if Split.TEST in splits and Split.VALIDATION not in splits else Split.VALIDATION


def list_splits(path: Path) -> set[Split | None]:
    """List the splits of a data set's faces; ``None`` stands for faces without a split.

    Raises:
        DataError: See :func:`load_faces`.
    """
    if _is_kaggle(path):
        return set(splits_of_kaggle_csv(path))
    with open_entries(path) as contents:
        return {entry.split for entry in contents.entries}


def list_labels(path: Path, names: Mapping[Any, Any] | None = None) -> set[str]:
    """List the class names of a data set, as they are written there or as ``names`` has them, see :func:`load_faces`.

    Raises:
        DataError: See :func:`load_faces`.
    """
    if _is_kaggle(path):
        return set(EMOTIONS)
    with open_entries(path) as contents:
        return {entry.label for entry in _rename_labels(contents.entries, names)}


def load_for(card: Card, path: Path, split: Split, names: Mapping[Any, Any] | None = None) -> FaceSet:
    """Load the faces of one split as a network expects them: its labels, colour or grey; see :func:`load_faces`."""
    spec = card.preprocess
    return load_faces(path, split, colour=not spec.grey, labels=card.labels, side=spec.side, names=names)


def by_column(faces: FaceSet, path: Path, column: str) -> dict[str, FaceSet]:
    """Group faces by a column of their table, such as an age or a skin tone; sorted by value.

    The columns of a published layout are those that its names or lists tell: the person, the angle.

    Args:
        faces: Faces that :func:`load_faces` has loaded from the data.
        path: Path of the data.
        column: Name of the column; faces without a value are left out.

    Raises:
        DataError: The data have no such column, or no face has a value.
    """
    with open_entries(path) as contents:
        values = {entry.name: entry.values.get(column, "") for entry in contents.entries}
        columns = list(dict.fromkeys(key for entry in contents.entries for key in entry.values))
    if path.suffix.lower() in SUFFIXES and path.is_file():
        columns = columns_of(path)
    if not columns:
        raise DataError(f"{path} is not a CSV; only a CSV has columns (path, label and {column})")
    if column not in columns:
        raise DataError(f"{path} has no column {column!r}; it has {', '.join(columns)}")
    found = np.array([values.get(name, "") for name in faces.names])
    if lacking := int((found == "").sum()):
        log.warning("%d of %d faces have no value in the column %s and belong to no group", lacking, len(faces), column)
    groups = {value: faces.select(found == value) for value in sorted(set(found.tolist()) - {""})}
    if not groups:
        raise DataError(f"no face has a value in the column {column!r} of {path}")
    return groups


def _rename_labels(entries: Sequence[Entry], meant: Mapping[Any, Any] | None) -> list[Entry]:
    """Give labels the names that are meant; names that no label needs are logged."""
    names = read_names(meant or {})
    if not names:
        return list(entries)
    renamed = [entry._replace(label=rename(entry.label, names)) for entry in entries]
    if renamed and not {plain(entry.label) for entry in entries} & set(names):
        labels = name_some(sorted({entry.label for entry in entries}))
        log.warning("no label is %s, so the names are not used; the data have %s", " or ".join(names), labels)
    return renamed


def _is_kaggle(path: Path) -> bool:
    return path.suffix.lower() in (".csv", ".tsv") and path.is_file() and is_kaggle_csv(columns_of(path))


def _of_split(
    entries: Sequence[Entry], *, split: Split, colour: bool, labels: Sequence[str] | str | None, side: int
) -> FaceSet:
    """Select the faces of a split; images of other classes and images without a split are logged."""
    if not entries:
        return collect(split, ())
    labelling = Labelling.of([entry.label for entry in entries], labels)
    labelling.say_skipped(advise=labels is None)
    known = sorted(
        (entry for entry in entries if labelling.index(entry.label) is not None), key=lambda entry: entry.name
    )
    splits = {entry.split for entry in known} - {None}
    whole = split is Split.ALL or not splits
    lost = Counter[str]() if whole else Counter(entry.place for entry in known if entry.split is None)
    if lost:
        places = name_some([f"{place or 'no value'} ({count:,})" for place, count in lost.most_common()])
        log.warning("%d images belong to no split and are left out: %s", lost.total(), places)

    def read(entry: Entry) -> Face:
        image = entry.read()
        index = labelling.index(entry.label)
        assert index is not None
        return index, image if colour else to_grey(image)

    def collect_some(some: Sequence[Entry]) -> FaceSet:
        faces = collect_any(
            split,
            some,
            read,
            label=lambda entry: labelling.index(entry.label) or 0,
            classes=labelling.classes,
            side=side,
            variant="colour" if colour else "grey",
        )
        groups = {entry.name: entry.group for entry in some}
        return replace(
            faces,
            groups=tuple(groups[name] for name in faces.names) if any(groups.values()) else None,
            offered=Counter(entry.label for entry in entries),
        )

    if split is Split.ALL:
        return collect_some(known)
    named = [entry for entry in known if official_split(PurePosixPath(entry.name).name)]
    official = any(split_named(PurePosixPath(entry.place).name) for entry in named)  # a part of FER2013
    if official or split is Split.TEST or Split.VALIDATION in splits or (splits and Split.TRAIN not in splits):
        return collect_some([entry for entry in known if entry.split is split])
    if named:
        prefix = f"{Split.TRAIN.value}_"
        log.warning("%d file names begin with %s, as in FER2013, so these faces are for training", len(named), prefix)
    pool = [entry for entry in known if not splits or entry.split is Split.TRAIN]
    return split_off(collect_some(pool), split)


def _why(faces: FaceSet, there: Counter[Split | None], left_out: LeftOut) -> str:
    """Explain why no face of a split could be read."""
    if faces.unreadable:
        count = len(faces.unreadable)
        return f": {'its only image' if count == 1 else f'all {count:,}'} failed; the first: {faces.unreadable[0]}"
    splits = [f"{split.folder} ({count:,})" for split, count in there.items() if split is not None]
    if splits:
        return f"; it has {', '.join(sorted(splits))}"
    if left_out or left_out.empty:
        return f"; left out: {left_out or name_some(left_out.empty)}"
    return ""
