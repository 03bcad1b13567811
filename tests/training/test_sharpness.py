from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from cmaen.training.sharpness import worst_weights  # noqa: E402


def test_the_worst_weights_are_up_the_gradient_by_the_radius_and_gone_afterwards() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 3))
    model[2].bias.requires_grad_(False)
    images, labels = torch.randn(16, 4), torch.randint(0, 3, (16,))

    def loss() -> torch.Tensor:
        return nn.functional.cross_entropy(model(images), labels)

    here = loss()
    here.backward()
    gradients = {name: value.grad.clone() for name, value in model.named_parameters() if value.grad is not None}
    norm = torch.stack([gradient.norm() for gradient in gradients.values()]).norm()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with worst_weights(model, 0.5):
        for name, value in model.named_parameters():
            moved = value - before[name]
            torch.testing.assert_close(moved, 0.5 * gradients[name] / norm if name in gradients else moved * 0)
        assert loss() > here
    after = model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before if "num_batches" not in name)
    loss()
    assert not torch.equal(before["1.running_mean"], model[1].running_mean)


def test_no_gradient_moves_nothing_and_is_no_error() -> None:
    model = nn.Linear(4, 3)
    (model(torch.zeros(2, 4)) * 0).sum().backward()
    before = model.weight.detach().clone()
    with worst_weights(model, 0.5):
        assert torch.equal(model.weight, before)
