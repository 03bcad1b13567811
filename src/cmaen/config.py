"""One YAML file a run: every key typed and documented, every mistake reported at once, before any data is read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from cmaen.checkpoints import Checkpoint, Where
from cmaen.devices import DEVICES
from cmaen.errors import ConfigError

_Run = TypeVar("_Run", bound="Section")


class Section(BaseModel):
    """A part of the configuration: frozen, and a key that it does not know is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class DataConfig(Section):
    """What is trained on. Validation is always the split of that name and is never changed."""

    path: Path | None = Field(
        None, description="a folder of class folders, its zip, a CSV of path and label, or FER2013 as Kaggle's CSV"
    )
    labels: Literal["all"] | tuple[str, ...] | None = Field(
        None, description="the classes; all: those that the data have; null: the seven emotions"
    )
    votes: Path | None = Field(None, description="CSV of the FER+ votes")
    leave_out: Literal["nothing", "exact", "near"] = Field(
        "nothing", description="training images to leave out because validation holds a copy of them"
    )
    inner_validation: bool = Field(
        False,
        description="validate on a tenth of Training, copies kept together, in place of the validation split, which "
        "then remains unseen and can judge",
    )
    unlabelled: Path | None = Field(
        None, description="folder of face crops without labels, sharper than the data set's, that a teacher answers"
    )
    limit: int | None = Field(None, ge=1, description="train on so many images only, always the same ones")


class PreprocessConfig(Section):
    """From a face crop to the network's input, see PreprocessSpec."""

    image_size: int = Field(224, ge=32, le=1024, multiple_of=16, description="side of the input in pixels")
    source_size: int | None = Field(48, ge=16, description="larger crops are reduced to this side first")
    grey: bool = Field(True, description="drop colour")


class ModelConfig(Section):
    """The architecture, see build_cmaen; but for the wiring the defaults are the paper's."""

    wiring: Literal["paper", "residual"] = Field(
        "residual",
        description="how the parts are joined; residual: the network begins as its backbone, all else adds to it",
    )
    backbone: str | None = Field(
        "efficientnet_v2_s", description="pretrained pathway, see build_backbone; null for none"
    )
    ecnn: bool = Field(True, description="the pathway that is learnt from scratch")
    ecnn_widths: tuple[int, int, int, int] = Field((64, 128, 256, 512), description="channels of its four stages")
    ecnn_stem: Literal["paper", "small"] = Field("paper", description="7x7 and a pool, or 3x3 for small inputs")
    ecnn_stem_stride: Literal[1, 2] = Field(2, description="of the small stem")
    multi_scale_attention: bool = Field(True, description="on the last map of each pathway")
    scales: tuple[int, ...] = Field((1, 2, 4), description="sides of the pooled maps that it attends to")
    cross_modal_attention: bool = Field(True, description="between the pathways; without it they are added")
    bidirectional: bool = Field(False, description="the backbone attends to the E-CNN too")
    fused_channels: int = Field(256, ge=8, description="of the fused map")
    attention_heads: int = Field(8, ge=1, description="of the cross-modal attention")
    feature_pyramid: bool = Field(True, description="features of the middle stages for the fusion classifier")
    pyramid_channels: int = Field(128, ge=8, description="of each of its levels")
    emotion_heads: bool = Field(True, description="one attention head an emotion, beside the fusion classifier")
    adaptive_ensemble: bool = Field(True, description="weigh the two classifiers face by face, or average them")
    hidden: int = Field(256, ge=8, description="width of the fusion classifier")
    dropout: float = Field(0.5, ge=0, lt=1, description="of the E-CNN's last map and the classifiers' inputs")
    stochastic_depth: float = Field(0.0, ge=0, lt=1, description="of the E-CNN's last block; less before it")

    @model_validator(mode="after")
    def _fits(self) -> ModelConfig:
        if self.backbone is None and not self.ecnn:
            raise ValueError("at least one pathway is needed: switch ecnn on or name a backbone")
        if self.fused_channels % self.attention_heads:
            raise ValueError("fused_channels must be a multiple of attention_heads")
        return self


class LossConfig(Section):
    """The loss, see LossWeights; what the paper has is in configs/paper.yaml."""

    focal: float = Field(0.0, ge=0, description="weight of the focal loss of the final logits")
    emotion: float = Field(0.3, ge=0, description="weight of the cross-entropy of the emotion heads")
    fusion: float = Field(0.3, ge=0, description="weight of the cross-entropy of the fusion classifier")
    label_smoothing: float | None = Field(
        None, ge=0, lt=1, description="in the cross-entropy of the final logits; null: 0.1, but none with votes"
    )
    focal_alpha: float = Field(1.0, gt=0, description="factor of the focal loss")
    focal_gamma: float = Field(2.0, ge=0, description="how much the focal loss discounts easy faces")
    vote_weight: float = Field(0.0, ge=0, le=1, description="part of the target that the FER+ votes give")
    votes_as: Literal["annotators", "labels"] = Field(
        "labels", description="the annotators' own distribution, or what their votes say about FER2013's label"
    )

    perceived: float = Field(
        0.0,
        ge=0,
        description="weight of the scheme perceived, learnt from the FER+ votes; 0: the labels' scheme alone",
    )

    @model_validator(mode="after")
    def _smooth_once(self) -> LossConfig:
        if self.vote_weight and self.label_smoothing:
            raise ValueError("vote_weight and label_smoothing both soften the labels: leave one of them out")
        return self

    @property
    def smoothing(self) -> float:
        """The label smoothing that there is."""
        if self.label_smoothing is None:
            return 0.0 if self.vote_weight else 0.1
        return self.label_smoothing


class DistillationConfig(Section):
    """Learning from trained networks as well (Hinton et al., 2015)."""

    teachers: tuple[Path, ...] = Field(
        (), description="folders of checkpoints, or files of their answers, which are averaged"
    )
    shares: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        (), description="of each teacher in their average; none: all the same"
    )
    weight: float = Field(0.5, ge=0, le=1, description="part of the target that the teachers give")
    perceived: float = Field(
        0.0, ge=0, le=1, description="part of the target of the scheme perceived that those teachers give that have it"
    )
    unlabelled: Path | None = Field(None, description="checkpoint that answers the faces of data.unlabelled")
    temperature: float = Field(
        1.0, gt=0, description="of the teachers' answers and of the student's; above 1 is softer"
    )
    cache: Path = Field(Path("runs/teachers"), description="folder where the teachers' logits are kept")

    @model_validator(mode="after")
    def _one_share_each(self) -> DistillationConfig:
        if self.shares and len(self.shares) != len(self.teachers):
            raise ValueError("shares must be one for each of the teachers")
        return self

    @property
    def share(self) -> float:
        """The weight, where there are teachers."""
        return self.weight if self.teachers else 0.0


class LoopConfig(Section):
    """Optimiser, schedule and loop; the defaults are the paper's."""

    epochs: int = Field(150, ge=1, description="at most; early stopping may end the run before")
    batch_size: int = Field(64, ge=2, description="of all processes together")
    learning_rate: float = Field(1e-4, gt=0, description="highest, of AdamW")
    backbone_rate: float = Field(1.0, ge=0, description="factor on the learning rate of the pretrained pathway")
    gate_rate: float = Field(1.0, gt=0, description="factor on that of the numbers that scale what a part adds")
    head_first_epochs: float = Field(0.0, ge=0, description="the backbone rests over these")
    weight_decay: float = Field(1e-3, ge=0, description="none on norms, biases and gates")
    clip: float = Field(1.0, gt=0, description="largest norm of the gradient")
    warmup_epochs: float = Field(1.0, ge=0, description="the learning rate rises linearly over these")
    schedule: Literal["warm_restarts", "cosine"] = Field(
        "warm_restarts", description="cosine annealing in cycles, or once over the whole run"
    )
    t_0: int = Field(30, ge=1, description="epochs of the first cycle of warm restarts")
    t_mult: int = Field(2, ge=1, description="each cycle is so many times as long as the one before")
    eta_min: float = Field(1e-6, ge=0, description="learning rate at the end of a cycle")
    keep: Literal["best", "last"] = Field(
        "best", description="epoch whose weights are kept: the best on validation, or the last, so that nothing chooses"
    )
    patience: int = Field(15, ge=1, description="epochs without a better validation accuracy before the end")
    devices: int = Field(1, ge=1, description="processes on each machine: GPUs, or parts of its CPU cores")
    nodes: int = Field(1, ge=1, description="machines; torchrun knows better than both")
    device: str = Field(
        "auto",
        pattern=f"^({DEVICES})$",
        description="cpu, cuda, cuda:1 (the second GPU) or mps, where the faces live too; auto: a GPU if there is one",
    )
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = Field(
        "auto", description="of the arithmetic; auto takes what the processor or the GPU is fast at"
    )
    ema_decay: float | None = Field(
        None, gt=0, lt=1, description="of the averaged weights that validate and are kept, reached by a warm-up"
    )


class TrainingConfig(LoopConfig):
    """The loop, and what is done to the faces; the defaults are the paper's."""

    weighted: bool = Field(False, description="draw every emotion as often, see cmaen balance --method weighted")
    augment: bool = Field(True, description="mirror, turn, zoom, shift, re-light and hide parts of faces")
    frozen_stages: int = Field(0, ge=0, description="the first so many of the backbone learn no more")
    operations: int = Field(0, ge=0, le=8, description="random photometric operations on each face, see rand_augment")
    magnitude: float = Field(0.5, gt=0, le=1, description="strength of these operations")
    source_sides: tuple[Annotated[int, Field(ge=8)], Annotated[int, Field(ge=8)]] = Field(
        (32, 112), description="unlabelled faces are reduced to a random side between these, and enlarged again"
    )
    mixup: float = Field(0.0, ge=0, description="alpha of mixup; 0 is off")
    cutmix: float = Field(0.0, ge=0, description="alpha of CutMix; 0 is off; with both on, each batch takes one")

    @model_validator(mode="before")
    @classmethod
    def _without_sharpness(cls, values: Any) -> Any:
        """Runs of before have the key, which was 0 unless steps were to be sharpness-aware; there are none any more."""
        if not isinstance(values, dict) or "sharpness" not in values:
            return values
        if values["sharpness"] != 0:
            raise ValueError("sharpness-aware steps were removed: leave out training.sharpness")
        return {key: value for key, value in values.items() if key != "sharpness"}


class Config(Section):
    """A whole run."""

    name: str = Field("cmaen", description="of the network, for its card")
    licence: str = Field(
        "", description="what the weights may be used for, for the card; none: that of initial_weights"
    )
    seed: int = Field(42, ge=0, description="of all randomness")
    backbone_weights: str | None = Field(None, description="published name or file that the backbone starts from")
    initial_weights: Path | None = Field(
        None, description="folder of a checkpoint to start from; what is taken must have the same architecture"
    )
    initial_parts: Literal["all", "pathways"] = Field(
        "all", description="what initial_weights give: the network, or its pathways, so that it may be wired otherwise"
    )
    output: Path = Field(Path("runs/cmaen"), description="folder of the run")
    data: DataConfig = DataConfig()
    preprocess: PreprocessConfig = PreprocessConfig()
    model: ModelConfig = ModelConfig()
    loss: LossConfig = LossConfig()
    distillation: DistillationConfig = DistillationConfig()
    training: TrainingConfig = TrainingConfig()

    @model_validator(mode="after")
    def _consistent(self) -> Config:
        if (self.loss.vote_weight or self.loss.perceived) and self.data.votes is None:
            raise ValueError("loss.vote_weight and loss.perceived need data.votes, the CSV of the FER+ votes")
        if (self.data.unlabelled is None) != (self.distillation.unlabelled is None):
            raise ValueError("data.unlabelled needs distillation.unlabelled, the checkpoint that answers it; set both")
        if self.training.source_sides[0] > self.training.source_sides[1]:
            raise ValueError("training.source_sides must rise, like [32, 112]")
        if self.initial_weights and self.backbone_weights:
            raise ValueError("initial_weights hold a backbone already: leave out backbone_weights")
        if self.loss.vote_weight + self.distillation.share > 1:
            raise ValueError("loss.vote_weight and distillation.weight together are above 1")
        return self


class EnhancerConfig(Section):
    """The training of a light network of enhancement."""

    step: Literal["super-resolution", "colorization"] = Field(description="what it learns")
    seed: int = Field(42, ge=0, description="of all randomness")
    output: Path = Field(Path("runs/enhancer"), description="folder of the run")
    data: tuple[Path, ...] = Field(
        (), description="folders of colour faces of 192 pixels or more; a tenth, by name, is held out and chooses"
    )
    training: LoopConfig = LoopConfig()


def load_config(path: Path | None, overrides: dict[str, Any]) -> Config:
    """The configuration of a run, of a YAML file changed by overrides.

    Args:
        path: The file; ``None`` for the defaults.
        overrides: Values by dotted key, ``{"training.epochs": 3}``; ``None`` is a value too, YAML's null.

    Raises:
        ConfigError: The file cannot be read, or there are mistakes; the message lists them all.
    """
    return _load(Config, path, overrides)


def fine_tuning(checkpoint: Where) -> Config:
    """The run that goes on from a checkpoint on other faces or with other labels: gently, and what is new first.

    Raises:
        CheckpointError: The checkpoint has no card, or it cannot be used.
    """
    opened = Checkpoint.open(checkpoint)
    card = opened.card
    training = {
        "epochs": 12,
        "batch_size": 32,
        "learning_rate": 1e-3,
        "backbone_rate": 0.3,
        "head_first_epochs": 1,
        "weight_decay": 0.05,
        "clip": 5.0,
        "schedule": "cosine",
        "warmup_epochs": 0.5,
        "ema_decay": 0.99,
    }
    preprocess = {key: getattr(card.preprocess, key) for key in PreprocessConfig.model_fields}
    return Config.model_validate(
        {
            "name": f"{card.name}-fine-tuned",
            "initial_weights": opened.folder,
            "output": "runs/fine-tuned",
            "model": card.architecture,
            "preprocess": preprocess,
            "training": training,
        }
    )


def load_enhancer_config(path: Path, overrides: dict[str, Any]) -> EnhancerConfig:
    """The configuration of an enhancer's run, see :func:`load_config`."""
    return _load(EnhancerConfig, path, overrides)


def changed(config: Config, changes: Mapping[str, Any]) -> Config:
    """The configuration with other values, by dotted key.

    Raises:
        ConfigError: See :func:`load_config`.
    """
    return _checked(Config, config.model_dump(), changes, "the configuration")


def read_variants(path: Path) -> dict[str, dict[str, Any]]:
    """What variants of a run change, by dotted key, by their names: ``"super-resolved: {data.path: faces}"``.

    Raises:
        ConfigError: The file cannot be read, or holds something else.
    """
    variants = _read_yaml(path)
    for name, changes in variants.items():
        if not isinstance(changes, dict):
            raise ConfigError(f"{path}: {name!r} must hold what it changes, key by key; {{}} for nothing")
    if not variants:
        raise ConfigError(f"{path} names no variants")
    return variants


def parse_overrides(settings: list[str]) -> dict[str, Any]:
    """``["training.epochs=3", "model.backbone=null"]`` -> values by dotted key, each read as YAML.

    Raises:
        ConfigError: A setting has no ``=``, or its value is no YAML.
    """
    overrides = {}
    for setting in settings:
        key, separator, value = setting.partition("=")
        if not separator:
            raise ConfigError(f"{setting!r} is not key=value, like training.epochs=3")
        overrides[key.strip()] = _parse(value, repr(setting))
    return overrides


def _load(kind: type[_Run], path: Path | None, overrides: Mapping[str, Any]) -> _Run:
    return _checked(kind, {} if path is None else _read_yaml(path), overrides, str(path or "the configuration"))


def _checked(kind: type[_Run], values: dict[str, Any], overrides: Mapping[str, Any], source: str) -> _Run:
    for dotted, value in overrides.items():
        _set(values, dotted, value)
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        lines = [f"  {'.'.join(map(str, e['loc'])) or 'config'}: {e['msg']}" for e in error.errors()]
        raise ConfigError(f"{source} has {len(lines)} mistake(s):\n" + "\n".join(lines)) from error


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    loaded = _parse(text, str(path))
    if not isinstance(loaded, dict):
        raise ConfigError(f"{path} must hold keys and values at its top, not {type(loaded).__name__}")
    return loaded


def _parse(text: str, source: str) -> Any:
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # the last two: no such date, nested too deep
        raise ConfigError(f"{source} cannot be read as YAML: {error}") from error


def _set(values: dict[str, Any], dotted: str, value: Any) -> None:
    *sections, key = dotted.split(".")
    for section in sections:
        values = values.setdefault(section, {})
        if not isinstance(values, dict):
            raise ConfigError(f"{dotted!r} cannot be set: {section!r} is not a section")
    values[key] = value
