from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("pydantic")


from pydantic import BaseModel

from cmaen.checkpoints import SHIPPED, Checkpoint
from cmaen.errors import ConfigError
from cmaen.preprocessing import PreprocessSpec
from cmaen.spec import Spec
from cmaen.training.config import Config, load_config, parse_overrides
from cmaen.training.distillation import identify_teacher


def test_the_papers_configuration_holds_the_papers_figures() -> None:
    config = load_config("paper", {})
    training, optimiser, loss = config.training, config.optimiser, config.loss
    assert (training.epochs, training.batch_size, optimiser.learning_rate, optimiser.weight_decay) == (
        150,
        64,
        1e-4,
        1e-3,
    )
    assert (optimiser.t_0, optimiser.t_mult, optimiser.eta_min, optimiser.clip) == (30, 2, 1e-6, 1.0)
    assert training.patience == 15
    assert (loss.label_smoothing, loss.focal, loss.emotion, loss.fusion) == (0.1, 0.3, 0.2, 0.2)
    assert loss.focal_gamma == 2.0
    assert (config.preprocess.image_size, config.model.dropout, config.model.trunk) == (
        224,
        0.5,
        "efficientnet_v2_s",
    )


def test_every_key_is_documented() -> None:
    def undocumented(section: type[BaseModel]) -> list[str]:
        found = []
        for name, field in section.model_fields.items():
            if isinstance(field.annotation, type) and issubclass(field.annotation, Spec):
                found += undocumented(field.annotation)
            elif not field.description and field.annotation is not PreprocessSpec:  # its docstring describes it
                found.append(f"{section.__name__}.{name}")
        return found

    assert not undocumented(Config)


def test_every_mistake_is_reported_at_once(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("seed: -1\ntraining: {epochs: zero, speed: 9}\nmodel: {side: 5}\n")
    with pytest.raises(ConfigError, match=r"4 mistake\(s\)") as caught:
        load_config(path, {})
    for key in ("seed", "training.epochs", "training.speed", "model.side"):
        assert key in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value"), [("name", ""), ("name", " "), ("name", "two\nlines"), ("name", "\ud800"), ("licence", "a\tb")]
)
def test_what_no_card_can_hold_is_said_before_the_training(key: str, value: str) -> None:
    with pytest.raises(ConfigError, match=f"{key}: it is .* must be a single line of text"):
        load_config(None, {key: value})


def test_overrides_win_and_seed_zero_is_a_seed() -> None:
    config = load_config(None, {**parse_overrides(["training.epochs=3", "model.side=null"]), "seed": 0})
    assert (config.seed, config.training.epochs, config.model.side) == (0, 3, None)


def test_null_is_a_value() -> None:
    config = load_config(None, parse_overrides(["model.side=null", "preprocess.source_size="]))
    assert (config.model.side, config.preprocess.source_size) == (None, None)
    with pytest.raises(ConfigError, match=r"training\.epochs"):
        load_config(None, {"training.epochs": None})


@pytest.mark.parametrize("value", ["[1", "{", "2001-99-99", "!!python/object:os.x {}", "\0", "[" * 2000])
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
        load_config(None, {"loss.vote_weight": 0.5, "data.votes": None})


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


WRONG = {
    "attention_heads against fused_channels": ({"attention_heads": 7}, "not a multiple of the 7 attention_heads"),
    "no scales": ({"scales": []}, "model.scales"),
    "both ways": ({"attention": "both_ways", "ecnn_widths": [8, 8, 8, 18]}, "must be a multiple of 4"),
    "both ways with a backbone": (
        {"attention": "both_ways", "attention_heads": 5, "fused_channels": 20, "side": "mobilenet_v1"},
        "side's last map is 1024",
    ),
    "a multiple of 4": ({"attention_heads": 2, "fused_channels": 18}, "requires a multiple of 4"),
    "an unknown pathway": ({"side": "vgg"}, "'vgg' is not a pathway"),
    "a network of timm that is not there": ({"side": "timm/hf_hub:somebody/something"}, "timm has no network"),
    "a network of timm without maps": ({"trunk": "timm/test_vit"}, r"none at \[8, 32\]"),
    "what the paper did not join": ({"wiring": "paper", "side": "sface"}, "the paper's wiring joins a backbone"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_cannot_be_built_is_said_beside_other_mistakes_and_before_data_are_read(wrong: str) -> None:
    changes, message = WRONG[wrong]
    sizes = {"trunk": "mobilenet_v1", "ecnn_stem": "small"}
    with pytest.raises(ConfigError, match=message) as caught:
        load_config(None, {"model": sizes | changes, "training.epochs": 0, "data.path": "nothing"})
    assert "2 mistake(s)" in str(caught.value)
    assert "training.epochs" in str(caught.value)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"preprocess.image_size": 64}, "at least 4 x 4 keys"),
        ({"preprocess.image_size": 40}, "multiple of 16"),
        ({"preprocess.size": 64}, r"preprocess\.size"),
        ({"preprocess.source_size": 4}, "source_size is 4"),
        ({"training.frozen_stages": 9}, "frozen_stages is 9; the trunk efficientnet_v2_s has 8 stages"),
        ({"model.trunk": "timm/test_resnet", "training.frozen_stages": 1}, "has no stages that can be frozen"),
        ({"training.batch_size": 9, "training.devices": 2}, "a batch of 9 cannot be divided evenly among 2 processes"),
        ({"training.device": "cuda:1", "training.devices": 2}, "cannot share cuda:1"),
        ({"augment.source_sides": [64, 32]}, "must not exceed"),
        ({"model.side": None, "side_weights": "x"}, "the network has no side: leave out side_weights"),
        ({"initial_weights": "x", "side_weights": "x"}, "already contain a side: leave out side_weights"),
        ({"loss.focal": float("inf")}, r"loss\.focal"),
    ],
    ids=str,
)
def test_what_does_not_fit_together_is_said_before_data_are_read(overrides: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config(None, overrides)


def test_mistakes_across_sections_are_said_together() -> None:
    wrong = {"loss.vote_weight": 0.9, "loss.focal": -1, "distillation.shares": [1], "preprocess.image_size": 33}
    wrong |= {"model.attention_heads": 7, "model.dropout": 2, "model.ecnn_widths": [8, 8, 8, 9]}
    wrong |= {"model.attention": "both_ways", "augment.mixup": -1, "training.batch_size": 9, "training.devices": 2}
    with pytest.raises(ConfigError, match=r"9 mistake\(s\)") as caught:
        load_config(None, wrong | {"training.epochs": 0})
    keys = ("loss.focal", "shares", "image_size", "attention_heads", "model.dropout", "ecnn_widths", "augment.mixup")
    for key in (*keys, "batch of 9", "training.epochs"):
        assert key in str(caught.value)


def test_a_configuration_comes_back_from_its_file(tmp_path: Path) -> None:
    config = load_config(None, {"model.trunk": "timm/test_resnet", "preprocess.mean": [0.5, 0.5, 0.5]})
    (tmp_path / "config.json").write_text(config.model_dump_json())
    assert load_config(tmp_path / "config.json", {}) == config
    assert isinstance(config.preprocess, PreprocessSpec)


def test_runs_of_before_this_form_are_named_key_by_key(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text('{"model": {"backbone": "mobilenet_v1"}, "training": {"learning_rate": 0.1}}')
    with pytest.raises(ConfigError, match=r"2 mistake\(s\)") as caught:
        load_config(path, {})
    assert "model.backbone" in str(caught.value)
    assert "training.learning_rate" in str(caught.value)


def test_checkpoints_are_named_as_on_the_command_line(tmp_path: Path) -> None:
    address = "https://example.org/model.zip#sha256=" + 64 * "0"
    plan = load_config(None, {"initial_weights": address, "distillation.teachers": [address, SHIPPED, tmp_path]})
    assert plan.initial_weights == address
    assert plan.distillation.teachers == (address, SHIPPED, str(tmp_path))
    assert [identify_teacher(name) for name in (SHIPPED, Checkpoint.open().folder)] == [identify_teacher("shipped")] * 2


def test_names_of_labels_are_pairs_that_come_back(tmp_path: Path) -> None:
    config = load_config(None, {"data.names": {1: "surprise", "0": "angry", 10: "sad"}})
    assert config.data.names == (("0", "angry"), ("1", "surprise"), ("10", "sad"))
    assert hash(config.data)
    path = tmp_path / "config.json"
    path.write_text(config.model_dump_json())
    assert load_config(path, {}).data == config.data
    assert load_config(None, parse_overrides(["data.names={1: surprise}"])).data.names == (("1", "surprise"),)
    assert load_config(None, {}).data.names == ()
    for names in ({1: ""}, {1: "joy", "1": "sad"}, "1=surprise", 7):
        with pytest.raises(ConfigError, match=r"data\.names: .*names must map labels to names"):
            load_config(None, {"data.names": names})
