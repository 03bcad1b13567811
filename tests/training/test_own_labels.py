"""From an empty folder to an answer with custom labels, using the command line; tests/test_notebook.py also exports."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

pytest.importorskip("lightning")
pytest.importorskip("matplotlib")

from cmaen import EmotionPredictor
from cmaen.checkpoints import Checkpoint
from cmaen.types import OWN
from tests.test_cli import cmaen

SHAPES = ("circle", "cross", "stripes")


def drawing(shape: str, rng: np.random.Generator) -> Image.Image:
    side = int(rng.integers(40, 90))
    picture = Image.new("RGB", (side, side + 6), tuple(rng.integers(0, 120, 3).tolist()))
    pen = ImageDraw.Draw(picture)
    light = tuple(rng.integers(150, 256, 3).tolist())
    if shape == "circle":
        pen.ellipse((8, 8, side - 8, side - 8), fill=light)
    elif shape == "cross":
        pen.line((5, 5, side - 5, side - 5), fill=light, width=9)
        pen.line((side - 5, 5, 5, side - 5), fill=light, width=9)
    else:
        for top in range(4, side, 14):
            pen.rectangle((0, top, side, top + 6), fill=light)
    return picture


def test_the_shipped_weights_learn_three_labels_of_ones_own(tmp_path: Path, quick_report: None) -> None:
    rng = np.random.default_rng(0)
    data, run = tmp_path / "data", tmp_path / "run"
    for shape in SHAPES:
        (data / shape).mkdir(parents=True)
        for number in range(12):
            drawing(shape, rng).save(data / shape / f"{number}.jpg")
    (data / "circle" / "broken.jpg").write_bytes(b"nothing")
    settings = ("--set", "training.precision=32-true", "--batch-size", 8)
    said = cmaen("train", "--data", data, "--output", run, "--epochs", 3, *settings)
    assert "1 unreadable images are left out" in said
    best = run / "best"
    for command in (
        f"test --checkpoint {best} --data {data}",
        f"export --checkpoint {best}",
        "predict PHOTO --checkpoint",
    ):
        assert f"  cmaen {command}" in said
    opened = Checkpoint.open(best)
    card = opened.card
    assert card.labels == SHAPES
    assert card.preprocess == Checkpoint.open().card.preprocess
    assert opened.metrics.splits["validation"]["torch"].schemes[OWN].accuracy > 0.6
    report = tmp_path / "report"
    text = cmaen("test", "--checkpoint", run / "best", "--data", data, "--output", report)
    assert "stripes" in text
    assert "stripes" in (report / "report.html").read_text()
    cmaen("calibrate", "--checkpoint", run / "best", "--data", data)
    photo, table = tmp_path / "photo.png", tmp_path / "answers.csv"
    drawing("circle", rng).save(photo)
    cmaen("inference", "--image", photo, "--no-detect", "--checkpoint", run / "best", "--output", table)
    assert table.read_text().splitlines()[0].endswith("confidence,circle,cross,stripes")
    predictor = EmotionPredictor(run / "best")
    answer = predictor.predict_single(str(photo), detect=False)
    assert set(answer["probabilities"]) == set(SHAPES)
    assert sum(answer["probabilities"].values()) == pytest.approx(1)
    assert len(predictor.get_top_k_predictions(str(photo), k=3, detect=False)) == 3
    assert json.loads(json.dumps(answer)) == answer
