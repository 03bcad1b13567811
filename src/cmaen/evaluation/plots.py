"""The pictures of a report, as matplotlib figures that never open a window."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from cmaen.checkpoints import Epoch
from cmaen.drawing import hex_of
from cmaen.evaluation.calibration import reliability
from cmaen.evaluation.curves import (
    macro_precision_recall_curve,
    macro_roc_curve,
    one_hot,
    precision_recall_curve,
    roc_curve,
)
from cmaen.evaluation.perceived import Shares
from cmaen.types import EMOTIONS

SVG_HEAD = '<?xml version="1.0" encoding="utf-8"?>\n'
"""Before the element, where it is a file of its own."""
_DPI = 150
_PANELS = {
    "loss": {"train_loss": ("training", ".--"), "val_loss": ("validation", ".-")},
    "accuracy": {"train_accuracy": ("training", ".--"), "val_accuracy": ("validation", ".-")},
    "macro-F1": {"val_macro_f1": ("validation", ".-")},
    "learning rate": {"learning_rate": ("middle of the epoch", ".-")},
}
"""Of the training curves: the columns of a history by panel, each with its name and its line."""


def svg(figure: Figure) -> str:
    """The figure as an ``<svg>`` element, to stand in a page."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def png(figure: Figure) -> bytes:
    """The figure as the content of a PNG file, of 150 pixels an inch."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", bbox_inches="tight", dpi=_DPI, metadata={"Software": None})
    return buffer.getvalue()


def confusion(counts: Sequence[Sequence[int]], classes: Sequence[str] = EMOTIONS) -> Figure:
    """The confusion matrix twice: counts, and parts of each label."""
    matrix = np.array(counts)
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    for axes, values, form, title in zip(
        figure.subplots(1, 2), (matrix, shares), ("{:d}", "{:.2f}"), ("faces", "part of the label's faces"), strict=True
    ):
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for row in range(len(classes)):
            for column in range(len(classes)):
                colour = "white" if shares[row, column] > 0.55 else "#223"
                text = form.format(values[row, column])
                axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=8)
        axes.set_xticks(range(len(classes)), classes, rotation=45, ha="right")
        axes.set_yticks(range(len(classes)), classes)
        axes.set(xlabel="answer", ylabel="label", title=title)
    return figure


def roc(labels: NDArray[np.int64], answers: NDArray[np.float64], classes: Sequence[str] = EMOTIONS) -> Figure:
    """ROC curves: each emotion against the rest, their mean (macro), and all decisions in one pot (micro)."""
    figure, axes = _square("false positive rate", "true positive rate")
    axes.plot([0, 1], [0, 1], color="#bbb", linestyle=":")
    for emotion, positive, scores in _questions(labels, answers, classes):
        curve = roc_curve(positive, scores)
        axes.plot(*curve, color=hex_of(emotion, classes), label=f"{emotion}, AUC {curve.area:.3f}")
    micro = roc_curve(one_hot(labels, len(classes)).ravel(), answers.ravel())
    for name, curve, line in (("macro", macro_roc_curve(labels, answers), "-"), ("micro", micro, "--")):
        axes.plot(*curve, color="black", linestyle=line, label=f"{name}-average, AUC {curve.area:.3f}")
    axes.legend(loc="lower right", fontsize=8)
    return figure


def precision_recall(
    labels: NDArray[np.int64], answers: NDArray[np.float64], classes: Sequence[str] = EMOTIONS
) -> Figure:
    """Precision-recall curves: each emotion against the rest, their mean (macro), and all decisions in one pot."""
    figure, axes = _square("recall", "precision")
    for emotion, positive, scores in _questions(labels, answers, classes):
        curve = precision_recall_curve(positive, scores)
        axes.plot(*curve, color=hex_of(emotion, classes), label=f"{emotion}, AP {curve.average_precision:.3f}")
    micro = precision_recall_curve(one_hot(labels, len(classes)).ravel(), answers.ravel())
    for name, curve, line in (("macro", macro_precision_recall_curve(labels, answers), "-"), ("micro", micro, "--")):
        label = f"{name}-average, AP {curve.average_precision:.3f}"
        axes.plot(*curve, color="black", linestyle=line, label=label)
    axes.legend(loc="lower left", fontsize=8)
    return figure


def reliability_diagram(labels: NDArray[np.int64], answers: Mapping[str, NDArray[np.float64]]) -> Figure:
    """Accuracy by confidence in bins of equally many faces; on the diagonal, "0.8" means 80 %."""
    figure, axes = _square("confidence", "accuracy")
    axes.plot([0, 1], [0, 1], color="#bbb", linestyle=":")
    for (name, probabilities), colour in zip(answers.items(), ("#b0b7c3", "#1f5fa8", "#d62728"), strict=False):
        diagram = reliability(labels, probabilities, "equal_mass")
        label = f"{name}, ECE {diagram.expected_error:.3f}"
        axes.plot(diagram.confidence, diagram.accuracy, marker="o", markersize=4, color=colour, label=label)
    axes.legend(loc="upper left", fontsize=8)
    return figure


def shares(found: Shares) -> Figure:
    """Observed by predicted share of the annotators; on the diagonal, "30 %" means 30 % of them."""
    figure, axes = _square("predicted share", "share of annotators")
    axes.plot([0, 1], [0, 1], color="#bbb", linestyle=":")
    label = f"all emotions, error {found.error:.3f}"
    axes.plot(found.predicted, found.observed, marker="o", markersize=4, color="#1f5fa8", label=label)
    axes.legend(loc="upper left", fontsize=8)
    return figure


def robustness_curves(accuracies: Mapping[str, Sequence[float]]) -> Figure:
    """Accuracy against severity, one curve a corruption; severity 0 is the face as it is."""
    figure = Figure(figsize=(11, 4.8), layout="constrained")
    for axes, (name, curve) in zip(
        figure.subplots(2, 4, sharex=True, sharey=True).flat, accuracies.items(), strict=True
    ):
        axes.plot(range(len(curve)), curve, marker="o", markersize=4, color="#1f5fa8")
        axes.axhline(curve[0], color="#bbb", linestyle=":")
        axes.set(title=name, ylim=(0, 1), xticks=range(len(curve)))
        _plain(axes)
    figure.supxlabel("severity")
    figure.supylabel("accuracy")
    return figure


def training_curves(history: Sequence[Epoch]) -> Figure:
    """Loss, accuracy, macro-F1 and learning rate over the epochs, as far as they were kept, one colour a run."""
    runs = list(dict.fromkeys(epoch.run for epoch in history))
    kept = {title: lines for title, lines in _PANELS.items() if any(_points(history, runs, key) for key in lines)}
    figure = Figure(figsize=(3.7 * len(kept), 3.6), layout="constrained")
    for axes, (title, lines) in zip(figure.subplots(1, len(kept), squeeze=False).flat, kept.items(), strict=True):
        for index, run in enumerate(runs):
            for key, (name, line) in lines.items():
                if points := _points(history, [run], key):
                    label = ", ".join([*([run] if len(runs) > 1 else []), name])
                    axes.plot(*zip(*points, strict=True), line, color=f"C{index % 10}", label=label)
        axes.set(xlabel="epoch", title=title)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(fontsize=7, frameon=False)
        _plain(axes)
    return figure


def scatter(places: NDArray[np.float32], labels: NDArray[np.int64], classes: Sequence[str] = EMOTIONS) -> Figure:
    """Faces at places [N, 2], coloured by their label."""
    figure = Figure(figsize=(7, 5.6), layout="constrained")
    axes = figure.subplots()
    for index, emotion in enumerate(classes):
        chosen = places[labels == index]
        axes.scatter(
            chosen[:, 0], chosen[:, 1], s=6, alpha=0.6, color=hex_of(emotion, classes), label=emotion, rasterized=True
        )
    axes.legend(fontsize=8, markerscale=2)
    axes.set(xticks=[], yticks=[])
    return figure


def compare(names: Sequence[str], differences: Sequence[float], intervals: Sequence[tuple[float, float]]) -> Figure:
    """Differences in accuracy with their intervals, one line a name; 0 is what they are compared with."""
    figure = Figure(figsize=(8, 0.5 * len(names) + 1.2), layout="constrained")
    axes = figure.subplots()
    for row, (difference, (low, high)) in enumerate(zip(differences, intervals, strict=True)):
        colour = "#8a93a3" if low <= 0 <= high else "#1f5fa8"
        axes.plot([100 * low, 100 * high], [row, row], color=colour, linewidth=2)
        axes.plot(100 * difference, row, marker="o", color=colour)
    axes.axvline(0, color="#bbb", linestyle=":")
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set(xlabel="accuracy against the whole network, points")
    _plain(axes)
    return figure


def counts(
    before: Sequence[int], kept: Sequence[int], made: Sequence[int], classes: Sequence[str] = EMOTIONS
) -> Figure:
    """Faces of each emotion: as they were, and after balancing, those that were made on top of those that were kept."""
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
    """Epochs of the runs and a figure of theirs, for those that have it."""
    values = ((epoch.epoch, getattr(epoch, key)) for epoch in history if epoch.run in runs)
    return [(number, value) for number, value in values if value is not None]


def _questions(
    labels: NDArray[np.int64], answers: NDArray[np.float64], classes: Sequence[str]
) -> list[tuple[str, NDArray[np.bool_], NDArray[np.float64]]]:
    positive = one_hot(labels, len(classes))
    present = [index for index in range(len(classes)) if positive[:, index].any()]
    return [(classes[index], positive[:, index], answers[:, index]) for index in present]


def _square(across: str, up: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(5.4, 4.8), layout="constrained")
    axes = figure.subplots()
    axes.set(xlabel=across, ylabel=up, xlim=(0, 1), ylim=(0, 1.01))
    _plain(axes)
    return figure, axes


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
