"""The people of a video: its tracks, put together."""

from __future__ import annotations

from collections.abc import Sequence

from cmaen.inference.people.circle import Circle
from cmaen.inference.people.company import Company, Part
from cmaen.inference.people.embedding import Look, measure_quality
from cmaen.inference.tracking import Track
from cmaen.types import Image

AGAIN, LATER = 0.5, 2.0
"""Seconds between two comparisons of a track: at first, and once enough faces of it are kept."""
GONE = 10.0
"""Seconds after which a track that was not found is over."""
SOMEBODY_ELSE, TAKEN_UP = 0.12, 0.30
"""Similarity to the faces of a track below which the track has passed to somebody else, if the face is seen well: while
it goes on, and where it was lost and is taken up again. The two parts are linked later if they show one person."""
SEEN_WELL = 0.35
"""Quality of a face, relative to the best of its track, from which that can be told."""


class FilmPeople(Company):
    """The people of one video. A track that passes from one person to another becomes two, with numbers of their own.

    Two tracks that are seen in the same frame are never one person.
    """

    def __init__(self, circle: Circle) -> None:
        super().__init__(circle)
        self._going: dict[int, Part] = {}  # by the number of their track

    def follow(self, image: Image, tracks: Sequence[Track], time: float) -> None:
        """Compare the faces that were detected in a frame, as far as they are due.

        Args:
            image: The frame, RGB uint8 [H, W, 3].
            tracks: Tracks of the detected faces.
            time: Time of the frame, in seconds.

        Raises:
            RecognitionError: The network fails.
        """
        with self._lock:
            if self._names is not None:
                return
            present = [self._part_of(track) for track in tracks]
            due = [index for index, track in enumerate(tracks) if _is_due(present[index], track, time)]
            looks = self.circle.embedder.look(image, [tracks[index].face for index in due])
            seen: list[tuple[Part, Look]] = []
            for index, look in zip(due, looks, strict=True):
                present[index].looked = time
                if look is None:
                    continue
                least = TAKEN_UP if tracks[index].resumed else SOMEBODY_ELSE
                if _is_somebody_else(present[index], look, least):
                    present[index] = self._going[tracks[index].number] = self._new_part()
                    present[index].looked = time
                present[index].keep(look)
                seen.append((present[index], look))
            for part, look in sorted(seen, key=lambda one: -one[1].quality):  # once all of them are known
                self._recognise(part, look, present)
            for part in present:
                part.seen = time
            self._close(time)

    def show(self, tracks: Sequence[Track]) -> list[Track]:
        """Count the tracks that a frame shows, and return those that are not left out."""
        with self._lock:
            parts = [self._part_of(track) for track in tracks]
            if self._names is None:
                self._keep_apart(parts)
                for part in parts:
                    part.shown += 1
            return [track for track, part in zip(tracks, parts, strict=True) if not self._is_hidden(part)]

    def name(self, track: Track) -> tuple[int, str | None]:
        """Return the number of a track, and the name of its person for the time being."""
        with self._lock:
            part = self._part_of(track)
            return part.number, part.name

    def _part_of(self, track: Track) -> Part:
        part = self._going.get(track.number)
        if part is None:
            part = self._going[track.number] = self._new_part()
        return part

    def _is_hidden(self, part: Part) -> bool:
        return bool(self.circle.excluded) and (part.excluded or not part.count)

    def _close(self, time: float) -> None:
        """End the tracks that were not found for long, and put some of them together if there are many."""
        for number, part in tuple(self._going.items()):
            if time - part.seen > GONE:
                self._end(part)
                del self._going[number]
        self._compact(self._going.values())


def _is_due(part: Part, track: Track, time: float) -> bool:
    if not part.count or track.resumed:
        return True
    if part.excluded or 0 <= time - part.looked < (LATER if part.worst else AGAIN):
        return False
    return measure_quality(track.face) > part.worst


def _is_somebody_else(part: Part, look: Look, least: float) -> bool:
    """Whether a face does not belong to the track that it continues, and is seen well enough to tell."""
    if not part.kept or look.quality < SEEN_WELL * part.kept[0].quality:
        return False
    return float(part.mean @ look.features) < least
