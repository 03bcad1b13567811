from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from cmaen import EmotionPredictor
from cmaen.checkpoints import Checkpoint
from cmaen.serving.app import create_app
from cmaen.serving.settings import Settings
from tests.conftest import EXAMPLES, change_card
from tests.enhance.test_prediction import CHAIN
from tests.serving.conftest import files, one_core, wait_until_ready


@pytest.fixture
def enhanced(tmp_path: Path) -> Path:
    folder = Path(shutil.copytree(Checkpoint.open().folder, tmp_path / "copy"))
    change_card(folder, enhancement=CHAIN)
    return folder


def test_a_server_enhances_faces(enhanced: Path) -> None:
    photograph = EXAMPLES / "astronaut.png"
    expected = EmotionPredictor(enhanced, threads=1).predict_single(photograph)
    with TestClient(create_app(Settings(pipeline=one_core(checkpoint=enhanced)))) as client:
        wait_until_ready(client)
        (answer,) = client.post("/v1/predict", files=files(photograph.read_bytes())).json()
    assert answer["faces"][0]["probabilities"] == pytest.approx(expected["faces"][0]["probabilities"], abs=1e-3)


def test_a_server_that_cannot_enhance_says_why(enhanced: Path) -> None:
    change_card(enhanced, enhancement=("faces 48-grey", f"colorization {'0' * 16}"))
    with TestClient(create_app(Settings(pipeline=one_core(checkpoint=enhanced)))) as client:
        for _ in range(200):
            refused = client.get("/readyz")
            if "loading" not in refused.text:
                break
            time.sleep(0.05)
        assert refused.status_code == 503
        assert "weights that are not here" in refused.text
