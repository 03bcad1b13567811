"""Answers of trained networks as training targets (Hinton et al., 2015), computed once and cached."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationInfo, field_validator

from cmaen.checkpoints import SAFETENSORS, Card, Checkpoint, Provenance, Where
from cmaen.data.splits import FaceSet, Split
from cmaen.devices import torch_device
from cmaen.engines import build_engine, probabilities, select_output
from cmaen.errors import ConfigError, DataError
from cmaen.evaluation.run import logits_of
from cmaen.files import replace_file, sha256
from cmaen.spec import CheckpointName, Spec
from cmaen.types import PERCEIVED, PERCEIVED_LABELS

ANSWERS = ".npz"
"""File extension of a teacher's answers."""

Progress = Callable[[Iterable[Any]], Iterable[Any]]
Named = str | os.PathLike[str]
"""A teacher: the name, folder or address of a checkpoint, or a file of its answers."""

log = logging.getLogger(__name__)


class DistillationSpec(Spec):
    """Learning from the answers of trained networks (Hinton et al., 2015)."""

    teachers: tuple[CheckpointName, ...] = Field(
        (), description="Checkpoints by name, folder or address, or files of their answers; the answers are averaged."
    )
    shares: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        (), description="Share of each teacher in the average; empty: equal shares."
    )
    weight: float = Field(0.5, ge=0, le=1, description="Share of the teachers' answers in the target.")
    perceived: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Share of the teachers' answers in the target of the scheme perceived; only teachers "
        "with it count.",
    )
    unlabelled: CheckpointName | None = Field(None, description="Checkpoint that answers the faces of data.unlabelled.")
    temperature: float = Field(
        1.0, gt=0, description="Temperature of the teachers' and the student's answers; above 1, they are softer."
    )
    cache: Path = Field(Path("runs/teachers"), description="Folder that caches the teachers' logits.")

    @field_validator("shares")
    @classmethod
    def _are_one_each(cls, shares: tuple[float, ...], info: ValidationInfo) -> tuple[float, ...]:
        if shares and "teachers" in info.data and len(shares) != len(info.data["teachers"]):
            raise ValueError("shares must be one for each of the teachers")
        return shares

    @property
    def share(self) -> float:
        """The teachers' share in the target: the weight, or 0 without teachers."""
        return self.weight if self.teachers else 0.0


class KeptAnswers(NamedTuple):
    """A teacher's answers to the faces of Training, in a file under 1.5 MB that replaces the teacher's weights.

    Attributes:
        logits: float16 [2, N, 7], of the faces and of their mirror images.
        perceived: The same under the scheme ``perceived``, float16 [2, N, 8]; ``None`` if the teacher does not have it.
        about: The teacher's ``name``, the digest of its ``weights``, the fingerprint of the ``faces``, the kind of
            ``device`` that computed them, and the teacher's provenance (``training``) and ``metrics``.
    """

    logits: NDArray[np.float16]
    perceived: NDArray[np.float16] | None
    about: dict[str, Any]

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
        opened = _open(teacher, faces)
        card = opened.card
        about = {
            "name": card.name,
            "weights": _weights(card),
            "faces": faces.fingerprint(),
            "device": torch_device(device).type,
            "training": opened.provenance.to_dict(),
            "metrics": opened.metrics.to_dict(),
        }
        log.info("asking the teacher %s about %d faces", card.name, len(faces))
        onnx = torch_device(device).type == "cpu" and opened.has("onnx")
        engine = build_engine("onnx", opened) if onnx else build_engine("torch", opened, device=device)

        def ask_both(scheme: str) -> NDArray[np.float16]:
            both = [
                logits_of(faces, card.preprocess, select_output(engine, scheme), mirrored=mirrored, progress=progress)
                for mirrored in (False, True)
            ]
            return np.stack(both).astype(np.float16)

        first, *_ = card.schemes
        return cls(ask_both(first), ask_both(PERCEIVED) if PERCEIVED in card.schemes else None, about)

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
                    kept["logits"], kept.get("perceived"), about | {key: str(about[key]) for key in ("name", "faces")}
                )
        except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile) as error:
            raise DataError(f"{path} cannot be read as a teacher's answers: {error}") from error

    def write(self, path: Path) -> None:
        """Write a file atomically."""
        arrays: dict[str, NDArray[Any]] = {"logits": self.logits, "about": np.array(json.dumps(self.about))}
        if self.perceived is not None:
            arrays["perceived"] = self.perceived
        with replace_file(path) as temporary:
            np.savez_compressed(temporary, allow_pickle=False, **arrays)

    def require(self, faces: FaceSet, path: Path) -> None:
        """Refuse answers to other faces, or under other labels.

        Raises:
            DataError: The faces or the labels differ.
        """
        if self.about["faces"] != faces.fingerprint():
            raise DataError(f"{path} holds the answers of {self.about['name']} to faces other than these {len(faces)}")
        shapes = [(self.logits, len(faces.classes)), (self.perceived, len(PERCEIVED_LABELS))]
        if any(
            logits is not None and not (logits.shape == (2, len(faces), labels) and np.isfinite(logits).all())
            for logits, labels in shapes
        ):
            raise DataError(f"{path} does not hold answers to {len(faces)} faces under {len(faces.classes)} labels")


def identify_teacher(teacher: Named) -> tuple[str, str]:
    """Return the name of a teacher and a digest of what is learnt from it.

    Raises:
        CheckpointError: The checkpoint does not exist.
        DataError: A file of answers is missing or damaged.
    """
    if (file := _find_file(teacher)) is not None:
        return KeptAnswers.read(file).about["name"], sha256(file)
    card = Checkpoint.open(teacher).card
    return card.name, card.sha256.get(SAFETENSORS, _weights(card))


def describe_teacher(teacher: Named) -> str:
    """Describe a teacher by its name, seed and revision; arguments and errors as in :func:`identify_teacher`."""
    if (file := _find_file(teacher)) is not None:
        about = KeptAnswers.read(file).about
        try:
            return Provenance.from_dict(about.get("training") or {}).describe(about["name"])
        except (ValueError, TypeError) as error:
            raise DataError(f"{teacher} does not say how the teacher was trained: {error}") from error
    return Checkpoint.open(teacher).describe()


def teacher_answers(
    faces: FaceSet,
    teachers: Sequence[Named],
    *,
    temperature: float,
    cache: Path,
    shares: Sequence[float] = (),
    matched: bool = True,
    device: str = "cpu",
) -> NDArray[np.float32]:
    """Compute the teachers' mean answer to each face and its mirror image, float32 [N, 7], rows summing to 1.

    The answers are multiplied by one factor per emotion, so that their mean equals the share of each emotion in the
    labels: a teacher's bias towards an emotion is not passed on.

    Args:
        faces: The faces of Training.
        teachers: Checkpoints, or files of :class:`KeptAnswers`.
        temperature: Divisor of the logits; above 1 the answers are softer.
        cache: Folder of cached logits, named by the weights, the faces and the kind of device that computed them.
        shares: Share of each teacher in the mean; empty: equal shares.
        matched: Whether to match the labels, as above; switch it off where the labels mean nothing.
        device: Device to run on, see :meth:`KeptAnswers.ask`.

    Raises:
        CheckpointError: A teacher is missing or damaged.
        DataError: A file of answers is missing, damaged, or made for other faces.
        SplitError: The faces belong to another split.
    """
    faces.require(Split.TRAIN, "distillation")
    asked = (_obtain_answers(faces, teacher, cache, device) for teacher in teachers)
    answers = [probabilities(kept.logits.astype(np.float32), temperature).mean(axis=0) for kept in asked]
    mean = np.average(answers, axis=0, weights=shares or None)
    return (match_prior(mean, faces.labels) if matched else mean).astype(np.float32)


def perceived_answers(
    faces: FaceSet, teachers: Sequence[Named], *, cache: Path, device: str = "cpu"
) -> NDArray[np.float32]:
    """Compute the mean answer, under ``perceived``, of the teachers that have it: float32 [N, 8], rows summing to 1.

    The arguments and errors are those of :func:`teacher_answers`.

    Raises:
        ConfigError: No teacher has it.
    """
    faces.require(Split.TRAIN, "distillation")
    asked = (_obtain_answers(faces, teacher, cache, device).perceived for teacher in teachers)
    answers = [probabilities(logits.astype(np.float32)).mean(axis=0) for logits in asked if logits is not None]
    if not answers:
        raise ConfigError("none of the teachers has the label scheme perceived, which distillation.perceived asks for")
    return np.asarray(np.mean(answers, axis=0), np.float32)


def match_prior(answers: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Multiply probabilities [N, E] by one factor per emotion to match the labels' shares; rows still sum to 1."""
    prior = np.bincount(labels, minlength=answers.shape[1]) / len(labels)
    for _ in range(500):
        factors = np.sqrt(prior / np.maximum(answers.mean(axis=0), 1e-12))
        answers = answers * factors
        answers = answers / answers.sum(axis=1, keepdims=True)
        if np.abs(factors - 1).max() < 1e-6:
            break
    return answers


def _find_file(teacher: Named) -> Path | None:
    """Return the file of a teacher's answers; ``None`` if the teacher is a checkpoint."""
    path = Path(teacher)
    return path if path.suffix == ANSWERS else None


def _obtain_answers(faces: FaceSet, teacher: Named, cache: Path, device: str) -> KeptAnswers:
    """Obtain a teacher's answers from its file, from the cache, or by computing them."""
    path = _find_file(teacher)
    if path is None:
        card = _open(teacher, faces).card
        name = re.sub(r"[^\w.-]+", "-", card.name)  # characters that file systems may refuse
        kind = device.partition(":")[0]
        kind = torch_device(device).type if kind == "auto" else kind
        of_device = "" if kind == "cpu" else f"-{kind}"  # a GPU's answers differ slightly
        path = cache / f"{name}-{_weights(card)[:16]}-{faces.fingerprint()[:16]}{of_device}{ANSWERS}"
        if not path.is_file():
            try:
                torch_device(device)
            except ConfigError as error:
                raise ConfigError(
                    f"{path} is missing: the answers of {card.name} on {kind}, where the run began. Copy it here, or "
                    f"resume the run on such a device; {error}"
                ) from error
            KeptAnswers.ask(faces, teacher, device=device).write(path)
    kept = KeptAnswers.read(path)
    kept.require(faces, path)
    return kept


def _open(teacher: Where, faces: FaceSet) -> Checkpoint:
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


def _weights(card: Card) -> str:
    """Compute a digest of all weights of a checkpoint."""
    return hashlib.sha256(json.dumps(card.sha256, sort_keys=True).encode()).hexdigest()
