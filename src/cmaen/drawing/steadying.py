"""What the drawing of a video remembers from frame to frame, so that nothing jumps while faces move a little."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cmaen.drawing.placing import Place, Size, Wish

PATIENCE = 12
"""Number of frames for which a tag stays as it is before it may become longer or leave its face."""
FORGOTTEN = 25
"""Number of frames after which a person who is not seen is forgotten."""
STEADY = 0.1
"""Change of a face's width, relative to it, up to which text and outline keep their sizes."""


@dataclass
class _Person:
    """What is remembered of a person.

    Attributes:
        across: Width of the face that the sizes were chosen for, in pixels.
        wish: Place of the tag; ``None`` if it had none.
        stays: Number of frames for which the tag has had this place and length.
        seen: Number of the frame that showed the person last.
        seat: Place in the row of bars, from 0; ``None`` for none.
        shows: Whether the bars were drawn.
    """

    across: float
    seen: int
    wish: Wish | None = None
    stays: int = 0
    seat: int | None = None
    shows: bool = True


class Memory:
    """The memory of one video; every frame that is drawn with it changes it. A new one remembers nothing.

    Attributes:
        corner: Left and top edge of the legend when it was drawn last, in pixels; ``None`` if it never was.
    """

    def __init__(self) -> None:
        self.corner: tuple[int, int] | None = None
        self._people: dict[str, _Person] = {}
        self._frame = 0

    def begin(self) -> None:
        """Begin the next frame."""
        self._frame += 1
        self._people = {who: person for who, person in self._people.items() if self._frame - person.seen <= FORGOTTEN}

    def meet(self, who: str, across: float) -> float:
        """Remember that a frame shows a person, and return the width for which sizes are chosen.

        Args:
            who: Identity of the person.
            across: Width of the face, in pixels.
        """
        person = self._people.setdefault(who, _Person(across, self._frame))
        person.seen = self._frame
        if not abs(across - person.across) <= STEADY * person.across:
            person.across = across
        return person.across

    def wish_of(self, who: str) -> Wish | None:
        """Return where the tag of a person was; ``None`` if that is unknown."""
        person = self._people.get(who)
        if person is None or person.wish is None:
            return None
        return person.wish._replace(grows=person.stays >= PATIENCE)

    def keep(self, who: str, place: Place | None, sizes: Sequence[Size], slack: int) -> None:
        """Remember where the tag of a person is now.

        Args:
            who: Identity of the person.
            place: Place of the tag; ``None`` if it has none.
            sizes: Possible sizes of the tag, from the longest to the shortest.
            slack: Distance by which the face may move before the tag follows, in pixels.
        """
        person = self._people.get(who)
        if person is None:
            return
        before, person.wish = person.wish, None
        if place is not None:
            size = sizes[place.variant]
            rank = len(sizes) - 1 - place.variant
            middle = place.left + size.width / 2, place.top + size.height / 2
            person.wish = Wish(place.slot, rank, *middle, slack)
        same = before is not None and person.wish is not None and before[:2] == person.wish[:2]
        person.stays = person.stays + 1 if same else 0

    def seat_anew(self, names: Iterable[str]) -> None:
        """Free all seats if nobody who has one is in the frame, as after a cut.

        Args:
            names: Identities of the people in the frame.
        """
        if not any(map(self.has_seat, names)):
            for person in self._people.values():
                person.seat = None

    def seat(self, who: str, seats: int) -> int | None:
        """Give a person a seat in the row of bars, which stays free for a while if the person is not seen.

        Returns:
            Number of the seat, from 0; ``None`` if all of them are taken.
        """
        person = self._people.get(who)
        if person is None:
            return None
        if person.seat is None:
            taken = {other.seat for other in self._people.values()}
            person.seat = next((seat for seat in range(seats) if seat not in taken), None)
        return person.seat

    def has_seat(self, who: str) -> bool:
        """Whether a person has a seat in the row of bars."""
        person = self._people.get(who)
        return person is not None and person.seat is not None

    def shows(self, who: str) -> bool:
        """Whether the bars of a person were drawn in the last frame that showed the person, or there was none."""
        person = self._people.get(who)
        return person is None or person.shows

    def show(self, who: str, shows: bool) -> None:
        """Remember whether the bars of a person are drawn."""
        person = self._people.get(who)
        if person is not None:
            person.shows = shows
