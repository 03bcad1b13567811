"""The experiments: a table of them, and the head of each, made from the front matter of their records."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.pages import Page
from mkdocs.utils.meta import get_data

PLACE = "<!-- records -->"
OUTCOMES = ("shipped", "kept", "finding", "rejected", "open")


class Record(NamedTuple):
    """An experiment.

    Attributes:
        name: Name of its file, which begins with its number.
        title: What it is about.
        outcome: One of :data:`OUTCOMES`.
        cost: What it took, in words; may be empty.
    """

    name: str
    title: str
    outcome: str
    cost: str


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, **_: Any) -> str:
    """Put the table in its place, or the outcome and the cost below the title of a record."""
    path = Path(config.docs_dir, page.file.src_uri)
    if PLACE in markdown:
        return markdown.replace(PLACE, write_table(read_records(path.parent)))
    if {"outcome", "cost"} <= page.meta.keys():
        record = Record(path.name, page.meta["title"], page.meta["outcome"], page.meta["cost"])
        title = f"# {record.title}\n"
        return markdown.replace(title, f"{title}\n{write_head(record)}\n", 1)
    return markdown


def read_records(folder: Path) -> list[Record]:
    """Read the records of a folder, in the order of their numbers.

    Raises:
        ValueError: A record has no number of its own, or its front matter is not as it must be.
    """
    records = []
    for number, path in enumerate(sorted(folder.glob("[0-9]*.md")), start=1):
        _, given = get_data(path.read_text(encoding="utf-8"))
        if not re.fullmatch(rf"{number:03}-[a-z0-9-]+\.md", path.name):
            raise ValueError(f"{path} must be called {number:03}-title.md")
        if set(given) != {"title", "outcome", "cost"} or given["outcome"] not in OUTCOMES:
            raise ValueError(f"{path} needs the front matter title, cost and outcome ({', '.join(OUTCOMES)})")
        records.append(Record(path.name, **given))
    return records


def write_table(records: list[Record]) -> str:
    """Write the records as a table of Markdown."""
    rows = (
        f"| {one.name[:3]} | [{_cell(one.title)}]({one.name}) | {one.outcome} | {_cell(one.cost)} |" for one in records
    )
    return "\n".join(["| | experiment | outcome | cost |", "|---|---|---|---|", *rows])


def write_head(record: Record) -> str:
    """Write the line below the title of a record."""
    cost = f" Cost: {record.cost}." if record.cost else ""
    return f"[Experiment](index.md) {record.name[:3]}: **{record.outcome}**.{cost}"


def _cell(text: str) -> str:
    return text.replace("|", r"\|")
