"""The tables that the commands of measuring print."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from cmaen.evaluation.assessment import Assessment, Headline


def show_headline(title: str, headline: Headline) -> None:
    """The figures of a set of faces, by emotion and together."""
    metrics = headline.metrics
    table = Table("emotion", "precision", "recall", "F1", "faces", title=title)
    for emotion, figures in metrics.by_emotion.items():
        shares = (f"{value:.3f}" for value in (figures.precision, figures.recall, figures.f1))
        table.add_row(emotion, *shares, str(figures.support))
    console = Console()
    console.print(table)
    low, high = headline.accuracy_interval
    console.print(
        f"accuracy {metrics.accuracy:.2%} ({low:.1%} to {high:.1%})   macro-F1 {metrics.macro_f1:.4f}   "
        f"ECE {headline.calibration.ece_equal_mass:.4f}   {metrics.count} faces",
        highlight=False,
    )


def show_calibration(assessment: Assessment) -> None:
    """How honest the probabilities are."""
    table = Table("probabilities", "ECE, equal mass", "equal width", "Brier", "NLL", title="calibration")
    for name, figures in assessment.calibration.items():
        values = (figures.ece_equal_mass, figures.ece_equal_width, figures.brier, figures.nll)
        table.add_row(name, *(f"{value:.4f}" for value in values))
    Console().print(table)


def show_robustness(accuracies: dict[str, list[float]]) -> None:
    """Accuracy by corruption and severity."""
    table = Table("corruption", "as it is", *"12345", title="accuracy by severity")
    for name, curve in accuracies.items():
        table.add_row(name, *(f"{value:.1%}" for value in curve))
    Console().print(table)
