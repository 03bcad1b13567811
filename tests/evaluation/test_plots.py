from __future__ import annotations

import pytest

pytest.importorskip("matplotlib")

from cmaen.checkpoints import Epoch
from cmaen.evaluation.plots import training_curves


def test_curves_of_one_run_have_all_that_was_kept() -> None:
    figure = training_curves([Epoch("a", n, 2.0 / n, 0.3, 1.0 / n, 0.4, 0.35, 1e-3) for n in (1, 2, 3)])
    assert [axes.get_title() for axes in figure.axes] == ["loss", "accuracy", "macro-F1", "learning rate"]
    assert [line.get_label() for line in figure.axes[0].lines] == ["training", "validation"]
    assert list(figure.axes[0].lines[0].get_ydata()) == [2.0, 1.0, 2.0 / 3]


def test_curves_of_several_runs_are_named_and_what_was_not_kept_is_left_out() -> None:
    figure = training_curves([Epoch(run, n, val_accuracy=0.5 + n / 10) for run in ("a", "b") for n in (1, 2)])
    assert [axes.get_title() for axes in figure.axes] == ["accuracy"]
    assert [line.get_label() for line in figure.axes[0].lines] == ["a, validation", "b, validation"]
    assert [list(line.get_xdata()) for line in figure.axes[0].lines] == [[1, 2], [1, 2]]
