"""A timeline of each person's emotions in a video, in memory that does not grow with the video's length."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from cmaen.drawing.charts import PORTRAIT, Lanes, draw_timeline
from cmaen.drawing.sheets import Sheet
from cmaen.errors import rename_errors
from cmaen.files import replace_file, unwritable
from cmaen.inference.alignment import crop_face
from cmaen.inference.people.naming import Names, Settle
from cmaen.inference.sinks.base import Needs
from cmaen.inference.sinks.people import NOBODY
from cmaen.inference.sinks.pictures import check_chart, title_of
from cmaen.preprocessing import CropSpec
from cmaen.results import Face, Result
from cmaen.types import EMOTIONS, Image

_Number = TypeVar("_Number", np.float64, np.int64)

BINS = 1024
PEOPLE = 12
_BETTER = 1.15
"""Factor by which a portrait must be better than the current one to replace it, so that few are cut out."""
_CROP = CropSpec(margin=1.35, landmark_margin=1.2)


class TimelineSink:
    """Draws a timeline with a lane and a portrait for each person when the video ends.

    Args:
        path: Path of the timeline; the suffix names the format: .png, .jpg, .webp or .svg.
        settle: Returns the final names of people, who then have a lane each; ``None`` if people are not recognised.

    Raises:
        OutputError: The suffix does not name a supported format, or the path cannot be written.
    """

    needs = Needs.PIXELS

    def __init__(self, path: Path, *, settle: Settle | None = None) -> None:
        check_chart(path, "a timeline")
        self.path = path
        self._settle = settle
        self._title = ""
        self._timeline = Timeline()

    def write(self, result: Result, drawn: Image | None) -> None:
        """See :class:`~cmaen.inference.sinks.base.Sink`."""
        self._title = self._title or title_of(result.frame.name)
        self._timeline.add(result.frame.time or 0.0, result.faces, result.frame.image)

    def finish(self) -> None:
        """See :class:`~cmaen.inference.sinks.base.Sink`."""
        if self._settle is not None:
            self._timeline.name(self._settle())
        with rename_errors(lambda problem: unwritable(self.path, problem)), replace_file(self.path) as temporary:
            self._timeline.draw(self._title).save(temporary, self.path.suffix)

    def close(self) -> None:
        """Do nothing: there is nothing to close."""


@dataclass
class _Person:
    """Accumulated data of one person.

    Attributes:
        sums: Sums of the probabilities, float64 [BINS, C].
        counts, unsure: Number of summed answers, and of unsure ones among them, int64 [BINS].
        last: Time at which the person was last seen, in seconds.
        portrait: Portrait, RGB uint8 [PORTRAIT, PORTRAIT, 3]; ``quality`` says how good it is.
        name: Name of the person; ``None`` if people are not recognised.
    """

    sums: NDArray[np.float64]
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(BINS, np.int64))
    unsure: NDArray[np.int64] = field(default_factory=lambda: np.zeros(BINS, np.int64))
    last: float = 0.0
    portrait: Image | None = None
    quality: float = 0.0
    name: str | None = None

    def absorb(self, other: _Person) -> None:
        """Add another track of the same person."""
        self.sums += other.sums
        self.counts += other.counts
        self.unsure += other.unsure
        self.last = max(self.last, other.last)
        if other.quality > self.quality:
            self.portrait, self.quality = other.portrait, other.quality

    def halve(self) -> None:
        """Merge each two bins into one."""
        self.sums, self.counts, self.unsure = _halve(self.sums), _halve(self.counts), _halve(self.unsure)

    def look(self, face: Face, image: Image) -> None:
        """Keep the face as the portrait if it is better than the current one: larger, and with a surer answer."""
        quality = min(face.box.area, 4 * PORTRAIT**2) * (0.5 + face.confidence) * (0.1 + face.box.score)
        if quality > _BETTER * self.quality:
            crop = crop_face(image, face.box, _CROP)
            small = cv2.resize(crop, (PORTRAIT, PORTRAIT), interpolation=cv2.INTER_AREA)
            self.portrait, self.quality = np.asarray(small, np.uint8), quality


class Timeline:
    """Mean probabilities of each identity in time bins, which double in width whenever they run out.

    The first bin begins with the first frame.

    Args:
        width: Initial width of a bin, in seconds.
        people: Maximum number of people drawn, those seen most.
    """

    def __init__(self, *, width: float = 0.1, people: int = PEOPLE) -> None:
        self.width = width
        self.people = people
        self.classes: Sequence[str] = EMOTIONS
        self._persons: dict[int, _Person] = {}
        self._begins: float | None = None
        self._time = 0.0
        self._faces: Sequence[Face] = ()

    def add(self, time: float, faces: Sequence[Face], image: Image | None = None) -> None:
        """Add the faces of a frame, which are held until the next one.

        Args:
            time: Time in seconds; it must not decrease.
            faces: Faces of the frame.
            image: Pixels of the frame, RGB uint8 [H, W, 3]; only portraits are kept.
        """
        if self._begins is None:
            self._begins = time
        time = max(time - self._begins, self._time)
        self._stay(time)
        self._time, self._faces = time, faces
        for face in faces:
            if face.person is not None:
                self._find(face).name = face.person
        if image is not None:
            for face in faces:
                self._find(face).look(face, image)

    def _find(self, face: Face) -> _Person:
        return self._persons.setdefault(face.identity or 0, _Person(np.zeros((BINS, len(face.classes)))))

    def _stay(self, until: float) -> None:
        """Fill the bins from the last frame until a time."""
        while until >= BINS * self.width:
            self.width *= 2
            for person in self._persons.values():
                person.halve()
        first = int(self._time / self.width)
        bins = slice(first, max(first + 1, int(until / self.width)))
        for face in self._faces:
            person = self._find(face)
            person.sums[bins] += face.probabilities
            person.counts[bins] += 1
            person.unsure[bins] += face.is_unsure
            person.last = self._time
            self.classes = face.classes
        if len(self._persons) > 4 * self.people:
            self._put_together(lambda identity: self._persons[identity].name)
        while len(self._persons) > 4 * self.people:
            # remove passers-by; people in the current frame stay, as they have had no time to be seen often
            seen = {one: (person.last >= self._time, person.counts.sum()) for one, person in self._persons.items()}
            del self._persons[min(seen, key=seen.__getitem__)]

    def name(self, names: Names) -> None:
        """Give the people their final names, one lane each, and leave out those who are excluded."""
        self._stay(self._time)
        self._faces = ()
        for identity in [one for one in self._persons if names.hides(one)]:
            del self._persons[identity]
        for identity, person in self._persons.items():
            person.name = names.name(identity) or (NOBODY if names.recognised else None)
        self._put_together(lambda identity: self._persons[identity].name)

    def _put_together(self, name: Callable[[int], str | None]) -> None:
        """Put the tracks of one name together, under the smallest of their identities."""
        first: dict[str, int] = {}
        for identity in sorted(self._persons):
            label = name(identity)
            if label is not None and (owner := first.setdefault(label, identity)) != identity:
                self._persons[owner].absorb(self._persons.pop(identity))

    def summarise(self) -> list[Lanes]:
        """Summarise the people seen most, in order of appearance; nothing can be added afterwards."""
        self._stay(self._time)
        self._faces = ()
        chosen = sorted(self._persons, key=lambda identity: -self._persons[identity].counts.sum())[: self.people]
        last = max((int(np.flatnonzero(self._persons[one].counts)[-1]) + 1 for one in chosen), default=0)
        return [self._describe(identity, self._persons[identity], last) for identity in sorted(chosen)]

    def _describe(self, identity: int, person: _Person, last: int) -> Lanes:
        counts = np.where(person.counts[:last] > 0, person.counts[:last], np.nan)
        return Lanes(
            identity=identity,
            means=person.sums[:last] / counts[:, None],
            unsure=person.unsure[:last] / counts,
            shares=person.sums.sum(axis=0) / max(1, person.counts.sum()),
            seconds=float((person.counts > 0).sum() * self.width),
            portrait=person.portrait,
            name=person.name,
        )

    def draw(self, title: str = "") -> Sheet:
        """Draw the lanes of :meth:`summarise`, see :func:`cmaen.drawing.charts.draw_timeline`."""
        people = self.summarise()
        return draw_timeline(people, self.classes, begins=self._begins or 0.0, step=self.width, title=title)


def _halve(values: NDArray[_Number]) -> NDArray[_Number]:
    half = BINS // 2
    halved = np.zeros_like(values)
    halved[:half] = values.reshape(half, 2, *values.shape[1:]).sum(axis=1)
    return halved
