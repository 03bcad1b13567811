"""The configuration of a run: specs, YAML file and overrides. All mistakes are reported before data are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml
from pydantic import Field, ValidationError, ValidationInfo, field_validator

from cmaen.checkpoints import Checkpoint, Where
from cmaen.checkpoints.values import is_name, is_text
from cmaen.data.augmentation import AugmentSpec
from cmaen.errors import ConfigError
from cmaen.losses import LossSpec
from cmaen.models.backbones import StagedBackbone
from cmaen.models.build import check_buildable
from cmaen.models.spec import ModelSpec
from cmaen.preprocessing import PreprocessSpec
from cmaen.spec import CheckpointName, Spec, list_mistakes, require_none
from cmaen.training.catalogue import Kind, find_configuration
from cmaen.training.data import DataSpec
from cmaen.training.distillation import DistillationSpec
from cmaen.training.loop import LoopSpec
from cmaen.training.optimisation import OptimiserSpec

FINE_TUNED = Path("runs/fine-tuned")
"""Folder of a run that fine-tunes, unless another is chosen."""

_Run = TypeVar("_Run", bound=Spec)


class Config(Spec):
    """The configuration of a whole run."""

    name: str = Field("cmaen", description="Name of the network on its card.")
    licence: str = Field("", description="Licence of the weights on the card; empty: that of the initial weights.")
    seed: int = Field(42, ge=0, description="Random seed.")
    output: Path = Field(Path("runs/cmaen"), description="Folder of the run.")
    data: DataSpec = DataSpec()
    preprocess: PreprocessSpec = PreprocessSpec()
    model: ModelSpec = ModelSpec()
    loss: LossSpec = LossSpec()
    distillation: DistillationSpec = DistillationSpec()
    optimiser: OptimiserSpec = OptimiserSpec()
    augment: AugmentSpec = AugmentSpec()
    training: LoopSpec = LoopSpec()
    initial_weights: CheckpointName | None = Field(
        None, description="Checkpoint to start from: name, folder or address. Its architecture must be the same."
    )
    trunk_weights: str | None = Field(
        None,
        description="Initial weights of the trunk: a published name, a file, or the folder of a checkpoint, "
        "whose pathway of the same kind is used; a slim backbone takes the main channels of a wider one.",
    )
    side_weights: str | None = Field(None, description="Initial weights of the side, given like those of the trunk.")

    @property
    def pathway_weights(self) -> dict[str, str]:
        """The initial weights of the pathways, by ``trunk`` and ``side``."""
        given = {"trunk": self.trunk_weights, "side": self.side_weights}
        return {role: weights for role, weights in given.items() if weights}

    @field_validator("name")
    @classmethod
    def _names_the_card(cls, name: str) -> str:
        if not is_name(name):
            raise ValueError(f"it is {name!r} and must be a single line of text that is not blank")
        return name

    @field_validator("licence")
    @classmethod
    def _fits_the_card(cls, licence: str) -> str:
        if not is_text(licence):
            raise ValueError(f"it is {licence!r} and must be a single line of text")
        return licence

    @field_validator("preprocess")
    @classmethod
    def _check_sizes(cls, spec: PreprocessSpec) -> PreprocessSpec:
        size, source = spec.image_size, spec.source_size
        mistakes = []
        if not 32 <= size <= 1024 or size % 16:
            mistakes.append(f"image_size is {size} and must be a multiple of 16 from 32 to 1024")
        if source is not None and source < 16:
            mistakes.append(f"source_size is {source} and must be at least 16, or null")
        require_none(mistakes)
        return spec

    @field_validator("model")
    @classmethod
    def _check_network(cls, model: ModelSpec, info: ValidationInfo) -> ModelSpec:
        if "preprocess" in info.data:
            with _as_mistake():
                check_buildable(model, info.data["preprocess"].image_size)
        return model

    @field_validator("loss")
    @classmethod
    def _has_votes(cls, loss: LossSpec, info: ValidationInfo) -> LossSpec:
        if (loss.vote_weight or loss.perceived) and "data" in info.data and info.data["data"].votes is None:
            raise ValueError(
                "loss.vote_weight and loss.perceived need data.votes: auto for FER2013, or the CSV of the FER+ votes"
            )
        return loss

    @field_validator("distillation")
    @classmethod
    def _has_faces(cls, distillation: DistillationSpec, info: ValidationInfo) -> DistillationSpec:
        mistakes = []
        if "data" in info.data and (info.data["data"].unlabelled is None) != (distillation.unlabelled is None):
            mistakes.append(
                "data.unlabelled needs distillation.unlabelled, the checkpoint that answers it; set both or neither"
            )
        if "loss" in info.data and info.data["loss"].vote_weight + distillation.share > 1:
            mistakes.append("loss.vote_weight and distillation.weight together are above 1")
        require_none(mistakes)
        return distillation

    @field_validator("training")
    @classmethod
    def _has_stages(cls, training: LoopSpec, info: ValidationInfo) -> LoopSpec:
        if training.frozen_stages and {"model", "preprocess"} <= info.data.keys():
            name = info.data["model"].trunk
            trunk = check_buildable(info.data["model"], info.data["preprocess"].image_size).trunk
            stages = len(trunk.stages) if isinstance(trunk, StagedBackbone) else 0
            if training.frozen_stages > stages:
                raise ValueError(
                    f"frozen_stages is {training.frozen_stages}; the trunk {name} has {stages or 'no'} stages that can "
                    "be frozen"
                )
        return training

    @field_validator("trunk_weights", "side_weights")
    @classmethod
    def _has_a_pathway(cls, weights: str | None, info: ValidationInfo) -> str | None:
        role = str(info.field_name).partition("_")[0]
        mistakes = []
        if weights and info.data.get("initial_weights"):
            mistakes.append(f"initial_weights already contain a {role}: leave out {info.field_name}")
        if weights and "model" in info.data and getattr(info.data["model"], role) is None:
            mistakes.append(f"the network has no {role}: leave out {info.field_name}, or set model.{role}")
        require_none(mistakes)
        return weights


class EnhancerConfig(Spec):
    """The configuration of the training of a light enhancement network."""

    step: Literal["super-resolution", "colorization"] = Field(description="Enhancement step to learn.")
    seed: int = Field(42, ge=0, description="Random seed.")
    output: Path = Field(Path("runs/enhancer"), description="Folder of the run.")
    data: tuple[Path, ...] = Field(
        (), description="Folders of colour faces of at least 192 pixels; a tenth is held out to choose the epoch."
    )
    optimiser: OptimiserSpec = OptimiserSpec()
    training: LoopSpec = LoopSpec()

    @field_validator("training")
    @classmethod
    def _check_frozen(cls, training: LoopSpec) -> LoopSpec:
        if training.frozen_stages:
            raise ValueError("frozen_stages has no meaning here: an enhancement network has no trunk")
        return training


def load_config(where: str | Path | None, overrides: dict[str, Any]) -> Config:
    """Load the configuration of a run from YAML, changed by overrides.

    Args:
        where: A name such as ``paper``, or a file, see :func:`cmaen.training.catalogue.find_configuration`; ``None``
            for the defaults.
        overrides: Values by dotted key, such as ``{"training.epochs": 3}``; ``None`` is a value too: YAML's null.

    Raises:
        ConfigError: The name is unknown, the file cannot be read, or it contains mistakes; the message lists all of
            them.
    """
    return _load(Config, where, Kind.RUN, overrides)


def configure_fine_tuning(checkpoint: Where) -> Config:
    """Configure fine-tuning of a checkpoint on other faces or labels: low learning rates, and new parts trained first.

    Raises:
        CheckpointError: The checkpoint has no card or cannot be used.
        ConfigError: Its network cannot be trained.
    """
    opened = Checkpoint.open(checkpoint)
    card = opened.card
    optimiser = {
        "learning_rate": 1e-3,
        "backbone_rate": 0.3,
        "head_first_epochs": 1,
        "weight_decay": 0.05,
        "clip": 5.0,
        "schedule": "cosine",
        "warmup_epochs": 0.5,
    }
    return _check(
        Config,
        {
            "name": f"{card.name}-fine-tuned",
            "initial_weights": opened.folder,
            "output": FINE_TUNED,
            "model": ModelSpec.from_card(card.architecture),
            "preprocess": card.preprocess,
            "optimiser": optimiser,
            "training": {"epochs": 12, "batch_size": 32, "ema_decay": 0.99},
        },
        {},
        f"fine-tuning {checkpoint}",
    )


def load_enhancer_config(where: str | Path, overrides: dict[str, Any]) -> EnhancerConfig:
    """Load the configuration of an enhancement network's run, such as ``colorization``; see :func:`load_config`."""
    return _load(EnhancerConfig, where, Kind.ENHANCER, overrides)


def change(config: Config, changes: Mapping[str, Any]) -> Config:
    """Return the configuration with other values, given by dotted key.

    Raises:
        ConfigError: See :func:`load_config`.
    """
    return _check(Config, config.model_dump(), changes, "the configuration")


def read_variants(where: str | Path) -> dict[str, dict[str, Any]]:
    """Read the changes of each variant of a run, such as ``"super-resolved: {data.path: faces}"``.

    Args:
        where: A name such as ``enhancement``, or a file, see :func:`load_config`.

    Raises:
        ConfigError: The name is unknown, or the file cannot be read or is not a list of variants.
    """
    variants = _read_yaml(find_configuration(where, Kind.VARIANTS))
    for name, changes in variants.items():
        if not isinstance(changes, dict):
            raise ConfigError(f"{where}: {name!r} must be a mapping of the keys that it changes; {{}} for none")
    if not variants:
        raise ConfigError(f"{where} names no variants")
    return variants


def parse_overrides(settings: list[str]) -> dict[str, Any]:
    """Parse overrides such as ``["training.epochs=3", "model.side=null"]`` into values by dotted key, read as YAML.

    Raises:
        ConfigError: A setting has no ``=``, or its value is not YAML.
    """
    overrides = {}
    for setting in settings:
        key, separator, value = setting.partition("=")
        if not separator:
            raise ConfigError(f"{setting!r} must be key=value, such as training.epochs=3")
        overrides[key.strip()] = _parse(value, repr(setting))
    return overrides


def _load(spec: type[_Run], where: str | Path | None, kind: Kind, overrides: Mapping[str, Any]) -> _Run:
    values = {} if where is None else _read_yaml(find_configuration(where, kind))
    return _check(spec, values, overrides, "the configuration" if where is None else str(where))


def _check(kind: type[_Run], values: dict[str, Any], overrides: Mapping[str, Any], source: str) -> _Run:
    for dotted, value in overrides.items():
        _set(values, dotted, value)
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        lines = list_mistakes(error)
        raise ConfigError("\n  ".join([f"{source} has {len(lines)} mistake(s):", *lines])) from error


@contextmanager
def _as_mistake() -> Iterator[None]:
    """Report a part that cannot be built along with the other mistakes."""
    try:
        yield
    except ConfigError as error:
        raise ValueError(str(error)) from error


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:  # no UTF-8; an impossible name
        raise ConfigError(f"{path} cannot be read: {error}") from error
    loaded = _parse(text, str(path))
    if not isinstance(loaded, dict):
        raise ConfigError(f"{path} must be a mapping of keys to values, not {type(loaded).__name__}")
    return loaded


def _parse(text: str, source: str) -> Any:
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # impossible dates; deep nesting
        raise ConfigError(f"{source} cannot be read as YAML: {error}") from error


def _set(values: dict[str, Any], dotted: str, value: Any) -> None:
    *sections, key = dotted.split(".")
    for section in sections:
        values = values.setdefault(section, {})
        if not isinstance(values, dict):
            raise ConfigError(f"{dotted!r} cannot be set: {section!r} is not a section")
    values[key] = value
