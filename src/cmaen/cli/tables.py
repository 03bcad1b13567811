"""Tables that the verbs for measuring print."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.table import Table

from cmaen.cli.console import escape_for_terminal
from cmaen.drawing.lettering import write_count
from cmaen.evaluation.assessment import ALL_FACES, COPIES, merge_copies
from cmaen.evaluation.intervals import FEW, wilson
from cmaen.types import PERCEIVED_LABELS

if TYPE_CHECKING:
    from cmaen.checkpoints import Checkpoint, Figures
    from cmaen.evaluation.assessment import Assessment, Headline
    from cmaen.evaluation.evaluate import Evaluation
    from cmaen.evaluation.metrics import ClassMetrics, Metrics
    from cmaen.evaluation.perceived import PerceivedAssessment
    from cmaen.evaluation.photographs import PhotographFigures


def show_checkpoint(checkpoint: Checkpoint) -> None:
    """Show which checkpoint the following figures belong to."""
    shipped = checkpoint.is_shipped and checkpoint.is_shared
    place = "which comes with this package; --checkpoint names another" if shipped else str(checkpoint.folder)
    typer.echo(escape_for_terminal(f"checkpoint: {checkpoint.describe()}, {place}"))


def show_evaluation(evaluation: Evaluation) -> None:
    """Show all figures of labelled faces."""
    from cmaen.data.ferplus import count_voted
    from cmaen.evaluation.evaluate import UNSEEN

    title, voted = evaluation.title, count_voted(evaluation.faces)
    typer.echo(evaluation.describe_seen())
    if evaluation.overlap is not None and (text := evaluation.overlap.describe()):
        typer.echo(escape_for_terminal(text))
    if voted:
        typer.echo(f"FER+ votes: {voted:,} of {len(evaluation.faces):,} faces have them.")
    if evaluation.first in evaluation.schemes:
        told = merge_copies(evaluation.assessment.headlines)
        for name, headline in told.items():
            show_headline(f"{title}, {name}, scheme {evaluation.first}", headline)
        if len(told) == 1 and any(name in evaluation.assessment.headlines for name in COPIES):
            typer.echo(f"no face of {title} has a copy in the training split")
        show_calibration(evaluation.assessment)
        if evaluation.mirrored is not None:
            (headline,) = evaluation.mirrored.headlines.values()
            show_headline(f"{title}, with test-time augmentation", headline)
    for name, headline in evaluation.by_scheme.items():
        show_headline(f"{title}, {ALL_FACES}, scheme {name}", headline)
    for name, perceived in evaluation.perceived.items():
        show_perceived(f"{title}, what annotators saw, scheme {name}", perceived)
    for name, perceived in evaluation.perceived_unseen.items():
        show_perceived(f"{title}, what annotators saw, {UNSEEN}, scheme {name}", perceived)
    for name, curves in (evaluation.robustness or {}).items():
        show_robustness(f"scheme {name}", curves)


def show_headline(title: str, headline: Headline) -> None:
    """Show the figures of a set of faces, by emotion and overall."""
    metrics = headline.metrics
    console = Console()
    console.print(_by_emotion(title, metrics))
    low, high = headline.accuracy_interval
    error = "" if metrics.count < FEW else f"ECE {headline.calibration.ece_equal_mass:.4f}   "
    console.print(
        f"accuracy {metrics.accuracy:.2%} ({low:.1%} to {high:.1%})   macro-F1 {metrics.macro_f1:.4f}   {error}"
        f"{describe_count(metrics.count)}",
        highlight=False,
    )


def describe_count(count: int) -> str:
    """Write a number of faces, and whether they are too few to draw conclusions."""
    return f"{write_count(count, 'face')}{_warn(count)}"


def describe_accuracy(figures: Figures) -> str:
    """Write an accuracy of a checkpoint, with its 95 % interval if the checkpoint stores the number of faces."""
    text = f"{figures.accuracy:.2%}"
    if figures.faces is None:
        return text
    low, high = wilson(round(figures.accuracy * figures.faces), figures.faces)
    return f"{text} ({low:.1%} to {high:.1%}) of {describe_count(figures.faces)}"


def _warn(count: int) -> str:
    return "" if count >= FEW else ", too few to tell"


def _by_emotion(title: str, metrics: Metrics) -> Table:
    heading = "emotion" if set(metrics.by_emotion) <= set(PERCEIVED_LABELS) else "label"
    table = Table(heading, "precision", "recall", "95% interval", "F1", "faces", title=title)
    for emotion, figures in metrics.by_emotion.items():
        precision, recall, f1 = (f"{value:.3f}" for value in (figures.precision, figures.recall, figures.f1))
        table.add_row(emotion, precision, recall, _span(figures), f1, str(figures.support))
    return table


def _span(figures: ClassMetrics) -> str:
    """Write the interval of a recall; empty without faces."""
    return "{:.2f}–{:.2f}".format(*figures.recall_interval) if figures.support else ""


def show_calibration(assessment: Assessment) -> None:
    """Show how well the probabilities are calibrated, if there are enough faces."""
    metrics = assessment.headlines[ALL_FACES].metrics
    shipped = assessment.calibration["as shipped"]
    if metrics.count < FEW:
        typer.echo(
            f"confidence on average {shipped.mean_confidence:.1%}; the faces are too few for a calibration error"
        )
        return
    table = Table("probabilities", "ECE, equal mass", "equal width", "Brier", "NLL", title="calibration")
    for name, figures in assessment.told_calibration.items():
        values = (figures.ece_equal_mass, figures.ece_equal_width, figures.brier, figures.nll)
        table.add_row(name, *(f"{value:.4f}" for value in values))
    Console().print(table)


def show_robustness(title: str, curves: dict[str, dict[str, list[float]]]) -> None:
    """Show accuracy and calibration error by corruption and severity."""
    for figure, form in (("accuracy", "{:.1%}"), ("ece", "{:.3f}")):
        table = Table("corruption", "as it is", *"12345", title=f"{figure.replace('ece', 'ECE')} by severity, {title}")
        for name, curve in curves[figure].items():
            table.add_row(name, *(form.format(value) for value in curve))
        Console().print(table)


def show_perceived(title: str, found: PerceivedAssessment) -> None:
    """Show how often the answer is what most annotators saw, and how close its shares are to theirs."""
    console = Console()
    console.print(_by_emotion(title, found.majority))
    low, high = found.accuracy_interval
    console.print(
        f"FER+ majority {found.majority.accuracy:.2%} ({low:.1%} to {high:.1%}) of "
        f"{describe_count(found.majority.count)}   more than half agree: "
        f"{found.agreed_accuracy:.2%} of {found.agreed_count}   macro-F1 {found.majority.macro_f1:.4f}\n"
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
    """Show the recall of each emotion, and the overall figures."""
    table = Table("emotion", "recall", "photographs", title=title)
    for emotion, recall in figures.recall.items():
        table.add_row(emotion, f"{recall:.3f}", str(figures.support[emotion]))
    console = Console()
    console.print(table)
    low, high = figures.accuracy_interval
    console.print(
        f"accuracy {figures.accuracy:.2%} ({low:.1%} to {high:.1%})   mean recall {figures.mean_recall:.3f}   "
        f"{figures.count} photographs, {figures.without_face} without an answer{_warn(figures.count)}",
        highlight=False,
    )
