"""The labels that a network and a data set share, where they were made for each other and where they were not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmaen.data.labelling import Labelling
from cmaen.data.splits import FaceSet


@dataclass(frozen=True)
class LabelOverlap:
    """The labels of a network against those of a data set.

    Attributes:
        shared: Labels that both have, in the network's order.
        absent: Labels of the network that no face of the whole data set has.
        left_out: Number of faces of the whole data set by a label that the network does not know, as it writes them.
    """

    shared: tuple[str, ...]
    absent: tuple[str, ...]
    left_out: Mapping[str, int]

    @classmethod
    def of(cls, faces: FaceSet) -> LabelOverlap | None:
        """Compare the classes of faces with what their data set offers; ``None`` if that is unknown."""
        if faces.offered is None:
            return None
        labelling = Labelling(faces.classes, {})
        known = {labelling.index(name) for name in faces.offered}
        left_out = {name: count for name, count in sorted(faces.offered.items()) if labelling.index(name) is None}
        there = [index in known for index in range(len(faces.classes))]
        shared = tuple(name for name, found in zip(faces.classes, there, strict=True) if found)
        absent = tuple(name for name, found in zip(faces.classes, there, strict=True) if not found)
        return cls(shared, absent, left_out)

    @property
    def narrows(self) -> bool:
        """Whether the network has answers that cannot be right, and others to choose among."""
        return bool(self.absent) and len(self.shared) > 1

    def mask(self, faces: FaceSet) -> NDArray[np.bool_]:
        """Return which of the classes are shared, bool [C]."""
        return np.array([name in self.shared for name in faces.classes])

    def describe(self) -> str:
        """Describe what is not shared, in sentences; empty if everything is."""
        sentences = []
        if self.absent or self.left_out:
            sentences.append(f"The network and the data share the labels {', '.join(self.shared)}.")
        if self.absent:
            also = "; it is also measured choosing among the shared labels alone" if self.narrows else ""
            sentences.append(
                f"No face of the data is labelled {_list(self.absent)}, which the network may answer{also}."
            )
        if self.left_out:
            counts = ", ".join(f"{name or 'no label'} ({count:,})" for name, count in self.left_out.items())
            sentences.append(f"Other labels of the data are left out with their faces (in all splits): {counts}.")
        return " ".join(sentences)

    def to_dict(self) -> dict[str, Any]:
        """Return a plain dict, ready for JSON."""
        return {"shared": list(self.shared), "absent": list(self.absent), "left_out": dict(self.left_out)}


def _list(names: Sequence[str]) -> str:
    """Join names for a sentence: ``fear, neutral or sad``."""
    *most, last = names
    return f"{', '.join(most)} or {last}" if most else last
