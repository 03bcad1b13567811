"""Whatever takes a checkpoint accepts its name, its folder, a file in it, or nothing at all."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cmaen.checkpoints import CARD, SHIPPED, Checkpoint, Where
from cmaen.engines import build_engine
from cmaen.errors import CheckpointError
from cmaen.inference.classifier import FaceClassifier
from cmaen.inference.predictor import EmotionPredictor
from cmaen.inference.spec import PipelineSpec, name_checkpoint


def classify(where: Where) -> str:
    return FaceClassifier(where, threads=1).card.name


def compute(where: Where) -> str:
    assert build_engine("onnx", where, threads=1)(np.zeros((1, 3, 160, 160), np.float32)).shape == (1, 7)
    return Checkpoint.open(where).card.name


def predict(where: Where) -> str:
    return pickle.loads(pickle.dumps(EmotionPredictor(where, threads=1))).card.name


def serve(where: Where) -> str:
    pytest.importorskip("fastapi")
    from cmaen.serving.app import _identify
    from cmaen.serving.settings import SERVED, Settings

    known = _identify(Settings(pipeline=replace(SERVED, checkpoint=name_checkpoint(where))))
    assert known.accuracies == Checkpoint.open().accuracies
    return Checkpoint.open(where).card.name


def distribute(where: Where) -> str:
    pytest.importorskip("ray")
    from cmaen.inference.cluster import RayPipeline

    pipeline = RayPipeline(PipelineSpec(checkpoint=name_checkpoint(where), detector=None))
    return pipeline._of_worker.open_checkpoint().card.name


def load(where: Where) -> str:
    pytest.importorskip("torch")
    from cmaen.models.checkpoint import load_checkpoint

    return load_checkpoint(where)[1].name


def go_on(where: Where) -> str:
    pytest.importorskip("pydantic")
    from cmaen.training.config import configure_fine_tuning

    return configure_fine_tuning(where).name.removesuffix("-fine-tuned")


TAKERS: list[Callable[[Where], str]] = [classify, compute, predict, serve, distribute, load, go_on]


@pytest.mark.parametrize("take", TAKERS)
def test_all_names_are_taken(take: Callable[[Where], str], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(Checkpoint.open().folder, tmp_path / "copy"))
    for where in (None, SHIPPED, "shipped", folder, str(folder), folder / CARD, Checkpoint(folder)):
        assert take(where) == "cmaen-m"


@pytest.mark.parametrize("take", [take for take in TAKERS if take is not serve])
def test_what_is_not_there_is_named(take: Callable[[Where], str], tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"is not a checkpoint: there is no such folder\. Use 'cmaen-m'"):
        take(tmp_path / "nothing")


def test_machines_of_a_cluster_have_a_package_of_their_own(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    from cmaen.inference.cluster import RayPipeline

    def named(where: Where) -> object:
        return RayPipeline(PipelineSpec(checkpoint=name_checkpoint(where), detector=None))._of_worker.checkpoint

    assert named(None) == named("cmaen-m") == SHIPPED
    copy = Path(shutil.copytree(Checkpoint.open().folder, tmp_path / "copy"))
    assert named(copy) == copy.absolute()
