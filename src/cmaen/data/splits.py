"""The splits as distinct values, and the set of faces that belongs to one."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from cmaen.data.stored import Images, StoredImages, join_images, split_blocks, take_images
from cmaen.errors import DataError, SplitError
from cmaen.types import EMOTIONS

INNER = "a tenth of Training"
"""Title of the inner split, see :func:`cmaen.data.drawing.inner_split`."""


class Split(str, Enum):
    """The three splits of FER2013 under the names used here; the values are the official names.

    Training is trained on; PublicTest is for validation (it chooses epochs and settings); PrivateTest is only ever
    tested on. The paper measures the last two together. Every face of a data set, whatever its split, is only measured.
    """

    TRAIN = "Training"
    VALIDATION = "PublicTest"
    TEST = "PrivateTest"
    BOTH = "PublicTest and PrivateTest"
    ALL = "all faces"

    @property
    def folder(self) -> str:
        """The split's folder in a tree, and its name on the command line."""
        return self.name.lower()

    @classmethod
    def parse(cls, name: str) -> Split:
        """Parse the name of a split, official or of a folder.

        Raises:
            SplitError: The split does not exist.
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
"""Words that may accompany that for a split, as in ``test_set`` or ``train-images``."""


def split_named(name: str) -> Split | None:
    """Return the split that a folder or a value of a CSV names, such as ``Testing``, ``val_set`` or ``TRAIN``."""
    plain = re.sub(r"[\W_\d]+", " ", name.lower()).split()
    official = {split.value.lower(): split for split in (Split.TRAIN, Split.VALIDATION, Split.TEST)}
    if (found := official.get("".join(plain))) is not None:
        return found
    words = {re.sub(r"(?<=.)(set|split|data)$", "", word) for word in plain} - _FILLERS
    return next((split for split, names in _WORDS.items() if words and words <= names), None)


@dataclass(frozen=True)
class FaceSet:
    """The labelled faces of one split, in memory or, if they are too many, in a file.

    Attributes:
        split: The split of all faces.
        images: uint8 [N, H, W], grey, or [N, H, W, 3], RGB: an array, or :class:`cmaen.data.stored.StoredImages`.
        labels: int64 [N], indices into the classes.
        names: N unique file names.
        votes: FER+ votes as uint8 [N, 10] in the order of :data:`cmaen.data.ferplus.CATEGORIES`; all zero for faces
            without a row in FER+. ``None`` if no votes were joined.
        unreadable: Files that were left out because they could not be decoded, with the reason.
        classes: Names of the classes: the seven emotions, or custom labels.
        groups: Group of each face, such as a person, whose faces stay together when a split is drawn; ``None`` for a
            face without a group, or for all faces.
        offered: Number of faces by class name in the whole data set, as it writes them, those included that are left
            out; ``None`` if unknown.
    """

    split: Split
    images: Images
    labels: NDArray[np.int64]
    names: tuple[str, ...]
    votes: NDArray[np.uint8] | None = None
    unreadable: tuple[str, ...] = ()
    classes: tuple[str, ...] = EMOTIONS
    groups: tuple[str | None, ...] | None = None
    offered: Mapping[str, int] | None = None

    def __post_init__(self) -> None:
        lengths = {len(self.images), len(self.labels), len(self.names)}
        lengths |= {len(part) for part in (self.votes, self.groups) if part is not None}
        if len(lengths) != 1:
            raise DataError(f"images, labels, names, votes and groups of a set differ in number: {sorted(lengths)}")
        if len(self.labels) and not 0 <= self.labels.min() <= self.labels.max() < len(self.classes):
            raise DataError(f"labels must lie in 0 to {len(self.classes) - 1}")

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def title(self) -> str:
        """The title of the split: FER2013's name for it if the files bear it, else the folder's name.

        Faces with other labels are not FER2013's, whatever their files are called.
        """
        if self.split is Split.ALL:
            return "every split"
        first = self.names[0].rpartition("/")[2] if self.names and self.classes == EMOTIONS else ""
        if self.split is Split.VALIDATION and first.startswith(f"{Split.TRAIN.value}_"):
            return INNER
        if first.startswith(tuple(f"{split.value}_" for split in Split)):
            return str(self.split.value)
        return "validation and test" if self.split is Split.BOTH else self.split.folder

    def require(self, split: Split, purpose: str) -> None:
        """Refuse faces of any other split.

        Raises:
            SplitError: The faces do not belong to ``split``.
        """
        if self.split is not split:
            raise SplitError(f"only {split.folder} may be used for {purpose}, but these faces belong to {self.title}")

    def select(self, keep: NDArray[np.bool_] | NDArray[np.int64]) -> FaceSet:
        """Select the faces at a mask or at indices, of the same split."""
        indices = np.arange(len(self))[keep]
        return replace(
            self,
            images=take_images(self.images, indices),
            labels=self.labels[indices],
            names=tuple(self.names[i] for i in indices),
            votes=None if self.votes is None else self.votes[indices],
            groups=None if self.groups is None else tuple(self.groups[i] for i in indices),
        )

    def join(self, other: FaceSet, split: Split) -> FaceSet:
        """Join two sets of faces as one set without votes.

        Raises:
            DataError: Their images differ in size.
        """
        return FaceSet(
            split,
            join_images(self.images, other.images),
            np.concatenate([self.labels, other.labels]),
            self.names + other.names,
            unreadable=self.unreadable + other.unreadable,
            classes=self.classes,
            groups=None if self.groups is None or other.groups is None else self.groups + other.groups,
            offered=self.offered,
        )

    def parts(self) -> Iterator[FaceSet]:
        """Yield the faces in parts whose images are in memory: all at once, unless they are in a file."""
        if not (isinstance(self.images, StoredImages) and len(self)):
            yield self
            return
        start = 0
        for block in split_blocks(self.images):
            yield self.select(np.arange(start, start + len(block))).with_images(block)
            start += len(block)

    def with_images(self, images: Images) -> FaceSet:
        """Return the same faces with other images."""
        return replace(self, images=images)

    def fingerprint(self) -> str:
        """Compute the SHA-256, in hex, of names, labels and pixels: sets with equal fingerprints are equal."""
        digest = hashlib.sha256("\n".join(self.names).encode())
        digest.update(np.ascontiguousarray(self.labels).tobytes())
        for block in split_blocks(self.images):
            digest.update(np.ascontiguousarray(block).tobytes())
        return digest.hexdigest()

    def counts(self) -> dict[str, int]:
        """Count the faces of each class."""
        return dict(zip(self.classes, np.bincount(self.labels, minlength=len(self.classes)).tolist(), strict=True))
