"""Forms of a recording's episodes that other tools read, by the ending of the file's name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from cmaen.errors import OutputError
from cmaen.naming import Names
from cmaen.recordings.bids import find_sidecar, write_bids
from cmaen.recordings.elan import write_elan
from cmaen.recordings.episodes import BRIDGE, SHORTEST, Episode, find_episodes
from cmaen.recordings.recording import Recording
from cmaen.recordings.subtitles import write_subtitles

BIDS = "_events.tsv"

FORMS: dict[str, Callable[[Path, Recording, Sequence[Episode]], None]] = {
    ".eaf": write_elan,
    BIDS: write_bids,
    ".vtt": write_subtitles,
}
"""Writers of episodes by ending; each takes the path, the recording and its episodes."""


def find_form(path: Path) -> str | None:
    """Find the ending of :data:`FORMS` that a path has; ``None`` if it has none of them."""
    name = path.name.lower()
    return next((ending for ending in FORMS if name.endswith(ending) and name != ending), None)


def list_files(path: Path) -> tuple[Path, ...]:
    """List the files that writing to a path creates: the path, and the JSON beside a table of BIDS events."""
    return (path, find_sidecar(path)) if find_form(path) == BIDS else (path,)


def write_episodes(
    path: Path, recordings: Sequence[Recording], *, shortest: float = SHORTEST, bridge: float = BRIDGE
) -> dict[Path, int]:
    """Find and write the episodes of recordings in the form that a path's ending names.

    Args:
        path: Path of the file of a single recording; each of several gets a file beside it, with the video's name
            before the ending.
        recordings: The recordings.
        shortest, bridge: Settings of :func:`~cmaen.recordings.episodes.find_episodes`, in seconds.

    Returns:
        Number of episodes in each file.

    Raises:
        OutputError: The ending is none of :data:`FORMS`, or a file cannot be written.
    """
    ending = find_form(path)
    if ending is None:
        raise OutputError(f"{path}: episodes are written as {', '.join(FORMS)}")
    names, counts = Names(), {}
    for recording in recordings:
        place = path if len(recordings) == 1 else path.parent / place_beside(path, recording.name, names)
        episodes = find_episodes(recording, shortest=shortest, bridge=bridge)
        FORMS[ending](place, recording, episodes)
        counts[place] = len(episodes)
    return counts


def place_beside(path: Path, video: str, names: Names, identity: str = "") -> Path:
    """Return the name of a file like ``a_events.tsv`` for one of several videos: ``a-VIDEO_events.tsv``.

    Args:
        path: Path that the videos would share.
        video: Path of the video, or another text whose last part names it.
        names: Names that are taken in the folder.
        identity: Identity of the file; by default the path of the video.
    """
    length = len(find_form(path) or path.suffix)
    stem, ending = path.name[: len(path.name) - length], path.name[len(path.name) - length :]
    return names.place((f"{stem}-{Path(video).stem}{ending}",), identity or video, ending=ending)
