from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cmaen import EmotionPredictor
from tests.conftest import EXAMPLES
from tests.test_cli import cmaen


def test_faces_are_cut_out_as_prediction_does(tmp_path: Path) -> None:
    photos, faces = tmp_path / "photos", tmp_path / "faces"
    (photos / "happy").mkdir(parents=True)
    shutil.copy(EXAMPLES / "astronaut.png", photos / "happy" / "one.png")
    with Image.open(EXAMPLES / "astronaut.png") as photo:
        pair = Image.new("RGB", (2 * photo.width, photo.height))
        pair.paste(photo.resize((photo.width // 2, photo.height // 2)), (0, 0))
        pair.paste(photo, (photo.width, 0))
        pair.save(photos / "happy" / "two.jpg")
        Image.new("RGB", (90, 90)).save(photos / "nobody.png")
    (photos / "broken.png").write_bytes(b"nothing")
    said = cmaen("crop", "--input-dir", photos, "--output-dir", faces)
    assert "broken.png" in said
    written = sorted(path.relative_to(faces).as_posix() for path in faces.rglob("*") if path.is_file())
    assert written == ["happy/one.png", "happy/two.png"]
    crop = np.asarray(Image.open(faces / "happy" / "one.png"))
    predictor = EmotionPredictor()
    whole = predictor.predict_single(str(EXAMPLES / "astronaut.png"))
    assert predictor.predict_single(crop, detect=False)["probabilities"] == pytest.approx(whole["probabilities"])
    cmaen("crop", "--input-dir", photos, "--output-dir", faces, "--every")
    assert (faces / "happy" / "two-1.png").is_file()
