"""The sections of a report's page: overview, comparison, recordings with their people, and how to read it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from cmaen.drawing.charts import choose_ticks
from cmaen.drawing.lettering import write_count, write_percent, write_time
from cmaen.evaluation.intervals import Interval
from cmaen.recordings.episodes import Episode
from cmaen.studies.comparison import Comparison, Contrast, Factor
from cmaen.studies.events import Event
from cmaen.studies.people import PersonSummary, RecordingSummary
from cmaen.studies.thumbnails import Thumbnail
from cmaen.studies.timeline import choose_points, draw_timeline, span_of
from cmaen.studies.words import (
    explain_comparison,
    explain_person,
    write_interval,
    write_p,
    write_points,
    write_safely,
)

_MOST_EPISODES, _FEWEST_EPISODES, _ALL_EPISODES = 60, 5, 4000
"""Episodes that the page lists of a person, and of all people together, at most."""
_MOST_DIFFERENCES = 300
_MOST_EVENTS = 60
_SHORTEST_VIEW = 20
"""Points of a timeline that are shown when it is zoomed as far as possible."""

Places = Mapping[str, int]
"""Class of the style by label, by number."""


def write_overview(summaries: Sequence[RecordingSummary], names: Sequence[str], places: Places) -> str:
    """Write a table with a row for each person."""
    rows = []
    for number, (summary, name) in enumerate(zip(summaries, names, strict=True)):
        link = f'<a href="#r{number}">{write_safely(name)}</a>'
        if not summary.people:
            rows.append(f'<tr><th scope="row" class="name">{link}</th><td colspan="5">no face</td></tr>')
        for place, person in enumerate(summary.people):
            main = person.main
            told = (
                "–"
                if main is None
                else f"{_chip(main.emotion, places)}{write_safely(main.emotion)} {write_percent(main.share)}"
            )
            rows.append(
                f'<tr><th scope="row" class="name">{link}</th>'
                f'<td class="name"><a href="#r{number}p{place}">{write_safely(person.name)}</a></td>'
                f"<td>{write_time(person.seconds)}</td><td>{_share_of(person.unsure, person.seconds)}</td>"
                f'<td class="name">{told}</td><td class="bars">{_stack(person, places)}</td></tr>'
            )
    legend = " ".join(
        f"<span>{_chip(label, places)}{write_safely(label)}</span>" for label in _list_shown(summaries, places)
    )
    return (
        '<h2 id="overview">Overview</h2><div class="scroll"><table><thead><tr><th scope="col">recording</th>'
        '<th scope="col" class="name">person</th><th scope="col">seen</th><th scope="col">unsure</th>'
        '<th scope="col" class="name">mostly</th><th scope="col" class="name">shares of the time seen</th></tr></thead>'
        f'<tbody>{"".join(rows)}</tbody></table></div><p class="note legend">{legend}</p>'
    )


def _list_shown(summaries: Sequence[RecordingSummary], places: Places) -> list[str]:
    shown = {
        share.emotion
        for summary in summaries
        for person in summary.people
        for share in person.shares
        if share.seconds > 0
    }
    return [label for label in places if label in shown]


def _stack(person: PersonSummary, places: Places) -> str:
    """Draw the shares of a person as one stacked bar."""
    parts = "".join(
        f'<i class="e{places[share.emotion]}" style="width:{100 * share.share:.2f}%"></i>'
        for share in person.shares
        if share.share >= 0.001
    )
    told = ", ".join(f"{share.emotion} {write_percent(share.share)}" for share in person.shares if share.seconds > 0)
    return f'<span class="stack" role="img" aria-label="{write_safely(told or "nothing", 400)}">{parts}</span>'


def write_comparison(comparison: Comparison, places: Places) -> str:
    """Write the means over people, and the differences with their tests; empty if nobody was seen."""
    parts = [_write_factor(factor, places) for factor in comparison.factors if factor.means]
    if not parts:
        return ""
    return f'<h2 id="comparison">Comparison</h2>{"".join(parts)}'


def _write_factor(factor: Factor, places: Places) -> str:
    titles = {"stimulus": "By stimulus", "group": "By group", "recordings": "Over all people"}
    rows = "".join(
        f'<tr><th scope="row" class="name">{_chip(mean.emotion, places)}{write_safely(mean.emotion)}</th>'
        f'<td class="name">{write_safely(mean.level)}</td><td>{write_percent(mean.mean)}</td>'
        f"<td>{write_interval(mean.interval)}</td><td>{mean.people}</td>"
        f'<td class="bars">{_draw_span(mean.mean, mean.interval, places[mean.emotion])}</td></tr>'
        for mean in sorted(factor.means, key=lambda mean: places[mean.emotion])
    )
    left = "".join(f'<p class="note">{write_safely(sentence, 300)}.</p>' for sentence in factor.left_out[:12])
    return (
        f"<h3>{titles[factor.name]}</h3>{left}"
        '<div class="scroll shares"><table><caption>Mean share of the time over people</caption><thead><tr>'
        '<th scope="col">emotion</th><th scope="col" class="name">in</th><th scope="col">mean</th>'
        '<th scope="col">95% interval</th><th scope="col">people</th>'
        '<th scope="col" class="bars"><span class="soft">0 to 100%</span></th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>{_write_differences(factor.contrasts, places)}"
    )


def _write_differences(contrasts: Sequence[Contrast], places: Places) -> str:
    if not contrasts:
        return ""
    ordered = sorted(contrasts, key=lambda one: (one.adjusted is None, one.adjusted or 0, -abs(one.difference)))
    rows = "".join(_write_difference(one, places) for one in ordered[:_MOST_DIFFERENCES])
    more = len(ordered) - _MOST_DIFFERENCES
    rest = f'<p class="note">{more:,} more are in the files beside this page.</p>' if more > 0 else ""
    return (
        '<div class="scroll"><table><caption>Differences of the second less the first, in percentage points of the time'
        '</caption><thead><tr><th scope="col">emotion</th><th scope="col" class="name">first</th>'
        '<th scope="col" class="name">second</th><th scope="col">difference</th><th scope="col">95% interval</th>'
        '<th scope="col">people</th><th scope="col">p</th><th scope="col">corrected p</th>'
        f'<th scope="col" class="name">result</th></tr></thead><tbody>{rows}</tbody></table></div>{rest}'
    )


def _write_difference(one: Contrast, places: Places) -> str:
    people = f"{one.people[0]}, paired" if one.paired else f"{one.people[0]} and {one.people[1]}"
    untested = "nobody differs" if one.smallest == 1 and one.difference == 0 else "too few people"
    result = untested if one.p_value is None else "significant" if one.is_significant else "not significant"
    mark = ' class="significant"' if one.is_significant else ""
    return (
        f'<tr{mark}><th scope="row" class="name">{_chip(one.emotion, places)}{write_safely(one.emotion)}</th>'
        f'<td class="name">{write_safely(one.first)}</td><td class="name">{write_safely(one.second)}</td>'
        f"<td>{write_points(one.difference)}</td><td>{write_interval(one.interval, '+')}</td><td>{people}</td>"
        f'<td>{write_p(one.p_value)}</td><td>{write_p(one.adjusted)}</td><td class="name">{result}</td></tr>'
    )


def write_recording(
    summary: RecordingSummary,
    name: str,
    number: int,
    places: Places,
    *,
    faces: int,
    events: Sequence[Event] = (),
    thumbnails: Mapping[str, Sequence[Thumbnail]],
) -> str:
    """Write the section of a recording.

    Args:
        summary: What its people showed.
        name: Name to show.
        number: Number of the recording, for links.
        places: Class of the style for each label.
        faces: Number of people in all recordings of the page.
        events: Events to show in the timelines.
        thumbnails: Thumbnails by person.
    """
    recording = summary.recording
    start, end = span_of(recording)
    points = choose_points(recording, faces)
    least = min(_SHORTEST_VIEW * (end - start) / points, end - start)
    facts = [f"{write_time(recording.seconds)} recorded in {write_count(len(recording.times), 'frame')}"]
    facts += [f"{write_time(summary.empty)} without any face ({_share_of(summary.empty, recording.seconds)})"]
    if summary.missing >= 0.5:
        facts.append(f"{write_time(summary.missing)} not recorded")
    if recording.scheme:
        facts.append(f"label scheme {recording.scheme}")
    head = f'<h2>{write_safely(name)}</h2><p class="note">{write_safely("; ".join(facts), 300)}.</p>'
    if not summary.people:
        return f'<section id="r{number}">{head}<p>No face was seen in this recording.</p></section>'
    tools = (
        '<div class="tools" role="group" aria-label="Zoom all timelines of this recording" hidden>'
        '<button data-act="back" aria-label="Earlier">◀</button>'
        '<button data-act="closer" aria-label="Zoom in">+</button>'
        '<button data-act="wider" aria-label="Zoom out">−</button><button data-act="on" aria-label="Later">▶</button>'
        '<button data-act="all" aria-label="Whole recording">Whole</button><output aria-live="polite"></output></div>'
        '<p class="note how">A timeline can be zoomed with + and −, moved with the arrow keys or by dragging, and '
        "shown whole again with 0. "
        f"Each of its {points:,} points is a mean over {_tell_seconds((end - start) / points)}.</p>"
    )
    each = int(np.clip(_ALL_EPISODES // max(faces, 1), _FEWEST_EPISODES, _MOST_EPISODES))
    people = "".join(
        _write_person(
            summary, person, f"r{number}p{place}", places, points, each, events, thumbnails.get(person.name, ())
        )
        for place, person in enumerate(summary.people)
    )
    return (
        f'<section class="recording" id="r{number}" data-begin="{start:.4f}" data-end="{end:.4f}" '
        f'data-least="{least:.4f}">{head}{tools}{people}</section>'
    )


def _write_person(
    summary: RecordingSummary,
    person: PersonSummary,
    anchor: str,
    places: Places,
    points: int,
    each: int,
    events: Sequence[Event],
    thumbnails: Sequence[Thumbnail],
) -> str:
    recorded = summary.recording.seconds
    facts = (
        f"Seen for {write_time(person.seconds)} of {write_time(recorded)} ({_share_of(person.seconds, recorded)}), "
        f"not seen for {write_time(person.absent)}; unsure for {write_time(person.unsure)} of the time seen "
        f"({_share_of(person.unsure, person.seconds)})."
    )
    return (
        f'<article class="person" id="{anchor}"><h3>{write_safely(person.name)}</h3><p>{facts}</p>'
        f"{_write_timeline(summary, person, places, points, events)}{_write_thumbnails(thumbnails)}"
        f'<div class="pair">{_write_shares(person, places)}{_write_transitions(person)}</div>'
        f"{_write_episodes(person.episodes, each)}</article>"
    )


def _write_timeline(
    summary: RecordingSummary, person: PersonSummary, places: Places, points: int, events: Sequence[Event]
) -> str:
    recording = summary.recording
    start, end = span_of(recording)
    title = f"Timeline of {person.name}: probability of each emotion over time"
    drawn = draw_timeline(
        recording,
        recording.people[person.name],
        points,
        [*(places[label] for label in recording.labels), len(places) - 1],
        write_safely(title, 200),
    )
    names = "".join(f"<li>{_chip(label, places)}{write_safely(label, 20)}</li>" for label in recording.labels)
    ticks = "".join(
        f'<span style="left:{100 * (tick - start) / (end - start):.3f}%">{write_time(tick, exact=True)}</span>'
        for tick in choose_ticks(start, end)
        if tick < end
    )
    bands = "".join(_write_bands(events, start, end))
    strip = f'<div class="events">{bands}</div>' if bands else ""
    return (
        f'<div class="card chart">{strip}<ul aria-hidden="true">{names}</ul>'
        f'<div class="view" aria-label="{write_safely(title, 200)}" role="group">{drawn}</div>'
        f'<div class="axis" aria-hidden="true">{ticks}</div></div>'
    )


def _write_bands(events: Sequence[Event], start: float, end: float) -> Iterator[str]:
    """Write the events as bands above a timeline."""
    for event in events[:_MOST_EVENTS]:
        first, last = max(event.start, start), min(event.end, end)
        if last > first:
            left, width = 100 * (first - start) / (end - start), 100 * (last - first) / (end - start)
            yield (
                f'<span data-start="{first:.4f}" data-end="{last:.4f}" title="{write_safely(event.name)}" '
                f'style="left:{left:.3f}%;width:{width:.3f}%">{write_safely(event.name)}</span>'
            )


def _write_shares(person: PersonSummary, places: Places) -> str:
    rows = "".join(
        f'<tr><th scope="row" class="name">{_chip(share.emotion, places)}{write_safely(share.emotion)}</th>'
        f"<td>{write_time(share.seconds, exact=True)}</td><td>{write_percent(share.share)}</td>"
        f"<td>{write_interval(share.interval)}</td>"
        f"<td>{'–' if share.mean is None else write_percent(share.mean)}</td>"
        f'<td class="bars">{_draw_span(share.share, share.interval, places[share.emotion])}</td></tr>'
        for share in person.shares
    )
    blocks = (
        f"Intervals from blocks of {_tell_seconds(person.block)}"
        if any(share.interval for share in person.shares)
        else "Seen too shortly for intervals"
    )
    return (
        f'<div class="scroll shares"><table><caption>Shares of the time seen. {blocks}.</caption><thead><tr>'
        '<th scope="col">emotion</th><th scope="col">time</th><th scope="col">share</th>'
        '<th scope="col">95% interval</th><th scope="col">mean</th><th scope="col" class="bars">'
        f'<span class="soft">0 to 100%</span></th></tr></thead><tbody>{rows}</tbody></table></div>'
    )


def _write_transitions(person: PersonSummary) -> str:
    counts = person.transitions
    shown = [number for number in range(len(counts)) if counts[number].any() or counts[:, number].any()]
    if not shown:
        return '<p class="note">No episode followed one of another emotion.</p>'
    heads = "".join(f'<th scope="col">{write_safely(person.labels[number], 12)}</th>' for number in shown)
    most = counts.max()
    rows = "".join(
        f'<tr><th scope="row">{write_safely(person.labels[first], 20)}</th>'
        + "".join(_write_count(int(counts[first, second]), int(most), first == second) for second in shown)
        + "</tr>"
        for first in shown
    )
    return (
        '<div class="scroll"><table class="matrix"><caption>Transitions: from the emotion at the left to the one above'
        f"</caption><thead><tr><td></td>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _write_count(count: int, most: int, same: bool) -> str:
    if same:
        return "<td>–</td>"
    return (
        f'<td style="background:color-mix(in srgb,var(--link) {60 * count / most:.0f}%,transparent)">{count}</td>'
        if count
        else "<td>0</td>"
    )


def _write_episodes(episodes: Sequence[Episode], most: int) -> str:
    if not episodes:
        return '<p class="note">No episode lasted for half a second.</p>'
    kept = sorted(sorted(episodes, key=lambda one: -one.seconds)[:most], key=lambda one: one.start)
    rows = "".join(
        f'<tr><td><button data-start="{one.start:.4f}" data-end="{one.end:.4f}">{write_time(one.start, exact=True)}'
        f"</button></td><td>{write_time(one.end, exact=True)}</td><td>{one.seconds:.1f} s</td>"
        f'<td class="name">{write_safely(one.emotion)}</td><td>{write_time(one.peak, exact=True)}</td>'
        f"<td>{write_percent(one.height)}</td><td>{write_percent(one.confidence)}</td></tr>"
        for one in kept
    )
    told = write_count(len(episodes), "episode")
    if len(kept) < len(episodes):
        told = f"{told}, of which the {len(kept)} longest are listed; all are in the table beside this page"
    return (
        f'<details><summary>{told}</summary><div class="scroll"><table><thead><tr><th scope="col">start</th>'
        '<th scope="col">end</th><th scope="col">length</th><th scope="col" class="name">emotion</th>'
        '<th scope="col">peak at</th><th scope="col">peak</th><th scope="col">mean confidence</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div></details>"
    )


def _write_thumbnails(thumbnails: Sequence[Thumbnail]) -> str:
    if not thumbnails:
        return ""
    tiles = "".join(
        f'<figure><img src="{one.address}" alt="Face at the peak of {write_safely(one.episode.emotion)}">'
        f"<figcaption>{write_safely(one.episode.emotion)} {write_percent(one.episode.height)}<br>"
        f'<span class="soft">{write_time(one.episode.peak, exact=True)}</span></figcaption></figure>'
        for one in thumbnails
    )
    return f'<div class="peaks">{tiles}</div>'


def write_method(comparison: Comparison) -> str:
    """Write how to read the report."""
    sentences: Iterable[str] = (*explain_person(), *explain_comparison(comparison))
    return '<h2 id="method">How to read this report</h2>' + "".join(
        f"<p>{write_safely(sentence, 1200)}</p>" for sentence in sentences
    )


def _draw_span(share: float, interval: Interval | None, place: int) -> str:
    """Draw a share from 0 to 100% as a bar, with its interval as a thin line."""
    reach = ""
    if interval is not None:
        left, width = 100 * interval.low, max(100 * (interval.high - interval.low), 0.4)
        reach = (
            f'<rect class="halo" x="{left:.2f}" y="3.5" width="{width:.2f}" height="5"/>'
            f'<rect class="reach" x="{left:.2f}" y="5" width="{width:.2f}" height="2"/>'
        )
    return (
        f'<svg class="span e{place}" viewBox="0 0 100 12" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="rail" width="100" height="12"/><rect class="bar" width="{100 * share:.2f}" height="12"/>'
        f"{reach}</svg>"
    )


def _chip(label: str, places: Places) -> str:
    return f'<span class="chip e{places[label]}"></span>'


def _share_of(part: float, whole: float) -> str:
    return write_percent(part / whole) if whole > 0 else "–"


def _tell_seconds(seconds: float) -> str:
    return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
