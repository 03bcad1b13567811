"""Who is known in a run: people of photographs, those who are excluded, and those met in earlier files."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmaen.inference.people.embedding import FaceEmbedder
from cmaen.inference.people.gallery import Known
from cmaen.inference.people.linking import THRESHOLD
from cmaen.inference.people.naming import NUMBERED

EXCLUDE_FROM = 0.30
"""Similarity from which a face is taken for that of an excluded person; lower than among others, so that rather
somebody else is left out (0.6 % of people) than an excluded person is not."""
FAR_MORE = 0.25
"""Difference of two similarities from which only the higher one can be that of the person."""


class Circle:
    """The people that the files of one run share; in memory only.

    Args:
        embedder: Computes the features of faces.
        known: People with photographs.
        excluded: People whose faces are left out of everything.
        recognises: Whether people are named; otherwise excluded people are only left out.
        threshold: Average similarity from which faces are those of one person.
    """

    def __init__(
        self,
        embedder: FaceEmbedder,
        *,
        known: Sequence[Known] = (),
        excluded: Sequence[Known] = (),
        recognises: bool = True,
        threshold: float = THRESHOLD,
    ) -> None:
        self.embedder = embedder
        self.known = tuple(known)
        self.excluded = tuple(excluded)
        self.recognises = recognises
        self.threshold = threshold
        self._met: dict[str, Known] = {}
        self._count = 0
        self._lock = Lock()

    @property
    def met(self) -> tuple[Known, ...]:
        """People without photographs who were met in earlier files."""
        return tuple(self._met.values())

    def everyone(self) -> list[Known]:
        """List all who are known or excluded, and those who were met in earlier files."""
        return [*self.known, *self.excluded, *self.met]

    def excludes(self, features: NDArray[np.floating[Any]], rivals: Sequence[NDArray[np.floating[Any]]] = ()) -> bool:
        """Whether a face is that of an excluded person.

        It is not if it is more similar to somebody who is known, or if another face of the same frame is far more
        similar to the excluded person, who is there once.

        Args:
            features: Features of the face, float [F].
            rivals: Features of the other faces of the frame.
        """
        if not self.excluded:
            return False
        known = max((float(one.mean @ features) for one in self.known), default=-1.0)
        for one in self.excluded:
            likeness = _compare(one, features)
            rival = max((_compare(one, other) for other in rivals), default=-1.0)
            if likeness >= max(EXCLUDE_FROM, known, rival - FAR_MORE):
                return True
        return False

    def make_name(self) -> str:
        """Make a name for somebody who was not met before."""
        names = {one.name.casefold() for one in self.everyone()}
        with self._lock:
            while True:
                self._count += 1
                name = NUMBERED.format(self._count)
                if name not in names:
                    return name

    def remember(self, name: str, total: NDArray[np.float64], count: float) -> None:
        """Remember somebody for the next file, given the sum of the features of some faces, [F]."""
        if any(one.name == name for one in self.known):
            return
        before = self._met.get(name)
        if before is not None:
            total, count = total + before.mean * before.count, count + before.count
        mean = np.asarray(total / count, np.float32)[None]
        self._met[name] = Known(name, mean, count)

    def forget(self) -> None:
        """Forget everybody who was met."""
        self._met.clear()


def _compare(person: Known, features: NDArray[np.floating[Any]]) -> float:
    """Compare a face, float [F], with the most similar photograph of a person."""
    return float((person.faces @ features).max())
