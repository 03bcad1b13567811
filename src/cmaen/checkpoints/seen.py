"""``seen.keys``: which faces a network was trained on, as hashes, so that they are known when it is measured."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

SEEN = "seen.keys"
LARGEST_SEEN = 1 << 27
"""Maximum size in bytes of the file: 16 million faces."""
_KEY = np.dtype("<u8")


@dataclass(frozen=True)
class SeenFaces:
    """Faces by their keys, see :func:`cmaen.data.keys.face_keys`.

    Attributes:
        content: The file: the keys, 8 bytes each, little-endian, each once, in ascending order.
    """

    content: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.content) % _KEY.itemsize:
            raise ValueError(f"{len(self.content):,} bytes are not a whole number of keys of {_KEY.itemsize}")
        if not (self.keys[1:] > self.keys[:-1]).all():
            raise ValueError("the keys are not in ascending order")

    @classmethod
    def of(cls, keys: NDArray[np.uint64]) -> SeenFaces:
        """Collect the faces with these keys, uint64 [N], in any order, some of them perhaps several times."""
        return cls(np.unique(keys).astype(_KEY).tobytes())

    @property
    def keys(self) -> NDArray[np.uint64]:
        """The keys, uint64 [M], ascending."""
        return np.frombuffer(self.content, _KEY).astype(np.uint64, copy=False)

    def __len__(self) -> int:
        return len(self.content) // _KEY.itemsize

    def find(self, keys: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Find which of the keys, uint64 [N], are among these faces, bool [N]."""
        return np.isin(keys, self.keys)

    def unite(self, *others: SeenFaces | None) -> SeenFaces:
        """Unite these faces with others; ``None`` adds none."""
        return SeenFaces.of(np.concatenate([part.keys for part in (self, *others) if part is not None]))
