"""Sharpness-aware minimisation (Foret et al., 2021): a step follows the gradient at the worst weights nearby."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

PART = 4
"""Every so manyth face of a batch tells where the loss rises; Brock et al. (2021) lose nothing with a fifth."""


@contextmanager
def worst_weights(model: nn.Module, radius: float) -> Iterator[None]:
    """Inside, a model's weights are up along their gradient by ``radius``, an L2 norm; afterwards as they were.

    Meanwhile BatchNorm's running statistics stay as they are: they are of the weights that are kept.
    """
    moved = [parameter for parameter in model.parameters() if parameter.grad is not None]
    gradients = [parameter.grad for parameter in moved if parameter.grad is not None]
    before = [parameter.detach().clone() for parameter in moved]
    norms = [(module, module.momentum) for module in model.modules() if isinstance(module, _BatchNorm)]
    with torch.no_grad():
        scale = radius / torch.nn.utils.get_total_norm(gradients).clamp(min=1e-12)
        for parameter, gradient in zip(moved, gradients, strict=True):
            parameter.add_(gradient * scale)
    for module, _ in norms:
        module.momentum = 0.0
    try:
        yield
    finally:
        for module, momentum in norms:
            module.momentum = momentum
        with torch.no_grad():
            for parameter, weights in zip(moved, before, strict=True):
                parameter.copy_(weights)
