from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pl = pytest.importorskip("lightning.pytorch")

from lightning.pytorch.plugins import MixedPrecision  # noqa: E402

from cmaen.checkpoints import Checkpoint  # noqa: E402
from cmaen.errors import ConfigError  # noqa: E402
from cmaen.training import precision  # noqa: E402
from cmaen.training.optimisation import OptimiserSpec, build_optimisers, clip_gradient  # noqa: E402
from cmaen.training.precision import Hardware, automatic, choose, objection  # noqa: E402
from cmaen.training.record import Record  # noqa: E402
from cmaen.training.run import train  # noqa: E402
from tests.training.test_run import config, with_a_power_cut  # noqa: E402

OLD = {"avx2": True, "avx512_vnni": True, "avx512_bf16": False}
NEW = {"avx2": True, "avx512_bf16": True}


@pytest.mark.parametrize(
    ("hardware", "expected"),
    [
        (Hardware("cpu", NEW), ("bf16-mixed", "the processor has avx512_bf16")),
        (Hardware("cpu", {"amx_bf16": True}), ("bf16-mixed", "the processor has amx_bf16")),
        (Hardware("cpu", OLD), ("32-true", "the processor has neither avx512_bf16 nor amx_bf16")),
        (Hardware("cpu", {"architecture": "arm64", "bf16": True}), ("32-true", "neither")),
        (Hardware("cuda", compute=(9, 0)), ("bf16-mixed", r"compute capability 9\.0")),
        (Hardware("cuda", compute=(8, 0)), ("bf16-mixed", r"compute capability 8\.0")),
        (Hardware("cuda", compute=(7, 5)), ("16-mixed", r"compute capability 7\.5")),
        (Hardware("mps"), ("32-true", "Apple")),
    ],
)
def test_what_is_chosen_and_why(hardware: Hardware, expected: tuple[str, str]) -> None:
    choice = automatic(hardware)
    assert choice.precision == expected[0]
    assert re.search(expected[1], choice.reason)
    assert objection(choice.precision, hardware) is None
    assert choose("auto", hardware) == choice


def test_what_is_asked_for_and_what_a_run_began_in_come_first() -> None:
    assert choose("32-true", Hardware("cpu", NEW)).precision == "32-true"
    assert choose("auto", Hardware("cpu", NEW), began="32-true") == ("32-true", "as the run began")


def test_what_is_slow_is_named_and_what_cannot_train_refused() -> None:
    assert "111 images/s" in (objection("bf16-mixed", Hardware("cpu", OLD)) or "")
    assert objection("bf16-mixed", Hardware("cpu", NEW)) is None
    assert objection("16-mixed", Hardware("cuda", compute=(7, 0))) is None
    with pytest.raises(ConfigError, match="GPUs only"):
        objection("16-mixed", Hardware("cpu", NEW))


def test_the_hardware_is_the_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "avx512_bf16" in precision.processor_capabilities() or "neon" in precision.processor_capabilities()
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda gpu: [(9, 0), (7, 5)][gpu])
    assert Hardware.of(torch.device("cuda")) == Hardware("cuda", compute=(7, 5))
    assert Hardware.of(torch.device("cuda:0")) == Hardware("cuda", compute=(9, 0))
    assert Hardware.of(torch.device("mps")) == Hardware("mps")
    assert Hardware.of(torch.device("cpu")).kind == "cpu"
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    assert precision.processor_capabilities() == {"avx512_bf16": True, "amx_bf16": False}


@pytest.mark.parametrize(
    ("first", "then", "kept", "warned"), [(OLD, NEW, "32-true", False), (NEW, OLD, "bf16-mixed", True)]
)
def test_a_run_goes_on_in_the_precision_that_it_began_in(
    first: dict[str, bool],
    then: dict[str, bool],
    kept: str,
    warned: bool,
    fer_tree: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    plan = config(fer_tree, tmp_path / "run", device="cpu")
    caplog.set_level(logging.INFO, logger="cmaen")
    monkeypatch.setattr(precision, "processor_capabilities", lambda: first)
    with_a_power_cut(plan)
    assert f"precision {kept}: the processor has" in caplog.text
    assert Record.read(plan.output).precision == kept
    caplog.clear()
    monkeypatch.setattr(precision, "processor_capabilities", lambda: then)
    best = train(plan, resume=True)
    assert f"precision {kept}: as the run began" in caplog.text
    assert ("10 to 20 times" in caplog.text) is warned
    assert Checkpoint.open(best).provenance.recorded["optimisation"]["precision"] == kept


class Line(pl.LightningModule):
    """A network of one layer that records the gradients' norm before and after clipping."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = torch.nn.Linear(4, 1)
        self.optimiser = OptimiserSpec(learning_rate=1e-3, weight_decay=0, clip=0.01, warmup_epochs=0)
        self.norms: list[float] = []

    def training_step(self, batch: list[torch.Tensor], batch_idx: int) -> torch.Tensor:
        return self.layer(batch[0]).square().mean()

    def configure_optimizers(self) -> object:
        return build_optimisers(self.optimiser, self)

    def configure_gradient_clipping(self, optimizer: object, *args: object, **kwargs: object) -> None:
        self.norms.append(self.norm())
        clip_gradient(self.optimiser, self)
        self.norms.append(self.norm())

    def norm(self) -> float:
        return torch.cat([value.grad.flatten() for value in self.parameters()]).norm().item()


def test_float16_gradients_are_clipped_after_they_are_unscaled() -> None:
    """Uses a GradScaler on the CPU; the arithmetic on a GPU is the same."""
    batches = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(torch.arange(8.0).view(2, 4) / 8), batch_size=2
    )
    found = []
    for plugins in ([], [MixedPrecision("16-mixed", "cpu", scaler=torch.amp.GradScaler("cpu", init_scale=256.0))]):
        line = Line()
        trainer = pl.Trainer(
            max_epochs=1,
            accelerator="cpu",
            plugins=plugins,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(line, batches)
        found.append(line.norms)
    assert found[0][1] == pytest.approx(0.01, rel=1e-3)
    assert found[0] == pytest.approx(found[1], rel=1e-2)
