"""``cmaen test`` and ``calibrate`` on data that lack some splits."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import click
import pytest
from PIL import Image

pytest.importorskip("torch")
pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")

from cmaen.checkpoints import Checkpoint
from cmaen.cli import evaluation
from cmaen.cli.evaluation import calibrate
from cmaen.data.splits import Split
from cmaen.errors import OutputError, SplitError
from cmaen.evaluation import assessment
from cmaen.evaluation.report import TITLES
from cmaen.evaluation.splits import exclude_copies, load_split
from cmaen.evaluation.theme import theme
from cmaen.inference import benchmark
from tests.test_cli import cmaen


def measure(**options: object) -> None:
    """Run ``cmaen test`` as the command line does."""
    with click.Context(click.Command("test")) as context:
        evaluation.test(context, **options)


@pytest.fixture
def alone(fer_tree: Path, tmp_path: Path) -> Path:
    """Write a FER2013 that contains only the validation split."""
    shutil.copytree(fer_tree / "validation", tmp_path / "data" / "validation")
    return tmp_path / "data"


def test_the_report_says_what_it_leaves_out(
    alone: Path, checkpoint: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, quick_report: None
) -> None:
    measure(data=alone, checkpoint=checkpoint, output=tmp_path / "report")
    assert "figures without copies are omitted" in caplog.text
    figures = json.loads((tmp_path / "report" / "metrics.json").read_text())
    assert list(figures["headlines"]) == ["all faces"]
    assert [latency["batch_size"] for latency in figures["cost"]["latencies"]] == list(benchmark.COST_RUNS)
    assert figures["cost"]["precision"] == "fp16"
    page = (tmp_path / "report" / "report.html").read_text()
    drawn = {file.stem for file in (tmp_path / "report" / "pictures").glob("*.png")}
    assert {"maps", "samples", "roc"} <= drawn
    assert "scatter" not in drawn  # of so few faces
    assert theme((tmp_path / "report" / "pictures" / "roc.svg").read_text().partition("?>\n")[2], TITLES["roc"]) in page
    assert f"<code>{alone}</code>" in page
    assert "21 faces named like FER2013&#39;s PublicTest" in page
    assert figures["origin"]["data"] == str(alone)
    for mistake in re.findall(r'<a href="([^"#][^"]*)"', page):
        assert (tmp_path / "report" / mistake).is_file()
    assert page.count('<a href="../data/validation/') > 10
    with pytest.raises(SplitError, match="split train"):
        measure(data=alone, checkpoint=checkpoint, without_copies=True)


def test_a_temperature_can_be_fitted_without_training(
    alone: Path,
    checkpoint: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    folder = tmp_path / "checkpoint"
    shutil.copytree(checkpoint, folder)
    calibrate(data=alone, checkpoint=folder)
    assert "with copies in the training split are not left out" in caplog.text
    assert "21 faces of PublicTest with copies" in capsys.readouterr().out
    assert Checkpoint.open(folder).metrics.calibration["fer2013"].copies == "with"


def test_a_split_of_copies_alone(
    alone: Path, checkpoint: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "checkpoint"
    shutil.copytree(checkpoint, folder)
    shutil.copytree(alone / "validation", alone / "train")
    for file in (alone / "train").rglob("PublicTest_*"):
        file.rename(file.with_name(file.name.replace("PublicTest", "Training")))
    calibrate(data=alone, checkpoint=folder)
    assert "every face of PublicTest has a copy in Training" in caplog.text


@pytest.fixture
def plain(fer_tree: Path, tmp_path: Path) -> Path:
    """Write a tree of train and test whose files have no official prefixes."""
    for split in ("train", "test"):
        for file in sorted((fer_tree / split).rglob("*.png")):
            target = tmp_path / "plain" / split / file.parent.name / file.name.partition("_")[2]
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, target)
    return tmp_path / "plain"


def test_without_a_validation_split_the_test_split_is_measured(
    plain: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    measure(data=plain, checkpoint=checkpoint)
    assert "no validation split, so its test split is measured" in caplog.text
    assert "14 faces" in capsys.readouterr().out
    measure(data=plain, checkpoint=checkpoint, split="validation")
    assert "7 faces" in capsys.readouterr().out


def test_that_validation_is_drawn_is_said_without_being_asked(plain: Path, checkpoint: Path) -> None:
    said = cmaen("test", "--data", plain, "--checkpoint", checkpoint, "--split", "validation")
    assert "there is no validation split: 7 of the 56 training faces are drawn for it" in said


def test_copies_of_the_inner_split_are_looked_for_in_the_rest_of_training(fer_tree: Path, checkpoint: Path) -> None:
    card = Checkpoint.open(checkpoint).card
    inner = load_split(card, fer_tree, " INNER ")
    subsets = exclude_copies(inner, card, fer_tree, "inner")
    assert {len(subset) for subset in subsets.values()} == {len(inner)}
    assert load_split(card, fer_tree, None).split is Split.VALIDATION


def test_faces_of_one_size_that_is_not_square_are_measured_under_corruptions(
    plain: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assessment, "SEVERITIES", (1, 5))
    for path in plain.rglob("*.png"):
        with Image.open(path) as image:
            tall = image.resize((40, 60))
        tall.save(path)
    measure(data=plain, checkpoint=checkpoint, robustness=True)
    assert "crop jitter" in capsys.readouterr().out


def test_leaks_are_found_whatever_the_labels(tmp_path: Path, fer_tree: Path) -> None:
    for split in ("train", "test"):
        for name, number in (("pain", 0), ("engaged", 1)):
            folder = tmp_path / split / name
            folder.mkdir(parents=True)
            shutil.copy(sorted((fer_tree / "train" / "sad").iterdir())[number], folder / "1.png")
    assert "exact: 2 pairs" in cmaen("leaks", "--data", tmp_path, "--first", "train", "--second", "test")


def test_every_result_names_its_checkpoint(
    alone: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    measure(data=alone, checkpoint=checkpoint)
    assert f"checkpoint: tiny, {checkpoint}\n" in capsys.readouterr().out
    measure(data=alone)
    assert "checkpoint: cmaen-m" in (said := capsys.readouterr().out)
    assert "comes with this package; --checkpoint names another" in said


def test_a_calibration_on_few_faces_is_near_one_and_says_so(
    alone: Path, checkpoint: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "checkpoint"
    shutil.copytree(checkpoint, folder)
    calibrate(data=alone, checkpoint=folder)
    assert "is fitted on only 21 faces and is therefore kept near 1" in caplog.text
    assert 0.3 < Checkpoint.open(folder).card.schemes["fer2013"].temperature < 3


def test_a_report_does_not_replace_the_metrics_of_a_checkpoint(alone: Path, checkpoint: Path) -> None:
    before = Checkpoint(checkpoint).documents
    with pytest.raises(OutputError, match="holds a checkpoint"):
        measure(data=alone, checkpoint=checkpoint, output=checkpoint)
    assert Checkpoint(checkpoint).documents == before
