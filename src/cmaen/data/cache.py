"""Decoding the faces of a large split once: they are kept in a file, in the user's cache, and read from there.

A split that surely fits into memory is not kept. A kept one is known by the names of its faces and by what their files
are, see :attr:`cmaen.data.entries.Entry.origin`, so that a changed file is decoded again. It is written as a whole or
not at all, by one run at a time; others wait for it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import shutil
import time
import zipfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import cv2
import numpy as np
import PIL

from cmaen.checkpoints.hub import cache_folder
from cmaen.data.entries import Entry
from cmaen.data.reading import MAX_PIXELS, Face, collect, read_each
from cmaen.data.splits import FaceSet, Split
from cmaen.data.stored import ImageFile, StoredImages
from cmaen.errors import BusyError, DataError, OutputError
from cmaen.files import replace_file, write_text
from cmaen.locks import hold, is_held

IN_MEMORY = 512 * 2**20
"""Maximum size in bytes of a split that is held in memory."""
LARGEST = 100 * 2**30
"""Maximum size in bytes of all that is kept; a new split pushes out those that were not used for the longest."""
SPARE = 2**30
"""Number of bytes that are left free on the disk."""
FOLDER, IMAGES, INDEX = "faces", "images.raw", "index.json"
_FORMAT = 1
_LOOK = 1000
"""Number of images after which the free space is looked at again."""
_GLANCE = 1.0
"""Seconds between two looks at what another run is writing."""

log = logging.getLogger(__name__)


Item = tuple[str, Callable[[], Face]]
"""The name of a face, and a function that reads its label and its image."""


class _Kept(NamedTuple):
    """The faces of a split in the cache: their images, and what is wrong with the faces that lack one, by name."""

    images: ImageFile
    unreadable: dict[str, str]


def collect_any(
    split: Split,
    entries: Sequence[Entry],
    read: Callable[[Entry], Face],
    *,
    label: Callable[[Entry], int],
    classes: tuple[str, ...],
    side: int,
    variant: str,
) -> FaceSet:
    """Collect the faces of a split, see :func:`cmaen.data.reading.collect`; those of a large one stay in a file.

    Args:
        split: Split of all faces.
        entries: The faces; if the origin of one is unknown, all are held in memory.
        read: Reads the label and the image of a face, uint8 [H, W] or [H, W, 3].
        label: Returns its label alone.
        classes: Classes that the labels are indices into.
        side: Side in pixels to which all faces are resized if they differ in size, are not square or are photographs.
        variant: What else their pixels depend on, such as whether colour is kept.

    Raises:
        DataError: Too many faces cannot be read, or they take too much space.
        OutputError: The cache cannot be written.
    """
    items = [(entry.name, partial(read, entry)) for entry in entries]
    if not _may_be_large(items, side) or any(entry.origin is None for entry in entries):
        return collect(split, items, classes=classes, side=side)
    folder = cache_folder() / FOLDER / _identify(entries, variant, str(side))
    found = _open(folder, items)
    if found is not None and _can_be_read([item for item in items if item[0] in found.unreadable], side):
        found = None
        (folder / INDEX).unlink(missing_ok=True)
    found = found or _fill(folder, items, side, split)
    if found.unreadable:
        first = next(iter(found.unreadable.values()))
        log.warning("%d unreadable images are left out; the first: %s", len(found.unreadable), first)
    there = [entry for entry in entries if entry.name not in found.unreadable]
    stored = StoredImages([found.images])
    return FaceSet(
        split,
        np.asarray(stored) if stored.nbytes <= IN_MEMORY else stored,
        np.array([label(entry) for entry in there], np.int64),
        tuple(entry.name for entry in there),
        unreadable=tuple(found.unreadable.values()),
        classes=classes,
    )


def sweep_faces(limit: int = LARGEST, *, but: Path | None = None) -> None:
    """Remove what is kept, first what was not used for the longest, until it takes at most so many bytes.

    What a run is writing stays. What a run is reading can still be read, and takes space until the run ends.

    Args:
        limit: Number of bytes; 0 removes everything.
        but: A folder that stays.
    """
    found = []
    with suppress(OSError):
        for folder in (cache_folder() / FOLDER).iterdir():
            with suppress(OSError):  # another run has just removed it
                used = max(file.stat().st_mtime for file in (folder, *folder.iterdir()))
                found.append((used, folder, sum(file.stat().st_size for file in folder.iterdir())))
    total = sum(size for *_, size in found)
    for _, folder, size in sorted(found):
        if total > limit and folder != but and not is_held(folder):
            shutil.rmtree(folder, ignore_errors=True)
            total -= size


def describe_origin(origin: Any) -> str:
    """Describe what a face is read from, such that a changed file has another description.

    A file is described by its path, its size and the time of its last change, the member of a zip by its checksum.

    Args:
        origin: See :attr:`cmaen.data.entries.Entry.origin`.
    """
    if isinstance(origin, tuple):
        return "\n".join(map(describe_origin, origin))
    if isinstance(origin, zipfile.ZipInfo):
        return f"{origin.filename} {origin.CRC:08x} {origin.file_size}"
    if not isinstance(origin, Path):
        return repr(origin)
    path = os.path.abspath(origin)  # noqa: PTH100 - accepts any text without an error
    try:
        found = origin.stat()
    except (OSError, ValueError):  # it will be found unreadable
        return path
    return f"{path} {found.st_size} {found.st_mtime_ns}"


def _identify(entries: Sequence[Entry], *settings: str) -> str:
    """Compute the digest by which decoded faces are found again, in hex."""
    digest = hashlib.sha256("\n".join((str(_FORMAT), cv2.__version__, PIL.__version__, *settings)).encode())
    for entry in entries:
        digest.update(f"\n{entry.name}\0{describe_origin(entry.origin)}".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _may_be_large(items: Sequence[Item], side: int) -> bool:
    """Whether the faces may take more than :data:`IN_MEMORY`, as far as the first readable one tells.

    If the others have its size, all have; if not, all become squares of ``side``.
    """
    if len(items) * MAX_PIXELS * 3 <= IN_MEMORY:
        return False
    first = next(read_each(items, [], side), None)
    if first is None:
        return False
    _, _, image = first
    channels = 1 if image.ndim == 2 else image.shape[2]
    return len(items) * max(image.size, side * side * channels) > IN_MEMORY


def _can_be_read(unreadable: Sequence[Item], side: int) -> bool:
    """Whether a face that was unreadable can be read now, such as one of a network drive that was away."""
    return any(True for _ in read_each(unreadable, [], side))


def _open(folder: Path, items: Sequence[Item], *, again: bool = False) -> _Kept | None:
    """Open what is kept in a folder; ``None`` if there is nothing, or if it is damaged, which is logged at first."""
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        unreadable = {str(name): str(text) for name, text in dict(index["unreadable"]).items()}
        shape = tuple(map(int, index["shape"]))
        if shape[0] + len(unreadable) != len(items) or not unreadable.keys() <= {name for name, _ in items}:
            raise ValueError(f"it has {shape[0]:,} images of {len(items):,} faces")
        found = _Kept(ImageFile(folder / IMAGES, shape), unreadable)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, IndexError, OverflowError, RecursionError) as error:
        if not again:
            log.warning("%s is damaged, and its faces are decoded again: %s", folder, error)
        return None
    with suppress(OSError):
        os.utime(folder / INDEX)  # it was used now
    return found


def _fill(folder: Path, items: Sequence[Item], side: int, split: Split) -> _Kept:
    """Decode faces into a folder, or wait until the run that already does has finished."""
    waits = False
    while (found := _fill_alone(folder, items, side, split)) is None:
        if not waits:
            log.info("another run is decoding the faces of the split %s: waiting for it", split.folder)
        waits = True
        time.sleep(_GLANCE)
    return found


def _fill_alone(folder: Path, items: Sequence[Item], side: int, split: Split) -> _Kept | None:
    """Decode faces into a folder; ``None`` if another run is doing it."""
    try:
        with hold(folder):
            if (found := _open(folder, items, again=True)) is not None:
                return found  # another run was first
            _write(folder, items, side, split)
            if (found := _open(folder, items)) is None:
                raise OutputError(f"{folder} was changed while it was being written; try again")
            return found
    except BusyError:
        return None
    except OutputError as error:
        raise OutputError(
            f"the faces of the split {split.folder} do not fit into memory and cannot be kept on the disk: {error}. "
            "Set CMAEN_CACHE to another folder for them"
        ) from error


def _write(folder: Path, items: Sequence[Item], side: int, split: Split) -> None:
    log.info(
        "decoding the %d faces of the split %s once, because they do not fit into memory; they are kept in %s",
        len(items),
        split.folder,
        folder,
    )
    (folder / INDEX).unlink(missing_ok=True)  # it would describe other images for a moment
    unreadable: list[str] = []
    with replace_file(folder / IMAGES) as temporary, temporary.open("wb") as file:
        shape, names = _decode(file, items, side, unreadable, folder)
    read = set(names)
    lost = [name for name, _ in items if name not in read]
    index = {"shape": (len(names), *shape), "unreadable": dict(zip(lost, unreadable, strict=True))}
    write_text(folder / INDEX, json.dumps(index))
    sweep_faces(but=folder)


def _decode(
    file: BinaryIO, items: Sequence[Item], side: int, unreadable: list[str], folder: Path
) -> tuple[tuple[int, ...], list[str]]:
    """Write all images to a file, in one size; return their shape and the names of those that could be read."""
    for evenly in (False, True):  # once they turn out to differ in size, all are decoded again as squares
        shape: tuple[int, ...] | None = None
        names: list[str] = []
        unreadable.clear()
        file.seek(0)
        file.truncate()
        for name, _, image in read_each(items, unreadable, side, evenly=evenly):
            if shape is not None and image.shape != shape:
                break
            shape = image.shape
            file.write(np.ascontiguousarray(image).data)
            names.append(name)
            if len(names) % _LOOK == 0:
                _require_room(len(names) * math.prod(shape), folder)
        else:
            return shape or (side, side), names
    raise AssertionError("images of one side have one size")


def _require_room(written: int, folder: Path) -> None:
    """Refuse to fill the disk."""
    if written > LARGEST:
        raise DataError(f"the faces take more than {LARGEST:,} bytes; reduce their size")
    if shutil.disk_usage(folder).free < SPARE:
        sweep_faces(0, but=folder)
    if (free := shutil.disk_usage(folder).free) < SPARE:
        raise OutputError(f"only {free:,} bytes are free on its disk; free some space")
