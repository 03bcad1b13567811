"""Thumbnails of the clearest moments of each person, cut from the video."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image as PILImage

from cmaen.errors import VideoError
from cmaen.inference.sources import open_source
from cmaen.inference.sources.excerpt import Excerpt
from cmaen.recordings.episodes import Episode
from cmaen.recordings.recording import Recording
from cmaen.studies.people import RecordingSummary
from cmaen.types import Image

SIDE = 128
"""Side of a thumbnail in pixels."""
EACH = 6
"""Thumbnails of a person, at most: the highest peaks, and of different emotions before a second one of the same."""
_MOST = 60
"""Thumbnails of a recording, at most."""
_MARGIN = 0.2
"""Part of the face's size that is kept around it on each side."""
_LOOK_BACK = 0.002
"""Seconds before a peak from which its frame is looked for: times in a file are rounded."""


@dataclass(frozen=True)
class Thumbnail:
    """A face at the peak of an episode.

    Attributes:
        episode: The episode.
        address: The picture as a ``data:`` address of a JPEG.
    """

    episode: Episode
    address: str


def find_video(recording: Recording, beside: Path | None = None) -> Path | None:
    """Find the video of a recording: by its path, or by its name in a folder; ``None`` if it is not there.

    Args:
        recording: The recording.
        beside: Folder of the file of results.
    """
    places = [Path(recording.name), *([] if beside is None else [beside / Path(recording.name).name])]
    return next(filter(_is_file, places), None)


def _is_file(place: Path) -> bool:
    try:
        return place.is_file()
    except (OSError, ValueError):  # a name that no file can have
        return False


def cut_peaks(summary: RecordingSummary, video: Path) -> Mapping[str, Sequence[Thumbnail]]:
    """Cut out the faces at the clearest moments of each person, by person.

    Args:
        summary: Summary of the recording, which knows where the faces are.
        video: Its video.

    Raises:
        VideoError: The video cannot be read.
        MissingExtraError: The extra ``video`` is not installed.
    """
    chosen = [
        (person.name, episode)
        for person in summary.people
        for episode in choose_peaks(person.episodes, max(1, min(EACH, _MOST // len(summary.people))))
    ][:_MOST]
    cut: dict[str, list[Thumbnail]] = {}
    for name, episode in sorted(chosen, key=lambda one: one[1].peak):
        box = _find_box(summary.recording, name, episode.peak)
        if box is None:
            continue
        frame = _read_frame(video, episode.peak, max(summary.recording.interval, 0.1))
        if frame is not None:
            cut.setdefault(name, []).append(Thumbnail(episode, _encode(_cut(frame, box))))
    return cut


def choose_peaks(episodes: Sequence[Episode], most: int = EACH) -> list[Episode]:
    """Choose the episodes with the highest peaks: each emotion once before any comes a second time."""
    rounds: dict[str, int] = {}
    ranked: list[tuple[int, float, Episode]] = []
    for episode in sorted(episodes, key=lambda one: -one.height):
        turn = rounds[episode.emotion] = rounds.get(episode.emotion, -1) + 1
        ranked.append((turn, -episode.height, episode))
    ranked.sort(key=lambda one: one[:2])
    return sorted((episode for *_, episode in ranked[:most]), key=lambda one: one.peak)


def _find_box(recording: Recording, person: str, time: float) -> tuple[float, float, float, float] | None:
    appearance = recording.people[person]
    places = np.flatnonzero(recording.times[appearance.frames] == time)
    if not len(places):
        return None
    left, top, width, height = (float(side) for side in appearance.boxes[places[0]])
    return (left, top, width, height) if width > 0 and height > 0 else None  # NaN is not above 0


def _read_frame(video: Path, time: float, tolerance: float) -> Image | None:
    """Read the frame at a time; ``None`` if the video has none there.

    Raises:
        VideoError: The video cannot be opened.
    """
    excerpt = Excerpt(start=max(time - _LOOK_BACK, 0.0))
    with closing(open_source("video", str(video), excerpt=excerpt)) as source:
        try:
            frame = next((pending() for pending in source), None)
        except VideoError:
            return None
    if frame is None or frame.time is None or abs(frame.time - time) > tolerance:
        return None
    return frame.image


def _cut(image: Image, box: tuple[float, float, float, float]) -> PILImage.Image:
    """Cut out a face, as a square with a margin; what lies outside the picture is black."""
    left, top, width, height = box
    side = max(width, height) * (1 + 2 * _MARGIN)
    x, y = left + (width - side) / 2, top + (height - side) / 2
    corners = (round(x), round(y), round(x + side), round(y + side))
    return PILImage.fromarray(image).crop(corners).resize((SIDE, SIDE), PILImage.Resampling.LANCZOS)


def _encode(picture: PILImage.Image) -> str:
    content = BytesIO()
    picture.save(content, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(content.getvalue()).decode()}"
