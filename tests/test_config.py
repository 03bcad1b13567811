from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("pydantic")

from pydantic import BaseModel

from cmaen.config import Config, Section, load_config, parse_overrides
from cmaen.errors import ConfigError

CONFIGS = sorted((Path(__file__).parent.parent / "configs").glob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_shipped_configuration_is_valid(path: Path) -> None:
    assert load_config(path, {"data.votes": "votes.csv"}).name


def test_the_papers_configuration_holds_the_papers_figures() -> None:
    config = load_config(next(path for path in CONFIGS if path.stem == "paper"), {})
    training, loss = config.training, config.loss
    assert (training.epochs, training.batch_size, training.learning_rate, training.weight_decay) == (
        150,
        64,
        1e-4,
        1e-3,
    )
    assert (training.t_0, training.t_mult, training.eta_min, training.patience, training.clip) == (30, 2, 1e-6, 15, 1.0)
    assert (loss.label_smoothing, loss.focal, loss.emotion, loss.fusion) == (0.1, 0.3, 0.2, 0.2)
    assert (loss.focal_alpha, loss.focal_gamma) == (1.0, 2.0)
    assert (config.preprocess.image_size, config.model.dropout, config.model.backbone) == (
        224,
        0.5,
        "efficientnet_v2_s",
    )


def test_every_key_is_documented() -> None:
    def undocumented(section: type[BaseModel]) -> list[str]:
        found = []
        for name, field in section.model_fields.items():
            if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
                found += undocumented(field.annotation)
            elif not field.description:
                found.append(f"{section.__name__}.{name}")
        return found

    assert not undocumented(Config)


def test_every_mistake_is_reported_at_once(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("seed: -1\ntraining: {epochs: zero, speed: 9}\nmodel: {ecnn: false, backbone: null}\n")
    with pytest.raises(ConfigError, match=r"4 mistake\(s\)") as caught:
        load_config(path, {})
    for key in ("seed", "training.epochs", "training.speed", "at least one pathway"):
        assert key in str(caught.value)


def test_overrides_win_and_seed_zero_is_a_seed() -> None:
    config = load_config(None, {**parse_overrides(["training.epochs=3", "model.ecnn=false"]), "seed": 0})
    assert (config.seed, config.training.epochs, config.model.ecnn) == (0, 3, False)


def test_null_is_a_value() -> None:
    config = load_config(None, parse_overrides(["model.backbone=null", "preprocess.source_size="]))
    assert (config.model.backbone, config.preprocess.source_size) == (None, None)
    with pytest.raises(ConfigError, match=r"training\.epochs"):
        load_config(None, {"training.epochs": None})


@pytest.mark.parametrize("value", ["[1", "{", "2001-99-99", "!!python/object:os.x {}", "\0", "[" * 5000])
def test_a_setting_that_is_no_yaml(value: str) -> None:
    with pytest.raises(ConfigError, match="cannot be read as YAML"):
        parse_overrides([f"seed={value}"])


@pytest.mark.parametrize("text", ["- a list", "a: [", "just text", "1: 2"])
def test_a_file_that_is_no_configuration(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"bad\.yaml"):
        load_config(path, {})


def test_settings_without_a_value_and_missing_files() -> None:
    with pytest.raises(ConfigError, match="key=value"):
        parse_overrides(["epochs"])
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(Path("nothing.yaml"), {})
    with pytest.raises(ConfigError, match="not a section"):
        load_config(None, {"seed": 1, "seed.more": 2})
    with pytest.raises(ConfigError, match=r"data\.votes"):
        load_config(None, {"loss.vote_weight": 0.5})


def test_labels_are_smoothed_once() -> None:
    assert load_config(None, {}).loss.smoothing == 0.1
    voted = load_config(None, {"data.votes": "votes.csv", "loss.vote_weight": 0.3})
    assert voted.loss.smoothing == 0.0
    with pytest.raises(ConfigError, match="both soften the labels"):
        load_config(None, {"data.votes": "votes.csv", "loss.vote_weight": 0.3, "loss.label_smoothing": 0.1})


def test_every_teacher_has_a_share_or_none() -> None:
    teachers = {"distillation.teachers": ["a.npz", "b.npz"]}
    assert load_config(None, teachers | {"distillation.shares": [3, 1]}).distillation.shares == (3, 1)
    with pytest.raises(ConfigError, match="one for each"):
        load_config(None, teachers | {"distillation.shares": [1]})
    with pytest.raises(ConfigError, match="greater than 0"):
        load_config(None, teachers | {"distillation.shares": [1, 0]})


def test_runs_of_before_are_read_and_sharpness_aware_steps_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    for value in ("0", "0.0"):
        path.write_text(f'{{"training": {{"epochs": 3, "sharpness": {value}}}}}')
        assert load_config(path, {}) == load_config(None, {"training.epochs": 3})
    for value in (0.05, "0.05", True):
        with pytest.raises(ConfigError, match="sharpness-aware steps were removed"):
            load_config(None, {"training.sharpness": value})
