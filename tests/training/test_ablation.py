from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("lightning")

from cmaen.config import Config, ModelConfig, load_config
from cmaen.errors import ConfigError
from cmaen.training import ablation, precision
from cmaen.training.ablation import FULL, VARIANTS, Outcome, ablate, as_json, budget_of, markdown, variant_of
from cmaen.training.record import Sources
from tests.conftest import TINY

HEADS = "without emotion heads"


def config(data: Path, output: Path) -> Config:
    overrides = {
        "data.path": str(data),
        "data.limit": 32,
        "output": str(output),
        "preprocess.image_size": 64,
        "model": dict(TINY),
        "training.epochs": 1,
        "training.batch_size": 16,
    }
    return load_config(None, overrides)


def test_the_study_is_made_once_and_tabulated(fer_tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = config(fer_tree, tmp_path)
    monkeypatch.setattr(precision, "processor_capabilities", dict)
    rows = ablate(plan, [0, 1], variants=[HEADS])
    assert [row.variant for row in rows] == [FULL, HEADS]
    assert rows[1].parameters < rows[0].parameters
    assert len(rows[0].accuracies) == 2
    assert rows[0].difference is None
    assert rows[1].difference is not None
    assert rows[1].difference[0] == pytest.approx(rows[1].accuracy - rows[0].accuracy)
    budget = budget_of(plan, [0, 1])
    assert "32 images of Training, 1 epochs, 64 pixels" in budget
    assert markdown(rows, budget).count("\n|") == 3
    assert json.loads(as_json(rows, budget))["rows"][0]["variant"] == FULL
    monkeypatch.setattr(ablation, "train", None)
    monkeypatch.setattr(precision, "processor_capabilities", lambda: {"amx_bf16": True})  # it goes on elsewhere
    assert ablate(plan, [0, 1], variants=[HEADS]) == rows
    with pytest.raises(ConfigError, match="another configuration"):
        ablate(plan.model_copy(update={"training": plan.training.model_copy(update={"epochs": 2})}), [0])
    other = tmp_path / "other"
    shutil.copytree(fer_tree, other)
    next((other / "validation" / "sad").iterdir()).unlink()
    with pytest.raises(ConfigError, match="other data, for these differ: PublicTest;"):
        ablate(config(other, tmp_path), [0])
    with pytest.raises(ConfigError, match="no variants"):
        ablate(plan, [0], variants=["without everything"])


def test_a_study_that_was_stopped_goes_on(fer_tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = variant_of(config(fer_tree, tmp_path), FULL, 0)
    calls = []
    monkeypatch.setattr(ablation, "train", lambda config, resume: calls.append(resume))
    nothing = Sources("", "", None, ())
    ablation._train(plan, nothing)
    plan.output.mkdir(parents=True)
    (plan.output / "last.ckpt").touch()
    ablation._train(plan, nothing)
    assert calls == [False, True]


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_differs_by_its_switch_alone(name: str, tmp_path: Path) -> None:
    full = Config(output=tmp_path, backbone_weights="w.pt", model=ModelConfig(wiring="residual"))
    values, expected = variant_of(full, name, 7).model_dump(), full.model_dump()
    changed = {key for key in values["model"] if values["model"][key] != expected["model"][key]}
    assert changed == set(VARIANTS[name])
    assert (values["seed"], values["name"]) == (7, name)
    assert values["backbone_weights"] == (None if values["model"]["backbone"] is None else "w.pt")
    assert values["output"].parent == tmp_path


def test_the_figures_of_a_row_by_hand() -> None:
    labels = np.array([0, 1, 2, 3] * 50)
    right, half = np.stack([labels, labels]), np.stack([labels, (labels + 1) % 7])
    full, other = Outcome(right, 10), Outcome(half, 5)
    row = ablation._row("other", other, full, labels)
    assert row.accuracies == (1.0, 0.0)
    assert row.accuracy == 0.5
    assert row.difference is not None
    assert row.difference[0] == -0.5
    assert row.difference[1] == (-1, 0)  # the same for every face, and not for every seed
