"""Images that are in a file rather than in memory, used like an array: what is asked for is read, and nothing else."""

from __future__ import annotations

import math
import mmap
import os
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cmaen.errors import DataError

BLOCK = 32 * 2**20
"""Number of bytes of images that are read at a time."""

Rows = NDArray[np.int64]


class Images(Protocol):
    """Images of one size, uint8 [N, H, W], grey, or [N, H, W, 3], RGB: an array, or :class:`StoredImages`."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape, [N, H, W] or [N, H, W, 3]."""

    @property
    def ndim(self) -> int:
        """The number of axes: 3 if the images are grey, 4 if they have colour."""

    @property
    def nbytes(self) -> int:
        """The number of bytes that the images take in memory, or would take there."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: Any, /) -> Any:
        """Return the image at an index, or an array of those in a slice, at indices or at a mask, by the first axis."""

    def __iter__(self) -> Iterator[Any]: ...


class ImageFile:
    """Images of one size in a file, byte after byte.

    The file is mapped into memory only while images are read. A mapping that stayed would keep every page that was ever
    touched, until the whole file counts as memory of the process; and if the file were truncated meanwhile, the system
    would end the process rather than report an error. The file stays open, so it can be read after its removal,
    which Windows refuses.

    Args:
        path: Path of the file.
        shape: Shape of its images, [N, H, W] or [N, H, W, 3].

    Raises:
        OSError: The file cannot be opened.
        ValueError: The shape is none of images, or the file has another number of bytes.
    """

    def __init__(self, path: Path, shape: tuple[int, ...]) -> None:
        if len(shape) not in (3, 4) or min(shape[1:]) < 1 or shape[0] < 0:
            raise ValueError(f"{shape} is not a shape of images")
        self.path, self.shape = path, shape
        self._file = path.open("rb")
        weakref.finalize(self, self._file.close)
        if (size := os.fstat(self._file.fileno()).st_size) != math.prod(shape):
            self._file.close()
            raise ValueError(f"{path} has {size:,} bytes, but images of the shape {shape} have {math.prod(shape):,}")

    def __reduce__(self) -> tuple[type[ImageFile], tuple[Path, tuple[int, ...]]]:
        return type(self), (self.path, self.shape)

    def read(self, rows: Rows) -> NDArray[np.uint8]:
        """Read the images in these rows, uint8 [R, H, W] or [R, H, W, 3].

        Raises:
            DataError: The file was truncated since it was opened, or the disk fails.
        """
        if not len(rows):
            return np.empty((0, *self.shape[1:]), np.uint8)
        try:
            mapped = mmap.mmap(self._file.fileno(), math.prod(self.shape), access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            raise DataError(f"{self.path} cannot be read any more: {error}; start again to decode its faces") from error
        pixels: NDArray[np.uint8] = np.frombuffer(mapped, np.uint8).reshape(self.shape)
        first, last = int(rows[0]), int(rows[-1])
        if last - first == len(rows) - 1 and (np.diff(rows) == 1).all():  # a slice is copied faster
            return np.array(pixels[first : last + 1], np.uint8)
        return np.asarray(pixels[rows], np.uint8)


class StoredImages:
    """Images in files, some of them perhaps in arrays: see :class:`Images`.

    An index gives an array in memory, like that of an array: one image, or a copy of some. :meth:`take` selects images
    without reading them.

    Args:
        parts: Files or arrays with images of one size.
        rows: Indices of the images, int64 [N], counted through all parts; ``None`` takes all of them.
    """

    def __init__(self, parts: Sequence[ImageFile | NDArray[np.uint8]], rows: Rows | None = None) -> None:
        if len({part.shape[1:] for part in parts}) != 1:
            raise ValueError(f"these are not images of one size: {[part.shape for part in parts]}")
        self.parts = tuple(parts)
        self._ends = np.cumsum([part.shape[0] for part in parts])
        self.rows = np.arange(self._ends[-1]) if rows is None else rows

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape, [N, H, W] or [N, H, W, 3]."""
        return (len(self.rows), *self.parts[0].shape[1:])

    @property
    def ndim(self) -> int:
        """The number of axes: 3 if the images are grey, 4 if they have colour."""
        return len(self.shape)

    @property
    def dtype(self) -> np.dtype[np.uint8]:
        """The type of the pixels."""
        return np.dtype(np.uint8)

    @property
    def nbytes(self) -> int:
        """The number of bytes that they would take in memory."""
        return math.prod(self.shape)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any, /) -> NDArray[np.uint8]:
        if isinstance(index, tuple):
            raise TypeError("images in a file have an index by the first axis alone; read a block of them first")
        rows = self.rows[index]
        return self._read(np.array([rows]))[0] if np.ndim(rows) == 0 else self._read(rows)

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        for block in split_blocks(self):
            yield from block

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Read all images into memory."""
        if copy is False:
            raise ValueError("images in a file cannot become an array without a copy")
        pixels = self._read(self.rows)
        return pixels if dtype is None else pixels.astype(dtype)

    def take(self, indices: NDArray[np.int64] | NDArray[np.bool_]) -> StoredImages:
        """Select the images at indices or at a mask; none is read."""
        return StoredImages(self.parts, self.rows[indices])

    def _read(self, rows: Rows) -> NDArray[np.uint8]:
        if len(self.parts) == 1:
            return _read_part(self.parts[0], rows)
        found = np.empty((len(rows), *self.shape[1:]), np.uint8)
        places = np.searchsorted(self._ends, rows, side="right")
        for number, part in enumerate(self.parts):
            own = np.flatnonzero(places == number)
            found[own] = _read_part(part, rows[own] - (self._ends[number] - part.shape[0]))
        return found


def take_images(images: Images, indices: NDArray[np.int64]) -> Images:
    """Select images at indices: a copy of those in memory, and a view of those in a file."""
    return images.take(indices) if isinstance(images, StoredImages) else images[indices]


def join_images(first: Images, second: Images) -> Images:
    """Put images behind others of the same size; what is in a file stays there.

    Raises:
        DataError: Their sizes differ.
    """
    if first.shape[1:] != second.shape[1:]:
        raise DataError(
            f"the faces of the two splits differ in size ({first.shape[1:]} and {second.shape[1:]}): measure them apart"
        )
    if isinstance(first, np.ndarray) and isinstance(second, np.ndarray):
        return np.concatenate([first, second])
    one, other = (
        part if isinstance(part, StoredImages) else StoredImages([np.asarray(part)]) for part in (first, second)
    )
    return StoredImages(
        one.parts + other.parts, np.concatenate([one.rows, sum(part.shape[0] for part in one.parts) + other.rows])
    )


def split_blocks(images: Images, size: int | None = None) -> Iterator[NDArray[np.uint8]]:
    """Yield images block by block, uint8 [B, H, W] or [B, H, W, 3], of about so many bytes; default: :data:`BLOCK`."""
    count = max(1, (size or BLOCK) // max(1, math.prod(images.shape[1:])))
    for start in range(0, len(images), count):
        yield images[start : start + count]


def _read_part(part: ImageFile | NDArray[np.uint8], rows: Rows) -> NDArray[np.uint8]:
    return part.read(rows) if isinstance(part, ImageFile) else part[rows]
