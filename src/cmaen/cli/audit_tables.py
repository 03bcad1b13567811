"""The tables that ``cmaen audit`` prints."""

from __future__ import annotations

from collections.abc import Sequence

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cmaen.audit.findings import Audit, ColumnAudit
from cmaen.audit.words import CAUTION, describe_column, describe_design, describe_left_out, judge
from cmaen.cli.console import escape_for_terminal
from cmaen.drawing.lettering import write_count

_MOST = 20
"""Maximum number of groups of a column that are shown."""


def show_audit(audit: Audit) -> None:
    """Show the figures of all groups, what could not be compared, and what was found."""
    typer.echo(escape_for_terminal(f"{write_count(len(audit.answers), 'face')}, {audit.answers.source}"))
    _show_lines(describe_left_out(audit))
    for column in audit.columns:
        _show_column(audit, column)
    typer.echo("")
    _show_lines(judge(audit).sentences)
    typer.echo(CAUTION)


def _show_column(audit: Audit, column: ColumnAudit) -> None:
    shown = column.judged[:_MOST]
    if shown:
        people = any(group.people is not None for group in shown)
        heads = ["faces", *(["people"] if people else []), "accuracy", "95% interval", "expected", "ECE"]
        labels = [
            label
            for label in audit.answers.classes
            if any(group.figures is not None and label in group.figures.recall for group in shown)
        ]
        groups, recalls = Table(), Table()
        for table, titles in ((groups, [column.column, *heads]), (recalls, [f"{column.column}, recall", *labels])):
            for title in titles:
                table.add_column(_cell(title))
        for group in shown:
            found = group.figures
            assert found is not None
            error = "" if found.calibration_error is None else f"{found.calibration_error:.3f}"
            span = "{:.1%} to {:.1%}".format(*found.accuracy.interval)
            counts = [f"{group.faces:,}", *([f"{group.people:,}"] if people else [])]
            groups.add_row(
                _cell(group.name), *counts, f"{found.accuracy.value:.1%}", span, f"{found.expected_accuracy:.1%}", error
            )
            shares = (found.recall.get(label) for label in labels)
            recalls.add_row(_cell(group.name), *("" if share is None else f"{share.value:.0%}" for share in shares))
        console = Console()
        console.print(groups)
        console.print(recalls)
        if rest := len(column.judged) - len(shown):
            typer.echo(f"{write_count(rest, 'more group')}; --output writes all")
    else:
        typer.echo(escape_for_terminal(f"{column.column}:"))
    design = describe_design(audit, column)
    _show_lines([*describe_column(column), *([design] if design else [])])


def _cell(text: str) -> Text:
    return Text(escape_for_terminal(" ".join(text.split())), overflow="fold")


def _show_lines(lines: Sequence[str]) -> None:
    for line in lines:
        typer.echo(escape_for_terminal(line))
