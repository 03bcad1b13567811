"""Recordings made by code, and a strict reader of WebVTT."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import unescape
from typing import NamedTuple

import numpy as np

from cmaen.recordings.episodes import Episode
from cmaen.recordings.recording import Appearance, Recording

LABELS = ("happy", "neutral", "sad")
HOSTILE = (
    *("<b>Ada</b> & Co", 'Ada "the" Great', "Ada\tLovelace", "Ada\nLovelace", "Ada Lovelace", "Ada --> Bob", " ", ""),
    *(
        "NA",
        "n/a",
        "👩🏽‍🚀",
        "Å",
        "\x00\x1b[31m",
        "\ud83d",
        "\ufffe",
        "&lt;v Bob&gt;",
        "]]>",
        "=1+1",
        "person 3",
        "a" * 300,
    ),
)
"""Names that break a format that does not take care."""


def appear(frames: Sequence[int]) -> Appearance:
    """A person who is happy in some frames."""
    count = len(frames)
    probabilities = np.tile([0.8, 0.1, 0.1], (count, 1))
    return Appearance(
        np.array(frames, np.int64), probabilities, np.zeros(count, np.int64), probabilities[:, 0], np.zeros((count, 4))
    )


def record(people: Mapping[str, Sequence[int]], *, frames: int = 50, name: str = "film.mp4") -> Recording:
    """A recording at 25 frames a second."""
    return Recording(name, LABELS, np.arange(frames) / 25, {person: appear(seen) for person, seen in people.items()})


def episode(person: str, start: float, end: float, emotion: str = "happy", confidence: float = 0.8) -> Episode:
    return Episode(person, emotion, start, end, start, 0.9, confidence)


class Cue(NamedTuple):
    identifier: str
    start: int
    end: int
    voice: str
    text: str


_TIME = r"(\d{2,}):([0-5]\d):([0-5]\d)\.(\d{3})"
_CUE = re.compile(rf"([^\n]+)\n{_TIME} --> {_TIME}\n<v ([^\n<>]+)>([^\n<>]+)</v>")
_REFERENCE = re.compile(r"&(?!(amp|lt|gt);)")


def parse_subtitles(content: bytes) -> list[Cue]:
    """Parse a WebVTT file of voices; whatever its grammar does not allow is an error."""
    text = content.decode("utf-8")
    assert text.startswith("WEBVTT\n\n")
    assert "\r" not in text
    assert "\0" not in text
    cues = []
    for block in text.rstrip("\n").split("\n\n")[1:]:
        if block.startswith("NOTE"):
            assert "-->" not in block
            continue
        found = _CUE.fullmatch(block)
        assert found, block
        numbers = [int(number) for number in found.groups()[1:9]]
        start, end = (((h * 60 + m) * 60 + s) * 1000 + ms for h, m, s, ms in (numbers[:4], numbers[4:]))
        assert start < end
        assert not cues or cues[-1].start <= start
        voice, said = found.groups()[9:]
        assert not _REFERENCE.search(voice + said)
        cues.append(Cue(found[1], start, end, unescape(voice), unescape(said)))
    assert len({cue.identifier for cue in cues}) == len(cues)
    return cues
