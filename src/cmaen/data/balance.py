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

from cmaen.data.balancing import BLOCK, Balanced, balance, shares, sheet
from cmaen.data.faces import find_data, load_faces
from cmaen.data.labelling import ALL
from cmaen.data.splits import FaceSet, Split
from cmaen.data.tree import MANIFEST, png, write_tree
from cmaen.errors import OutputError, SplitError
from cmaen.files import replace_file, write_text
from cmaen.locks import LOCK, hold

STATS, SHEET = "dataset_stats.json", "synthetic.png"
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
        after, synthetic: Number of faces of each class in the result, and how many of them were made; empty under
            :data:`WEIGHTED`.
        weights: Relative drawing frequency of a face of each class under :data:`WEIGHTED`; otherwise empty.
    """

    folder: Path
    method: str
    seed: int
    target: int | None
    source: str
    before: Mapping[str, int]
    after: Mapping[str, int] = field(default_factory=dict)
    synthetic: Mapping[str, int] = field(default_factory=dict)
    weights: Mapping[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return a plain dict, ready for JSON, as in ``dataset_stats.json``."""
        values = {"method": self.method, "seed": self.seed, "source": self.source}
        if self.target is None:
            return {**values, "before": dict(self.before), "weights": dict(self.weights)}
        counts = {"before": self.before, "after": self.after, "synthetic": self.synthetic}
        return {**values, "target": self.target, **{name: dict(count) for name, count in counts.items()}}


def balance_folder(
    output: Path | str,
    data: Path | str | None = None,
    *,
    method: str = "borderline-smote",
    target: int = 7000,
    colour: bool = False,
    all_labels: bool = False,
    split: str = "train",
    seed: int = 42,
    progress: Progress | None = None,
) -> BalanceResult:
    """Write a data set in which every class has the same number of training faces; the other splits are copied.

    The result is recorded in ``dataset_stats.json``, and some of the made faces are shown in ``synthetic.png``. Splits
    that the data do not have are logged.

    Args:
        output: Output folder; must be empty or not exist.
        data: See :func:`cmaen.data.faces.load_faces`; ``None``: FER2013 in its usual places.
        method: One of :data:`cmaen.data.balancing.METHODS`, or :data:`WEIGHTED`.
        target: Number of faces of each class; the paper's is 7,000.
        colour: Whether to keep colour.
        all_labels: Whether to use all classes, not only the seven emotions.
        split: The split to balance; any split other than Training is an error.
        seed: Random seed.
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
        labels = ALL if all_labels else None
        faces = load_faces(source, Split.parse(split), colour=colour, labels=labels)
        if method == WEIGHTED:
            weights = shares(faces)
            result = BalanceResult(output, method, seed, None, faces.fingerprint(), faces.counts(), weights=weights)
        else:
            balanced = balance(faces, target=target, method=method, seed=seed)
            _write(balanced, output, source, colour=colour, labels=labels, progress=progress)
            result = BalanceResult(output, method, seed, target, faces.fingerprint(), **balanced.stats())
        write_text(output / STATS, json.dumps(result.to_dict(), indent=2) + "\n")
    return result


def _write(
    balanced: Balanced,
    output: Path,
    source: Path,
    *,
    colour: bool,
    labels: str | None,
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
                write_tree(load_faces(source, other, colour=colour, labels=labels), draft)
        if (source / MANIFEST).is_file():
            shutil.copy(source / MANIFEST, draft)
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
