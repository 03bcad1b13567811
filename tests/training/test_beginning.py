from __future__ import annotations

import logging
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

from cmaen.checkpoints import Card  # noqa: E402
from cmaen.data.faces import load_faces  # noqa: E402
from cmaen.data.splits import Split  # noqa: E402
from cmaen.errors import CheckpointError, ConfigError  # noqa: E402
from cmaen.models.backbones import build_backbone  # noqa: E402
from cmaen.models.build import build_network  # noqa: E402
from cmaen.models.checkpoint import load_checkpoint, save_checkpoint  # noqa: E402
from cmaen.models.spec import ModelSpec  # noqa: E402
from cmaen.preprocessing import PreprocessSpec  # noqa: E402
from cmaen.training.beginning import build_initial, describe_beginning, find_licence, find_pretrained  # noqa: E402
from cmaen.training.config import Config  # noqa: E402
from tests.conftest import TINY  # noqa: E402

TWO = TINY | {"wiring": "residual", "trunk": "mobilenet_v1", "side": "sface", "attention": "none"}


def means(pathway: torch.nn.Module) -> torch.Tensor:
    """Return the mean that the first norm of a pathway expects of its input."""
    return next(module for module in pathway.modules() if isinstance(module, torch.nn.BatchNorm2d)).running_mean


def plan(**changes: object) -> Config:
    return Config(model=TWO, preprocess={"image_size": 64}, **changes)


def test_every_pathway_with_foreign_weights_gets_statistics_of_its_own_faces(fer_tree: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    torch.save(build_backbone("mobilenet_v1").state_dict(), tmp_path / "faces.pt")
    given = {
        "trunk": build_backbone("mobilenet_v1", tmp_path / "faces.pt"),
        "side": build_backbone("sface", "installed"),
    }
    config = plan(trunk_weights=str(tmp_path / "faces.pt"), side_weights="installed")
    network = build_initial(config, load_faces(fer_tree, Split.TRAIN), resume=False)
    images = torch.randn(2, 3, 64, 64)
    for role, before in given.items():
        after = getattr(network, role)
        assert after.training
        assert not torch.allclose(means(before), means(after), atol=1e-2)
        assert torch.allclose(before.eval()(images)[-1], after.eval()(images)[-1], rtol=1e-2, atol=1e-2)
    assert describe_beginning(config) == "faces.pt; the weights of sface installed with this package"


def test_the_weights_of_a_checkpoint_are_taken_as_they_are(
    fer_tree: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    network = build_network(ModelSpec(**TWO))
    card = Card("two", ModelSpec(**TWO).describe(), PreprocessSpec(image_size=64), licence="for research")
    save_checkpoint(network, card, tmp_path)
    kept, _ = load_checkpoint(tmp_path)
    turned = TWO | {"trunk": "sface", "side": "mobilenet_v1"}
    config = Config(model=turned, preprocess={"image_size": 64}, trunk_weights=str(tmp_path))
    with caplog.at_level(logging.WARNING, "cmaen"):
        begun = build_initial(config, load_faces(fer_tree, Split.TRAIN), resume=False)
    assert all(torch.equal(a, b) for a, b in zip(kept.side.parameters(), begun.trunk.parameters(), strict=True))
    assert "the side mobilenet_v1 starts from random weights; --side-weights names pretrained ones" in caplog.text
    assert "the trunk" not in caplog.text
    assert find_licence(config) == "for research"
    assert find_licence(config.model_copy(update={"licence": "for all"})) == "for all"
    assert describe_beginning(config) == "the trunk of two, from None"
    assert describe_beginning(plan()) is None


def test_an_ecnn_is_trained_gently_if_its_weights_are_given(tmp_path: Path) -> None:
    spec = ModelSpec(**TINY | {"wiring": "residual", "trunk": "mobilenet_v1"})
    network = build_network(spec)
    begun = {"model": spec, "preprocess": {"image_size": 64}}
    for given, expected in (
        ({}, ("trunk",)),
        ({"trunk_weights": "faces.pt"}, ("trunk",)),
        ({"side_weights": str(tmp_path)}, ("trunk", "side")),
        ({"initial_weights": str(tmp_path)}, ("trunk", "side")),
    ):
        assert find_pretrained(network, Config(**begun, **given)) == expected
    alone = Config(model={"trunk": "ecnn", "side": None}, initial_weights=str(tmp_path))
    assert find_pretrained(build_network(alone.model), alone) == ("trunk",)


def test_a_slim_pathway_begins_with_the_wide_one_of_a_checkpoint(fer_tree: Path, tmp_path: Path) -> None:
    alone = {"wiring": "residual", "trunk": "mobilenet_v1", "side": None, "emotion_heads": False}
    network = build_network(ModelSpec(**alone))
    save_checkpoint(network, Card("wide", ModelSpec(**alone).describe(), PreprocessSpec(image_size=64)), tmp_path)
    slim = alone | {"trunk": "mobilenet_v1_slim"}
    config = Config(model=slim, preprocess={"image_size": 64}, trunk_weights=str(tmp_path))
    begun = build_initial(config, load_faces(fer_tree, Split.TRAIN), resume=False)
    wide, own = (each.trunk.stages[0].conv.weight for each in (load_checkpoint(tmp_path)[0], begun))
    assert torch.equal(wide, own)
    assert describe_beginning(config) == "the trunk of wide, from None"
    other = config.model_copy(update={"model": ModelSpec(**alone | {"trunk": "sface"})})
    with pytest.raises(ConfigError, match="has the pathways mobilenet_v1, but no sface for the trunk"):
        build_initial(other, load_faces(fer_tree, Split.TRAIN), resume=False)


@pytest.mark.parametrize(
    ("weights", "error"),
    [("nothing.pt", ConfigError), ("{folder}", CheckpointError), ("{broken}", CheckpointError)],
)
def test_weights_that_cannot_be_taken_are_named(
    weights: str, error: type[Exception], fer_tree: Path, tmp_path: Path
) -> None:
    (tmp_path / "broken.pt").write_bytes(b"no weights")
    given = weights.format(folder=tmp_path, broken=tmp_path / "broken.pt")
    with pytest.raises(error, match=Path(given).name):
        build_initial(plan(side_weights=given), load_faces(fer_tree, Split.TRAIN), resume=False)
