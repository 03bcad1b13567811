from __future__ import annotations

from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch")
pl = pytest.importorskip("lightning.pytorch")

from cmaen.models.build import build_cmaen  # noqa: E402
from cmaen.training.optimisation import Optimisation, role_of  # noqa: E402
from cmaen.training.schedule import Schedule  # noqa: E402
from tests.conftest import TINY  # noqa: E402


def module(**changes: object) -> pl.LightningModule:
    made = pl.LightningModule()
    made.model = build_cmaen(**(TINY | {"wiring": "residual"} | changes))
    made._trainer = SimpleNamespace(precision_plugin=None, estimated_stepping_batches=40, max_epochs=4)
    return made


def test_every_parameter_is_in_one_group_with_the_rate_of_its_role() -> None:
    training = module()
    made = Optimisation(1e-3, 0.05, 1.0, Schedule(0, 4), backbone_rate=0.1, gate_rate=3.0).optimizers(training)
    groups = made["optimizer"].param_groups
    names = {id(value): name for name, value in training.named_parameters()}
    assert sorted(names.values()) == sorted(names[id(value)] for group in groups for value in group["params"])
    for group in groups:
        roles = {role_of(names[id(value)]) for value in group["params"]}
        assert len(roles) == 1
        assert group["initial_lr"] == pytest.approx({"backbone": 1e-4, "gate": 3e-3, "rest": 1e-3}[roles.pop()])
    assert {role_of(name) for name in names.values()} == {"backbone", "gate", "rest"}


def test_the_backbone_rests_while_its_head_is_random() -> None:
    training = module()
    made = Optimisation(1e-3, 0.05, 1.0, Schedule(0, 4), head_first_epochs=0.5).optimizers(training)
    optimizer, scheduler = made["optimizer"], made["lr_scheduler"]["scheduler"]
    names = {id(value): name for name, value in training.named_parameters()}
    resting = [g for g in optimizer.param_groups if role_of(names[id(g["params"][0])]) == "backbone"]
    for step in range(8):  # of 10 an epoch
        assert all((group["lr"] == 0) == (step < 5 and group in resting) for group in optimizer.param_groups)
        optimizer.step()
        scheduler.step()
