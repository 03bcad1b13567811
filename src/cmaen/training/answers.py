"""A teacher's answers to the faces of Training, kept in a file that fits these faces in any form."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from cmaen.checkpoints import Card, Checkpoint, Where
from cmaen.data.keys import Fer2013Keys, face_keys, find_rows
from cmaen.data.splits import FaceSet, Split
from cmaen.devices import torch_device
from cmaen.engines import build_engine
from cmaen.errors import DataError
from cmaen.evaluation.run import logits_by_scheme
from cmaen.files import replace_file
from cmaen.listing import name_some
from cmaen.types import EMOTIONS, PERCEIVED, PERCEIVED_LABELS

ANSWERS = ".npz"
"""File extension of a teacher's answers."""
MOST_UNANSWERED = 0.02
"""Share of the faces that may lack a teacher's answer, and then learn from their labels alone."""

Progress = Callable[[Iterable[Any]], Iterable[Any]]

log = logging.getLogger(__name__)


class Matched(NamedTuple):
    """A teacher's answers in the order of certain faces.

    Attributes:
        logits: float16 [2, N, 7], of the faces and of their mirror images; 0 for a face without an answer.
        perceived: The same under the scheme ``perceived``, float16 [2, N, 8]; ``None`` if the teacher does not have it.
        answered: Whether the teacher has answered each face, bool [N].
    """

    logits: NDArray[np.float16]
    perceived: NDArray[np.float16] | None
    answered: NDArray[np.bool_]


class KeptAnswers(NamedTuple):
    """A teacher's answers to the faces of Training, in a file under 2 MB that replaces the teacher's weights.

    Attributes:
        logits: float16 [2, N, 7], of the faces and of their mirror images.
        perceived: The same under the scheme ``perceived``, float16 [2, N, 8]; ``None`` if the teacher does not have it.
        about: The teacher's ``name``, the digest of its ``weights``, the fingerprint of the ``faces``, their
            ``labels``, the kind of ``device`` that computed the answers, and the teacher's provenance (``training``)
            and ``metrics``.
        keys: Keys of the faces, uint64 [N], see :func:`cmaen.data.keys.face_keys`; ``None`` in older files, which
            answer FER2013 in the order of its fingerprint, or one set of faces alone.
    """

    logits: NDArray[np.float16]
    perceived: NDArray[np.float16] | None
    about: dict[str, Any]
    keys: NDArray[np.uint64] | None = None

    @classmethod
    def ask(cls, faces: FaceSet, teacher: Where, progress: Progress = iter, *, device: str = "cpu") -> KeptAnswers:
        """Compute the answers of a checkpoint.

        Args:
            faces: The faces of Training.
            teacher: Checkpoint of the teacher.
            progress: Wraps the loop over the batches, to show progress.
            device: Device to run on, see :func:`cmaen.devices.torch_device`. The CPU runs the exported network, if
                there is one; a GPU runs the trained weights.

        Raises:
            CheckpointError: The checkpoint is missing or damaged.
            SplitError: The faces do not belong to Training.
        """
        faces.require(Split.TRAIN, "distillation")
        opened = open_teacher(teacher, faces)
        card = opened.card
        about = {
            "name": card.name,
            "weights": digest_weights(card),
            "faces": faces.fingerprint(),
            "labels": list(faces.classes),
            "device": torch_device(device).type,
            "training": opened.provenance.to_dict(),
            "metrics": opened.metrics.to_dict(),
        }
        log.info("asking the teacher %s about %d faces", card.name, len(faces))
        onnx = torch_device(device).type == "cpu" and opened.has("onnx")
        engine = build_engine("onnx", opened) if onnx else build_engine("torch", opened, device=device)

        first, *_ = card.schemes
        schemes = [first, *([PERCEIVED] if PERCEIVED in card.schemes else [])]
        plain, mirrored = (
            logits_by_scheme(faces, card.preprocess, engine, schemes, mirrored=turned, progress=progress)
            for turned in (False, True)
        )
        both = {scheme: np.stack([plain[scheme], mirrored[scheme]]).astype(np.float16) for scheme in schemes}
        return cls(both[first], both.get(PERCEIVED), about, face_keys(faces.images))

    @classmethod
    def read(cls, path: Path) -> KeptAnswers:
        """Read a file written by :meth:`write`.

        Raises:
            DataError: The file is missing, damaged, or something else.
        """
        try:
            with np.load(path) as kept:
                about = json.loads(str(kept["about"]))
                return cls(
                    kept["logits"],
                    kept.get("perceived"),
                    about | {key: str(about[key]) for key in ("name", "faces")},
                    kept.get("keys"),
                )
        except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile) as error:
            raise DataError(f"{path} cannot be read as a teacher's answers: {error}") from error

    def write(self, path: Path) -> None:
        """Write a file atomically."""
        parts = {"perceived": self.perceived, "keys": self.keys}
        arrays: dict[str, NDArray[Any]] = {"logits": self.logits, "about": np.array(json.dumps(self.about))}
        arrays |= {name: part for name, part in parts.items() if part is not None}
        with replace_file(path) as temporary:
            np.savez_compressed(temporary, allow_pickle=False, **arrays)

    def match(self, faces: FaceSet, path: Path) -> Matched:
        """Return the answers to these faces, which are known by their pixels, in any order and under any names.

        Copies of a face share an answer: the first, or the mean if their answers differ.

        Args:
            faces: The faces of Training.
            path: The file of the answers, for the message.

        Raises:
            DataError: More than two faces in a hundred have no answer, or the labels differ.
        """
        keys, rows = self.find_keys(), np.arange(len(faces))
        same = self.about["faces"] == faces.fingerprint()
        count = len(faces) if same or keys is None else len(keys)
        shapes = [(self.logits, len(faces.classes)), (self.perceived, len(PERCEIVED_LABELS))]
        if any(
            logits is not None and not (logits.shape == (2, count, labels) and np.isfinite(logits).all())
            for logits, labels in shapes
        ):
            raise DataError(f"{path} does not hold answers to {count} faces under {len(faces.classes)} labels")
        labels = tuple(self.about.get("labels", faces.classes if same else EMOTIONS))
        if labels != faces.classes:
            raise DataError(f"{path} holds answers under {', '.join(labels)}, not under {', '.join(faces.classes)}")
        if same:
            return Matched(self.logits, self.perceived, np.ones(len(faces), bool))
        if keys is not None:
            rows = find_rows(keys, face_keys(faces.images))
        answered = np.zeros(len(faces), bool) if keys is None else rows >= 0
        self._require_most(faces, answered, path)
        assert keys is not None

        def take(logits: NDArray[np.float16]) -> NDArray[np.float16]:
            return np.where(answered[:, None], _share_among_copies(logits, keys)[:, rows], np.float16(0))

        return Matched(take(self.logits), None if self.perceived is None else take(self.perceived), answered)

    def find_keys(self) -> NDArray[np.uint64] | None:
        """Return the keys of the answered faces, in their order; ``None`` if they are not known.

        Raises:
            DataError: The keys are no hashes.
        """
        if self.keys is None:
            known = Fer2013Keys.read()
            return known.training if known.fingerprint == self.about["faces"] else None
        if self.keys.dtype != np.uint64 or self.keys.ndim != 1:
            raise DataError(f"the answers of {self.about['name']} have keys that are no hashes: {self.keys.dtype}")
        return self.keys

    def _require_most(self, faces: FaceSet, answered: NDArray[np.bool_], path: Path) -> None:
        """Refuse answers to other faces, and name those that learn from their labels alone."""
        lacking = [faces.names[row] for row in np.flatnonzero(~answered)]
        if not answered.any():
            raise DataError(f"{path} holds the answers of {self.about['name']} to faces other than these {len(faces)}")
        if len(lacking) > MOST_UNANSWERED * len(faces):
            raise DataError(
                f"{path} has no answer of {self.about['name']} to {len(lacking):,} of these {len(faces):,} faces, and "
                f"{MOST_UNANSWERED:.0%} may lack one: {name_some(lacking)}. Leave these faces out, or ask the teacher "
                "itself with cmaen answers"
            )
        if lacking:
            log.info(
                "%s has no answer for %d of %d faces, which are learnt without it: %s",
                self.about["name"],
                len(lacking),
                len(faces),
                name_some(lacking),
            )


def open_teacher(teacher: Where, faces: FaceSet) -> Checkpoint:
    """Open a teacher, which must have the labels of the faces.

    Raises:
        DataError: Its labels are others.
    """
    opened = Checkpoint.open(teacher)
    card = opened.card
    if card.labels != faces.classes:
        raise DataError(
            f"the teacher {card.name} knows {', '.join(card.labels)}; the faces are {', '.join(faces.classes)}"
        )
    return opened


def digest_weights(card: Card) -> str:
    """Compute a digest of all weights of a checkpoint."""
    return hashlib.sha256(json.dumps(card.sha256, sort_keys=True).encode()).hexdigest()


def _share_among_copies(logits: NDArray[np.float16], keys: NDArray[np.uint64]) -> NDArray[np.float16]:
    """Give copies of a face, which have one key, the mean of their answers [2, N, E], unless these are the same."""
    _, first, copies, counts = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
    if np.array_equal(logits[:, first[copies]], logits):
        return logits
    sums = np.zeros((logits.shape[0], len(first), logits.shape[2]), np.float32)
    for view, answers in zip(sums, logits, strict=True):
        np.add.at(view, copies, answers)
    return (sums / counts[:, None])[:, copies].astype(np.float16)  # [2, U, E] -> [2, N, E]
