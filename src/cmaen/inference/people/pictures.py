"""The people of still pictures, which are met in the order of the pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from cmaen.inference.people.circle import Circle
from cmaen.inference.people.company import Company, Part
from cmaen.inference.people.embedding import Features, Look
from cmaen.inference.people.naming import Names
from cmaen.types import FaceBox, Image


class Met(NamedTuple):
    """Who a face of a picture is for the time being.

    Attributes:
        name: Name of the person; ``None`` if it is not known.
        hidden: Whether the face is left out.
    """

    name: str | None
    hidden: bool


class PicturePeople(Company):
    """The people of still pictures. Two faces of the same picture are never one person."""

    _recalls = False  # a face joins the part itself

    def __init__(self, circle: Circle) -> None:
        super().__init__(circle)
        self._labels: dict[str, set[int]] = {}  # numbers of the parts that each name was given to
        self._excluded = self._uncompared = 0

    def look(self, image: Image, faces: Sequence[FaceBox]) -> list[Look | None]:
        """Compute the features of the faces of a picture, in any thread and in any order.

        Args:
            image: RGB uint8 [H, W, 3].
            faces: Boxes of the faces.

        Raises:
            RecognitionError: The network fails.
        """
        return self.circle.embedder.look(image, faces)

    def meet(self, looks: Sequence[Look | None]) -> list[Met]:
        """Say who the faces of the next picture are, those that are seen best first."""
        with self._lock:
            met = [Met(None, False)] * len(looks)
            present: list[Part] = []
            for index in sorted(range(len(looks)), key=lambda one: -(looks[one].quality if looks[one] else 0)):  # type: ignore[union-attr]
                rivals = [one.features for place, one in enumerate(looks) if one is not None and place != index]
                met[index] = self._meet(looks[index], present, rivals)
            self._keep_apart(present)
            self._compact()
            return met

    def _meet(self, look: Look | None, present: list[Part], rivals: Sequence[Features]) -> Met:
        if look is None or self._names is not None:
            hidden = bool(self.circle.excluded)
            self._uncompared += hidden
            return Met(None, hidden)
        if self.circle.excludes(look.features, rivals):
            self._excluded += 1
            return Met(None, True)
        if not self.circle.recognises:
            return Met(None, False)
        others = [part for part in self._parts.values() if part not in present]
        likes = [float(part.mean @ look.features) for part in others]
        best = max(range(len(others)), key=likes.__getitem__, default=None)
        part = others[best] if best is not None and likes[best] >= self.circle.threshold else self._new_part()
        part.pour(look)
        part.shown += 1
        self._name(part, present)
        present.append(part)
        if part.name is not None:
            self._labels.setdefault(part.name, set()).add(part.number)
        return Met(part.name, False)

    def _conclude(self, named: dict[int, str], hidden: set[int], uncompared: set[int]) -> Names:
        labels = {}
        for label, numbers in self._labels.items():
            final = {named.get(self._find(number), label) for number in numbers}
            labels[label] = final.pop() if len(final) == 1 else label
        names = super()._conclude({}, set(), set())
        return replace(names, labels=labels, excluded=self._excluded, uncompared=self._uncompared)
