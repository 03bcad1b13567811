"""A training run: from a configuration to a folder with logs, resumable checkpoints and the best network."""

from __future__ import annotations

import hashlib
import logging
import platform
import subprocess
from contextlib import nullcontext
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor
from torch.nn import functional as F

from cmaen.checkpoints import Card, Provenance, Scheme, SeenFaces
from cmaen.checkpoints.history import read_log
from cmaen.data.ferplus import count_voted, label_distribution, majority, perceived_distribution, vote_distribution
from cmaen.data.splits import FaceSet
from cmaen.data.tree import enhancement_of
from cmaen.data.unlabelled import load_unlabelled
from cmaen.devices import torch_device, torch_threads
from cmaen.evaluation.run import validate
from cmaen.files import write_text
from cmaen.locks import hold
from cmaen.losses import soft_targets
from cmaen.models.base import EmotionNetwork
from cmaen.models.checkpoint import save_checkpoint
from cmaen.training.batches import Unlabelled, train_loader, validation_loader
from cmaen.training.beginning import build_initial, describe_beginning, find_licence, find_pretrained, freeze
from cmaen.training.checkpoints import read_run_state
from cmaen.training.config import Config
from cmaen.training.data import read_data
from cmaen.training.distillation import describe_teacher, identify_teacher, perceived_answers, teacher_answers
from cmaen.training.loop import BEST, LAST, check_run, fit
from cmaen.training.module import EmotionModule
from cmaen.training.precision import precision_of
from cmaen.training.record import CONFIG, Record, Sources, require_same_configuration
from cmaen.training.seen import note_seen, read_seen, warn_of_seen
from cmaen.types import EMOTIONS, FER2013, OWN, PERCEIVED, PERCEIVED_LABELS

_SMALL = 64
"""Side in pixels of images that need not be smaller: FER2013's have 48."""

log = logging.getLogger(__name__)


def train(config: Config, *, resume: bool = False) -> Path:
    """Train a network.

    Args:
        config: Configuration of the run.
        resume: Resume the run in ``config.output`` from its last complete epoch.

    Returns:
        The folder of the checkpoint with the highest validation accuracy: ``<output>/best``.

    Raises:
        CmaenError: The data or the weights cannot be read; there is nothing to resume; ``config.output`` holds another
            run (for permitted differences see :func:`cmaen.training.record.require_same_configuration`); another
            process trains into ``config.output``; or the folder cannot be written.
    """
    check_run(config.output, config.training, resume)
    leads = not rank_zero_only.rank  # type: ignore[attr-defined]
    with hold(config.output) if leads else nullcontext(), torch_threads():
        return _train(config, resume=resume, leads=leads)


def _train(config: Config, *, resume: bool, leads: bool) -> Path:
    check_run(config.output, config.training, resume)  # another process may just have ended
    if not leads:
        for name in ("cmaen", __name__):
            logging.getLogger(name).setLevel(logging.WARNING)  # only one process logs
    began = None
    if resume:
        require_same_configuration(config)
        began = Record.read(config.output)
    settings = config.training
    device = torch_device(settings.device)
    precision = precision_of(settings.precision, device, began=began.precision if began else None, say=leads)
    spec = config.preprocess
    training, validation = read_data(
        config.data, colour=not spec.grey, side=spec.side, needs_votes=config.loss.needs_votes
    )
    unlabelled = None
    if config.data.unlabelled is not None:
        unlabelled = load_unlabelled(config.data.unlabelled, max(config.augment.source_sides[1], spec.side))
    record = Record(
        precision,
        began.pretraining if began else describe_beginning(config),
        fingerprint_sources(config, training, validation, unlabelled),
        began.licence if began else find_licence(config),
        _answering_device(config, began),
    )
    if began is not None:
        began.require(record.sources, config.output)
    if leads:
        write_text(config.output / CONFIG, config.model_dump_json(indent=2))
        write_text(config.output / "revision.txt", f"{_revision()}\n")
        record.write(config.output)
        if not resume:
            note_seen(config, training, unlabelled)
        warn_of_seen(config, training, validation, unlabelled)
    pl.seed_everything(config.seed, verbose=False)
    model = build_initial(config, training, resume=resume)
    freeze(model, config)
    answers = _answers(training, config, record.answered_on)
    module = EmotionModule(
        model,
        loss=config.loss,
        optimiser=config.optimiser,
        seed=config.seed,
        distillation=config.distillation,
        classes=len(training.classes),
        partly_answered=answers is not None and not bool(_are_answered(answers).all()),
        pretrained=find_pretrained(model, config),
    )
    trainer = fit(
        module,
        train_loader(
            training,
            spec,
            config.augment,
            batch_size=settings.batch_size,
            seed=config.seed,
            device=device,
            targets=_targets(training, config, answers),
            answers=answers,
            perceived=_mix_perceived(training, config, record.answered_on) if config.loss.perceived else None,
            unlabelled=None if unlabelled is None else _answer_unlabelled(unlabelled, config, record.answered_on),
        ),
        validation_loader(validation, spec, perceived=_find_majorities(validation) if config.loss.perceived else None),
        settings,
        monitored="val_accuracy",
        precision=precision,
        output=config.output,
        resume=resume,
        run=_title(config),
        savings=_list_savings(config),
    )
    if trainer.is_global_zero:
        seen = read_seen(config.output, training, unlabelled)
        _keep_best(module.model, config, record, training, validation, seen)
    return config.output / BEST


def _list_savings(config: Config) -> list[str]:
    """List what would make a run shorter besides the settings of its loop, as nouns."""
    savings = []
    if (side := config.preprocess.image_size) > _SMALL:
        savings.append(f"smaller images (preprocess.image_size is {side})")
    if config.initial_weights is None:
        savings.append("fine-tuning the shipped weights (cmaen finetune, or cmaen train without --config)")
    return savings


def fingerprint_sources(
    config: Config, training: FaceSet, validation: FaceSet, unlabelled: FaceSet | None = None
) -> Sources:
    """Compute the fingerprints of what the run of a configuration learns from.

    Args:
        config: Configuration of the run.
        training, validation: The faces of the run, see :func:`read_data`.
        unlabelled: The unlabelled faces of the run, if it has any.

    Raises:
        CheckpointError: A teacher is missing.
    """
    teachers = [*config.distillation.teachers, *filter(None, [config.distillation.unlabelled])]
    return Sources(
        training=training.fingerprint(),
        validation=validation.fingerprint(),
        votes=None if training.votes is None else hashlib.sha256(training.votes.tobytes()).hexdigest(),
        teachers=tuple(identify_teacher(teacher)[1] for teacher in teachers),
        unlabelled=None if unlabelled is None else unlabelled.fingerprint(),
    )


def _answering_device(config: Config, began: Record | None) -> str:
    """Return the kind of device that teachers answer on: the one used when the run began."""
    own = torch_device(config.training.device).type
    return own if began is None else began.answered_on or own


def _targets(training: FaceSet, config: Config, answers: Tensor | None) -> Tensor:
    """Mix the labels with the annotators' votes, float32 [N, E]."""
    labels, loss = torch.from_numpy(training.labels), config.loss
    if not loss.vote_weight:
        return soft_targets(labels, len(training.classes))
    votes = label_distribution if loss.votes_as == "labels" else vote_distribution
    left = 1 - config.distillation.share  # what the teachers leave
    weight: float | Tensor = loss.vote_weight / left
    if answers is not None and not (answered := _are_answered(answers)).all():
        weight = torch.where(answered, weight, loss.vote_weight)[:, None]  # [N] -> [N, 1]
    return soft_targets(labels, len(training.classes), torch.from_numpy(votes(training)), weight)


def _are_answered(answers: Tensor) -> Tensor:
    """Find the faces that a teacher has answered, bool [N]: the other rows of the answers [N, E] are 0."""
    return answers.sum(dim=1) > 0


def _mix_perceived(training: FaceSet, config: Config, device: str) -> Tensor:
    """Mix the annotators' votes with the teachers' answers, float32 [N, P]; rows without a target are 0."""
    votes, distillation = torch.from_numpy(perceived_distribution(training)), config.distillation
    if not distillation.perceived:
        return votes
    answers = torch.from_numpy(
        perceived_answers(training, distillation.teachers, cache=distillation.cache, device=device)
    )
    answers = torch.where(_are_answered(answers)[:, None], answers, votes)  # unanswered: the votes alone
    return torch.lerp(votes, answers, distillation.perceived) * (votes.sum(dim=1, keepdim=True) > 0)


def _answer_unlabelled(faces: FaceSet, config: Config, device: str) -> Unlabelled:
    """Collect the unlabelled faces and their teacher's answers."""
    teacher = config.distillation.unlabelled
    assert teacher is not None
    how: dict[str, Any] = {"cache": config.distillation.cache, "device": device}
    answers = teacher_answers(faces, [teacher], temperature=1.0, matched=False, **how)
    perceived = perceived_answers(faces, [teacher], **how) if config.loss.perceived else None
    log.info("%d unlabelled faces are answered by %s", len(faces), teacher)
    return Unlabelled(
        torch.from_numpy(faces.images),
        torch.from_numpy(answers),
        None if perceived is None else torch.from_numpy(perceived),
        config.augment.source_sides,
    )


def _find_majorities(validation: FaceSet) -> Tensor | None:
    """Find the majority of the annotators, one-hot float32 [N, P]; rows without one are 0. ``None`` without votes."""
    if validation.votes is None:
        return None
    seen = torch.from_numpy(majority(validation))
    return F.one_hot(seen.clamp_min(0), len(PERCEIVED_LABELS)).float() * (seen >= 0)[:, None]


def _answers(training: FaceSet, config: Config, device: str) -> Tensor | None:
    """Compute the teachers' answers, float32 [N, E]; ``None`` if nothing is learnt from them."""
    distillation = config.distillation
    if not distillation.share:
        return None
    return torch.from_numpy(
        teacher_answers(
            training,
            distillation.teachers,
            temperature=distillation.temperature,
            cache=distillation.cache,
            shares=distillation.shares,
            device=device,
        )
    )


def _keep_best(
    model: EmotionNetwork, config: Config, record: Record, training: FaceSet, validation: FaceSet, seen: SeenFaces
) -> None:
    """Write the best network of the run as a checkpoint that records how it was made and what it scores."""
    best = read_run_state(config.output / (f"{BEST}.ckpt" if config.training.keep == "best" else LAST))
    prefix = "model."
    state = {name.removeprefix(prefix): value for name, value in best["state_dict"].items() if name.startswith(prefix)}
    model.load_state_dict(state)
    card = Card(
        name=config.name,
        architecture=config.model.describe(),
        preprocess=config.preprocess,
        schemes=_schemes(training, config),
        enhancement=enhancement_of(config.data.path) if config.data.path else (),
        licence=record.licence,
    )
    provenance = _describe_training(config, record, best["epoch"] + 1, training, validation)
    history = read_log(config.output, _title(config))
    save_checkpoint(model, card, config.output / BEST, history, provenance=provenance, seen=seen)
    validate(config.output / BEST, validation, device=config.training.device)


def _title(config: Config) -> str:
    """Return the title of the run in its history."""
    return f"{config.name}, seed {config.seed}"


def _schemes(training: FaceSet, config: Config) -> dict[str, Scheme]:
    schemes = {FER2013 if training.classes == EMOTIONS else OWN: Scheme(training.classes)}
    return schemes | ({PERCEIVED: Scheme(PERCEIVED_LABELS)} if config.loss.perceived else {})


def _describe_training(
    config: Config, record: Record, epochs: int, training: FaceSet, validation: FaceSet
) -> Provenance:
    """Describe how the weights were made; paths are cut to their names, because checkpoints are shared."""
    assert config.data.path is not None
    recorded = {
        "data": config.data.path.name,
        "split": training.title,
        "images": len(training),
        "sha256": record.sources.training,
        "images_by_emotion": training.counts(),
        "left_out": config.data.leave_out,
        "extra_labels": _name_votes(config) if config.loss.needs_votes else None,
        "images_with_votes": count_voted(training) if config.loss.needs_votes else None,
        "teachers": [describe_teacher(teacher) for teacher in config.distillation.teachers],
        "unlabelled": None if config.data.unlabelled is None else config.data.unlabelled.name,
        "chosen_on": validation.title if config.training.keep == "best" else None,
        "epochs": epochs,
        "loss": config.loss.model_dump(mode="json"),
        "optimisation": {
            key: value
            for part in (config.optimiser, config.augment, config.training)
            for key, value in part.model_dump(mode="json").items()
        }
        | {"precision": record.precision},
        "versions": {"cmaen": version("cmaen"), "torch": version("torch"), "python": platform.python_version()},
    }
    return Provenance(config.seed, _revision(), record.pretraining, recorded=recorded)


def _name_votes(config: Config) -> str | None:
    """Name the votes of a run as its provenance does."""
    votes = config.data.votes
    return votes.name if isinstance(votes, Path) else votes and "the FER+ votes that come with cmaen"


def _revision() -> str | None:
    """Return the git commit of the running code, marked if it was changed since; ``None`` outside its checkout."""
    here = Path(__file__)
    known = ["ls-files", "--error-unmatch", here.name]  # not the checkout around somebody's environment
    commit = ["describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        for command in (known, commit):
            done = subprocess.run(["git", "-C", str(here.parent), *command], capture_output=True, text=True, check=True)
        return done.stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
