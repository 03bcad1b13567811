from __future__ import annotations

from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch")
pl = pytest.importorskip("lightning.pytorch")

from cmaen.models.build import build_network  # noqa: E402
from cmaen.models.spec import ModelSpec  # noqa: E402
from cmaen.training.optimisation import OptimiserSpec, build_optimisers, find_role  # noqa: E402
from tests.conftest import TINY  # noqa: E402


def module(**changes: object) -> pl.LightningModule:
    made = pl.LightningModule()
    made.model = build_network(ModelSpec(**(TINY | {"wiring": "residual"} | changes)))
    made._trainer = SimpleNamespace(precision_plugin=None, estimated_stepping_batches=40, max_epochs=4)
    return made


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ["trunk"]),
        ({"side": "sface"}, ["trunk", "side"]),
        ({"trunk": "ecnn", "side": "mobilenet_v1"}, ["side"]),
        ({"trunk": "timm/test_convnext", "side": None}, ["trunk"]),  # its gammas are not gates
    ],
    ids=str,
)
def test_every_parameter_is_in_one_group_with_the_rate_of_its_role(
    changes: dict[str, object], expected: list[str]
) -> None:
    training = module(**changes)
    pretrained = [f"model.{role}" for role in training.model.pretrained]
    assert pretrained == [f"model.{role}" for role in expected]
    spec = OptimiserSpec(learning_rate=1e-3, backbone_rate=0.1, gate_rate=3.0, warmup_epochs=0)
    made = build_optimisers(spec, training, pretrained=pretrained)
    groups = made["optimizer"].param_groups
    names = {id(value): name for name, value in training.named_parameters()}
    assert sorted(names.values()) == sorted(names[id(value)] for group in groups for value in group["params"])
    for group in groups:
        roles = {find_role(names[id(value)], pretrained) for value in group["params"]}
        assert len(roles) == 1
        assert group["initial_lr"] == pytest.approx({"backbone": 1e-4, "gate": 3e-3, "rest": 1e-3}[roles.pop()])
    assert {find_role(name, pretrained) for name in names.values()} == {"backbone", "gate", "rest"}


def test_the_backbone_rests_while_its_head_is_random() -> None:
    training = module()
    spec = OptimiserSpec(learning_rate=1e-3, head_first_epochs=0.5, warmup_epochs=0)
    made = build_optimisers(spec, training, pretrained=["model.trunk"])
    optimizer, scheduler = made["optimizer"], made["lr_scheduler"]["scheduler"]
    names = {id(value): name for name, value in training.named_parameters()}
    resting = [g for g in optimizer.param_groups if find_role(names[id(g["params"][0])], ["model.trunk"]) == "backbone"]
    for step in range(8):  # 10 steps per epoch
        assert all((group["lr"] == 0) == (step < 5 and group in resting) for group in optimizer.param_groups)
        optimizer.step()
        scheduler.step()
