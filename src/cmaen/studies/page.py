"""The page of a report: one HTML file that loads nothing from other files or hosts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from itertools import count
from string import Template

from cmaen.drawing.style import hex_of
from cmaen.evaluation.theme import adapt, read_style
from cmaen.studies.comparison import Comparison
from cmaen.studies.events import Event, Events
from cmaen.studies.people import RecordingSummary
from cmaen.studies.sections import write_comparison, write_method, write_overview, write_recording
from cmaen.studies.thumbnails import Thumbnail
from cmaen.studies.words import CAUTION, shorten_names, sum_up, tell_findings, write_safely
from cmaen.types import UNCERTAIN

_MOST_LINKS = 40
"""People up to which the contents list each of them."""


@dataclass(frozen=True)
class Study:
    """Everything that a report shows.

    Attributes:
        summaries: What the people of each recording showed.
        comparison: Means over people and tests.
        events: The events; ``None`` if there are none.
        thumbnails: Thumbnails by the number of the recording and by person.
        notes: Sentences on what was left out.
        title: Title of the page.
    """

    summaries: tuple[RecordingSummary, ...]
    comparison: Comparison
    events: Events | None = None
    thumbnails: Mapping[int, Mapping[str, Sequence[Thumbnail]]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    title: str = "What the faces showed"

    @property
    def labels(self) -> tuple[str, ...]:
        """All emotions of all recordings, and ``uncertain`` at the end."""
        found = dict.fromkeys(label for summary in self.summaries for label in summary.recording.labels)
        found.pop(UNCERTAIN, None)
        return (*found, UNCERTAIN)

    def list_events(self, summary: RecordingSummary) -> list[Event]:
        """List the events of a recording that have a name and a beginning or an end of their own."""
        events = () if self.events is None else self.events.events
        name = summary.recording.name
        return [one for one in events if one.name and one.concerns(name) and (one.start > 0 or one.end < float("inf"))]


def write_page(study: Study) -> str:
    """Write the page of a study as HTML. Every name in it is escaped."""
    names = shorten_names(study.summaries)
    here = files("cmaen.studies")
    template = Template((here / "report.html").read_text("utf-8"))
    verdict = [*sum_up(study.summaries, study.comparison), *tell_findings(study.comparison)]
    places = {label: number for number, label in enumerate(study.labels)}
    faces = sum(len(summary.people) for summary in study.summaries)
    recordings = (
        write_recording(
            summary,
            name,
            number,
            places,
            faces=faces,
            events=study.list_events(summary),
            thumbnails=study.thumbnails.get(number, {}),
        )
        for number, summary, name in zip(count(), study.summaries, names, strict=False)
    )
    body = [
        write_overview(study.summaries, names, places),
        write_comparison(study.comparison, places),
        *recordings,
        write_method(study.comparison),
    ]
    return template.substitute(
        title=write_safely(study.title),
        caution=write_safely(CAUTION, 400),
        verdict="\n".join(f"<p>{write_safely(sentence, 600)}</p>" for sentence in verdict),
        notes=_write_notes(study.notes),
        contents="\n".join(_write_contents(study, names, faces)),
        style=read_style() + (here / "report.css").read_text("utf-8") + _write_colours(study.labels),
        script=(here / "report.js").read_text("utf-8"),
        body="\n".join(part for part in body if part),
    )


def _write_notes(notes: Sequence[str]) -> str:
    if not notes:
        return ""
    lines = "".join(f"<li>{write_safely(note, 300)}</li>" for note in notes)
    return f'<div class="note"><p>Left out or not done:</p><ul>{lines}</ul></div>'


def _write_contents(study: Study, names: Sequence[str], faces: int) -> Iterator[str]:
    yield '<li><a href="#overview">Overview</a></li>'
    if any(factor.means for factor in study.comparison.factors):
        yield '<li><a href="#comparison">Comparison</a></li>'
    for number, (summary, name) in enumerate(zip(study.summaries, names, strict=True)):
        inner: Iterable[str] = ()
        if faces <= _MOST_LINKS:
            inner = (
                f'<li><a href="#r{number}p{place}">{write_safely(person.name, 40)}</a></li>'
                for place, person in enumerate(summary.people)
            )
        below = "".join(inner)
        nested = f"<ol>{below}</ol>" if below else ""
        yield f'<li><a href="#r{number}">{write_safely(name, 40)}</a>{nested}</li>'
    yield '<li><a href="#method">How to read this report</a></li>'


def _write_colours(labels: Sequence[str]) -> str:
    """Write the colour of each label as a class of the style, in light and in dark mode."""
    colours = [hex_of(label, labels[:-1]) for label in labels]
    light = "".join(f".e{number}{{color:{colour}}}" for number, colour in enumerate(colours))
    dark = "".join(f".e{number}{{color:{adapt(colour)}}}" for number, colour in enumerate(colours))
    return f"\n{light}\n@media screen and (prefers-color-scheme: dark) {{{dark}}}\n"
