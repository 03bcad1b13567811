"""Charts of a report, as matplotlib figures that never open a window."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from cmaen.checkpoints import Epoch
from cmaen.drawing.style import hex_of
from cmaen.evaluation.calibration import reliability
from cmaen.evaluation.curves import (
    macro_precision_recall_curve,
    macro_roc_curve,
    one_hot,
    precision_recall_curve,
    roc_curve,
)
from cmaen.evaluation.intervals import wilson
from cmaen.evaluation.perceived import Shares
from cmaen.evaluation.theme import CELL, ON_CELL, PAPER
from cmaen.types import EMOTIONS

SVG_HEAD = '<?xml version="1.0" encoding="utf-8"?>\n'
"""Declaration before the ``<svg>`` element in a file."""
_DPI = 150
_WIDTH = 4.8
"""Width of most charts in inches, chosen so that their text is readable on a phone."""
_COLUMNS = 3
_BLUE, _RED, _PALE, _LINE = "#1f5fa8", "#c8372d", "#c9ced8", "#8a93a3"
_MARKERS = "os^vDP*Xph"
"""Markers of the labels in a scatter plot, so that they differ in more than colour."""
_FAR = 4.0
"""Multiple of the median difference beyond which a difference is cut off at the border."""
_PANELS = {
    "loss": {"train_loss": ("training", ".--"), "val_loss": ("validation", ".-")},
    "accuracy": {"train_accuracy": ("training", ".--"), "val_accuracy": ("validation", ".-")},
    "macro-F1": {"val_macro_f1": ("validation", ".-")},
    "learning rate": {"learning_rate": ("middle of the epoch", ".-")},
}
"""Panels of the training curves: the columns of a history, each with its name and line style."""


def svg(figure: Figure) -> str:
    """Render a figure as an ``<svg>`` element for a page; equal figures give equal text."""
    buffer = io.StringIO()
    with rc_context({"svg.hashsalt": "cmaen"}):
        figure.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def png(figure: Figure) -> bytes:
    """Render a figure as the content of a PNG file, at 150 pixels per inch."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", bbox_inches="tight", dpi=_DPI, metadata={"Software": None})
    return buffer.getvalue()


def confusion(counts: Sequence[Sequence[int]], classes: Sequence[str] = EMOTIONS) -> Figure:
    """Draw the confusion matrix: for each label, the fraction and the number of its faces that got each answer."""
    matrix = np.array(counts)
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    side = max(_WIDTH, 0.55 * len(classes) + 0.9)
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.subplots()
    for (row, column), share in np.ndenumerate(shares):
        axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor=CELL, alpha=float(share), linewidth=0))
        if matrix[row, column]:
            colour = ON_CELL if share > 0.7 else "#000000"
            axes.text(column, row - 0.03, f"{share:.0%}", ha="center", va="bottom", color=colour, fontsize=9)
            axes.text(column, row + 0.07, f"{matrix[row, column]}", ha="center", va="top", color=colour, fontsize=7)
    axes.set(xlim=(-0.5, len(classes) - 0.5), ylim=(len(classes) - 0.5, -0.5), aspect="equal")
    axes.set_xticks(range(len(classes)), classes, rotation=45, ha="right")
    axes.set_yticks(range(len(classes)), classes)
    axes.set(xlabel="answer", ylabel="label")
    return figure


def roc(labels: NDArray[np.int64], answers: NDArray[np.float64], classes: Sequence[str] = EMOTIONS) -> Figure:
    """Draw ROC curves, one panel for each emotion against the rest, and one for their macro and micro averages."""
    curves = {name: roc_curve(positive, scores) for name, positive, scores in _questions(labels, answers, classes)}
    micro = roc_curve(one_hot(labels, len(classes)).ravel(), answers.ravel())
    return _draw_panels(
        {name: (*curve, curve.area) for name, curve in curves.items()},
        {"macro": (*(macro := macro_roc_curve(labels, answers)), macro.area), "micro": (*micro, micro.area)},
        ("AUC", "false positive rate", "true positive rate"),
        classes,
        chance=((0, 1), (0, 1)),
    )


def precision_recall(
    labels: NDArray[np.int64], answers: NDArray[np.float64], classes: Sequence[str] = EMOTIONS
) -> Figure:
    """Draw precision-recall curves, one panel for each emotion, and one for their macro and micro averages."""
    questions = _questions(labels, answers, classes)
    curves = {name: precision_recall_curve(positive, scores) for name, positive, scores in questions}
    micro = precision_recall_curve(one_hot(labels, len(classes)).ravel(), answers.ravel())
    macro = macro_precision_recall_curve(labels, answers)
    return _draw_panels(
        {name: (*curve, curve.average_precision) for name, curve in curves.items()},
        {"macro": (*macro, macro.average_precision), "micro": (*micro, micro.average_precision)},
        ("AP", "recall", "precision"),
        classes,
    )


def reliability_diagram(
    labels: NDArray[np.int64], answers: Mapping[str, NDArray[np.float64]], *, shown: str | None = None
) -> Figure:
    """Draw accuracy by confidence in bins of equal mass; on the diagonal, "0.8" means 80 %.

    Args:
        labels: Labels, int64 [N].
        answers: Probabilities, float64 [N, C], by name.
        shown: Name of the probabilities whose bins get 95 % intervals.
    """
    figure, axes = _square("confidence", "accuracy")
    axes.plot([0, 1], [0, 1], color=_LINE, linestyle=":")
    others = iter(((_LINE, "--"), (_RED, "-."), (_BLUE, ":")))
    for name, probabilities in answers.items():
        colour, line = (_BLUE, "-") if name == shown else next(others)
        diagram = reliability(labels, probabilities, "equal_mass")
        axes.plot(diagram.confidence, diagram.accuracy, line, marker="o", markersize=4, color=colour, label=name)
        if name == shown:
            faces = np.rint(diagram.share * len(labels)).astype(int)
            for x, share, count in zip(diagram.confidence, diagram.accuracy, faces.tolist(), strict=True):
                axes.plot([x, x], wilson(round(share * count), count), color=colour, linewidth=1.2, alpha=0.6)
    axes.legend(loc="upper left", fontsize=9, frameon=False)
    return figure


def shares(found: Shares) -> Figure:
    """Draw observed by predicted shares of the annotators; on the diagonal, "30 %" means 30 % of them."""
    figure, axes = _square("predicted share", "share of annotators")
    axes.plot([0, 1], [0, 1], color=_LINE, linestyle=":")
    label = f"all emotions, error {found.error:.3f}"
    axes.plot(found.predicted, found.observed, marker="o", markersize=4, color=_BLUE, label=label)
    axes.legend(loc="upper left", fontsize=9, frameon=False)
    return figure


def robustness_curves(accuracies: Mapping[str, Sequence[float]]) -> Figure:
    """Draw accuracy by severity, one panel for each corruption; severity 0 is the unchanged face."""
    figure, places = _grid(len(accuracies), sharey=True)
    for axes, (name, curve) in zip(places, accuracies.items(), strict=True):
        axes.plot(range(len(curve)), curve, marker="o", markersize=4, color=_BLUE)
        axes.set(ylim=(0, 1), xlim=(-0.3, len(curve) - 0.7))
        axes.set_title(name, fontsize=9)
        axes.set_xticks(range(len(curve)))
        axes.axhline(curve[0], color=_LINE, linestyle=":")
        _plain(axes)
    figure.supxlabel("severity", fontsize=9)
    figure.supylabel("accuracy", fontsize=9)
    return figure


def training_curves(history: Sequence[Epoch]) -> Figure:
    """Draw loss, accuracy, macro-F1 and learning rate by epoch, with one colour for each run.

    Panels and lines without a figure of any epoch are left out.

    Raises:
        ValueError: No epoch has a figure.
    """
    runs = list(dict.fromkeys(epoch.run for epoch in history))
    kept = {title: lines for title, lines in _PANELS.items() if any(_points(history, runs, key) for key in lines)}
    figure, places = _grid(len(kept), columns=min(2, len(kept)), height=2.2)
    for axes, (title, lines) in zip(places, kept.items(), strict=True):
        for index, run in enumerate(runs):
            for key, (name, line) in lines.items():
                if points := _points(history, [run], key):
                    label = ", ".join([*([run] if len(runs) > 1 else []), name])
                    axes.plot(*zip(*points, strict=True), line, color=f"C{index % 10}", label=label)
        axes.set_xlabel("epoch", fontsize=9)
        axes.set_title(title, fontsize=10)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(fontsize=7, frameon=False)
        _plain(axes)
    return figure


def scatter(places: NDArray[np.float32], labels: NDArray[np.int64], classes: Sequence[str] = EMOTIONS) -> Figure:
    """Draw faces at places float32 [N, 2] in the colour of their label, which is named at the median of its faces."""
    figure = Figure(figsize=(_WIDTH, _WIDTH), layout="constrained")
    axes = figure.subplots()
    for index, name in enumerate(classes):
        chosen = places[labels == index]
        marker, colour = _MARKERS[index % len(_MARKERS)], hex_of(name, classes)
        axes.scatter(chosen[:, 0], chosen[:, 1], s=10, alpha=0.7, color=colour, marker=marker, linewidth=0, label=name)
        if len(chosen):
            ground = {"facecolor": PAPER, "alpha": 0.8, "edgecolor": colour, "boxstyle": "round,pad=0.25"}
            x, y = np.median(chosen, axis=0)
            axes.text(x, y, name, fontsize=8, ha="center", va="center", bbox=ground)
    columns = min(4, len(classes))
    figure.legend(fontsize=8, markerscale=1.6, ncols=columns, loc="outside lower center", frameon=False)
    axes.set(xticks=[], yticks=[])
    return figure


def compare(
    names: Sequence[str], differences: Sequence[float], intervals: Sequence[tuple[float, float]], reference: str
) -> Figure:
    """Draw differences in accuracy from that of a reference with their intervals, one row for each name.

    An outlier, which would compress the scale of the others, is cut off at the border and shown as an arrow with its
    figures.
    """
    figure = Figure(figsize=(8, 0.4 * len(names) + 1.2), layout="constrained")
    axes = figure.subplots()
    reaches = np.abs(100 * np.array(intervals)).max(axis=1)
    near = reaches <= _FAR * np.median(reaches)
    border = 1.15 * float(reaches[near].max())
    for row, (difference, (low, high)) in enumerate(zip(differences, intervals, strict=True)):
        colour = _LINE if low <= 0 <= high else _BLUE
        if near[row]:
            axes.plot([100 * low, 100 * high], [row, row], color=colour, linewidth=2)
            axes.plot(100 * difference, row, marker="o", color=colour)
            continue
        edge = math.copysign(border, difference)
        axes.plot(0.97 * edge, row, marker="<" if edge < 0 else ">", color=colour, markersize=8)
        figures = f"{100 * difference:+.1f} ({100 * low:+.1f} to {100 * high:+.1f}), off the scale"
        axes.text(0.93 * edge, row, figures, ha="left" if edge < 0 else "right", va="center", fontsize=9)
    axes.axvline(0, color=_LINE, linestyle=":")
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set(xlabel=f"difference in accuracy from “{reference}”, in points", xlim=(-border, border))
    _plain(axes)
    return figure


def counts(
    before: Sequence[int], kept: Sequence[int], made: Sequence[int], classes: Sequence[str] = EMOTIONS
) -> Figure:
    """Draw the number of faces of each emotion before and after balancing, with the made faces on top of the kept."""
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(classes))
    axes.bar(places - 0.2, before, 0.38, color="#b9c0cc", label="before")
    axes.bar(places + 0.2, kept, 0.38, color="#1f5fa8", label="kept")
    axes.bar(places + 0.2, made, 0.38, bottom=kept, color="#7fb0e6", label="made")
    axes.set_xticks(places, classes)
    axes.set(ylabel="faces")
    axes.legend(frameon=False)
    _plain(axes)
    return figure


def _points(history: Sequence[Epoch], runs: Sequence[str], key: str) -> list[tuple[int, float]]:
    """Return the number and one figure of each epoch of the runs that has the figure."""
    values = ((epoch.epoch, getattr(epoch, key)) for epoch in history if epoch.run in runs)
    return [(number, value) for number, value in values if value is not None]


def _questions(
    labels: NDArray[np.int64], answers: NDArray[np.float64], classes: Sequence[str]
) -> list[tuple[str, NDArray[np.bool_], NDArray[np.float64]]]:
    positive = one_hot(labels, len(classes))
    present = [index for index in range(len(classes)) if positive[:, index].any()]
    return [(classes[index], positive[:, index], answers[:, index]) for index in present]


def _draw_panels(
    curves: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64], float]],
    together: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64], float]],
    words: tuple[str, str, str],
    classes: Sequence[str],
    *,
    chance: tuple[tuple[float, float], tuple[float, float]] | None = None,
) -> Figure:
    """Draw a panel for each curve, in front of all others in grey, and one for the curves that sum them up.

    Args:
        curves, together: Horizontal and vertical coordinates, and the area below, by name.
        words: Names of the area, of the horizontal axis and of the vertical axis.
        classes: All labels, which determine the colours.
        chance: The line of random answers.
    """
    figure, places = _grid(len(curves) + 1, sharey=True)
    name_of_area, across, up = words
    for axes, name in zip(places, [*curves, None], strict=True):
        for x, y, _ in curves.values():
            axes.plot(x, y, color=_PALE, linewidth=0.7)
        if chance is not None:
            axes.plot(*chance, color=_LINE, linestyle=":", linewidth=1)
        if name is not None:
            x, y, area = curves[name]
            axes.plot(x, y, color=hex_of(name, classes), linewidth=2)
            axes.set_title(f"{name}\n{name_of_area} {area:.3f}", fontsize=9)
        else:
            for line, (x, y, _) in zip(("-", "--"), together.values(), strict=True):
                axes.plot(x, y, line, color="#000000", linewidth=1.6)
            title = "\n".join(
                f"{line} {key} {part[2]:.3f}" for line, (key, part) in zip("─╌", together.items(), strict=True)
            )
            axes.set_title(title, fontsize=9)
        axes.set(xlim=(-0.02, 1.02), ylim=(0, 1.03), xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))
        _plain(axes)
    figure.supxlabel(across, fontsize=9)
    figure.supylabel(up, fontsize=9)
    return figure


def _grid(
    count: int, *, columns: int = _COLUMNS, height: float = 1.75, sharey: bool = False
) -> tuple[Figure, list[Axes]]:
    """Make panels in rows, the last of which may be shorter."""
    columns = min(columns, count)
    rows = -(-count // columns)
    figure = Figure(figsize=(_WIDTH, height * rows), layout="constrained")
    places = list(figure.subplots(rows, columns, squeeze=False, sharey=sharey).flat)
    for axes in places[count:]:
        axes.remove()
    return figure, places[:count]


def _square(across: str, up: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(_WIDTH, 0.9 * _WIDTH), layout="constrained")
    axes = figure.subplots()
    axes.set(xlabel=across, ylabel=up, xlim=(0, 1.01), ylim=(0, 1.01))
    _plain(axes)
    return figure, axes


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
