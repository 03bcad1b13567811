"""Terminal output of the verbs that predict: tables of faces and of people, counts, and the files written."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cmaen.cli.console import escape_for_terminal
from cmaen.drawing.lettering import write_count, write_percent
from cmaen.inference.sinks import Needs
from cmaen.recordings.forms import find_form
from cmaen.results import Face, Result
from cmaen.types import Image

if TYPE_CHECKING:
    from cmaen.inference.people.gallery import Known
    from cmaen.inference.people.naming import Names, Settle
    from cmaen.inference.run import Summary
    from cmaen.inference.sinks.people import Person

_CLASS = re.compile(r"[A-Z]\w*(Error|Exception|Warning): ")
"""The class name with which an error begins in the records."""
_MOST_PEOPLE = 12
_BOX = "box: x, y, width, height"


class TableSink:
    """A sink that shows the results at the end, or only the errors, and counts the answers.

    Args:
        only_errors: Whether to show only the errors, without a table of faces.
        settle: Returns the final names of people; ``None`` if people are not recognised.

    Attributes:
        answers: Number of faces with each emotion; unsure answers are counted as ``unsure``.
    """

    needs = Needs.RECORDS

    def __init__(self, *, only_errors: bool, settle: Settle | None = None) -> None:
        self._settle = settle
        self.answers: Counter[str] = Counter()
        self._only_errors = only_errors
        self._results: list[Result] = []
        self._classes: dict[str, None] = {}

    def write(self, result: Result, drawn: Image | None) -> None:
        """Remember a result."""
        for face in result.faces:
            self._classes |= dict.fromkeys(face.classes)
            self.answers["unsure" if face.is_unsure else face.emotion] += 1
        if result.error is not None or not self._only_errors:
            self._results.append(result)

    def finish(self) -> None:
        """Show the results."""
        console = Console()
        shown = [result for result in self._results if result.error is None]
        if shown:
            names = None if self._settle is None else self._settle()
            named = names is not None and names.recognised
            table = Table("image", "face", *(["person"] if named else []), "emotion", "confidence", _BOX)
            for result in shown:
                name = Text(escape_for_terminal(Path(result.frame.name).name), overflow="fold")
                if not result.faces:
                    table.add_row(name, "", *([""] if named else []), "no face", "", "")
                for number, face in enumerate(result.faces, start=1):
                    box = ", ".join(f"{value:.0f}" for value in face.to_dict()["box"])
                    person = [escape_for_terminal(names.name(None, face.person) or "")] if names and named else []
                    percent = write_percent(face.confidence)
                    table.add_row(name, str(number), *map(Text, person), describe_face(face), percent, box)
            console.print(table)
        for result in self._results:
            if result.error is not None:
                show_problem(explain(result.frame.name, result.error), console)

    def close(self) -> None:
        """Do nothing, since nothing is open."""

    def sum_up(self) -> str:
        """Sum up the answers in one line, such as ``happy 6 · sad 1 · unsure 1``; empty if there are none."""
        order = [name for name in self._classes if name != "unsure"]
        counted = [(name, self.answers[name]) for name in (*order, "unsure")]
        return " · ".join(f"{name} {count:,}" for name, count in counted if count)


def describe_face(face: Face) -> str:
    """Describe an answer in words: one emotion, or two and the known reasons if the network is unsure."""
    if not face.is_unsure or len(face.classes) < 2:
        return face.emotion
    ranked = sorted(zip(face.probabilities, face.classes, strict=True), key=lambda one: -one[0])
    doubts = " and ".join(getattr(face, "doubts", ()))
    return f"unsure: maybe {ranked[0][1]} or {ranked[1][1]}{f' ({doubts})' if doubts else ''}"


def explain(name: str, error: str) -> str:
    """Explain an error with the file's name, which appears once, and without the error's class."""
    text = _CLASS.sub("", error, count=1)
    return text if name in text else f"{name}: {text}"


def show_problem(text: str, console: Console | None = None) -> None:
    """Show one line in red, without wrapping it."""
    (console or Console()).print(Text(escape_for_terminal(text), style="red"), soft_wrap=True)


def show_people(people: Sequence[Person]) -> None:
    """Show a table with one row per person: the time seen, and the share of each emotion in it.

    Args:
        people: People of one video; those seen longest are shown.
    """
    if not people:
        return
    longest = sorted(people, key=lambda person: -person.seconds)[:_MOST_PEOPLE]
    classes = list(dict.fromkeys(name for person in people for name in person.classes))
    table = Table("person", "seen", *classes, "unsure")
    for person in sorted(longest, key=lambda person: person.identity):
        shares = person.shares
        cells = [write_percent(shares.get(name, 0.0)) if shares.get(name) else "" for name in classes]
        unsure = write_percent(person.unsure) if person.unsure else ""
        table.add_row(Text(escape_for_terminal(person.label)), f"{person.seconds:.1f} s", *cells, unsure)
    Console().print(table)
    if rest := len(people) - len(longest):
        typer.echo(f"{write_count(rest, 'more person', 'more people')} seen for less; --per-person FILE.csv lists all")


def describe_known(known: Sequence[Known], excluded: Sequence[Known]) -> str:
    """Describe whose faces are recognised or left out, and that nothing about them is stored."""
    parts = [
        f"{write_count(len(people), 'person', 'people')} {doing} by {write_count(photographs, 'photograph')}"
        for people, doing in ((known, "known"), (excluded, "excluded"))
        if (photographs := sum(len(one.faces) for one in people))
    ]
    return f"{', '.join(parts) or 'people are told apart'}; the features of faces are not stored"


def describe_excluded(names: Names) -> str:
    """Count the faces that were left out of all results; empty if there are none."""
    parts = [write_count(names.excluded, "face") + " of excluded people"] if names.excluded else []
    if names.uncompared:
        parts.append(f"{write_count(names.uncompared, 'face')} too small to be compared with excluded people")
    return f"left out: {' and '.join(parts)}" if parts else ""


def count_frames(summary: Summary, seconds: float) -> str:
    """Sum up a video: frames, faces, people and speed."""
    return (
        f"{write_count(summary.frames, 'frame')} ({summary.seconds:.1f} s), {write_count(summary.faces, 'face')}, "
        f"{write_count(summary.people, 'person', 'people')}; "
        f"{summary.frames / max(seconds, 1e-9):.1f} frames per second"
    )


def count_images(summary: Summary) -> str:
    """Sum up pictures: images, faces, people if they are recognised, and errors."""
    counts = [write_count(summary.frames, "image"), write_count(summary.faces, "face")]
    if summary.people:
        counts.append(write_count(summary.people, "person", "people"))
    return ", ".join([*counts, write_count(summary.errors, "error")])


def noun_for(path: Path) -> str:
    """Return what a file of results consists of: rows, records or episodes."""
    if find_form(path):
        return "episode"
    return "row" if path.suffix.lower() in (".csv", ".parquet") else "record"


def show_written(places: Iterable[tuple[Path, str]]) -> None:
    """List the files that a run wrote, in one line.

    Args:
        places: Paths, each with a note such as ``472 rows``, which may be empty.
    """
    texts = [f"{path}{'/' if path.is_dir() else ''}{f' ({about})' if about else ''}" for path, about in places]
    if texts:
        typer.echo(escape_for_terminal(f"wrote {', '.join(texts)}"))
