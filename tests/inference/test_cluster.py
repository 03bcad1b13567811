from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from PIL import Image

ray = pytest.importorskip("ray")

from cmaen.inference.cluster import images_at, predict_on_ray  # noqa: E402
from cmaen.inference.predictor import EmotionPredictor  # noqa: E402
from tests.conftest import EXAMPLES  # noqa: E402
from tests.test_cli import cmaen  # noqa: E402


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.init(num_cpus=2, log_to_driver=False, include_dashboard=False)
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 faces, each a little different, and two files that are no images."""
    folder = tmp_path_factory.mktemp("faces")
    face = Image.open(EXAMPLES / "astronaut.png").convert("RGB").crop((160, 50, 290, 190))
    for number in range(40):
        face.rotate(number).save(folder / f"{number:02}.png")
    (folder / "10a.jpg").write_bytes(b"no image")
    (folder / "20a.png").write_bytes(b"")
    return folder


def alone(faces: Path) -> list[dict[str, object]]:
    paths = sorted(faces.iterdir())
    return EmotionPredictor(detector="haar").predict_batch(paths, detect=False)


def same(one: list[dict], other: list[dict]) -> None:
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        assert (a["status"], a["predicted_emotion"]) == (b["status"], b["predicted_emotion"])
        assert str(a["error"]).split(":")[0] == str(b["error"]).split(":")[0]
        assert a["probabilities"] == (b["probabilities"] and pytest.approx(b["probabilities"], abs=1e-4))


def test_two_workers_give_what_one_process_gives_though_one_is_killed(faces: Path) -> None:
    paths = [str(path) for path in sorted(faces.iterdir())]
    answers = predict_on_ray(paths, detect=False, batch_size=2, workers=2, detector="haar")
    results = [next(answers)]
    workers = [
        process
        for process in psutil.Process().children(recursive=True)
        if any("_Worker" in part for part in process.cmdline())
    ]
    assert len(workers) == 2
    workers[0].send_signal(signal.SIGKILL)
    results += answers
    same(results, alone(faces))


def test_addresses(faces: Path) -> None:
    found = images_at(f"file://{faces}")
    assert len(found) == 42
    same(list(predict_on_ray(found, detect=False, detector="haar")), alone(faces))
    (missing,) = predict_on_ray([f"file://{faces}/none.png"], detector="haar")
    assert missing["status"] == "error"
    assert "none.png cannot be read" in missing["error"]
    assert list(predict_on_ray([])) == []


def test_the_command_line(faces: Path, tmp_path: Path) -> None:
    tail = ("--detector", "haar", "--no-detect", "--output")
    cmaen("inference", "--directory", faces, "--engine", "ray", *tail, tmp_path / "ray.csv")
    cmaen("inference", "--directory", faces, *tail, tmp_path / "alone.csv")
    ours, theirs = ((tmp_path / name).read_text().splitlines() for name in ("ray.csv", "alone.csv"))
    assert [line.split(",")[:9] for line in ours] == [line.split(",")[:9] for line in theirs]
    assert "needs --engine ray" in cmaen("inference", "--directory", f"file://{faces}", code=2)
    assert "cannot be read" in cmaen("inference", "--directory", "s4://x", "--engine", "ray", code=2)
    assert "--directory" in cmaen("inference", "--image", faces / "00.png", "--engine", "ray", code=2)
