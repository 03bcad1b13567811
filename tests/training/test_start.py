"""``cmaen train`` without a configuration: it fine-tunes, by the recipe of ``cmaen finetune``, and resumes its runs."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("lightning")

from cmaen.checkpoints import SHIPPED, Checkpoint
from cmaen.cli.runs import plan_fine_tuning
from cmaen.errors import ConfigError
from cmaen.training.config import Config, configure_fine_tuning, load_config
from cmaen.types import EMOTIONS
from tests.test_cli import cmaen
from tests.training.test_finetune import draw


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Config, bool]]:
    """Plans of the runs that a command would start, and whether it would resume them."""
    plans: list[tuple[Config, bool]] = []

    def keep(plan: Config, *, resume: bool = False) -> Path:
        plans.append((plan, resume))
        return plan.output / "best"

    monkeypatch.setattr("cmaen.training.run.train", keep)
    return plans


def test_without_a_configuration_the_shipped_weights_are_fine_tuned(
    fer_tree: Path, plans: list[tuple[Config, bool]]
) -> None:
    cmaen("train", "--data", fer_tree, "--epochs", 3)
    ((plan, _),) = plans
    recipe = configure_fine_tuning(SHIPPED)
    assert Path(str(plan.initial_weights)) == Checkpoint.open().folder
    assert plan.data.labels is None, "the heads of the seven emotions are kept"
    assert (plan.model, plan.optimiser, plan.preprocess) == (recipe.model, recipe.optimiser, recipe.preprocess)
    assert (plan.training.epochs, plan.training.batch_size) == (3, recipe.training.batch_size)


def test_labels_of_ones_own_are_learnt_unless_some_are_named(
    tmp_path: Path, checkpoint: Path, plans: list[tuple[Config, bool]]
) -> None:
    data = draw(tmp_path / "data", (*EMOTIONS, "bored"), 1)
    for settings in ((), ("--set", "data.labels=[happy, sad]"), ("--set", "data.labels=null")):
        cmaen("train", "--data", data, "--initial-weights", checkpoint, *settings)
    assert [plan.data.labels for plan, _ in plans] == ["all", ("happy", "sad"), None]
    assert {plan.initial_weights for plan, _ in plans} == {str(checkpoint)}


def test_finetune_and_train_make_the_same_plan(
    tmp_path: Path, checkpoint: Path, plans: list[tuple[Config, bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = draw(tmp_path / "data", ("calm", "upset"), 1)
    for step in ("_export", "_calibrate", "_test", "_show"):
        monkeypatch.setattr(f"cmaen.cli.finetune.{step}", lambda *_: None)
    options = ("--output", tmp_path / "run", "--seed", 3, "--learning-rate", 1e-4)
    cmaen("finetune", data, "--checkpoint", checkpoint, *options)
    cmaen("train", "--data", data, "--initial-weights", checkpoint, *options, "--set", "name=run")
    (one, _), (other, _) = plans
    assert one == other


def test_a_configuration_is_taken_as_it_is(fer_tree: Path, plans: list[tuple[Config, bool]]) -> None:
    cmaen("train", "--config", "paper", "--data", fer_tree)
    ((plan, _),) = plans
    assert plan == load_config("paper", {"data.path": fer_tree})
    assert plan.initial_weights is None
    for given, said in {"": "choose from", "configs/paper.yaml": "is named paper"}.items():
        assert said in cmaen("train", "--config", given, "--data", fer_tree, code=2)
    assert len(plans) == 1


@pytest.mark.parametrize("config", [None, "paper"])
def test_a_run_is_resumed_with_the_configuration_that_it_began_with(
    config: str | None, fer_tree: Path, tmp_path: Path, plans: list[tuple[Config, bool]]
) -> None:
    run = tmp_path / "run"
    cmaen("train", *(() if config is None else ("--config", config)), "--data", fer_tree, "--output", run, "--seed", 9)
    ((plan, resumed),) = plans
    assert not resumed
    run.mkdir()
    (run / "config.json").write_text(plan.model_dump_json())
    cmaen("train", "--output", run, "--resume")
    assert plans[1:] == [(plan, True)]


@pytest.mark.parametrize("setting", ["output=5", "data.path=5", "initial_weights=5", "data=[]", "data.labels=5"])
@pytest.mark.parametrize("more", [(), ("--resume",)])
def test_a_setting_of_the_wrong_kind_is_one_clear_line(setting: str, more: tuple[str, ...], fer_tree: Path) -> None:
    said = cmaen("train", "--data", fer_tree, "--set", setting, *more, code=2)
    assert setting.partition("=")[0] in said


def test_nothing_to_resume_is_told(fer_tree: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert "nothing to resume" in cmaen("train", "--data", fer_tree, "--output", run, "--resume", code=2)
    assert not run.exists()


@pytest.mark.parametrize("role", ["trunk", "side"])
def test_fine_tuning_takes_no_other_pathway(role: str, fer_tree: Path) -> None:
    said = cmaen("train", "--data", fer_tree, f"--{role}-weights", "installed", code=2)
    assert f"takes no --{role}-weights" in said
    assert "--config" in said
    with pytest.raises(ConfigError, match="takes no --trunk-weights"):
        plan_fine_tuning(SHIPPED, {"data.path": fer_tree, "trunk_weights": "installed"})


def test_data_without_labels_are_told_before_anything_is_written(tmp_path: Path) -> None:
    flat = draw(tmp_path, ("flat",), 3) / "flat"
    assert "no class folders" in cmaen("train", "--data", flat, "--output", tmp_path / "run", code=2)
    assert not (tmp_path / "run").exists()
