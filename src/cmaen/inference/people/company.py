"""The people of one source: what is kept of their faces while it is read, and who they were in the end."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from threading import RLock

import numpy as np
from numpy.typing import NDArray

from cmaen.inference.people.circle import Circle
from cmaen.inference.people.embedding import Look
from cmaen.inference.people.gallery import Known
from cmaen.inference.people.linking import link
from cmaen.inference.people.naming import Names

KEPT = 8
"""Number of a track's best faces that are kept."""
MOST = 512
"""Number of tracks, or of groups of faces, from which those that are surely one person are put together."""
SURELY = 0.12
"""How much more similar than usual they must be then, since that is not taken back."""
_LATEST = 32


@dataclass(eq=False)
class Part:
    """Faces of one person without a doubt: an unbroken track of a video, or alike faces of pictures.

    Attributes:
        number: Number within the source, from 1.
        kept: The best faces; of pictures none are kept apart.
        total, weight: Sum of the features of the other faces, float64 [F], and their number.
        name: The name that is shown while the source is read; ``None`` while there is none.
        excluded: Whether it was found to be an excluded person.
        shown: Number of frames or pictures that show it.
        looked, seen: Times at which it was last compared and last found, in seconds.
        apart: Numbers of parts that were seen in the same frame or picture.
    """

    number: int
    kept: list[Look] = field(default_factory=list)
    total: NDArray[np.float64] | None = None
    weight: float = 0.0
    name: str | None = None
    excluded: bool = False
    shown: int = 0
    looked: float = -math.inf
    seen: float = -math.inf
    apart: set[int] = field(default_factory=set)

    @property
    def count(self) -> float:
        """Number of faces; 0 if none could be compared."""
        return self.weight + len(self.kept)

    @property
    def mean(self) -> NDArray[np.float64]:
        """Mean features, float64 [F]; only if there are faces."""
        total = np.sum([look.features for look in self.kept], axis=0, dtype=np.float64) if self.kept else 0.0
        return np.asarray(total + (0.0 if self.total is None else self.total), np.float64) / self.count

    @property
    def worst(self) -> float:
        """Quality that a new face must exceed to be kept."""
        return min((look.quality for look in self.kept), default=0.0) if len(self.kept) >= KEPT else 0.0

    def keep(self, look: Look) -> None:
        """Keep a face if it is among the best."""
        self.kept = sorted([*self.kept, look], key=lambda one: -one.quality)[:KEPT]

    def pour(self, look: Look) -> None:
        """Add a face to the sum."""
        self.total = np.asarray(look.features + (0.0 if self.total is None else self.total), np.float64)
        self.weight += 1

    def close(self) -> None:
        """Keep the sum of the faces alone, since no others follow."""
        if self.kept:
            self.total, self.weight, self.kept = self.mean * self.count, self.count, []

    def absorb(self, other: Part) -> None:
        """Take over all of another part."""
        self.total = self.mean * self.count + other.mean * other.count
        self.weight, self.kept = self.count + other.count, []
        self.shown += other.shown
        self.apart |= other.apart
        self.excluded |= other.excluded
        self.name = self.name or other.name


class Company:
    """What the people of videos and of pictures have in common.

    Args:
        circle: Who is known, and who is excluded.
    """

    _recalls = True
    """Whether a new part may continue the people of parts that have gone."""

    def __init__(self, circle: Circle) -> None:
        self.circle = circle
        self._parts: dict[int, Part] = {}
        self._into: dict[int, int] = {}
        self._count = 0
        self._most = MOST
        self._ended = 0  # pictures of parts that ended without a face that can be compared
        self._met: dict[str, Known] = {}
        self._names: Names | None = None
        self._lock = RLock()

    def settle(self) -> Names:
        """Decide who everyone was; what comes later is not looked at any more."""
        with self._lock:
            if self._names is None:
                self._names = self._decide()
            return self._names

    def _new_part(self) -> Part:
        self._count += 1
        return self._parts.setdefault(self._count, Part(self._count))

    def _find(self, number: int) -> int:
        while number in self._into:
            number = self._into[number]
        return number

    def _end(self, part: Part) -> None:
        """Reduce a part to the sum of its faces, since no others follow; without any, to a count."""
        if part.count:
            part.close()
        else:
            self._ended += part.shown
            del self._parts[part.number]

    def _keep_apart(self, parts: Sequence[Part]) -> None:
        numbers = {part.number for part in parts}
        for part in parts:
            part.apart |= numbers - {part.number}

    def _recognise(self, part: Part, look: Look, present: Sequence[Part]) -> None:
        """Find out for the time being whose face a part shows."""
        mean = part.mean
        rivals = [other.mean for other in present if other is not part and other.count]
        excluded = self.circle.excludes(mean, rivals) or self.circle.excludes(look.features, rivals)
        part.excluded = part.excluded or excluded
        if not part.excluded and self.circle.recognises:
            self._name(part, present)

    def _name(self, part: Part, present: Sequence[Part]) -> None:
        """Name a part for the time being, other than those who are seen beside it."""
        mean = part.mean
        taken = {other.name for other in present if other is not part and other.name is not None}
        known = _find_best(mean, self.circle.known, taken, self.circle.threshold)
        if known is not None or part.name is not None:
            part.name = known or part.name
            return
        met = [*self.circle.met, *self._met.values()] if self._recalls else self.circle.met
        part.name = _find_best(mean, met, taken, self.circle.threshold) or self.circle.make_name()
        before = self._met.get(part.name)
        faces = part.mean[None] if before is None else np.concatenate([before.faces, part.mean[None]])[-_LATEST:]
        self._met[part.name] = Known(part.name, np.asarray(faces, np.float32), len(faces))

    def _compact(self, open_parts: Iterable[Part] = ()) -> None:
        """Put together parts that are surely one person once there are many, so that memory and time stay bounded."""
        if len(self._parts) <= self._most:
            return
        going = {part.number for part in open_parts}
        parts = [part for part in self._parts.values() if part.number not in going and part.count]
        for part, owner in zip(parts, self._link(parts, [], self.circle.threshold + SURELY), strict=True):
            first = parts[owner]
            if first is not part:
                first.absorb(part)
                self._into[part.number] = first.number
                del self._parts[part.number]
        self._most = max(MOST, 2 * len(self._parts))

    def _link(self, parts: Sequence[Part], known: Sequence[Known], threshold: float) -> list[int]:
        """Link parts and known people; the indices of the parts come first, known people are never linked."""
        if not parts:
            return []
        place = {part.number: index for index, part in enumerate(parts)}
        apart = {
            (place[part.number], place[there])
            for part in parts
            for there in map(self._find, part.apart)
            if there in place and there != part.number
        }
        first = len(parts)
        among = range(first, first + len(known))
        apart |= {(one, other) for one in among for other in among if one < other}
        means = np.array([*(part.mean for part in parts), *(one.mean for one in known)])
        weights = np.array([*(part.count for part in parts), *(one.count for one in known)])
        return link(means, weights, apart, threshold=threshold)

    def _decide(self) -> Names:
        circle = self.circle
        parts = [part for part in self._parts.values() if part.count]
        known = circle.everyone()
        owners = self._link(parts, known, circle.threshold)
        groups: dict[int, list[Part]] = {}
        for part, owner in zip(parts, owners, strict=False):
            groups.setdefault(owner, []).append(part)
        named: dict[int, str] = {}
        hidden: set[int] = set()
        owned = {owners[len(parts) + index]: one for index, one in enumerate(known)} if parts else {}
        taken = {one.name for one in known}
        for owner, group in sorted(groups.items(), key=lambda item: min(part.number for part in item[1])):
            anchor = owned.get(owner)
            if (anchor is not None and anchor.excluded) or any(part.excluded for part in group):
                hidden |= {part.number for part in group}
            elif circle.recognises:
                name = anchor.name if anchor is not None else _choose(group, taken) or circle.make_name()
                taken.add(name)
                named |= {part.number: name for part in group}
                self._remember(name, group)
        uncompared = {part.number for part in self._parts.values() if not part.count} if circle.excluded else set()
        return self._conclude(named, hidden, uncompared)

    def _remember(self, name: str, group: Sequence[Part]) -> None:
        total = np.sum([part.mean * part.count for part in group], axis=0)
        self.circle.remember(name, total, sum(part.count for part in group))

    def _conclude(self, named: dict[int, str], hidden: set[int], uncompared: set[int]) -> Names:
        every = range(1, self._count + 1)
        ended = self._ended if self.circle.excluded else 0
        return Names(
            tracks={number: named[self._find(number)] for number in every if self._find(number) in named},
            recognised=self.circle.recognises,
            hidden=frozenset(number for number in every if self._find(number) in hidden | uncompared),
            excluded=sum(self._parts[number].shown for number in hidden),
            uncompared=sum(self._parts[number].shown for number in uncompared) + ended,
        )


def _find_best(mean: NDArray[np.float64], people: Iterable[Known], taken: set[str], threshold: float) -> str | None:
    """Find who is most similar to a face, leaving out those who are seen elsewhere; ``None`` if nobody is enough."""
    likes = {one.name: float(one.mean @ mean) for one in people if one.name not in taken}
    best = max(likes, key=lambda name: likes[name], default=None)
    return best if best is not None and likes[best] >= threshold else None


def _choose(group: Sequence[Part], taken: set[str]) -> str | None:
    """Choose the name that most of a group was shown with, so that what was drawn agrees with what is written."""
    shown: dict[str, int] = {}
    for part in group:
        if part.name is not None and part.name not in taken:
            shown[part.name] = shown.get(part.name, 0) + part.shown
    return max(shown, key=lambda name: shown[name]) if shown else None
