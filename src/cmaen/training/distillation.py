"""Answers of trained networks as training targets (Hinton et al., 2015), computed once and cached."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationInfo, field_validator

from cmaen.checkpoints import SAFETENSORS, Checkpoint, Provenance
from cmaen.data.splits import FaceSet, Split
from cmaen.devices import torch_device
from cmaen.engines import probabilities
from cmaen.errors import ConfigError, DataError
from cmaen.files import sha256
from cmaen.spec import CheckpointName, Spec
from cmaen.training.answers import ANSWERS, KeptAnswers, Matched, digest_weights, open_teacher

Named = str | os.PathLike[str]
"""A teacher: the name, folder or address of a checkpoint, or a file of its answers."""


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


def identify_teacher(teacher: Named) -> tuple[str, str]:
    """Return the name of a teacher and a digest of what is learnt from it.

    Raises:
        CheckpointError: The checkpoint does not exist.
        DataError: A file of answers is missing or damaged.
    """
    if (file := _find_file(teacher)) is not None:
        return KeptAnswers.read(file).about["name"], sha256(file)
    card = Checkpoint.open(teacher).card
    return card.name, card.sha256.get(SAFETENSORS, digest_weights(card))


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

    A row is 0 if no teacher has answered the face, which then learns from its label alone. The other answers are
    multiplied by one factor per emotion, so that their mean equals the share of each emotion in the labels: a teacher's
    bias towards an emotion is not passed on.

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
    asked = [_obtain_answers(faces, teacher, cache, device) for teacher in teachers]
    answers = [probabilities(kept.logits.astype(np.float32), temperature).mean(axis=0) for kept in asked]
    mean, answered = _average(answers, [kept.answered for kept in asked], shares)
    if matched:
        mean[answered] = match_prior(mean[answered], faces.labels[answered])
    return mean.astype(np.float32)


def perceived_answers(
    faces: FaceSet, teachers: Sequence[Named], *, cache: Path, device: str = "cpu"
) -> NDArray[np.float32]:
    """Compute the mean answer, under ``perceived``, of the teachers that have it: float32 [N, 8], rows summing to 1.

    A row is 0 if none of them has answered the face. The arguments and errors are those of :func:`teacher_answers`.

    Raises:
        ConfigError: No teacher has it.
    """
    faces.require(Split.TRAIN, "distillation")
    asked = [_obtain_answers(faces, teacher, cache, device) for teacher in teachers]
    having = [(kept.perceived, kept.answered) for kept in asked if kept.perceived is not None]
    if not having:
        raise ConfigError("none of the teachers has the label scheme perceived, which distillation.perceived asks for")
    answers = [probabilities(logits.astype(np.float32)).mean(axis=0) for logits, _ in having]
    mean, _ = _average(answers, [answered for _, answered in having])
    return np.asarray(mean, np.float32)


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


def _average(
    answers: Sequence[NDArray[np.float64]], answered: Sequence[NDArray[np.bool_]], shares: Sequence[float] = ()
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Average the answers [N, E] of the teachers that have answered each face; rows that none has are 0.

    Returns:
        The mean, and whether any teacher has answered each face, bool [N].
    """
    if np.all(answered):
        return np.average(answers, axis=0, weights=shares or None), np.ones(len(answers[0]), bool)
    weights = np.stack(answered) * np.array(shares or [1.0] * len(answers))[:, None]  # [T, N]
    total = weights.sum(axis=0)
    mean = np.einsum("tn,tne->ne", weights / np.where(total > 0, total, 1), np.stack(answers))
    return mean, total > 0


def _find_file(teacher: Named) -> Path | None:
    """Return the file of a teacher's answers; ``None`` if the teacher is a checkpoint."""
    path = Path(teacher)
    return path if path.suffix == ANSWERS else None


def _obtain_answers(faces: FaceSet, teacher: Named, cache: Path, device: str) -> Matched:
    """Obtain a teacher's answers from its file, from the cache, or by computing them."""
    path = _find_file(teacher)
    if path is None:
        card = open_teacher(teacher, faces).card
        name = re.sub(r"[^\w.-]+", "-", card.name)  # characters that file systems may refuse
        kind = device.partition(":")[0]
        kind = torch_device(device).type if kind == "auto" else kind
        of_device = "" if kind == "cpu" else f"-{kind}"  # a GPU's answers differ slightly
        path = cache / f"{name}-{digest_weights(card)[:16]}-{faces.fingerprint()[:16]}{of_device}{ANSWERS}"
        if not path.is_file():
            try:
                torch_device(device)
            except ConfigError as error:
                raise ConfigError(
                    f"{path} is missing: the answers of {card.name} on {kind}, where the run began. Copy it here, or "
                    f"resume the run on such a device; {error}"
                ) from error
            KeptAnswers.ask(faces, teacher, device=device).write(path)
    return KeptAnswers.read(path).match(faces, path)
