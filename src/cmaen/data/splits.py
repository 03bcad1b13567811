"""Splits as values that cannot be mistaken, and the set of faces that belongs to one."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from cmaen.errors import DataError, SplitError
from cmaen.types import EMOTIONS

INNER = "a tenth of Training"
"""The title of the inner split, see :func:`cmaen.data.drawing.inner_split`."""


class Split(str, Enum):
    """The three splits of FER2013 under the names used here; the values name the official ones.

    Training trains, PublicTest validates (it chooses epochs and settings), PrivateTest is only ever tested on. The last
    two as one are what the paper measures.
    """

    TRAIN = "Training"
    VALIDATION = "PublicTest"
    TEST = "PrivateTest"
    BOTH = "PublicTest and PrivateTest"

    @property
    def folder(self) -> str:
        """The split's folder in a tree, and its name on the command line."""
        return self.name.lower()

    @classmethod
    def parse(cls, name: str) -> Split:
        """The split of a name, official or folder.

        Raises:
            SplitError: There is no such split.
        """
        name = name.strip().lower()
        for split in cls:
            if name in (split.folder, split.value.lower()):
                return split
        if {part.strip() for part in name.split(",")} == {cls.VALIDATION.folder, cls.TEST.folder}:
            return cls.BOTH
        raise SplitError(f"{name!r} is not a split; choose from {[split.folder for split in cls]}")


_WORDS = {
    Split.TRAIN: {"train", "training", "trn"},
    Split.VALIDATION: {"val", "valid", "validation", "validate", "validating", "dev"},
    Split.TEST: {"test", "testing", "tst"},
}
_FILLERS = {"set", "split", "data", "dataset", "images", "image", "imgs", "img", "faces", "pictures", "folder", "fer"}
"""What stands beside the word for a split, as in ``test_set`` or ``train-images``."""


def split_named(name: str) -> Split | None:
    """The split of a folder or a CSV's value by its usual names, like ``Testing``, ``val_set`` or ``TRAIN``."""
    plain = re.sub(r"[\W_\d]+", " ", name.lower()).split()
    official = {split.value.lower(): split for split in (Split.TRAIN, Split.VALIDATION, Split.TEST)}
    if (found := official.get("".join(plain))) is not None:
        return found
    words = {re.sub(r"(?<=.)(set|split|data)$", "", word) for word in plain} - _FILLERS
    return next((split for split, names in _WORDS.items() if words and words <= names), None)


@dataclass(frozen=True)
class FaceSet:
    """The labelled faces of one split, in memory.

    Attributes:
        split: Where they belong.
        images: uint8 [N, H, W], grey, or [N, H, W, 3], RGB.
        labels: int64 [N], indices into the classes.
        names: N file names, unique.
        votes: FER+ votes as uint8 [N, 10] in the order of :data:`cmaen.data.ferplus.CATEGORIES`; all zero where FER+
            has no row. ``None`` where no votes were joined.
        unreadable: Files that were left out because they could not be decoded, with the reason.
        classes: What the faces are told apart by: the seven emotions, or labels of one's own.
    """

    split: Split
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    names: tuple[str, ...]
    votes: NDArray[np.uint8] | None = None
    unreadable: tuple[str, ...] = ()
    classes: tuple[str, ...] = EMOTIONS

    def __post_init__(self) -> None:
        lengths = {len(self.images), len(self.labels), len(self.names)}
        if self.votes is not None:
            lengths.add(len(self.votes))
        if len(lengths) != 1:
            raise DataError(f"images, labels, names and votes of a set differ in number: {sorted(lengths)}")
        if len(self.labels) and not 0 <= self.labels.min() <= self.labels.max() < len(self.classes):
            raise DataError(f"labels must lie in 0 to {len(self.classes) - 1}")

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def title(self) -> str:
        """What their split is called: by FER2013's word if their files bear it, else by the folder's name.

        Faces of other labels are not FER2013's, whatever their files are called.
        """
        first = self.names[0].rpartition("/")[2] if self.names and self.classes == EMOTIONS else ""
        if self.split is Split.VALIDATION and first.startswith(f"{Split.TRAIN.value}_"):
            return INNER
        if first.startswith(tuple(f"{split.value}_" for split in Split)):
            return self.split.value
        return "validation and test" if self.split is Split.BOTH else self.split.folder

    def require(self, split: Split, purpose: str) -> None:
        """Refuse to go on with the faces of any other split.

        Raises:
            SplitError: These are not the faces of ``split``.
        """
        if self.split is not split:
            raise SplitError(f"only {split.folder} may be used for {purpose}, and these faces are of {self.title}")

    def select(self, keep: NDArray[np.bool_] | NDArray[np.int64]) -> FaceSet:
        """The faces at a mask or at indices, still of the same split."""
        indices = np.arange(len(self))[keep]
        return replace(
            self,
            images=self.images[indices],
            labels=self.labels[indices],
            names=tuple(self.names[i] for i in indices),
            votes=None if self.votes is None else self.votes[indices],
        )

    def join(self, other: FaceSet, split: Split) -> FaceSet:
        """These faces and others, as one set without votes."""
        return FaceSet(
            split,
            np.concatenate([self.images, other.images]),
            np.concatenate([self.labels, other.labels]),
            self.names + other.names,
            unreadable=self.unreadable + other.unreadable,
            classes=self.classes,
        )

    def with_images(self, images: NDArray[np.uint8]) -> FaceSet:
        """The same faces, seen otherwise."""
        return replace(self, images=images)

    def fingerprint(self) -> str:
        """SHA-256, in hex, of the names, labels and pixels: two sets with one fingerprint are the same."""
        digest = hashlib.sha256("\n".join(self.names).encode())
        digest.update(np.ascontiguousarray(self.labels).tobytes())
        digest.update(np.ascontiguousarray(self.images).tobytes())
        return digest.hexdigest()

    def counts(self) -> dict[str, int]:
        """How many faces each class has."""
        return dict(zip(self.classes, np.bincount(self.labels, minlength=len(self.classes)).tolist(), strict=True))
