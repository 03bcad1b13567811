"""The one class that reads and writes a checkpoint's folder: weights and documents change together."""

from __future__ import annotations

import csv
import errno
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

from cmaen.checkpoints.card import CARD, FILES, Card
from cmaen.checkpoints.formats import Root, read_bytes, read_metrics, read_provenance, read_root
from cmaen.checkpoints.history import HISTORY, Epoch, format_history, parse_history, read_history
from cmaen.checkpoints.hub import MODELS, find_checkpoint, shipped_folder
from cmaen.checkpoints.metrics import METRICS, Metrics
from cmaen.checkpoints.provenance import PROVENANCE, Provenance
from cmaen.checkpoints.seen import LARGEST_SEEN, SEEN, SeenFaces
from cmaen.checkpoints.staging import remove, settle, stage
from cmaen.errors import CheckpointError, ConfigError, OutputError
from cmaen.files import sha256, write_text

_WEIGHTS = tuple(name for names in FILES.values() for name in names)
_DOCUMENTS = (PROVENANCE, METRICS, HISTORY, SEEN)

Writer = Callable[[Path], object]
"""A function that writes a weights file to a path."""


@dataclass(frozen=True)
class Documents:
    """Everything in a checkpoint except its weights.

    Attributes:
        card: What prediction needs.
        provenance: How the weights were made.
        metrics: The measured results.
        history: The epochs of the training.
        seen: The faces that the network was trained on; ``None`` if they were not recorded.
    """

    card: Card
    provenance: Provenance = field(default_factory=Provenance)
    metrics: Metrics = field(default_factory=Metrics)
    history: tuple[Epoch, ...] = ()
    seen: SeenFaces | None = None


class Checkpoint:
    """A checkpoint in the state in which its card was first read.

    Documents are read when they are first used, and the checksums of weights are verified when an engine asks for them.
    If the folder has changed in the meantime, that is an error, so that the card of one checkpoint is never used with
    the weights of another.

    Attributes:
        folder: Folder of the checkpoint.
        is_shared: Whether it belongs to the package or lies in a download cache, and so must not be changed.
    """

    def __init__(self, folder: Path, *, is_shared: bool = False) -> None:
        self.folder = folder
        self.is_shared = is_shared

    @classmethod
    def open(
        cls,
        where: Where = None,
        *,
        sha256: str | None = None,
        revision: str | None = None,
        cache: Path | None = None,
    ) -> Checkpoint:
        """Find a checkpoint; its card is read when it is first used.

        Args:
            where: A name, a folder, a file in it, an address, a repository on Hugging Face, or an open checkpoint;
                ``None`` for the shipped weights. See :func:`cmaen.checkpoints.hub.find_checkpoint`, which also takes
                the other arguments.
            sha256, revision, cache: Settings of a download.

        Raises:
            CheckpointError: The checkpoint does not exist, cannot be downloaded or is not the expected one.
            MissingExtraError: The extra ``hub`` is not installed.
            OutputError: The cache cannot be written.
        """
        if isinstance(where, Checkpoint):
            return where
        found = find_checkpoint(where, sha256=sha256, revision=revision, cache=cache)
        named = where is not None and found == Path(os.fspath(where))
        return cls(found if found.is_dir() else found.parent, is_shared=not named)

    def __repr__(self) -> str:
        return f"Checkpoint({str(self.folder)!r})"

    @property
    def is_shipped(self) -> bool:
        """Whether it is a model of the package."""
        return self.shipped_name is not None

    @property
    def shipped_name(self) -> str | None:
        """Name of the model of the package that it is; ``None`` if it is another checkpoint."""
        return next((name for name in MODELS if self.folder == shipped_folder(name)), None)

    @cached_property
    def _root(self) -> Root:
        path = self.folder / CARD
        try:
            settle(self.folder)
            return read_root(path)
        except FileNotFoundError as error:
            raise CheckpointError(f"{self.folder} is not a checkpoint: there is no {path}") from error
        except OutputError as error:
            raise CheckpointError(str(error)) from error
        except OSError as error:
            raise CheckpointError(f"{path} cannot be read: {error.strerror or error}") from error

    @property
    def card(self) -> Card:
        """The card: what prediction needs.

        Raises:
            CheckpointError: The card is missing or cannot be used.
        """
        return self._root.card

    @cached_property
    def provenance(self) -> Provenance:
        """The provenance: how the weights were made; empty if the file is missing.

        Raises:
            CheckpointError: The file is damaged or belongs to another checkpoint.
        """
        if self._root.provenance is not None:
            return self._root.provenance
        content = self._read(PROVENANCE)
        return Provenance() if content is None else read_provenance(self.folder / PROVENANCE, content)

    @cached_property
    def metrics(self) -> Metrics:
        """The measured results; empty if the file is missing.

        Raises:
            CheckpointError: The file is damaged or belongs to another checkpoint.
        """
        if self._root.metrics is not None:
            return self._root.metrics
        content = self._read(METRICS)
        return Metrics() if content is None else read_metrics(self.folder / METRICS, content)

    @cached_property
    def history(self) -> tuple[Epoch, ...]:
        """The epochs of the training; empty if they were not recorded.

        Raises:
            CheckpointError: The file is damaged or belongs to another checkpoint.
        """
        if self._root.provenance is not None:  # format 1 or 2, whose cards do not list it
            return tuple(read_history(self.folder))
        content = self._read(HISTORY)
        try:
            return () if content is None else tuple(parse_history(content.decode("utf-8")))
        except (KeyError, TypeError, ValueError, csv.Error) as error:
            raise CheckpointError(f"{self.folder / HISTORY} cannot be read: {error!r}") from error

    @cached_property
    def seen(self) -> SeenFaces | None:
        """The faces that the network was trained on; ``None`` if they were not recorded.

        Raises:
            CheckpointError: The file is damaged or belongs to another checkpoint.
        """
        content = self._read(SEEN)
        try:
            return None if content is None else SeenFaces(content)
        except ValueError as error:
            raise CheckpointError(f"{self.folder / SEEN} cannot be read: {error}") from error

    @property
    def documents(self) -> Documents:
        """All documents; raises the errors of the single ones."""
        return Documents(self.card, self.provenance, self.metrics, self.history, self.seen)

    @property
    def accuracies(self) -> dict[str, float]:
        """The accuracy on the validation split by label scheme, see :meth:`Metrics.accuracies`."""
        return self.metrics.accuracies(self.card.schemes)

    def describe(self) -> str:
        """Describe the network by its name and what distinguishes it from others of that name."""
        return self.provenance.describe(self.card.name)

    def has(self, engine: str) -> bool:
        """Whether all files that an engine reads are there."""
        return all((self.folder / name).is_file() for name in FILES[engine])

    def weights(self, engine: str) -> Path:
        """Return the path of an engine's first file, after verifying the checksums of all of them.

        Raises:
            CheckpointError: A file is missing, damaged or belongs to another checkpoint.
        """
        card = self.card
        self._settle()
        for name in FILES[engine]:
            path = self.folder / name
            try:
                if path.exists() and not path.is_file():
                    raise OSError(errno.EINVAL, "it is not a file")
                found = sha256(path)
            except OSError as error:
                raise CheckpointError(f"{self.folder} has no readable {name}: {error.strerror}") from error
            if card.sha256.get(name) != found:
                raise self._refuse(path)
        return self.folder / FILES[engine][0]

    def require_own(self) -> None:
        """Refuse to change a checkpoint that does not belong to the user.

        Raises:
            ConfigError: The checkpoint belongs to the package or was downloaded.
        """
        if self.is_shared:
            raise ConfigError(
                f"{self.card.name} is shared by everyone who uses it by name and must not be changed: copy its folder "
                f"{self.folder} and name the copy"
            )

    def size_of(self, engine: str) -> int:
        """Return the total size in bytes of the files that an engine reads."""
        return sum((self.folder / name).stat().st_size for name in FILES[engine])

    @classmethod
    def create(
        cls, folder: Path, documents: Documents, weights: Mapping[str, Writer], *, kept: Mapping[str, str] | None = None
    ) -> Checkpoint:
        """Write a whole checkpoint atomically.

        Args:
            folder: Folder of the checkpoint; other files in it stay.
            documents: The documents; the checksums in the card are set here.
            weights: Functions that write the weights files, by file name.
            kept: Existing weights files that stay, with their checksums; all others are removed.

        Raises:
            OutputError: The folder cannot be written, or another process is writing it; it is unchanged.
        """
        with stage(folder) as draft:
            for name, write in weights.items():
                write(draft / name)
            write_documents(draft, documents, weights=tuple(weights), kept=kept or {})
        return cls(folder)

    def amend(self, change: Callable[[Documents], Documents]) -> Checkpoint:
        """Change the documents of a checkpoint, with the folder locked; its weights stay.

        Args:
            change: Function from the current documents on disk to the new ones.

        Returns:
            The changed checkpoint; this object still represents the previous one.

        Raises:
            CheckpointError: The card is missing or cannot be used.
            ConfigError: The checkpoint does not belong to the user, see :meth:`require_own`.
            OutputError: The folder cannot be written, or another process is writing it; it is unchanged.
        """
        self.require_own()
        with stage(self.folder) as draft:
            now = type(self)(self.folder).documents
            write_documents(draft, change(now), weights=(), kept=now.card.sha256)
        return type(self)(self.folder)

    @classmethod
    @contextmanager
    def stage(cls, folder: Path) -> Iterator[Path]:
        """Open a draft folder that is merged into a checkpoint's folder atomically when the block succeeds.

        The block writes weights and, with :func:`write_documents`, documents into it.

        Raises:
            OutputError: The folder cannot be written, or another process is writing it; it is unchanged.
        """
        with stage(folder) as draft:
            yield draft

    def _read(self, name: str) -> bytes | None:
        """Read a document that the card lists; ``None`` if the card does not list it or the file is missing."""
        known = self.card.documents.get(name)
        if known is None:
            return None
        self._settle()
        try:
            content = read_bytes(self.folder / name, *([LARGEST_SEEN] if name == SEEN else []))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise CheckpointError(f"{self.folder / name} cannot be read: {error.strerror or error}") from error
        if (_sum(content) if name == SEEN else _sum_of_text(content)) != known:
            raise self._refuse(self.folder / name)
        return content

    def _settle(self) -> None:
        try:
            settle(self.folder)
        except OutputError as error:
            raise CheckpointError(str(error)) from error

    def _refuse(self, path: Path) -> CheckpointError:
        """Build the error for a file that is not the one in the card."""
        if type(self)(self.folder).card != self.card:
            return CheckpointError(f"{self.folder} has changed since it was opened; open it again")
        return CheckpointError(
            f"{path} is corrupt or belongs to another checkpoint: its SHA-256 differs from that in {CARD}"
        )


Where: TypeAlias = "Checkpoint | str | os.PathLike[str] | None"
"""Anything that identifies a checkpoint, see :meth:`Checkpoint.open`."""


def write_documents(draft: Path, documents: Documents, *, weights: Sequence[str], kept: Mapping[str, str]) -> Card:
    """Write the documents of a checkpoint into a draft.

    Args:
        draft: See :meth:`Checkpoint.stage`.
        documents: The documents; the checksums in the card are set here.
        weights: Names of the weights files that the draft holds.
        kept: Existing weights files of the folder that stay, with their checksums; all others are removed.

    Returns:
        The card as written.
    """
    provenance, metrics = documents.provenance.to_dict(), documents.metrics.to_dict()
    texts = {
        PROVENANCE: _format(provenance) if provenance else "",
        METRICS: _format(metrics) if metrics else "",
        HISTORY: format_history(documents.history) if documents.history else "",
    }
    for name, text in texts.items():
        if text:
            write_text(draft / name, text)
        else:
            (draft / name).unlink(missing_ok=True)
    sums = {name: _sum_of_text(text.encode("utf-8")) for name, text in texts.items() if text}
    if documents.seen is not None:
        (draft / SEEN).write_bytes(documents.seen.content)
        sums[SEEN] = _sum(documents.seen.content)
    card = replace(
        documents.card,
        sha256={**kept, **{name: sha256(draft / name) for name in weights}},
        documents=sums,
    )
    write_text(draft / CARD, _format(card.to_dict()))
    remove(draft, *(set(_WEIGHTS) - card.sha256.keys()), *(set(_DOCUMENTS) - card.documents.keys()))
    return card


def _format(values: Mapping[str, Any]) -> str:
    return json.dumps(values, indent=2) + "\n"


def _sum_of_text(content: bytes) -> str:
    """Compute the SHA-256 of a text, independent of its line ends."""
    return _sum(content.replace(b"\r\n", b"\n"))


def _sum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
