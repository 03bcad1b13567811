"""Writing a balanced copy of a data set: ``cmaen balance`` as a function with a typed result."""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cmaen.data.balancing import BLOCK, PIXELS, Balanced, Features, balance, shares, sheet
from cmaen.data.faces import Look, find_data, load_faces, look_at
from cmaen.data.labelling import ALL
from cmaen.data.reading import SIDE
from cmaen.data.splits import FaceSet, Split
from cmaen.data.tree import MANIFEST, SHEET, STATS, enhancement_of, png, write_tree
from cmaen.errors import DataError, OutputError, SplitError
from cmaen.files import replace_file, write_text
from cmaen.locks import LOCK, hold

LARGEST_SIDE = 224
"""Maximum side in pixels to which faces are resized if they differ in size: that of the paper's network."""
COLORIZATION = "colorization"
"""The enhancement step that is undone if colour is dropped."""
WEIGHTED = "weighted"
"""The method that makes no faces, but gives each class a drawing weight."""

Progress = Callable[[Iterable[FaceSet], str, int], Iterable[FaceSet]]
"""Wraps the loop over the blocks of faces: (blocks, their description, their number) -> the blocks."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BalanceResult:
    """The result of balancing a data set.

    Attributes:
        folder: Folder of the balanced data set.
        method, seed, target: The arguments; the target is ``None`` under :data:`WEIGHTED`.
        source: Fingerprint of the faces of Training.
        before: Number of faces of each class in the source.
        colour: Whether the faces that were written have colour.
        side: Their height in pixels; ``None`` under :data:`WEIGHTED`.
        neighbours: Name of the network among whose features neighbours were searched, or
            :data:`cmaen.data.balancing.PIXELS`; empty if none were searched.
        after, synthetic, altered: Number of faces of each class in the result, how many of them were made, and how many
            of those are altered copies of one face, see :mod:`cmaen.data.balancing`; empty under :data:`WEIGHTED`.
        weights: Relative drawing frequency of a face of each class under :data:`WEIGHTED`; otherwise empty.
    """

    folder: Path
    method: str
    seed: int
    target: int | None
    source: str
    before: Mapping[str, int]
    colour: bool = False
    side: int | None = None
    neighbours: str = ""
    after: Mapping[str, int] = field(default_factory=dict)
    synthetic: Mapping[str, int] = field(default_factory=dict)
    altered: Mapping[str, int] = field(default_factory=dict)
    weights: Mapping[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return a plain dict, ready for JSON, as in ``dataset_stats.json``."""
        values: dict[str, Any] = {"method": self.method, "seed": self.seed, "source": self.source}
        if self.target is None:
            return {**values, "before": dict(self.before), "weights": dict(self.weights)}
        counts = {"before": self.before, "after": self.after, "synthetic": self.synthetic, "altered": self.altered}
        values |= {"target": self.target, "colour": self.colour, "side": self.side, "neighbours": self.neighbours}
        return values | {name: dict(count) for name, count in counts.items()}


def balance_folder(
    output: Path | str,
    data: Path | str | None = None,
    *,
    method: str = "borderline-smote",
    target: int = 7000,
    colour: bool | None = None,
    all_labels: bool = False,
    split: str = "train",
    seed: int = 42,
    features: Features | None = None,
    progress: Progress | None = None,
) -> BalanceResult:
    """Write a data set in which every class has the same number of training faces; the other splits are copied.

    The result is recorded in ``dataset_stats.json``, and some of the made faces are shown in ``synthetic.png``. Splits
    that the data do not have are logged. A ``manifest.json`` of enhanced data is carried over, without colorization if
    colour is dropped.

    Faces keep their size if they have one. Otherwise they become squares of a side that the data suggest, from
    :data:`cmaen.data.reading.SIDE` to :data:`LARGEST_SIDE` pixels, which is logged.

    Args:
        output: Output folder; must be empty or not exist.
        data: See :func:`cmaen.data.faces.load_faces`; ``None``: FER2013 in its usual places.
        method: One of :data:`cmaen.data.balancing.METHODS`, or :data:`WEIGHTED`.
        target: Number of faces of each class; the paper's is 7,000.
        colour: Whether to keep colour; ``None``: if there is any, see :func:`cmaen.data.faces.look_at`.
        all_labels: Whether to use all classes, not only the seven emotions.
        split: The split to balance; any split other than Training is an error.
        seed: Random seed.
        features: Where borderline-smote searches neighbours; ``None``: in the pixels.
        progress: Wraps the loop, to show progress; ``None``: none is shown.

    Raises:
        SplitError: The split is not Training, or does not exist.
        ConfigError: The method does not exist, or the target is below 1.
        DataError: The data cannot be read, or a class has too few faces.
        OutputError: The folder is not empty, or cannot be written.
    """
    output = Path(output)
    with hold(output):
        if any(path.name != LOCK for path in output.iterdir()):
            raise OutputError(f"{output} is not empty; choose another folder")
        source = find_data() if data is None else Path(data)
        form = _choose_form(source, colour, ALL if all_labels else None, makes_faces=method != WEIGHTED)
        faces = _load(source, Split.parse(split), form, strict=colour is True)
        form = form | {"colour": faces.images.ndim == 4}
        if method == WEIGHTED:
            weights = shares(faces)
            result = BalanceResult(output, method, seed, None, faces.fingerprint(), faces.counts(), weights=weights)
        else:
            balanced = balance(faces, target=target, method=method, seed=seed, features=features)
            _write(balanced, output, source, form, progress)
            stats, searches = balanced.stats(), method == "borderline-smote"
            result = BalanceResult(
                *(output, method, seed, target, faces.fingerprint(), stats.pop("before")),
                colour=form["colour"],
                side=faces.images.shape[1],
                neighbours=(features.name if features else PIXELS) if searches else "",
                **stats,
            )
            if searches and (altered := sum(result.altered.values())) > 0:
                log.info(
                    "%d of %d synthetic faces are altered copies, because no other face is similar enough",
                    altered,
                    sum(result.synthetic.values()),
                )
        write_text(output / STATS, json.dumps(result.to_dict(), indent=2) + "\n")
    return result


def _write(
    balanced: Balanced,
    output: Path,
    source: Path,
    form: Mapping[str, Any],
    progress: Progress | None,
) -> None:
    with tempfile.TemporaryDirectory(dir=output, prefix=".balance-") as name:
        draft = Path(name)
        blocks: Iterable[FaceSet] = balanced.blocks()
        if progress is not None:
            blocks = progress(blocks, "blocks of faces", len(balanced) // BLOCK + 1)
        write_tree(blocks, draft)
        for other in (Split.VALIDATION, Split.TEST):
            with _say_missing():
                write_tree(_load(source, other, form), draft)
        if chain := enhancement_of(source):
            _write_manifest(draft / MANIFEST, chain, balanced, form)
        for part in draft.iterdir():
            shutil.move(part, output / part.name)
    with replace_file(output / SHEET) as temporary:
        temporary.write_bytes(png(sheet(balanced)))


@contextmanager
def _say_missing() -> Iterator[None]:
    """Log a missing split instead of raising."""
    try:
        yield
    except SplitError as error:
        log.warning("left out: %s", error)


def _choose_form(source: Path, colour: bool | None, labels: str | None, *, makes_faces: bool) -> dict[str, Any]:
    """Choose how the faces are loaded, as arguments of :func:`load_faces`: as they are, and the same in all splits."""
    look = look_at(source) or Look(False, SIDE, True)
    keeps = look.colour if colour is None else colour
    side = min(max(look.side, SIDE), LARGEST_SIDE)
    if makes_faces and look.colour and not keeps:
        log.warning("the faces of %s have colour, which is dropped", source)
    if makes_faces and not look.even:
        log.warning("the faces of %s differ in size and become squares of %d pixels", source, side)
    return {"colour": keeps, "labels": labels, "side": side}


def _load(source: Path, split: Split, form: Mapping[str, Any], *, strict: bool = False) -> FaceSet:
    """Load the faces of a split as chosen; a split without colour in grey, unless colour was asked for."""
    try:
        return load_faces(source, split, **form)
    except SplitError:
        raise
    except DataError:
        if strict or not form["colour"]:
            raise
        return load_faces(source, split, **{**form, "colour": False})


def _write_manifest(path: Path, chain: tuple[str, ...], balanced: Balanced, form: Mapping[str, Any]) -> None:
    """Write what is still true of the enhancement; the files of the source and their checksums are not."""
    kept = [step for step in chain if form["colour"] or not step.startswith(COLORIZATION)]
    if len(kept) < len(chain):
        log.warning("%s no longer names %s, which was undone by dropping colour", MANIFEST, COLORIZATION)
    manifest = {"chain": kept, "training_images": len(balanced), "balanced": balanced.method}
    write_text(path, json.dumps(manifest, indent=1) + "\n")
