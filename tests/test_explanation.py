from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("captum")

from cmaen.checkpoints import Card  # noqa: E402
from cmaen.drawing.heat import overlay  # noqa: E402
from cmaen.explanation import MAPS, Explainer, Variation  # noqa: E402
from cmaen.models.build import build_network  # noqa: E402
from cmaen.models.checkpoint import save_checkpoint  # noqa: E402
from cmaen.models.spec import ModelSpec  # noqa: E402
from cmaen.preprocessing import PreprocessSpec  # noqa: E402
from tests.conftest import TINY  # noqa: E402


def crops(count: int = 3) -> list[np.ndarray]:
    return list(np.random.default_rng(0).integers(0, 256, (count, 48, 48), dtype=np.uint8))


def test_every_map_is_one_of_the_face(checkpoint: Path) -> None:
    explainer = Explainer(checkpoint)
    logits = explainer.model(torch.from_numpy(explainer.spec(crops()))).logits
    for found, row in zip(explainer.explain(crops()), logits, strict=True):
        assert found.emotion == row.argmax()
        assert set(found.maps) == set(MAPS) - {"cross_modal_back"}
        for heat in found.maps.values():
            assert heat.shape == (64, 64)
            assert 0 <= heat.min() <= heat.max() <= 1
    assert explainer.survey(crops(5), batch_size=2).vectors.shape[0] == 5


def test_what_is_switched_off_has_no_map(tmp_path: Path) -> None:
    architecture = TINY | {"emotion_heads": False, "attention": "none", "scales": None}
    save_checkpoint(
        build_network(ModelSpec(**architecture)), Card("plain", architecture, PreprocessSpec(image_size=64)), tmp_path
    )
    (found,) = Explainer(tmp_path).explain(crops(1))
    assert found.cross_modal is None
    assert list(found.maps) == ["gradient"]
    assert found.gradient.max() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("wiring", ["paper", "residual"])
def test_pathways_that_ask_each_other_have_maps_of_both_ways(wiring: str, tmp_path: Path) -> None:
    architecture = TINY | {"wiring": wiring, "attention": "both_ways"}
    spec = PreprocessSpec(image_size=96)
    save_checkpoint(build_network(ModelSpec(**architecture)), Card("both", architecture, spec), tmp_path)
    explainer = Explainer(tmp_path)
    (found,) = explainer.explain(crops(1))
    of_backbone = {"multi_scale_backbone"} if wiring == "paper" else set()
    assert set(found.maps) == set(MAPS) - {"multi_scale_backbone"} | of_backbone
    assert not explainer.model.side_attention._forward_hooks


def test_a_multi_scale_map_is_what_the_places_are_weighed_with(checkpoint: Path) -> None:
    explainer = Explainer(checkpoint)
    attended = explainer._attend(torch.from_numpy(explainer.spec(crops(2))))
    given = torch.randn(2, TINY["ecnn_widths"][-1], 8, 8)
    module = explainer.model.side_attention
    assert torch.equal(module(given), given * module.weights(given))
    assert attended.maps["multi_scale"].shape[0] == 2
    assert 0 < attended.maps["multi_scale"].min() <= attended.maps["multi_scale"].max() < 1


def test_variation_tells_maps_of_faces_from_a_map_of_places(checkpoint: Path) -> None:
    fixed = torch.softmax(torch.arange(16.0), dim=0).reshape(1, 4, 4).expand(5, -1, -1)
    assert Variation.of(fixed).share == pytest.approx(0)
    each = torch.eye(16).reshape(16, 4, 4)  # every face has a different place, and all places are covered
    assert Variation.of(each).share == pytest.approx(1)
    found = Explainer(checkpoint).survey(crops(6), batch_size=4).variation
    assert set(found) == {"cross_modal", "multi_scale", "multi_scale_backbone", "emotion_head"}
    assert 0 < found["emotion_head"].share < 1


def test_the_gradient_points_at_what_matters(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    explainer = Explainer(checkpoint)
    output = explainer.model(torch.zeros(1, 3, 64, 64))

    def corner_alone(images: torch.Tensor) -> object:
        score = images[:, :, :16, :16].mean(dim=(1, 2, 3))
        return output._replace(logits=torch.stack([score, *[0 * score - 9] * 6], dim=1))

    monkeypatch.setattr(explainer.model, "forward", corner_alone)
    monkeypatch.setattr(explainer.model, "forward_head", lambda features: corner_alone(torch.zeros(1, 3, 64, 64)))
    (found,) = explainer.explain(crops(1))
    assert found.gradient[:16, :16].mean() > 10 * found.gradient[32:, 32:].mean()


def test_an_overlay_is_a_picture_of_the_maps_size() -> None:
    heat = np.linspace(0, 1, 64 * 64, dtype=np.float32).reshape(64, 64)
    for crop in (crops(1)[0], np.zeros((30, 20, 3), np.uint8)):
        picture = overlay(crop, heat)
        assert picture.shape == (64, 64, 3)
        assert picture.dtype == np.uint8


def test_threads_get_the_maps_of_their_own_faces(checkpoint: Path) -> None:
    explainer = Explainer(checkpoint)
    batches = [torch.from_numpy(explainer.spec(crops(12)[3 * number : 3 * number + 3])) for number in range(4)]
    alone = [explainer._attend(batch).maps for batch in batches]
    wrong = []

    def work(number: int) -> None:
        for _ in range(6):
            maps = explainer._attend(batches[number]).maps
            wrong.extend(
                name for name, found in maps.items() if not torch.allclose(found, alone[number][name], atol=1e-5)
            )

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
