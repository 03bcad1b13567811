"""The final answer to who is who, and how it is written into records that were made before."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

NUMBERED = "person {}"
"""Name of a person of whom no photograph is known."""
_SUMMARY = ("predicted_emotion", "confidence", "probabilities")


@dataclass(frozen=True)
class Names:
    """The people of one source, once all of it was seen.

    Attributes:
        tracks: Name by identity, for a video; an identity without a name was never seen well enough.
        labels: Final name by the name that a face was first given, for pictures.
        recognised: Whether people were recognised; otherwise excluded people were only left out.
        hidden: Identities of excluded people.
        excluded: Number of faces that were left out because they belong to excluded people.
        uncompared: Number of faces that were left out because they are too small to be compared with excluded people.
    """

    tracks: Mapping[int, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    recognised: bool = True
    hidden: frozenset[int] = frozenset()
    excluded: int = 0
    uncompared: int = 0

    def name(self, identity: int | None, person: str | None = None) -> str | None:
        """Name a face by its identity in a video, or by the name that it was first given; ``None`` if unknown."""
        if identity is not None:
            return self.tracks.get(identity)
        return None if person is None else self.labels.get(person, person)

    def hides(self, identity: int | None) -> bool:
        """Whether the faces of an identity belong to somebody who is excluded."""
        return identity in self.hidden


Settle = Callable[[], Names]
"""Function that returns the final names; called when all of a source was seen."""


def rename(record: Mapping[str, Any], names: Names) -> dict[str, Any]:
    """Write the final names into a record, and take out the faces of excluded people.

    Args:
        record: Record of :meth:`cmaen.results.Result.to_record`; it is not changed.
        names: The final names.
    """
    faces = []
    for face in record["faces"]:
        if names.hides(face.get("identity")):
            continue
        name = names.name(face.get("identity"), face.get("person"))
        others = {key: value for key, value in face.items() if key not in ("identity", "person")}
        first = {key: face[key] for key in ("identity",) if key in face}
        faces.append({**first, **({} if name is None else {"person": name}), **others})
    changed = {**record, "faces": faces}
    if len(faces) < len(record["faces"]):
        changed["status"] = "ok" if faces else "no_face"
        for key in _SUMMARY:
            if key in changed:
                changed[key] = faces[0].get(key) if faces else None
    return changed
