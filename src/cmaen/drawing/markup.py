"""Answers as a small HTML table for notebooks: one row per face, with a bar for each probability."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape as escape_html
from itertools import islice
from pathlib import PurePath
from typing import Any

from cmaen.drawing.style import describe_answer, hex_of
from cmaen.errors import escape
from cmaen.types import EMOTIONS

MOST = 20
"""Maximum number of rows; the remaining ones are only counted."""
_LONGEST = 40
_CELL = "text-align:left;padding:2px 8px;white-space:nowrap"


def write_table(records: Iterable[Mapping[str, Any]]) -> str:
    """Write the faces of some records, see :meth:`cmaen.results.Result.to_record`, as HTML without a style sheet.

    Names, labels and errors are escaped.
    """
    everything = list(records)
    found = (name for record in everything for face in record["faces"] for name in face.get("probabilities", ()))
    labels = list(dict.fromkeys(found)) or list(EMOTIONS)
    count = sum(max(len(record["faces"]), 1) for record in everything)
    heads = "".join(f'<th style="{_CELL}">{_text(name)}</th>' for name in ("picture", "face", "answer", *labels))
    lines = (line for record in everything for line in _write_record(record, labels))
    body = "".join(islice(lines, MOST))
    left = f"<p>… and {count - MOST} more</p>" if count > MOST else ""
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>{left}"


def write_facts(title: str, facts: Mapping[str, Any]) -> str:
    """Write a title and some facts, one row each, as HTML without a style sheet; everything is escaped."""
    rows = "".join(
        f'<tr><th style="{_CELL}">{_text(name)}</th><td style="{_CELL}">{_text(value, 120)}</td></tr>'
        for name, value in facts.items()
    )
    return f"<b>{_text(title)}</b><table><tbody>{rows}</tbody></table>"


def _write_record(record: Mapping[str, Any], labels: list[str]) -> Iterable[str]:
    name = _text(PurePath(str(record.get("path") or "")).name)
    if record.get("frame") is not None:
        name = f"{name} frame {record['frame']}".strip()
    if not record["faces"]:
        said = "no face" if record.get("error") is None else record["error"]
        yield f'<tr><td style="{_CELL}">{name}</td><td></td><td style="{_CELL}">{_text(said, 120)}</td></tr>'
    for number, face in enumerate(record["faces"], start=1):
        answers = face.get("probabilities", {})
        colour = hex_of(face["predicted_emotion"], list(answers) or labels)
        dot = f'<span style="color:{colour}">&#9679;</span>'
        bars = "".join(_write_bar(answers.get(label), hex_of(label, labels)) for label in labels)
        told = f"{dot} {_text(describe_answer(face))}" + (
            f" ({_text(', '.join(face['doubts']))})" if face.get("doubts") else ""
        )
        who = _text(face.get("person") or face.get("identity", number))
        cells = f'<td style="{_CELL}">{name}</td><td style="{_CELL}">{who}</td>'
        yield f'<tr>{cells}<td style="{_CELL}">{told}</td>{bars}</tr>'


def _write_bar(share: float | None, colour: str) -> str:
    """Write a cell with a number and a bar behind it."""
    if share is None:
        return "<td></td>"
    percent = min(max(100 * share, 0.0), 100.0)
    text = "&lt;1%" if 0 < percent < 0.5 else f"{percent:.0f}%"
    bar = f"background:linear-gradient(to right,{colour}66 {percent:.0f}%,transparent {percent:.0f}%)"
    return f'<td style="{_CELL};{bar}">{text}</td>'


def _text(value: Any, most: int = _LONGEST) -> str:
    line = " ".join(escape(str(value)).split())
    return escape_html(line if len(line) <= most else f"{line[: most - 1]}…")
