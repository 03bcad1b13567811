from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from cmaen.quantisation import round_together  # noqa: E402


def nearest(weights: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
    return (weights / scales[..., None]).round().clamp(-64, 64)


def test_inputs_that_rise_together_are_rounded_together() -> None:
    torch.manual_seed(0)
    common = torch.randn(2, 1, 5000, dtype=torch.float64)
    inputs = common + 0.2 * torch.randn(2, 30, 5000, dtype=torch.float64)
    weights = torch.randn(2, 8, 30, dtype=torch.float64)
    scales = weights.abs().amax(dim=2) / 64

    def error(rounded: torch.Tensor) -> float:
        return float(((rounded * scales[..., None] - weights) @ inputs).square().mean())

    rounded = round_together(weights, scales, inputs @ inputs.mT, 64)
    assert torch.equal(rounded, rounded.round())
    assert rounded.abs().max() <= 64
    assert error(rounded) < 0.25 * error(nearest(weights, scales))


def test_inputs_that_have_nothing_in_common_are_rounded_one_by_one() -> None:
    torch.manual_seed(0)
    weights = torch.randn(3, 4, 9)
    scales = weights.abs().amax(dim=2) / 64
    for moments in (torch.eye(9).expand(3, 9, 9), torch.zeros(3, 9, 9)):  # the second: all inputs of a layer are 0
        assert torch.equal(round_together(weights, scales, moments.double(), 64), nearest(weights, scales).double())
