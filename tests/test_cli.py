from __future__ import annotations

import csv
import io
import json
import logging
import os
import shutil
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from PIL import Image

from cmaen.cli import main
from cmaen.inference import benchmark
from tests.conftest import EXAMPLES, PLAIN

TERMINAL = {"COLUMNS": "160", "NO_COLOR": "1"}


def cmaen(*arguments: str | Path | float, code: int = 0) -> str:
    """Run the command line in this process; return its output and errors together."""
    said = io.StringIO()
    with (
        patch.object(sys, "argv", ["cmaen", *map(str, arguments)]),
        patch.dict(os.environ, TERMINAL),
        patch.object(logging.getLogger(), "handlers", []),  # sets up the log again, with the captured streams
        redirect_stdout(said),
        redirect_stderr(said),
        pytest.raises(SystemExit) as end,
    ):
        main()
    assert (end.value.code or 0) == code, said.getvalue()
    return said.getvalue()


def cmaen_process(*arguments: str | Path | float, code: int = 0, **environment: str) -> str:
    """Run the command line in a process of its own."""
    result = subprocess.run(
        [sys.executable, "-m", "cmaen", *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, **TERMINAL, **environment},
    )
    assert result.returncode == code, result.stdout + result.stderr
    return result.stdout + result.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write three crops, two bad files, a note, and a picture in a subfolder."""
    root = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for name in ("a.png", "c.jpg", "below/d.png"):
        (root / name).parent.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (48, 48, 3), dtype=np.uint8)).save(root / name)
    (root / "b.png").write_text("text")
    (root / "e.jpg").touch()
    (root / "notes.txt").write_text("no image by its name")
    return root


def test_help_names_every_verb() -> None:
    text = cmaen("--help")
    for verb in ("train", "test", "inference", "export", "benchmark", "leaks"):
        assert verb in text


def test_one_image_to_table_picture_and_json(tmp_path: Path) -> None:
    output, picture = tmp_path / "faces.json", tmp_path / "annotated.png"
    image = EXAMPLES / "astronaut.png"
    text = cmaen("inference", "--image", image, "--output", output, "--annotated", picture)
    assert "happy" in text
    (result,) = json.loads(output.read_text())
    assert (result["path"], result["status"], result["predicted_emotion"]) == (str(image), "ok", "happy")
    assert (np.asarray(Image.open(picture)) != np.asarray(Image.open(image).convert("RGB"))).any()


def test_an_image_is_never_drawn_over(tmp_path: Path) -> None:
    image = tmp_path / "photo.png"
    image.write_bytes((EXAMPLES / "astronaut.png").read_bytes())
    text = cmaen("inference", "--image", image, "--annotated", image)
    assert "is the image itself" in text
    assert image.read_bytes() == (EXAMPLES / "astronaut.png").read_bytes()


def test_a_folder_keeps_its_order_and_names_its_errors(folder: Path, tmp_path: Path) -> None:
    for suffix in ("json", "jsonl", "csv"):
        cmaen(
            "inference", "--directory", folder, "--no-detect", "--output", tmp_path / f"r.{suffix}", "--batch-size", 2
        )
    results = json.loads((tmp_path / "r.json").read_text())
    assert [Path(r["path"]).name for r in results] == ["a.png", "b.png", "d.png", "c.jpg", "e.jpg"]
    assert [r["status"] for r in results] == ["ok", "error", "ok", "ok", "error"]
    assert [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()] == results
    rows = list(csv.DictReader((tmp_path / "r.csv").open()))
    assert [row["path"] for row in rows] == [r["path"] for r in results]
    assert float(rows[0]["confidence"]) == pytest.approx(results[0]["confidence"], rel=1e-4)
    assert rows[1]["error"].startswith("UnreadableImageError")


def test_what_cannot_be_done_is_one_clear_line(folder: Path, tmp_path: Path) -> None:
    image = EXAMPLES / "astronaut.png"
    assert "one of --image, --directory" in cmaen("inference", code=2)
    assert ".jsonl" in cmaen("inference", "--image", image, "--output", "results.xml", code=2)
    assert "cannot be created" in cmaen("inference", "--image", image, "--output", image / "results.json", code=2)
    assert "is not a folder" in cmaen("inference", "--directory", image, code=2)
    assert "contains no images" in cmaen("inference", "--directory", tmp_path, code=2)
    assert "is not a checkpoint" in cmaen("inference", "--image", image, "--checkpoint", tmp_path, code=2)
    assert "does not exist" in cmaen("inference", "--image", tmp_path / "nothing.png", code=1)
    assert "not a face detector" in cmaen("inference", "--image", image, "--detector", "eyes", code=2)
    assert "Traceback" not in cmaen("test", "--data", tmp_path / "nothing", code=2)


def test_the_shipped_weights_can_be_measured(fer_tree: Path) -> None:
    text = cmaen("test", "--data", fer_tree)
    assert "accuracy" in text
    assert "too few to tell" in text


def test_everything_that_can_be_measured_is_reported(
    fer_tree: Path, tmp_path: Path, checkpoint: Path, quick_report: None
) -> None:
    pytest.importorskip("matplotlib")
    output = tmp_path / "report"
    cmaen("test", "--data", fer_tree, "--checkpoint", checkpoint, "--tta", "--robustness", "--output", output)
    figures = json.loads((output / "metrics.json").read_text())
    assert figures["split"] == "PublicTest"
    assert figures["headlines"]["all faces"]["count"] == 21
    assert figures["headlines"]["without exact copies"]["count"] <= 21
    assert figures["with_test_time_augmentation"]["headlines"]["all faces"]["count"] == 21
    assert len(figures["robustness"]["fer2013"]["accuracy"]) == 8
    assert len(list(csv.DictReader((output / "predictions.csv").open()))) == 21
    assert "Where it looks" in (output / "report.html").read_text()


def test_what_cannot_be_measured_is_one_clear_line(fer_tree: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    assert "is not a split" in cmaen("test", "--data", fer_tree, "--split", "dev", code=2)
    assert "is not a checkpoint" in cmaen("test", "--data", fer_tree, "--checkpoint", tmp_path / "empty", code=2)
    assert "error:" in cmaen("test", "--data", tmp_path / "empty", code=2)
    assert "is not a folder" in cmaen("test", "--data", fer_tree, "--output", tmp_path / "file", code=2)


def test_a_temperature_is_fitted_and_kept(fer_tree: Path, tmp_path: Path, checkpoint: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(checkpoint, folder)
    assert "cross-fitted" in cmaen("calibrate", "--data", fer_tree, "--checkpoint", folder)
    card = json.loads((folder / "card.json").read_text())
    assert card["schemes"]["fer2013"]["temperature"] != 1.0
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["calibration"]["fer2013"]["faces"] <= 21
    assert "accuracy" in cmaen("test", "--data", fer_tree, "--checkpoint", folder)


def test_training_measuring_and_exporting(fer_tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("lightning")
    monkeypatch.setattr(benchmark, "TRIES", 2)
    run = tmp_path / "run"
    tiny = [*(f"model.{key}={json.dumps(value)}" for key, value in PLAIN.items()), "preprocess.image_size=32"]
    settings = [part for setting in tiny for part in ("--set", setting)]
    options = ["--config", "paper", "--epochs", 1, "--batch-size", 16, "--seed", 0, *settings]
    said = cmaen("train", "--data", fer_tree, "--output", run, *options)
    assert str(run / "best") in said
    assert "epoch 1 of 1: loss" in said
    assert json.loads((run / "best" / "card.json").read_text())["architecture"]["trunk"] == "ecnn"
    assert "--resume" in cmaen("train", "--data", fer_tree, "--output", run, *options, code=2)
    assert "agree" in cmaen("export", "--checkpoint", run / "best")
    assert "accuracy" in cmaen("test", "--data", fer_tree, "--checkpoint", run / "best")
    assert "GFLOP/s" in cmaen(
        "benchmark", "--checkpoint", run / "best", "--batch-size", 2, "--output", tmp_path / "speed.json"
    )
    (speed,) = json.loads((tmp_path / "speed.json").read_text())["speeds"]
    assert (speed["engine"], speed["batch_size"]) == ("onnx", 2)
    assert speed["faces_per_second"] == pytest.approx(2000 / speed["milliseconds"])
    assert 20 < speed["peak_mib"] < 4000
    assert speed["arithmetic_limit"] > 0
    assert speed["memory_limit"] > 0


def test_leaks_are_listed(fer_tree: Path, tmp_path: Path) -> None:
    output = tmp_path / "pairs.csv"
    assert "of 21 images of PublicTest" in cmaen("leaks", "--data", fer_tree, "--output", output)
    assert output.read_text().startswith("kind,first,first_label,second,second_label,correlation")


def test_a_process_ends_with_a_status_and_one_line(tmp_path: Path) -> None:
    said = cmaen_process("inference", "--directory", tmp_path / "nothing", code=2)
    assert said.startswith("error: ")
    assert said.count("\n") == 1


WITHOUT_PYTORCH = """
import sys
from cmaen.cli import main

for verb in (["inference", "--image", sys.argv[1]], ["test", "--data", sys.argv[2]]):
    sys.argv[1:] = verb
    try:
        main()
    except SystemExit as end:
        assert not end.code
assert "torch" not in sys.modules
"""


def test_neither_predicting_nor_measuring_needs_pytorch(fer_tree: Path) -> None:
    subprocess.run([sys.executable, "-c", WITHOUT_PYTORCH, EXAMPLES / "astronaut.png", fer_tree], check=True)
