from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from cmaen.checkpoints import Epoch
from cmaen.evaluation.plots import compare, precision_recall, reliability_diagram, roc, training_curves


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


def test_one_difference_far_from_the_others_does_not_squeeze_them() -> None:
    intervals = [(-0.01, 0.01), (-0.012, 0.006), (-0.3, -0.26), (-0.005, 0.013)]
    (axes,) = compare(list("abcd"), [0.0, -0.003, -0.28, 0.004], intervals, "all of it").axes
    assert axes.get_xlabel() == "difference in accuracy from “all of it”, in points"
    low, high = axes.get_xlim()
    assert -3 < low < -1.2
    assert 1.3 < high < 3
    (note,) = axes.texts
    assert note.get_text().startswith("-28.0 (-30.0 to -26.0)")
    assert low < note.get_position()[0] < 0
    near = [line.get_xdata() for line in axes.lines if len(line.get_xdata()) == 2]
    assert [-1.0, 1.0] in [list(ends) for ends in near]


def test_differences_that_are_alike_are_all_drawn() -> None:
    (axes,) = compare(["a", "b"], [0.3, -0.2], [(0.25, 0.35), (-0.25, -0.15)], "c").axes
    assert not axes.texts
    assert axes.get_xlim()[1] > 35


def labelled(count: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = np.arange(count) % 3
    scores = rng.random((count, 3)) + np.eye(3)[labels]
    return labels, scores / scores.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("draw", [roc, precision_recall])
def test_every_label_has_a_panel_of_its_own_with_its_area(draw: object) -> None:
    labels, answers = labelled(60)
    figure = draw(labels, answers, ("calm", "pain", "joy"))  # type: ignore[operator]
    titles = [axes.get_title().split()[0] for axes in figure.axes]
    assert titles[:3] == ["calm", "pain", "joy"]
    assert "macro" in figure.axes[3].get_title()
    assert len(figure.axes) == 4


@pytest.mark.parametrize(("count", "bins"), [(16, 1), (60, 3), (900, 15)])
def test_few_faces_are_in_few_bins_whose_intervals_are_drawn(count: int, bins: int) -> None:
    labels, answers = labelled(count)
    (axes,) = reliability_diagram(labels, {"as shipped": answers}, shown="as shipped").axes
    points = next(line for line in axes.lines if line.get_label() == "as shipped")
    assert len(points.get_xdata()) == bins
    spans = [line.get_ydata() for line in axes.lines if len(set(line.get_xdata())) == 1 and len(line.get_xdata()) == 2]
    assert len(spans) == bins
    assert all(
        low < share < high for (low, high), share in zip(spans, points.get_ydata(), strict=True) if 0 < share < 1
    )
