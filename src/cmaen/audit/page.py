"""The report of an audit: one self-contained HTML page, and the same as JSON."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from html import escape as escape_html
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from cmaen.audit.findings import Audit, ColumnAudit, GapTest, Group
from cmaen.audit.gaps import Share
from cmaen.audit.words import (
    CAUTION,
    describe_column,
    describe_design,
    describe_left_out,
    judge,
    name_test,
    write_p,
)
from cmaen.drawing.lettering import write_count
from cmaen.errors import escape, shorten
from cmaen.evaluation.intervals import Interval
from cmaen.evaluation.origin import abbreviate_home, describe_command
from cmaen.evaluation.theme import read_style
from cmaen.files import write_text

PAGE, JSON = "audit.html", "audit.json"
_LONGEST_NAME = 80
_MARK = ' <b class="mark" title="found">◆</b>'


class _Row(NamedTuple):
    """A row of a table: its name, its cells as HTML, a note below its name, and whether it stands out."""

    name: str
    cells: Sequence[str]
    note: str = ""
    stands_out: bool = False


_MOST_MATRICES = 12
"""Maximum number of groups of a column whose answers are shown label by label."""


def write_audit(audit: Audit, folder: Path, *, data: Path | None = None, command: Sequence[str] | None = None) -> Path:
    """Write the report of an audit to a folder: ``audit.html`` and ``audit.json``.

    Args:
        audit: The audit.
        folder: Folder to write to, in which files of the same names are replaced.
        data: Path of the faces, for the page.
        command: Words of the command, for the page.

    Returns:
        The path of the page.

    Raises:
        OutputError: A file cannot be written.
    """
    origin = describe_origin(data, command)
    write_text(folder / JSON, json.dumps({**audit.to_dict(), "origin": origin}, indent=2, allow_nan=False) + "\n")
    write_text(folder / PAGE, write_page(audit, origin))
    return folder / PAGE


def describe_origin(data: Path | None = None, command: Sequence[str] | None = None) -> dict[str, str]:
    """Describe what an audit was made of: the data, the command, the version of this package, and the date in UTC."""
    origin = {} if data is None else {"data": abbreviate_home(str(data))}
    if command is not None:
        origin["command"] = describe_command(command)
    version = importlib.metadata.version("cmaen")
    return {**origin, "version": f"cmaen {version}", "date": f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC"}


def write_page(audit: Audit, origin: Mapping[str, str] | None = None) -> str:
    """Write the page, which loads nothing from the internet or from other files, as HTML.

    Args:
        audit: The audit.
        origin: What it was made of, see :func:`describe_origin`.
    """
    verdict = judge(audit)
    title = f"Audit of {write_count(len(audit.answers), 'face')}"
    facts = {**(origin or {}), "answers": audit.answers.source}
    anchors = {f"column-{number}": column for number, column in enumerate(audit.columns, 1)}
    contents = "".join(
        f'<li><a href="#{anchor}">{_text(column.column)}</a></li>\n' for anchor, column in anchors.items()
    )
    style = read_style() + files("cmaen.audit").joinpath("page.css").read_text("utf-8")
    return "".join(
        (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n',
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n',
            '<meta name="color-scheme" content="light dark">\n',
            f"<title>{title}</title>\n<style>\n{style}</style>\n</head>\n<body>\n",
            f'<div class="page">\n<header>\n<h1>{title}</h1>\n',
            *(f'<p class="note">{_text(sentence)}</p>\n' for sentence in describe_left_out(audit)),
            f'<div class="verdict">\n<p>{_text(verdict.summary)}</p>\n',
            "<ul>\n" if verdict.findings else "",
            *(f"<li>{_text(sentence)}</li>\n" for sentence in verdict.findings),
            "</ul>\n" if verdict.findings else "",
            "</div>\n",
            *(f'<p class="note">{_text(sentence)}</p>\n' for sentence in (*verdict.limits, CAUTION)),
            "<dl>\n",
            *(f"<dt>{name}</dt><dd>{_text(value)}</dd>\n" for name, value in facts.items() if value),
            '</dl>\n</header>\n<nav aria-label="Contents">\n<b>Contents</b>\n<ol>\n',
            f'{contents}<li><a href="#method">How to read this</a></li>\n</ol>\n</nav>\n<main>\n',
            *(_write_column(audit, column, anchor) for anchor, column in anchors.items()),
            _write_method(audit),
            "</main>\n</div>\n</body>\n</html>\n",
        )
    )


def _write_column(audit: Audit, column: ColumnAudit, anchor: str) -> str:
    """Write the section of a column."""
    parts = [f'<h2 id="{anchor}">{_text(column.column)}</h2>\n']
    parts += [f'<p class="note">{_text(sentence)}</p>\n' for sentence in describe_column(column)]
    if column.judged:
        parts.append(_write_groups(column))
        parts.append(_write_recalls(audit, column))
    if column.tests:
        parts.append(_write_tests(column.tests))
        parts.append(f'<p class="note">{_text(describe_design(audit, column))}</p>\n')
    if column.judged:
        shown = column.judged[:_MOST_MATRICES]
        matrices = "".join(_write_matrix(audit.answers.classes, group) for group in shown)
        which = "" if len(shown) == len(column.judged) else f" of the first {len(shown)} groups"
        parts.append(f"<details>\n<summary>Answers by label{which}</summary>\n{matrices}</details>\n")
    return "".join(parts)


def _write_groups(column: ColumnAudit) -> str:
    people = any(group.people is not None for group in column.groups)
    heads = [
        "group",
        "faces",
        *(["people"] if people else []),
        "accuracy",
        "0 to 100%",
        "expected",
        "confidence",
        "ECE",
    ]
    rows = []
    for group in column.groups:
        if group.figures is None:
            continue
        found = group.figures
        error = "–"
        if found.calibration_error is not None and found.calibration_interval is not None:
            error = f"{found.calibration_error:.3f}{_small(found.calibration_interval, percent=False)}"
        cells = [
            f"{group.faces:,}",
            *([f"{group.people:,}"] if people else []),
            f"{found.accuracy.value:.1%}{_small(found.accuracy.interval)}",
            _draw_share(found.accuracy, found.expected_accuracy),
            f"{found.expected_accuracy:.1%}",
            "–" if found.confidence is None else f"{found.confidence:.1%}",
            error,
        ]
        rows.append(_Row(group.name, cells))
    return _write_table("Groups", heads, rows)


def _write_recalls(audit: Audit, column: ColumnAudit) -> str:
    found = {(test.group, test.label) for test in column.findings if test.kind == "recall"}
    labels = [
        label
        for label in audit.answers.classes
        if any(group.figures is not None and label in group.figures.recall for group in column.judged)
    ]
    rows = []
    for group in column.judged:
        cells = []
        for label in labels:
            share = group.figures.recall.get(label) if group.figures is not None else None
            mark = _MARK if (group.name, label) in found else ""
            cells.append(
                "–"
                if share is None
                else f"{share.value:.0%}{mark}{_small(share.interval)}<small>of {share.faces:,}</small>"
            )
        rows.append(_Row(group.name, cells))
    return _write_table("Recall by label", ["group", *labels], rows)


def _write_tests(tests: Iterable[GapTest]) -> str:
    heads = ["comparison", "in the group", "in all others", "gap", "corrected p", "p", "detectable"]
    rows = []
    for test in tests:
        cells = [
            f"{100 * test.value:.1f}",
            f"{100 * test.others:.1f}",
            f"{_signed(test.gap)}<small>{_signed(test.interval.low)} to {_signed(test.interval.high)}</small>",
            f"{_text(write_p(test.p_adjusted))}{_MARK if test.is_finding else ''}",
            _text(write_p(test.p)),
            f"±{100 * test.detectable:.0f}",
        ]
        rows.append(_Row(name_test(test), cells, test.group, test.is_finding))
    return _write_table("Comparisons, in percent and points", heads, rows)


def _write_matrix(classes: Sequence[str], group: Group) -> str:
    if group.figures is None:
        return ""
    counts = group.figures.confusion
    silent = any(row[-1] for row in counts)
    heads = ["label", *classes, *(["no answer"] if silent else [])]
    rows = []
    for label, row in zip(classes, counts, strict=True):
        if total := sum(row):
            cells = [f"{count / total:.0%}<small>{count:,}</small>" if count else "" for count in row[: len(heads) - 1]]
            rows.append(_Row(label, cells))
    return _write_table(f"{group.name}: labels down, answers across", heads, rows)


def _write_table(caption: str, heads: Sequence[str], rows: Sequence[_Row]) -> str:
    """Write a table, which can be scrolled if it is wider than the screen."""
    lines = [
        f'<div class="scroll" role="region" tabindex="0" aria-label="{_text(caption)}">\n',
        f"<table>\n<caption>{_text(caption)}</caption>\n<thead><tr>",
        *(f'<th scope="col">{_text(head, _LONGEST_NAME)}</th>' for head in heads),
        "</tr></thead>\n<tbody>\n",
    ]
    for name, cells, note, stands_out in rows:
        below = f"<small>{_text(note, _LONGEST_NAME)}</small>" if note else ""
        head = f"{_text(name, _LONGEST_NAME)}{below}"
        lines.append(f'<tr{" class=found" if stands_out else ""}><th scope="row">{head}</th>')
        lines += [f'<td class="bar">{cell}</td>' if cell.startswith("<svg") else f"<td>{cell}</td>" for cell in cells]
        lines.append("</tr>\n")
    return "".join([*lines, "</tbody>\n</table>\n</div>\n"])


def _draw_share(share: Share, expected: float) -> str:
    """Draw a share from 0 to 100 % with its interval, and what is expected of the labels as a line."""
    low, high = (100 * end for end in share.interval)
    return (
        '<svg viewBox="0 0 100 8" preserveAspectRatio="none" role="img" '
        f'aria-label="{share.value:.0%}, expected {expected:.0%}">'
        '<rect class="rail" width="100" height="8"/>'
        f'<rect class="reach" x="{low:.2f}" width="{high - low:.2f}" y="1" height="6"/>'
        f'<rect class="value" x="{100 * share.value - 0.6:.2f}" width="1.2" height="8"/>'
        f'<rect class="expected" x="{100 * expected - 0.25:.2f}" width="0.5" y="-1.5" height="11"/></svg>'
    )


def _write_method(audit: Audit) -> str:
    """Write how the figures are to be read."""
    people = (
        f" Faces of one person (column {_text(audit.person)}) count as belonging together in intervals and tests."
        if audit.person is not None
        else " The faces are taken for those of different people; if they are not, name the column of people."
    )
    return (
        '<h2 id="method">How to read this</h2>\n'
        "<p>Expected is the accuracy that the faces of all groups have with the labels of this group: a group with "
        "many faces that are hard for everybody is expected to have a lower one. In the charts, the thin line is "
        "what is expected, the thick one what was measured, and the bar its 95% interval.</p>\n"
        "<p>Each comparison asks whether any group differs from all other groups together. Its p-value is the fraction "
        "of permutations in which the names of the groups, shuffled among faces with the same label, make a gap at "
        f"least as large.{people}</p>\n"
        f"<p>All {write_count(audit.tests, 'p-value')} are corrected together for their number (Holm), so that the "
        "chance of calling any gap real where there are none is at most 5%. The gap is what remains beyond labels and "
        "chance; its interval is for this comparison alone, and among many groups, the largest gap is overestimated. "
        "Detectable is the size of a gap that would have been found in four of five cases.</p>\n"
        '<p class="note">ECE is the expected calibration error, in bins that all groups share; small groups have a '
        "larger one by chance alone, which the comparison takes into account. Intervals of shares are Wilson's.</p>\n"
    )


def _small(interval: Interval, *, percent: bool = True) -> str:
    if percent:
        return f"<small>{100 * interval.low:.0f} to {100 * interval.high:.0f}</small>"
    return f"<small>{interval.low:.3f} to {interval.high:.3f}</small>"


def _signed(share: float) -> str:
    """Write a difference in points with its sign."""
    return f"{100 * share:+.1f}".replace("-", "−")


def _text(value: str, most: int = 1000) -> str:
    """Write any text as one line of HTML."""
    return escape_html(shorten(escape(" ".join(str(value).split())), most))
