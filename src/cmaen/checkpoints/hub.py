"""Finding a checkpoint by name: in the package, in a folder, at an address or on Hugging Face.

Downloads are verified by checksum, kept in the user's cache and reused. Of an archive or a repository, only
:data:`WANTED` is used; nothing is unpickled or executed.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
import sys
import tempfile
import time
import zipfile
import zlib
from collections.abc import Iterator
from http.client import HTTPException
from importlib.resources import files
from pathlib import Path, PurePosixPath
from typing import IO, Any
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from cmaen.checkpoints.card import CARD, FILES
from cmaen.checkpoints.history import HISTORY
from cmaen.checkpoints.metrics import METRICS
from cmaen.checkpoints.provenance import PROVENANCE
from cmaen.checkpoints.seen import SEEN
from cmaen.deprecation import warn_deprecated
from cmaen.errors import CheckpointError, MissingExtraError
from cmaen.files import replace_file, unwritable, write_text
from cmaen.files import sha256 as _sha256

MODELS = {
    "cmaen-m": "faces in any photograph: MobileNetV1 trained on faces, attention, a feature pyramid and a classifier "
    "for each label scheme; its ONNX file computes in 8 bits",
    "cmaen-s": "the same for phones, browsers and small processors: a narrower MobileNetV1 that learnt from cmaen-m",
}
"""The models that come with the package, by name; the first is the default."""
SHIPPED = next(iter(MODELS))
"""Name of the default model."""
SMALL = "cmaen-s"
"""Name of the small model."""
OTHER_NAMES = {"shipped": SHIPPED}
"""Former names of the models that come with the package; they are deprecated."""
WANTED: tuple[str, ...] = (
    CARD,
    PROVENANCE,
    METRICS,
    HISTORY,
    SEEN,
    *(name for names in FILES.values() for name in names),
)
"""The files of a checkpoint."""
LARGEST = 2 * 2**30
"""Maximum number of bytes to download, and maximum number of bytes to unpack."""
_SECONDS = 30.0
_DRAFT = ".fetching-"
_FORGOTTEN = 24 * 3600.0
"""Seconds after which a draft is considered abandoned by a killed process."""
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_SHA256 = re.compile(r"[0-9a-f]{64}")

log = logging.getLogger(__name__)


def find_checkpoint(
    named: str | os.PathLike[str] | None = None,
    *,
    sha256: str | None = None,
    revision: str | None = None,
    cache: Path | None = None,
) -> Path:
    """Find the folder of a checkpoint.

    Args:
        named: One of :data:`MODELS`, or ``None`` for the default; a folder, or a file in it; the https address of a
            zip; or a repository on Hugging Face, ``owner/name``. They are tried in this order, so that ``./cmaen-m`` is
            a folder. A ``Path`` is a folder or a file, and a model of the package only if neither exists under that
            name.
        sha256: SHA-256 of the zip, in hex, required for an address; it may also be the end of the address,
            ``https://…/model.zip#sha256=…``.
        revision: Revision of the repository: a branch, a tag or, for reproducibility, a commit; ``owner/name@revision``
            is equivalent.
        cache: Folder for downloads from addresses; ``None`` for :func:`cache_folder`. Hugging Face has its own.

    Raises:
        CheckpointError: The checkpoint does not exist, cannot be downloaded or is not the expected one.
        MissingExtraError: The extra ``hub`` is not installed.
        OutputError: The cache cannot be written.
    """
    name = SHIPPED if named is None else os.fspath(named)
    if "://" in name:
        if revision is not None:
            raise CheckpointError(f"{name} is an address, which has no revision; give only its sha256")
        address, _, fragment = name.partition("#")
        return _fetch_zip(address, sha256 or fragment.removeprefix("sha256="), cache or cache_folder())
    if sha256 is not None:
        raise CheckpointError(f"a sha256 is for the https address of a zip, but {name} is not one; leave it out")
    there = os.path.exists(name)  # noqa: PTH110 - accepts names that are not valid paths
    shipped = name in MODELS.keys() | OTHER_NAMES.keys() and not (there and isinstance(named, os.PathLike))
    if shipped and name in OTHER_NAMES:
        warn_deprecated(f"the name {name!r} for the weights of the package", repr(OTHER_NAMES[name]), removal="0.4")
    repository, _, at = name.partition("@")
    if isinstance(named, str) and not (there or shipped) and _REPOSITORY.fullmatch(repository):
        return _fetch_repository(repository, revision or at or None)
    if revision is not None:
        raise CheckpointError(f"a revision is for a repository on Hugging Face, but {name} is not one; leave it out")
    if shipped:
        if there:
            log.warning("%s is the name of a model that comes with the package; ./%s is the folder", name, name)
        return shipped_folder(OTHER_NAMES.get(name, name))
    if there:
        return Path(name)
    raise CheckpointError(
        f"{name} is not a checkpoint: there is no such folder. Use {' or '.join(map(repr, MODELS))} (in the package), "
        "a folder, the https address of a zip, or owner/name on Hugging Face"
    )


def shipped_folder(name: str = SHIPPED) -> Path:
    """Return the folder of a model that comes with the package."""
    return Path(str(files("cmaen") / "weights")) / name


def cache_folder() -> Path:
    """Return the folder of downloaded checkpoints: the user's cache folder, or the value of ``CMAEN_CACHE``."""
    if named := os.environ.get("CMAEN_CACHE"):
        return Path(named)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "cmaen"


def fetch(address: str, place: Path, *, sha256: str, largest: int = LARGEST) -> Path:
    """Download a file once: an existing file at ``place`` is used if its checksum is right, and replaced if not.

    Args:
        address: An https address; every redirection must be https too.
        place: Path of the file; it appears there complete, and only if its checksum is right.
        sha256: SHA-256 of the file, in hex.
        largest: Maximum size in bytes.

    Raises:
        CheckpointError: The file cannot be downloaded, is too large, or is not the expected one.
        OutputError: ``place`` cannot be written.
    """
    if place.is_file():
        try:
            if _sha256(place) == sha256.lower():
                return place
        except OSError as error:
            raise CheckpointError(
                f"{place} cannot be read: {error.strerror}; delete it to download it again"
            ) from error
        log.warning("%s is damaged and is downloaded again", place)
    if urlsplit(address).scheme != "https":
        raise CheckpointError(f"{address} is not an https address; only https is supported")
    with replace_file(place) as temporary:
        digest = hashlib.sha256()
        with temporary.open("wb") as file:
            for block in _blocks(address, largest):
                digest.update(block)
                file.write(block)
        if digest.hexdigest() != sha256.lower():
            raise CheckpointError(
                f"{address} is not the expected file: its SHA-256 is {digest.hexdigest()}, not {sha256}"
            )
    return place


def _blocks(address: str, largest: int) -> Iterator[bytes]:
    """Yield the content of an address as it arrives."""
    size = 0
    try:
        with urlopen(Request(address, headers={"User-Agent": "cmaen"}), timeout=_SECONDS) as response:
            if urlsplit(response.url).scheme != "https":
                raise CheckpointError(f"{address} leads to {response.url}, which is not https")
            while block := response.read(1 << 20):
                size += len(block)
                if size > largest:
                    raise CheckpointError(f"{address} has more than {largest:,} bytes and is not downloaded")
                yield block
    except (OSError, ValueError, HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise CheckpointError(
            f"{address} cannot be downloaded: {reason}; check the connection, or download it by hand"
        ) from error


def _fetch_zip(address: str, sha256: str, cache: Path) -> Path:
    digest = sha256.lower()
    if not _SHA256.fullmatch(digest):
        raise CheckpointError(f"{address} needs the SHA-256 of its zip, 64 hex digits: sha256=…, or …#sha256=…")
    folder = cache / "checkpoints" / digest
    sums = cache / "checksums" / f"{digest}.json"
    if _is_whole(folder, sums):
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _sweep(folder.parent)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=_DRAFT, ignore_cleanup_errors=True) as name:
            archive = fetch(address, Path(name) / "archive.zip", sha256=digest)
            draft = _unpack(archive, Path(name) / "checkpoint", address)
            content = {path.name: _sha256(path) for path in draft.iterdir()}
            write_text(sums, json.dumps(content, indent=2) + "\n")
            if folder.is_dir() and not _is_whole(folder, sums):
                log.warning("%s is damaged and is replaced", folder)
                folder.rename(Path(name) / "damaged")
            try:
                draft.rename(folder)
            except OSError:
                if not folder.is_dir():  # another process was first; the two are the same
                    raise
    except OSError as error:
        raise unwritable(folder, error) from error
    return folder


def _is_whole(folder: Path, sums: Path) -> bool:
    """Whether a downloaded checkpoint is as it was unpacked, by the SHA-256 of each file in ``sums``."""
    try:
        content = json.loads(sums.read_text(encoding="utf-8"))
        return CARD in content and all(_sha256(folder / name) == digest for name, digest in content.items())
    except (OSError, ValueError, TypeError, AttributeError):
        return False


def _sweep(folder: Path) -> None:
    """Remove drafts left behind by killed processes."""
    for draft in folder.glob(f"{_DRAFT}*"):
        try:
            forgotten = time.time() - draft.stat().st_mtime > _FORGOTTEN
        except OSError:  # its process has just finished
            continue
        if forgotten:
            shutil.rmtree(draft, ignore_errors=True)


def _unpack(archive: Path, folder: Path, address: str) -> Path:
    """Unpack the checkpoint in a zip into a new folder."""
    folder.mkdir()
    try:
        with zipfile.ZipFile(archive) as opened:
            left = LARGEST
            for member in _list_members(opened, address):
                with opened.open(member) as source, (folder / _name(member).name).open("wb") as target:
                    left = _copy(source, target, left, address)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError) as error:
        raise CheckpointError(f"{address} is not a zip that can be unpacked: {error}") from error
    return folder


def _list_members(archive: zipfile.ZipFile, address: str) -> list[zipfile.ZipInfo]:
    """List the files of the one checkpoint in a zip, which may lie in a subfolder."""
    members = [member for member in archive.infolist() if not member.is_dir()]
    for member in members:
        path = _name(member)
        if path.is_absolute() or ".." in path.parts or ":" in member.filename or "\\" in member.filename:
            raise CheckpointError(
                f"{address} holds {member.filename!r}, which lies outside the archive's folder; it is not unpacked"
            )
        if member.external_attr >> 16 & 0o170000 not in (0, 0o100000):
            raise CheckpointError(
                f"{address} holds {member.filename!r}, which is not a regular file; it is not unpacked"
            )
    cards = [_name(member).parent for member in members if _name(member).name == CARD]
    if len(cards) != 1:
        raise CheckpointError(f"{address} holds {len(cards)} files named {CARD}; it must hold exactly one checkpoint")
    return [member for member in members if _name(member).parent == cards[0] and _name(member).name in WANTED]


def _name(member: zipfile.ZipInfo) -> PurePosixPath:
    return PurePosixPath(member.filename)


def _copy(source: IO[bytes], target: IO[bytes], left: int, address: str) -> int:
    """Copy a member; return the number of bytes that may still be unpacked, whatever sizes the zip declares."""
    while block := source.read(1 << 20):
        left -= len(block)
        if left < 0:
            raise CheckpointError(f"{address} unpacks to more than {LARGEST:,} bytes and is not unpacked")
        target.write(block)
    return left


def _fetch_repository(repository: str, revision: str | None) -> Path:
    try:
        import huggingface_hub
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"there is no folder {repository}, and downloading the repository of that name from Hugging Face", "hub"
        ) from error
    download: Any = huggingface_hub.snapshot_download
    try:
        folder = Path(download(repository, revision=revision, allow_patterns=list(WANTED)))
    except Exception as error:  # connection errors have no public base class
        reason = " ".join(str(error).split())  # it may have several lines
        raise CheckpointError(
            f"{repository} is not a folder here and cannot be downloaded from Hugging Face: {reason}; check the "
            "name, the revision and the connection (offline, only earlier downloads are available), or download the "
            "checkpoint by hand and name its folder"
        ) from error
    if not (folder / CARD).is_file():
        raise CheckpointError(f"{repository} on Hugging Face has no {CARD}; it is not a checkpoint of this project")
    return folder
