"""Prediction by a network that was trained on enhanced faces."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from functools import partial
from multiprocessing.pool import ThreadPool
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from cmaen import EmotionPredictor
from cmaen.checkpoints import Checkpoint
from cmaen.engines import onnx_session
from cmaen.images.reader import read_image
from cmaen.inference import benchmark
from cmaen.inference.benchmark import Machine, measure_cost, measure_speed
from cmaen.inference.classifier import FaceClassifier
from cmaen.inference.spec import PipelineSpec
from tests.conftest import EXAMPLES, change_card, drawn_face
from tests.enhance.test_prediction import CHAIN
from tests.test_cli import cmaen

ASTRONAUT = EXAMPLES / "astronaut.png"


@pytest.fixture(scope="module")
def enhanced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the shipped checkpoint whose card says that its faces were enhanced, and have colour."""
    folder = tmp_path_factory.mktemp("enhanced") / "copy"
    shutil.copytree(Checkpoint.open().folder, folder)
    change_card(folder, enhancement=CHAIN)
    return folder


@pytest.fixture(scope="module")
def asked(enhanced: Path) -> EmotionPredictor:
    return EmotionPredictor(enhanced, threads=1, workers=1)


def test_prediction_sees_the_pixels_that_training_saw(enhanced: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("spandrel")
    face = drawn_face(3, np.random.default_rng(0))
    (tmp_path / "faces" / "happy").mkdir(parents=True)
    Image.fromarray(face).save(tmp_path / "faces" / "happy" / "1.png")
    from cmaen.data.tree import enhancement_of
    from cmaen.enhance.job import enhance

    enhance(tmp_path / "faces", tmp_path / "better")
    assert enhancement_of(tmp_path / "better") == CHAIN
    trained_on = read_image(tmp_path / "better" / "happy" / "1.png").astype(int)
    classifier = FaceClassifier(enhanced, threads=1)
    (seen,) = classifier.enhance([face])
    assert np.abs(seen - trained_on).mean() < 0.001
    assert (np.abs(seen - trained_on) > 1).mean() < 1e-4
    enhance(tmp_path / "faces", tmp_path / "same", open_session=partial(onnx_session, threads=1))  # as the command does
    assert np.array_equal(seen, read_image(tmp_path / "same" / "happy" / "1.png"))
    inputs = classifier.inputs([face])
    assert np.abs(inputs - classifier.card.preprocess([trained_on.astype(np.uint8)])).mean() < 0.001


def test_a_photograph_is_answered_like_its_enhanced_crop(asked: EmotionPredictor, enhanced: Path) -> None:
    photograph = read_image(ASTRONAUT)
    (face,) = asked.predict(ASTRONAUT).faces
    classifier = asked.pipeline.classifier
    crop = asked.pipeline.crop(photograph, face.box)
    plain = FaceClassifier(threads=1)
    assert face.probabilities == pytest.approx(plain(classifier.enhance([crop]))[0], abs=1e-6)
    assert face.probabilities != pytest.approx(plain([crop])[0], abs=1e-6), "enhancement changes the answer"
    grey = EmotionPredictor(threads=1).predict(ASTRONAUT).faces[0]
    assert face.box == grey.box


def test_batches_features_and_maps_are_of_enhanced_faces(asked: EmotionPredictor, tmp_path: Path) -> None:
    faces = [drawn_face(number, np.random.default_rng(number)) for number in range(3)]
    alone = [asked.predict_single(face, detect=False)["probabilities"] for face in faces]
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"nothing")
    results = asked.predict_batch([faces[0], broken, *faces[1:]], detect=False)
    assert [result["status"] for result in results] == ["ok", "error", "ok", "ok"]
    together = [result["probabilities"] for result in results if result["status"] == "ok"]
    for one, other in zip(alone, together, strict=True):
        assert one == pytest.approx(other, abs=1e-3)
    classifier = asked.pipeline.classifier
    expected = FaceClassifier(threads=1).features_of(classifier.enhance(faces))
    assert asked.embed(faces, detect=False) == pytest.approx(expected, abs=1e-3)
    assert classifier.features_of([]).shape == (0, expected.shape[1])
    (explained,) = asked.explain(faces[0], detect=False).faces
    assert explained.heat.shape == (160, 160)


def test_maps_of_the_inside_are_of_enhanced_faces(asked: EmotionPredictor, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("captum")
    from cmaen import explanation

    monkeypatch.setattr(explanation, "_STEPS", 4)
    face = drawn_face(3, np.random.default_rng(0))
    (explained,) = asked.explain(face, detect=False, kind="gradient").faces
    classifier = asked.pipeline.classifier
    (expected,) = explanation.Explainer(classifier.folder, scheme=classifier.scheme).explain(
        classifier.enhance([explained.crop])
    )
    assert np.allclose(explained.heat, expected.gradient, atol=1e-3)


def test_small_faces_are_still_known_to_be_small(asked: EmotionPredictor) -> None:
    classifier = asked.pipeline.classifier
    assert classifier.reduce(np.zeros((20, 20, 3), np.uint8)).shape == (20, 20)
    assert classifier.reduce(np.zeros((200, 200, 3), np.uint8)).shape == (48, 48)


def test_other_processes_and_workers_enhance_too(asked: EmotionPredictor, enhanced: Path) -> None:
    expected = asked.predict(ASTRONAUT).faces[0].probabilities
    copied = pickle.loads(pickle.dumps(asked))
    assert copied.predict(ASTRONAUT).faces[0].probabilities == pytest.approx(expected)
    other = asked.under(None)
    assert other.pipeline.classifier.enhance([]) == []
    pytest.importorskip("ray")
    from cmaen.inference.cluster import _Worker

    (record,) = _Worker(PipelineSpec(checkpoint=enhanced, threads=1, workers=1)).answer([os.fsencode(ASTRONAUT)])
    assert list(json.loads(record)["faces"][0]["probabilities"].values()) == pytest.approx(expected, abs=1e-4)


def test_the_benchmark_names_the_time_of_the_enhancement(enhanced: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"COST_RUNS": {1: 1}, "MOST_SECONDS": 0.0, "WARMUP": 1}.items():
        monkeypatch.setattr(benchmark, name, value)
    here = SimpleNamespace(get_context=lambda _: SimpleNamespace(Pool=ThreadPool))
    monkeypatch.setattr(benchmark, "multiprocessing", here)  # a fresh process would make all of the runs
    spec = PipelineSpec(checkpoint=enhanced, engine="onnx", batch_size=1, threads=1)
    speed = measure_speed(spec, Machine(1.0, 1.0))
    assert speed.enhancement is not None
    assert 0 < speed.enhancement < speed.milliseconds
    assert speed.overhead is not None
    assert speed.overhead < speed.milliseconds / (speed.arithmetic_limit or 1)
    assert measure_cost(enhanced, "onnx").latencies[0].median > measure_cost(None, "onnx").latencies[0].median


def test_the_command_says_what_is_missing(enhanced: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(enhanced, tmp_path / "copy"))
    change_card(folder, enhancement=("faces 48-grey", f"colorization {'0' * 16}"))
    text = cmaen("inference", "--image", ASTRONAUT, "--checkpoint", folder, code=2)
    assert "colorization with weights that are not here" in text
