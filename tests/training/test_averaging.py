from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from cmaen.training.averaging import warm_average  # noqa: E402


def test_the_decay_warms_up_to_its_value() -> None:
    average = warm_average(0.9)
    for number, decay in ((0, 0.1), (8, 0.5), (1000, 0.9)):
        averaged, current = torch.tensor([1.0]), torch.tensor([0.0])
        average([averaged], [current], number)
        assert averaged.item() == pytest.approx(decay)


def test_counts_are_copied() -> None:
    averaged = torch.tensor(3)
    warm_average(0.9)([averaged], [torch.tensor(7)], torch.tensor(5))
    assert averaged.item() == 7
