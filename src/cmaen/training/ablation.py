"""The ablation study: the same training run repeated, each time with one change, such as a part switched off."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cmaen.checkpoints import CARD, Checkpoint
from cmaen.data.ferplus import majority
from cmaen.data.splits import FaceSet
from cmaen.devices import torch_device
from cmaen.drawing.lettering import write_count
from cmaen.engines import build_engine, output_of
from cmaen.errors import ConfigError
from cmaen.evaluation.intervals import Interval, bootstrap, wilson
from cmaen.evaluation.metrics import measure
from cmaen.evaluation.photographs import NO_FACE, PhotographedFaces
from cmaen.evaluation.run import BATCH_SIZE, logits_by_scheme
from cmaen.files import replace_file
from cmaen.models.build import build_network
from cmaen.models.checkpoint import load_checkpoint
from cmaen.training.batches import train_loader, validation_loader
from cmaen.training.beginning import freeze
from cmaen.training.config import Config, change
from cmaen.training.data import read_data
from cmaen.training.forecast import Forecast, foresee, say_duration
from cmaen.training.loop import BEST, LAST, describe_conditions, list_savings
from cmaen.training.module import EmotionModule
from cmaen.training.precision import Hardware, choose
from cmaen.training.record import CONFIG, RECORD, Record, require_same_configuration
from cmaen.training.run import fingerprint_sources, train
from cmaen.types import EMOTIONS, PERCEIVED, PERCEIVED_LABELS

FULL = "the whole network"
VARIANTS: dict[str, dict[str, Any]] = {
    FULL: {},
    "the bare trunk": {
        "model.side": None,
        "side_weights": None,
        "model.scales": None,
        "model.pyramid_channels": None,
        "model.emotion_heads": False,
    },
    "added in place of attention": {"model.attention": "none"},
    "attention both ways": {"model.attention": "both_ways"},
    "without emotion heads": {"model.emotion_heads": False},
    "without multi-scale attention": {"model.scales": None},
    "without the feature pyramid": {"model.pyramid_channels": None},
    "without the adaptive ensemble": {"model.adaptive_ensemble": False},
    "without the side": {"model.side": None, "side_weights": None},
    "the E-CNN alone": {"model.trunk": "ecnn", "model.side": None, "trunk_weights": None, "side_weights": None},
    "the paper's wiring": {"model.wiring": "paper"},
}
"""Changes to the configuration (dotted key: value) by name of the variant; all are compared with the first."""

PHOTOGRAPHS = "photographs"
_TRUTHS = {
    PERCEIVED: "The emotion that most annotators see:",
    PHOTOGRAPHS: "Labelled photographs, in which the faces are found first:",
}

Faces = tuple[FaceSet, FaceSet]
"""The faces of Training and of validation."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Row:
    """A variant's figures on the validation split, under one label scheme.

    Attributes:
        variant: Name of the variant.
        parameters: Number of parameters of its network.
        accuracies, macro_f1s: One value per seed.
        accuracy: Mean over the seeds.
        accuracy_interval: 95 % interval of that mean: Wilson's for one seed; for several a bootstrap over the faces and
            the seeds.
        difference: Difference from the first variant's accuracy, with the interval over paired faces; ``None`` for the
            first.
    """

    variant: str
    parameters: int
    accuracies: tuple[float, ...]
    macro_f1s: tuple[float, ...]
    accuracy: float
    accuracy_interval: Interval
    difference: tuple[float, Interval] | None


class Outcome(NamedTuple):
    """A variant's predictions int64 [seeds, N] under a label scheme, the true labels [N], its number of parameters and
    the class names.
    """

    predictions: NDArray[np.int64]
    labels: NDArray[np.int64]
    parameters: int
    classes: tuple[str, ...] = EMOTIONS


def ablate(
    config: Config,
    seeds: Sequence[int],
    *,
    variants: Mapping[str, Mapping[str, Any]] = VARIANTS,
    photographs: PhotographedFaces | None = None,
    progress: Callable[[Iterable[Any]], Iterable[Any]] = iter,
) -> dict[str, list[Row]]:
    """Train every variant with every seed and measure them; an interrupted study is resumed.

    Args:
        config: Configuration that the variants change; its output is the folder of all runs.
        seeds: Random seeds; each variant is trained once with each.
        variants: Changes of each variant, see :data:`VARIANTS`. A variant may train on other data, such as the same
            faces enhanced.
        photographs: Labelled photographs to measure the variants on too.
        progress: Wraps the loop over the runs.

    Returns:
        The rows of each label scheme that all variants have: the labels and, with votes, ``perceived``, whose truth is
        the emotion that most annotators see; and of :data:`PHOTOGRAPHS`, answered under the last of them.

    Raises:
        ConfigError: A folder holds a run with another configuration or other data, or the variants are validated on
            different faces.
    """
    config = _in_one_precision(config)
    read = lru_cache(maxsize=2)(
        lambda data, grey, side, voted: read_data(data, colour=not grey, side=side, needs_votes=voted)
    )

    def faces_of(run: Config) -> Faces:
        spec = run.preprocess
        return read(run.data, spec.grey, spec.source_size or spec.image_size, run.loss.needs_votes)

    runs = [make_variant(config, name, variants[name], seed) for seed in seeds for name in variants]
    _say_duration([run for run in runs if not _is_finished(run)], faces_of)
    for run in progress(runs):
        log.info("%s, seed %d", run.name, run.seed)
        _train(run, faces_of)
    outcomes = {
        name: _outcomes([make_variant(config, name, changes, seed) for seed in seeds], faces_of, photographs)
        for name, changes in progress(variants.items())
    }
    first, *_ = outcomes.values()
    common = [scheme for scheme in first if all(scheme in found for found in outcomes.values())]
    for name, found in outcomes.items():
        for scheme in common:
            own, others = found[scheme], first[scheme]
            if own.classes != others.classes or not np.array_equal(own.labels, others.labels):
                raise ConfigError(f"{name} is validated on other faces than {next(iter(outcomes))}")
    return {scheme: [_row(name, found[scheme], first[scheme]) for name, found in outcomes.items()] for scheme in common}


def choose_variants(names: Sequence[str], variants: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Select variants by name, in their original order; the first one is always included.

    Raises:
        ConfigError: A variant does not exist.
    """
    if unknown := set(names) - set(variants):
        raise ConfigError(f"{sorted(unknown)} are not variants; choose from {list(variants)}")
    first = next(iter(variants))
    return {name: changes for name, changes in variants.items() if name in {first, *names}}


def make_variant(config: Config, name: str, changes: Mapping[str, Any], seed: int) -> Config:
    """Build the configuration of one run: the variant's changes, a seed and a folder of its own."""
    folder = re.sub("[^a-z0-9]+", "-", name.lower())
    return change(config, {**changes, "name": name, "seed": seed, "output": config.output / f"{folder}-{seed}"})


def format_tables(study: Mapping[str, Sequence[Row]], budget: str) -> str:
    """Format the rows of each label scheme as a Markdown table, with the budget of each run below them."""
    tables = [_format_table(rows) for rows in study.values()]
    if len(study) > 1:
        tables = [
            f"{_TRUTHS.get(scheme, 'The labels of the data set:')}\n\n{table}"
            for scheme, table in zip(study, tables, strict=True)
        ]
    return "\n\n".join([*tables, budget, ""])


def _format_table(rows: Sequence[Row]) -> str:
    lines = [
        "| variant | parameters | accuracy | 95 % interval | difference | 95 % interval | macro-F1 |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        difference, interval = ("", "")
        if row.difference is not None:
            difference, interval = f"{100 * row.difference[0]:+.2f}", _span(row.difference[1], "+")
        lines.append(
            f"| {row.variant} | {row.parameters / 1e6:.2f} M | {100 * row.accuracy:.2f} "
            f"| {_span(row.accuracy_interval)} | {difference} | {interval} | {100 * np.mean(row.macro_f1s):.2f} |"
        )
    return "\n".join(lines)


def format_json(study: Mapping[str, Sequence[Row]], budget: str) -> str:
    """Format the rows of each label scheme and the budget as JSON."""
    schemes = {scheme: [asdict(row) for row in rows] for scheme, rows in study.items()}
    return json.dumps({"budget": budget, "schemes": schemes}, indent=2) + "\n"


def describe_budget(config: Config, seeds: Sequence[int]) -> str:
    """Describe in a sentence what each run was given."""
    images = "all" if config.data.limit is None else f"{config.data.limit:,}"
    measured = "a held-out tenth of Training" if config.data.inner_validation else "the validation split"
    kept = f"the last epoch was kept, and measured on {measured}"
    if config.training.keep == "best":
        kept = f"the epoch was chosen on {measured}, on which the figures were measured"
    return (
        f"Each run: {images} training images, {write_count(config.training.epochs, 'epoch')}, "
        f"{config.preprocess.image_size} pixels, batch {config.training.batch_size}; "
        f"seeds {', '.join(map(str, seeds))}; {kept}; one crop, no test-time augmentation."
    )


def _in_one_precision(config: Config) -> Config:
    """Resolve the precision ``auto`` for this machine; a resumed study keeps the precision it began with."""
    if config.training.precision != "auto":
        return config
    records = sorted(config.output.glob(f"*/{RECORD}"))
    began = Record.read(records[0].parent).precision if records else None
    precision = choose("auto", Hardware.of(torch_device(config.training.device)), began=began).precision
    return config.model_copy(update={"training": config.training.model_copy(update={"precision": precision})})


def _is_finished(config: Config) -> bool:
    return (config.output / BEST / CARD).is_file()


def _say_duration(runs: Sequence[Config], faces_of: Callable[[Config], Faces]) -> None:
    """Log how long these runs take together; each variant is timed once."""
    forecasts: dict[str, Forecast | None] = {}
    for run in runs:
        if run.name not in forecasts:
            forecasts[run.name] = _foresee(run, *faces_of(run))
    expected = [forecast.total for run in runs if (forecast := forecasts[run.name])]
    if expected:
        savings = ["fewer seeds", "fewer variants", "fewer faces (data.limit)"]
        savings += list_savings(runs[0].training)
        say_duration(sum(expected), f"{write_count(len(runs), 'run')}, one after the other", savings)


def _foresee(config: Config, training: FaceSet, validation: FaceSet) -> Forecast | None:
    """Forecast a run from its beginning, with random weights and without teachers, which take the same time."""
    settings, spec, classes = config.training, config.preprocess, len(training.classes)
    model = build_network(
        config.model, classes=classes, perceived=len(PERCEIVED_LABELS) if config.loss.perceived else 0
    )
    freeze(model, config)
    conditions = describe_conditions(settings, settings.precision)
    size, device = settings.batch_size, conditions.device
    return foresee(
        EmotionModule(model, loss=config.loss, optimiser=config.optimiser, seed=config.seed, classes=classes),
        train_loader(training, spec, config.augment, batch_size=size, seed=config.seed, device=device),
        validation_loader(validation, spec),
        settings.epochs,
        conditions,
    )


def _train(config: Config, faces_of: Callable[[Config], Faces]) -> None:
    """Train one run, resume it if it was interrupted, or skip it if it is finished."""
    if (config.output / CONFIG).is_file():
        require_same_configuration(config)
    if _is_finished(config):
        Record.read(config.output).require(fingerprint_sources(config, *faces_of(config)), config.output)
    else:
        train(config, resume=(config.output / LAST).is_file())


def _outcomes(
    runs: Sequence[Config], faces_of: Callable[[Config], Faces], photographs: PhotographedFaces | None
) -> dict[str, Outcome]:
    """Predict the validation split by the networks of all seeds, under each label scheme whose truth is known.

    Then predict the photographs, if there are any.
    """
    _, validation = faces_of(runs[0])
    folders = [run.output / BEST for run in runs]
    network, card = load_checkpoint(folders[0])
    parameters = sum(value.numel() for value in network.parameters())
    first = next(iter(card.schemes))
    truths = {first: validation.labels}
    if PERCEIVED in card.schemes and validation.votes is not None:
        truths[PERCEIVED] = majority(validation)
    predictions = [_predict(folder, validation, list(truths)) for folder in folders]
    found = {}
    for scheme, truth in truths.items():
        known = truth >= 0
        of_seeds = np.stack([answers[scheme][known] for answers in predictions])
        found[scheme] = Outcome(of_seeds, truth[known], parameters, card.schemes[scheme].labels)
    if photographs is not None:
        if card.schemes[first].labels != EMOTIONS:
            raise ConfigError(f"photographs are labelled with {', '.join(EMOTIONS)}; these runs have other labels")
        answers = np.stack([_predict_photographs(folder, photographs, list(card.schemes)[-1]) for folder in folders])
        found[PHOTOGRAPHS] = Outcome(answers, photographs.labels, parameters, (*EMOTIONS, NO_FACE))
    return found


def _predict(folder: Path, faces: FaceSet, schemes: Sequence[str]) -> dict[str, NDArray[np.int64]]:
    """Predict faces by a run's network, once: the answers, int64 [N] for each label scheme, are kept beside it."""
    paths = {scheme: folder / f"predictions-{scheme}.npy" for scheme in schemes}
    if not all(path.is_file() for path in paths.values()):
        spec = Checkpoint.open(folder).card.preprocess
        for scheme, logits in logits_by_scheme(faces, spec, build_engine("torch", folder), schemes).items():
            with replace_file(paths[scheme]) as temporary:
                np.save(temporary, logits.argmax(axis=1))
    return {scheme: np.load(path) for scheme, path in paths.items()}


def _predict_photographs(folder: Path, faces: PhotographedFaces, scheme: str) -> NDArray[np.int64]:
    """Predict photographed faces by a run's network, int64 [N], indices into the emotions and "no face"."""
    spec, engine = Checkpoint.open(folder).card.preprocess, build_engine("torch", folder)
    answers = np.full(len(faces.labels), len(EMOTIONS))
    there = [(place, crop) for place, crop in enumerate(faces.crops) if crop is not None]
    for start in range(0, len(there), BATCH_SIZE):
        places, crops = zip(*there[start : start + BATCH_SIZE], strict=True)
        (logits,) = engine.run(spec(crops), [output_of(scheme)])
        answers[list(places)] = logits[:, : len(EMOTIONS)].argmax(axis=1)
    return answers


def _row(name: str, outcome: Outcome, first: Outcome) -> Row:
    labels = outcome.labels
    hits, first_hits = (outcome.predictions == labels, first.predictions == labels)  # [seeds, N]
    figures = [measure(labels, predictions, outcome.classes) for predictions in outcome.predictions]
    gain = hits.astype(np.float64) - first_hits
    difference = None
    if outcome is not first:
        difference = (float(gain.mean()), _interval(gain))
    return Row(
        name,
        outcome.parameters,
        tuple(figure.accuracy for figure in figures),
        tuple(figure.macro_f1 for figure in figures),
        float(hits.mean()),
        wilson(int(hits.sum()), hits.size) if len(hits) == 1 else _interval(hits.astype(np.float64)),
        difference,
    )


def _interval(figures: NDArray[np.float64]) -> Interval:
    """Compute the interval of the mean of figures [seeds, N], resampling both the faces and the seeds."""
    rng = np.random.default_rng(0)
    seeds = len(figures)

    def draw(faces: NDArray[np.int64]) -> float:
        of_seeds = figures[:, faces].mean(axis=1)  # [seeds, N] -> [seeds]
        return float(of_seeds[rng.integers(0, seeds, seeds)].mean())

    return bootstrap(draw, figures.shape[1], rng)


def _span(interval: Interval, sign: str = "") -> str:
    return f"{100 * interval.low:{sign}.2f} to {100 * interval.high:{sign}.2f}"
