from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

pytest.importorskip("lightning")

from cmaen.data.faces import load_faces
from cmaen.data.ferplus import CATEGORIES
from cmaen.data.splits import Split
from cmaen.errors import ConfigError
from cmaen.evaluation.photographs import PhotographedFaces
from cmaen.inference.classifier import FaceClassifier
from cmaen.training import ablation, precision
from cmaen.training.ablation import (
    FULL,
    PHOTOGRAPHS,
    VARIANTS,
    Outcome,
    ablate,
    choose_variants,
    describe_budget,
    format_json,
    format_tables,
    make_variant,
)
from cmaen.training.config import Config, change, load_config, read_variants
from cmaen.types import FER2013, PERCEIVED, PERCEIVED_LABELS
from tests.conftest import PLAIN, TINY
from tests.data.test_keys import know

HEADS = "without emotion heads"
TWO = choose_variants([HEADS], VARIANTS)


def config(data: Path, output: Path) -> Config:
    overrides = {
        "data.path": str(data),
        "data.limit": 32,
        "output": str(output),
        "preprocess.image_size": 32,
        "model": PLAIN | {"emotion_heads": True, "fused_channels": 16},
        "training.epochs": 1,
        "training.batch_size": 16,
    }
    return load_config(None, overrides)


def test_the_study_is_made_once_and_tabulated(fer_tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = config(fer_tree, tmp_path)
    monkeypatch.setattr(precision, "processor_capabilities", dict)
    study = ablate(plan, [0, 1], variants=TWO)
    assert list(study) == [FER2013]
    rows = study[FER2013]
    assert [row.variant for row in rows] == [FULL, HEADS]
    assert rows[1].parameters < rows[0].parameters
    assert len(rows[0].accuracies) == 2
    assert rows[0].difference is None
    assert rows[1].difference is not None
    assert rows[1].difference[0] == pytest.approx(rows[1].accuracy - rows[0].accuracy)
    budget = describe_budget(plan, [0, 1])
    assert "32 training images, 1 epoch, 32 pixels" in budget
    assert "the epoch was chosen on the validation split, on which the figures were measured" in budget
    last = change(plan, {"training.keep": "last", "data.inner_validation": True})
    assert "the last epoch was kept, and measured on a held-out tenth of Training" in describe_budget(last, [0])
    assert format_tables(study, budget).count("\n|") == 3
    assert json.loads(format_json(study, budget))["schemes"][FER2013][0]["variant"] == FULL
    monkeypatch.setattr(ablation, "train", None)
    monkeypatch.setattr(precision, "processor_capabilities", lambda: {"amx_bf16": True})  # resumed on another machine
    assert ablate(plan, [0, 1], variants=TWO) == study
    with pytest.raises(ConfigError, match="another configuration"):
        ablate(change(plan, {"training.epochs": 2}), [0])
    other = tmp_path / "other"
    shutil.copytree(fer_tree, other)
    next((other / "validation" / "sad").iterdir()).unlink()
    with pytest.raises(ConfigError, match=r"other data; these differ: validation faces\."):
        ablate(config(other, tmp_path), [0])
    with pytest.raises(ConfigError, match="are not variants"):
        choose_variants(["without everything"], VARIANTS)


def test_what_annotators_see_has_a_table_of_its_own(
    fer_tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sets = [load_faces(fer_tree, split) for split in (Split.TRAIN, Split.VALIDATION)]
    votes = np.zeros((sum(map(len, sets)), len(CATEGORIES)), np.uint8)
    votes[::2, CATEGORIES.index("happiness")], votes[1::2, CATEGORIES.index("unknown")] = 9, 9
    know(sets, votes, tmp_path / "package", monkeypatch)
    plan = change(config(fer_tree, tmp_path / "runs"), {"loss.perceived": 1.0})
    crop = np.full((60, 50, 3), 90, np.uint8)
    photographed = PhotographedFaces([crop, None, crop[:40]], np.array([3, 0, 3]))
    study = ablate(plan, [0], variants=TWO, photographs=photographed)
    assert list(study) == [FER2013, PERCEIVED, PHOTOGRAPHS]
    for row, folder in zip(study[PHOTOGRAPHS], ("the-whole-network-0", "without-emotion-heads-0"), strict=True):
        classifier = FaceClassifier(tmp_path / "runs" / folder / "best", engine="torch")
        answers = classifier([crop, crop[:40]]).argmax(axis=1)
        assert row.accuracy == (answers == 3).sum() / 3, "without a face it is wrong"
    for scheme, happy in ((FER2013, None), (PERCEIVED, PERCEIVED_LABELS.index("happy"))):
        answers = np.load(tmp_path / "runs" / "the-whole-network-0" / "best" / f"predictions-{scheme}.npy")
        assert len(answers) == len(sets[1])
        truth = sets[1].labels if happy is None else np.full(len(answers), happy)
        counted = slice(None) if happy is None else slice(len(sets[0]) % 2, None, 2)
        assert study[scheme][0].accuracy == (answers == truth)[counted].mean()
    tables = format_tables(study, "the budget")
    assert tables.count("\n|") == 12
    assert "The emotion that most annotators see:" in tables
    assert "Labelled photographs" in tables
    assert ablate(plan, [0], variants=TWO, photographs=photographed) == study


def test_a_study_that_was_stopped_goes_on(fer_tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = make_variant(config(fer_tree, tmp_path), FULL, {}, 0)
    calls = []
    monkeypatch.setattr(ablation, "train", lambda config, resume: calls.append(resume))
    ablation._train(plan, None)
    plan.output.mkdir(parents=True)
    (plan.output / "last.ckpt").touch()
    ablation._train(plan, None)
    assert calls == [False, True]


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_differs_by_its_switch_alone(name: str, tmp_path: Path) -> None:
    small = {"model": TINY | {"wiring": "residual"}, "preprocess": {"image_size": 64}}
    full = Config(output=tmp_path, trunk_weights="w.pt", side_weights="e.pt", **small)
    variant = make_variant(full, name, VARIANTS[name], 7)
    values, expected = variant.model_dump(), full.model_dump()
    differing = {f"model.{key}" for key in values["model"] if values["model"][key] != expected["model"][key]}
    assert differing == {key for key in VARIANTS[name] if key.startswith("model.")}
    assert (variant.seed, variant.name, variant.output.parent) == (7, name, tmp_path)
    assert variant.trunk_weights == (None if variant.model.trunk == "ecnn" else "w.pt")
    assert variant.side_weights == (None if variant.model.side is None else "e.pt")


def test_variants_may_learn_from_other_data(fer_tree: Path, tmp_path: Path) -> None:
    shutil.copytree(fer_tree, tmp_path / "larger")
    for path in (tmp_path / "larger").rglob("*.png"):
        with Image.open(path) as face:
            red = ImageOps.colorize(face, "black", "red").resize((96, 96))
        red.save(path)
    file = tmp_path / "variants.yaml"
    file.write_text(
        "plain: {}\nweighted: {augment.weighted: true}\n"
        f"larger: {{data.path: {tmp_path / 'larger'}, preprocess.source_size: null, preprocess.grey: false}}\n"
    )
    plan = config(fer_tree, tmp_path / "runs")
    rows = ablate(plan, [0], variants=read_variants(file))[FER2013]
    assert [row.variant for row in rows] == ["plain", "weighted", "larger"]
    assert rows[1].difference is not None
    for face in (tmp_path / "larger" / "validation" / "sad").iterdir():
        face.rename(tmp_path / "larger" / "validation" / "happy" / face.name)
    shutil.rmtree(tmp_path / "runs" / "larger-0")
    with pytest.raises(ConfigError, match="larger is validated on other faces"):
        ablate(plan, [0], variants=read_variants(file))
    for text, message in (
        ("- 1", "must be a mapping"),
        ("a: 1", "must be a mapping of the keys"),
        ("{}", "no variants"),
    ):
        file.write_text(text)
        with pytest.raises(ConfigError, match=message):
            read_variants(file)


def test_the_figures_of_a_row_by_hand() -> None:
    labels = np.array([0, 1, 2, 3] * 50)
    right, half = np.stack([labels, labels]), np.stack([labels, (labels + 1) % 7])
    row = ablation._row("other", Outcome(half, labels, 5), Outcome(right, labels, 10))
    assert row.accuracies == (1.0, 0.0)
    assert row.accuracy == 0.5
    assert row.difference is not None
    assert row.difference[0] == -0.5
    assert row.difference[1] == (-1, 0)  # the same for every face, but not for every seed


@pytest.mark.parametrize("count", [2, 7, 8, 12])
def test_any_number_of_labels_is_measured(count: int) -> None:
    labels = np.arange(count).repeat(4)
    classes = tuple(f"label {number}" for number in range(count))
    outcome = Outcome(np.stack([labels, np.roll(labels, 1)]), labels, 5, classes)
    row = ablation._row("any", outcome, outcome)
    assert row.accuracies == (1.0, 0.75)
    assert row.macro_f1s[0] == 1
