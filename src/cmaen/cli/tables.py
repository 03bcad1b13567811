"""The tables that the commands of measuring print."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.table import Table

from cmaen.cli.console import escape_for_terminal

if TYPE_CHECKING:
    from cmaen.checkpoints import Checkpoint
    from cmaen.evaluation.assessment import Assessment, Headline
    from cmaen.evaluation.evaluate import Evaluation
    from cmaen.evaluation.metrics import Metrics
    from cmaen.evaluation.perceived import PerceivedAssessment
    from cmaen.evaluation.photographs import PhotographFigures


def show_checkpoint(checkpoint: Checkpoint) -> None:
    """Whose figures follow."""
    shipped = checkpoint.is_shipped and checkpoint.is_shared
    place = "which comes with this package; --checkpoint names another" if shipped else str(checkpoint.folder)
    typer.echo(escape_for_terminal(f"checkpoint: {checkpoint.describe()}, {place}"))


def show_evaluation(evaluation: Evaluation) -> None:
    """All that was measured on labelled faces."""
    from cmaen.data.ferplus import count_voted
    from cmaen.evaluation.evaluate import UNSEEN

    title, voted = evaluation.title, count_voted(evaluation.faces)
    typer.echo(evaluation.describe_seen())
    if voted:
        typer.echo(f"FER+ votes: {voted:,} of {len(evaluation.faces):,} faces have them.")
    if evaluation.first in evaluation.schemes:
        for name, headline in evaluation.assessment.headlines.items():
            show_headline(f"{title}, {name}, scheme {evaluation.first}", headline)
        show_calibration(evaluation.assessment)
        if evaluation.mirrored is not None:
            (headline,) = evaluation.mirrored.headlines.values()
            show_headline(f"{title}, with test-time augmentation", headline)
    for name, perceived in evaluation.perceived.items():
        show_perceived(f"{title}, what annotators saw, scheme {name}", perceived)
    for name, perceived in evaluation.perceived_unseen.items():
        show_perceived(f"{title}, what annotators saw, {UNSEEN}, scheme {name}", perceived)
    for name, curves in (evaluation.robustness or {}).items():
        show_robustness(f"scheme {name}", curves)


def show_headline(title: str, headline: Headline) -> None:
    """The figures of a set of faces, by emotion and together."""
    metrics = headline.metrics
    console = Console()
    console.print(_by_emotion(title, metrics))
    low, high = headline.accuracy_interval
    console.print(
        f"accuracy {metrics.accuracy:.2%} ({low:.1%} to {high:.1%})   macro-F1 {metrics.macro_f1:.4f}   "
        f"ECE {headline.calibration.ece_equal_mass:.4f}   {metrics.count} faces",
        highlight=False,
    )


def _by_emotion(title: str, metrics: Metrics) -> Table:
    table = Table("emotion", "precision", "recall", "F1", "faces", title=title)
    for emotion, figures in metrics.by_emotion.items():
        shares = (f"{value:.3f}" for value in (figures.precision, figures.recall, figures.f1))
        table.add_row(emotion, *shares, str(figures.support))
    return table


def show_calibration(assessment: Assessment) -> None:
    """How honest the probabilities are."""
    table = Table("probabilities", "ECE, equal mass", "equal width", "Brier", "NLL", title="calibration")
    for name, figures in assessment.calibration.items():
        values = (figures.ece_equal_mass, figures.ece_equal_width, figures.brier, figures.nll)
        table.add_row(name, *(f"{value:.4f}" for value in values))
    Console().print(table)


def show_robustness(title: str, curves: dict[str, dict[str, list[float]]]) -> None:
    """Accuracy and calibration error by corruption and severity."""
    for figure, form in (("accuracy", "{:.1%}"), ("ece", "{:.3f}")):
        table = Table("corruption", "as it is", *"12345", title=f"{figure.replace('ece', 'ECE')} by severity, {title}")
        for name, curve in curves[figure].items():
            table.add_row(name, *(form.format(value) for value in curve))
        Console().print(table)


def show_perceived(title: str, found: PerceivedAssessment) -> None:
    """How often the answer is what most annotators saw, and whether the shares are theirs."""
    console = Console()
    console.print(_by_emotion(title, found.majority))
    low, high = found.accuracy_interval
    console.print(
        f"FER+ majority {found.majority.accuracy:.2%} ({low:.1%} to {high:.1%}) of {found.majority.count} faces   "
        f"more than half agree: {found.agreed_accuracy:.2%} of {found.agreed_count}   "
        f"macro-F1 {found.majority.macro_f1:.4f}\n"
        f"ECE against the majority {found.calibration.ece_equal_mass:.4f}   error of the shares "
        f"{found.shares.error:.4f}   Jensen-Shannon divergence {found.divergence:.3f} bits",
        highlight=False,
    )
    mistakes = found.mistakes
    if mistakes.faces:
        console.print(
            f"of the {mistakes.faces} wrong answers {mistakes.second_choice:.0%} are the annotators' second choice and "
            f"{mistakes.without_vote:.0%} nobody's; {mistakes.majority_share:.0%} of the annotators chose the majority "
            f"there, {mistakes.answer_share:.0%} the answer",
            highlight=False,
        )


def show_photographs(title: str, figures: PhotographFigures) -> None:
    """Recall by emotion, and together."""
    table = Table("emotion", "recall", "photographs", title=title)
    for emotion, recall in figures.recall.items():
        table.add_row(emotion, f"{recall:.3f}", str(figures.support[emotion]))
    console = Console()
    console.print(table)
    low, high = figures.accuracy_interval
    console.print(
        f"accuracy {figures.accuracy:.2%} ({low:.1%} to {high:.1%})   mean recall {figures.mean_recall:.3f}   "
        f"{figures.count} photographs, {figures.without_face} without an answer",
        highlight=False,
    )
