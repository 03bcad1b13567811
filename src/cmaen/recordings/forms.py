"""Forms of a recording's episodes that other tools read, by the ending of the file's name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from cmaen.errors import OutputError
from cmaen.files import check_place, same_file
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


def check_form(path: Path) -> None:
    """Check that the ending of a path names a form, and that its files can be written; their folder is created.

    Raises:
        OutputError: It does not, or they cannot be.
    """
    if find_form(path) is None:
        raise OutputError(f"{path}: episodes are written as {', '.join(FORMS)}")
    for file in list_files(path):
        check_place(file)


def check_source(path: Path, source: Path) -> None:
    """Check that writing to a path does not replace the source of the results.

    Raises:
        OutputError: It does.
    """
    if any(same_file(file, source) for file in list_files(path)):
        raise OutputError(f"{path} would replace {source}, from which it is made; choose another place")


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
    check_form(path)
    write = FORMS[find_form(path) or ""]
    names, counts = Names(), {}
    for recording in recordings:
        place = path
        if len(recordings) > 1:
            place = path.parent / place_beside(path, Path(recording.name).stem, names, recording.name)
        episodes = find_episodes(recording, shortest=shortest, bridge=bridge)
        write(place, recording, episodes)
        counts[place] = len(episodes)
    return counts


def place_beside(path: Path, label: str, names: Names, identity: str) -> Path:
    """Return the name of a file for one of several videos that share a path: ``a-LABEL_events.tsv``.

    Args:
        path: Path that the videos share, such as ``a_events.tsv``.
        label: Name of the video.
        names: Names that are taken in the folder.
        identity: Unique identity of the file, see :meth:`cmaen.naming.Names.place`.
    """
    length = len(find_form(path) or path.suffix)
    stem, ending = path.name[: len(path.name) - length], path.name[len(path.name) - length :]
    return names.place((f"{stem}-{label}{ending}",), identity, ending=ending)
