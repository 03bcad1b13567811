"""Annotations for ELAN, the annotation tool of the Max Planck Institute for Psycholinguistics (``.eaf``, EAF 3.0)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import Element, ElementTree, SubElement, indent

from cmaen.files import replace_file
from cmaen.listing import VIDEO, left_out_kind
from cmaen.naming import make_unique
from cmaen.recordings.episodes import Episode
from cmaen.recordings.plain import is_usable, make_plain, name_plainly
from cmaen.recordings.recording import Recording

_MIME_TYPES = {
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mov": "video/quicktime",
    ".mpg": "video/mpeg",
    ".mpeg": "video/mpeg",
}
_ANY_VIDEO = "video/*"
_EMOTIONS, _CONFIDENCE = "emotion", "confidence"
"""Linguistic types of the tiers."""
_LANGUAGE = "und"
"""ELAN's undetermined language: labels may be in any."""


class _Annotation(NamedTuple):
    """An episode as ELAN has it: whole milliseconds, and an end after its start."""

    episode: Episode
    start: int
    end: int


def write_elan(path: str | os.PathLike[str], recording: Recording, episodes: Sequence[Episode]) -> None:
    """Write episodes as annotations for ELAN, whole or not at all.

    Each person with an episode has a tier, whose annotations are the episodes, and below it a tier with the mean
    confidence of each. The emotions are a controlled vocabulary. Times are rounded to milliseconds; an episode lasts
    one at least, since ELAN has no shorter ones. The file names the video by its full path, as ELAN does, and by its
    path from the annotations, by which ELAN finds it after both have moved; a camera or an address is not named.

    Args:
        path: Path of the file, by convention ``.eaf``.
        recording: The recording.
        episodes: Its episodes, sorted by beginning, see :func:`cmaen.recordings.episodes.find_episodes`.

    Raises:
        OutputError: The file cannot be written; ``path`` is unchanged.
    """
    path = Path(path)
    document = _build(recording, episodes, path.absolute().parent)
    indent(document, "  ")
    with replace_file(path) as temporary:
        ElementTree(document).write(temporary, encoding="UTF-8", xml_declaration=True)


def _build(recording: Recording, episodes: Sequence[Episode], folder: Path) -> Element:
    document = Element(
        "ANNOTATION_DOCUMENT",
        {
            "AUTHOR": "cmaen",
            "DATE": datetime.now().astimezone().isoformat(timespec="seconds"),
            "FORMAT": "3.0",
            "VERSION": "3.0",
            "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
            "xsi:noNamespaceSchemaLocation": "http://www.mpi.nl/tools/elan/EAFv3.0.xsd",
        },
    )
    by_person: dict[str, list[Episode]] = {person: [] for person in recording.people}
    for episode in episodes:
        by_person[episode.person].append(episode)
    tiers = {person: _align(own) for person, own in by_person.items() if own}
    header = SubElement(document, "HEADER", MEDIA_FILE="", TIME_UNITS="milliseconds")
    media = _describe_media(recording.name, folder)
    if media:
        SubElement(header, "MEDIA_DESCRIPTOR", media)
    last_used = SubElement(header, "PROPERTY", NAME="lastUsedAnnotationId")
    last_used.text = str(2 * sum(map(len, tiers.values())))
    slots = _add_slots(document, tiers)
    entries = _list_entries(recording, episodes)
    _add_tiers(document, tiers, slots, entries)
    _add_types(document, entries)
    return document


def _align(episodes: Sequence[Episode]) -> list[_Annotation]:
    """Round the times of one person's episodes such that none is empty and none overlaps, which ELAN refuses."""
    aligned: list[_Annotation] = []
    end = 0
    for episode in episodes:
        start = max(round(episode.start * 1000), end)
        end = max(round(episode.end * 1000), start + 1)
        aligned.append(_Annotation(episode, start, end))
    return aligned


def _add_slots(document: Element, tiers: dict[str, list[_Annotation]]) -> dict[tuple[str, int, int], str]:
    """Add the time slots in the order of time: two for each annotation, so that moving one moves no other.

    Returns:
        Identifiers of the slots by person, number of the annotation, and 0 for its start or 1 for its end.
    """
    order = SubElement(document, "TIME_ORDER")
    moments = sorted(
        (time, number, side, person)
        for person, annotations in tiers.items()
        for number, annotation in enumerate(annotations)
        for side, time in enumerate((annotation.start, annotation.end))
    )
    slots: dict[tuple[str, int, int], str] = {}
    for count, (time, number, side, person) in enumerate(moments, start=1):
        slots[person, number, side] = f"ts{count}"
        SubElement(order, "TIME_SLOT", TIME_SLOT_ID=f"ts{count}", TIME_VALUE=str(time))
    return slots


def _list_entries(recording: Recording, episodes: Sequence[Episode]) -> dict[str, tuple[str, str]]:
    """List the vocabulary: identifier and text of each emotion."""
    emotions = dict.fromkeys((*recording.labels, *(episode.emotion for episode in episodes)))
    return {name: (f"cveid{number}", text) for number, (name, text) in enumerate(name_plainly(emotions).items())}


def _add_tiers(
    document: Element,
    tiers: dict[str, list[_Annotation]],
    slots: dict[tuple[str, int, int], str],
    entries: dict[str, tuple[str, str]],
) -> None:
    """Add two tiers for each person: the episodes, and the confidence of each."""
    people = list(name_plainly(tiers).values())
    names = make_unique([*people, *(f"{name} {_CONFIDENCE}" for name in people)])
    count = 0
    for place, (person, episodes) in enumerate(tiers.items()):
        own, below = names[place], names[len(people) + place]
        shared = {"PARTICIPANT": make_plain(person), "ANNOTATOR": "cmaen"}
        emotions = SubElement(document, "TIER", {"TIER_ID": own, "LINGUISTIC_TYPE_REF": _EMOTIONS, **shared})
        confidence = SubElement(
            document, "TIER", {"TIER_ID": below, "LINGUISTIC_TYPE_REF": _CONFIDENCE, "PARENT_REF": own, **shared}
        )
        for number, annotation in enumerate(episodes):
            identity, about = f"a{count + 1}", f"a{count + 2}"
            count += 2
            entry, text = entries[annotation.episode.emotion]
            aligned = SubElement(
                SubElement(emotions, "ANNOTATION"),
                "ALIGNABLE_ANNOTATION",
                ANNOTATION_ID=identity,
                CVE_REF=entry,
                TIME_SLOT_REF1=slots[person, number, 0],
                TIME_SLOT_REF2=slots[person, number, 1],
            )
            SubElement(aligned, "ANNOTATION_VALUE").text = text
            referring = SubElement(
                SubElement(confidence, "ANNOTATION"), "REF_ANNOTATION", ANNOTATION_ID=about, ANNOTATION_REF=identity
            )
            SubElement(referring, "ANNOTATION_VALUE").text = f"{annotation.episode.confidence:.2f}"


def _add_types(document: Element, entries: dict[str, tuple[str, str]]) -> None:
    """Add the types of the tiers, the language, and the vocabulary of emotions."""
    SubElement(
        document,
        "LINGUISTIC_TYPE",
        LINGUISTIC_TYPE_ID=_EMOTIONS,
        TIME_ALIGNABLE="true",
        GRAPHIC_REFERENCES="false",
        CONTROLLED_VOCABULARY_REF=_EMOTIONS,
    )
    SubElement(
        document,
        "LINGUISTIC_TYPE",
        LINGUISTIC_TYPE_ID=_CONFIDENCE,
        TIME_ALIGNABLE="false",
        GRAPHIC_REFERENCES="false",
        CONSTRAINTS="Symbolic_Association",
    )
    SubElement(
        document,
        "LANGUAGE",
        LANG_ID=_LANGUAGE,
        LANG_DEF="http://cdb.iso.org/lg/CDB-00130975-001",
        LANG_LABEL="undetermined (und)",
    )
    SubElement(
        document,
        "CONSTRAINT",
        STEREOTYPE="Symbolic_Association",
        DESCRIPTION="1-1 association with a parent annotation",
    )
    vocabulary = SubElement(document, "CONTROLLED_VOCABULARY", CV_ID=_EMOTIONS)
    SubElement(vocabulary, "DESCRIPTION", LANG_REF=_LANGUAGE).text = "Emotions that a face may seem to show"
    for entry, text in entries.values():
        added = SubElement(vocabulary, "CV_ENTRY_ML", CVE_ID=entry)
        SubElement(added, "CVE_VALUE", LANG_REF=_LANGUAGE).text = text


def _describe_media(name: str, folder: Path) -> dict[str, str] | None:
    """Describe the video by its address and its path from the annotations; ``None`` if its name is not of a video.

    ELAN writes both without percent-encoding, and reads them so.
    """
    if "://" in name or not is_usable(name) or left_out_kind(name, bytes) is not VIDEO:
        return None
    media = Path(name)
    full = Path(os.path.abspath(media))  # noqa: PTH100 - does not resolve links
    address = full.as_posix()
    described = {
        "MEDIA_URL": f"file:{address}" if address.startswith("//") else f"file:///{address.lstrip('/')}",
        "MIME_TYPE": _MIME_TYPES.get(media.suffix.lower(), _ANY_VIDEO),
    }
    try:
        relative = Path(os.path.relpath(full, folder)).as_posix()
    except ValueError:  # another drive of Windows
        return described
    return {**described, "RELATIVE_MEDIA_URL": relative if relative.startswith("../") else f"./{relative}"}
