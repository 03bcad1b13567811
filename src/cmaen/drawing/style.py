"""The colours of the emotions, and the one style in which faces are drawn on images, videos and the live window."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmaen.drawing import PALETTE
from cmaen.drawing.lettering import choose_letters, write_label, write_percent
from cmaen.drawing.painting import (
    OPACITY,
    PLATE,
    Colour,
    Segment,
    Sprite,
    lay,
    measure_dot,
    measure_plate,
    outline,
    paint_dot,
    paint_plate,
)
from cmaen.drawing.placing import INSIDE, Place, Size, place_panel, place_tags
from cmaen.drawing.steadying import Memory
from cmaen.drawing.ticker import paint_ticker
from cmaen.types import UNCERTAIN, UNSURE_BELOW, Image

_UNSURE = "#404040"
"""Colour of an unsure answer."""


def hex_of(name: str, classes: Sequence[str]) -> str:
    """Return the colour of a class in pictures and plots, ``#rrggbb``; that of an emotion is always the same.

    Args:
        name: Name of the class, or :data:`~cmaen.types.UNCERTAIN`.
        classes: All classes of the network.

    Raises:
        ValueError: The name is neither an emotion nor one of the classes.
    """
    if name == UNCERTAIN and name not in classes:
        return _UNSURE
    return PALETTE[name] if name in PALETTE else _choose_others(tuple(classes))[classes.index(name)]


@lru_cache(maxsize=64)
def _choose_others(classes: tuple[str, ...]) -> tuple[str, ...]:
    """Choose colours for custom labels by their position, from those that no emotion among the labels uses."""
    free = [colour for emotion, colour in PALETTE.items() if emotion not in classes] or list(PALETTE.values())
    own = [name for name in classes if name not in PALETTE]
    return tuple(PALETTE[name] if name in PALETTE else free[own.index(name) % len(free)] for name in classes)


def colour_of(name: str, classes: Sequence[str]) -> Colour:
    """Return the colour of a class as red, green and blue, 0 to 255."""
    return colour_of_hex(hex_of(name, classes))


@dataclass(frozen=True, slots=True)
class Style:
    """Measurements of the style in which faces are drawn; the page uses the same.

    Attributes:
        line_of_face: Ratio of a face's width to the width of its outline.
        least_line, most_line: Limits of the outline's width, in pixels.
        line_of_picture: Ratio of the image's longer side to an upper limit of the outline's width; the larger limit
            applies.
        text_of_face: Ratio of a face's width to the text size.
        least_text: Smallest text size, in pixels.
        text_of_picture: Ratio of the image's longer side to a lower limit of the text size; the larger limit applies.
        most_text_of_picture: Ratio of the image's shorter side to the largest text size.
        widest: Maximum width of a tag, relative to the face's width.
        few: Number of faces up to which a tag may be wider if it covers nothing.
        inside: Maximum height of a tag inside the lower edge of its own face, relative to the face's height.
        opacity: Opacity of a tag's background.
        plate: Colour of a tag's background, ``#rrggbb``.
        unsure: Colour of the dashed outline and the bar of an unsure answer.
    """

    line_of_face: float = 40.0
    least_line: int = 1
    most_line: int = 6
    line_of_picture: float = 320.0
    text_of_face: float = 8.0
    least_text: int = 11
    text_of_picture: float = 90.0
    most_text_of_picture: float = 16.0
    widest: float = 1.6
    few: int = 6
    inside: float = INSIDE
    opacity: float = OPACITY
    plate: str = "#{:02x}{:02x}{:02x}".format(*PLATE)
    unsure: str = "#d3d7dd"

    def measure_line(self, face: float, longer: int) -> int:
        """Compute the width of an outline in pixels, from the face's width and the image's longer side."""
        most = max(self.most_line, longer / self.line_of_picture)
        line = min(max(face / self.line_of_face, self.least_line), most)
        return math.ceil(line) if line < 2 else round(line)

    def measure_text(self, face: float, width: int, height: int) -> int:
        """Compute the text size in pixels; large sizes are rounded, so that a moving face keeps its tag."""
        least = max(self.least_text, max(width, height) / self.text_of_picture)
        most = max(least, min(width, height) / self.most_text_of_picture)
        size = round(min(max(face / self.text_of_face, least), most))
        return size - size % max(1, size // 12)


STYLE = Style()


def is_unsure(face: Mapping[str, Any]) -> bool:
    """Whether an answer is shown as unsure: its confidence is below 0.5, or below the requested threshold.

    Args:
        face: Dict of :meth:`cmaen.results.Face.to_dict`.
    """
    answers = face.get("probabilities", {})
    uncertain = face["predicted_emotion"] == UNCERTAIN and UNCERTAIN not in answers
    return bool(uncertain or face["confidence"] < UNSURE_BELOW)


def find_candidates(face: Mapping[str, Any]) -> tuple[str, str] | None:
    """Find the two most probable emotions of an unsure answer; ``None`` if it is sure or has fewer than two."""
    answers = face.get("probabilities", {})
    if len(answers) < 2 or not is_unsure(face):
        return None
    first, second, *_ = sorted(answers, key=answers.__getitem__, reverse=True)
    return first, second


def describe_answer(face: Mapping[str, Any]) -> str:
    """Describe the answer in words, as the page does: one emotion, or two if the network is unsure."""
    candidates = find_candidates(face)
    if candidates is None:
        return f"{face['predicted_emotion']} {write_percent(face['confidence'])}"
    return f"unsure: maybe {candidates[0]} or {candidates[1]}"


def draw_faces(
    image: Image, faces: Iterable[Mapping[str, Any]], *, ticker: bool = False, memory: Memory | None = None
) -> Image:
    """Return a copy of the image with an outline and a tag for every face.

    Tags cover neither other faces nor each other: each is put where there is room, shortened if there is little, and
    finally reduced to a coloured dot, explained by a legend at the image's edge. With several faces, each tag begins
    with a number as in tables and records; in a video, with the identity. Unsure answers have a dashed grey outline.

    Args:
        image: RGB uint8 [H, W, 3].
        faces: Dicts of :meth:`cmaen.results.Face.to_dict`. ``box``, ``predicted_emotion`` and ``confidence`` are
            required; ``identity``, ``person`` and ``probabilities`` are used if present.
        ticker: Whether to show the probabilities of up to four faces at the lower edge, if there is room.
        memory: Memory of the video that the image is a frame of, so that nothing jumps; ``None`` for a single image.

    Returns:
        RGB uint8 [H, W, 3].
    """
    picture: Image = image.copy()
    height, width = image.shape[:2]
    found = list(faces)
    memory = Memory() if memory is None else memory
    memory.begin()
    tags = [
        _Tag.of(face, number if len(found) > 1 else None, width, height, memory) for number, face in enumerate(found, 1)
    ]
    for tag in tags:
        outline(picture, tag.box, tag.line_colour, tag.line, broken=tag.unsure)
    boxes = np.array([tag.box for tag in tags], np.float64).reshape(-1, 4)
    taken = []
    if ticker and found:
        bars = paint_ticker(
            found, [tag.who for tag in tags], colour_of, boxes=boxes, width=width, height=height, memory=memory
        )
        for sprite, left, top in bars:
            lay(picture, sprite, left, top)
            taken.append((left, top, left + sprite.size.width, top + sprite.size.height))
    places = _place(tags, boxes, width, height, taken, memory)
    legend = _paint_legend(tags, places, width, height)
    if legend:
        size = Size(max(row.size.width for row in legend), sum(row.size.height + 1 for row in legend))
        obstacles = np.concatenate([boxes, np.reshape(taken, (-1, 4))])
        corner = place_panel(
            size, obstacles, width=width, height=height, margin=STYLE.least_text // 2, before=memory.corner
        )
        memory.corner = corner
        if corner is not None:
            left, top = corner
            panel = (left, top, left + size.width, top + size.height)
            places = _place(tags, boxes, width, height, [*taken, panel], memory)
            for row in legend:
                lay(picture, row, left, top)
                top += row.size.height + 1
    for tag, place in zip(tags, places, strict=True):
        memory.keep(tag.who, place, tag.measure(narrow=len(tags) > STYLE.few), tag.gap)
        if place is not None:
            lay(picture, tag.paint(place.variant), place.left, place.top)
    return picture


@dataclass(frozen=True, slots=True)
class _Tag:
    """The drawing of one face.

    Attributes:
        box: Left, top, right and bottom edge, in pixels.
        who: Number of the face; may be empty.
        name: Name of the answer, for the legend.
        texts: Possible texts of its plate, from the longest to the shortest.
        dot: Text of its dot.
        colour, line_colour: Colour of the dot, and of the outline and the bar.
        line, size: Width of the outline and size of the text, in pixels.
        wide: Maximum width of the tag, in pixels.
    """

    box: tuple[float, float, float, float]
    who: str
    name: str
    texts: tuple[str, ...]
    dot: str
    colour: Colour
    line_colour: Colour
    unsure: bool
    line: int
    size: int
    wide: float

    @classmethod
    def of(cls, face: Mapping[str, Any], number: int | None, width: int, height: int, memory: Memory) -> _Tag:
        """Make the tag of a face in an image of this size; ``number`` is given if there are several faces."""
        x, y, across, down = map(float, face["box"])
        if not np.isfinite((x, y, across, down)).all():
            raise ValueError(f"the numbers of a box must be finite: {face['box']}")
        identity = face.get("identity")
        who = str(face.get("person") or (number or "" if identity is None else identity)).removeprefix("person ")
        shown = memory.meet(who, across)
        name, texts, letter = _word(face)
        unsure = is_unsure(face)
        colour = colour_of(UNCERTAIN if unsure else face["predicted_emotion"], list(face.get("probabilities", ())))
        return cls(
            box=(x, y, x + across, y + down),
            who=who,
            name=name,
            texts=tuple(f"{who} {text}".strip() for text in texts),
            dot=who if 0 < len(who) <= _LONGEST_DOT else letter,
            colour=colour,
            line_colour=colour_of_hex(STYLE.unsure) if unsure else colour,
            unsure=unsure,
            line=STYLE.measure_line(shown, max(width, height)),
            size=STYLE.measure_text(shown, width, height),
            wide=STYLE.widest * shown,
        )

    @property
    def spelt(self) -> int:
        """Number of variants that write the emotion in words."""
        return len(self.texts) - 1

    @property
    def gap(self) -> int:
        """Distance between the face and the tag, in pixels."""
        return self.line + max(1, round(0.2 * self.size))

    def measure(self, *, narrow: bool) -> list[Size]:
        """Measure the variants; those that are too wide get an impossible size."""
        sizes = [measure_plate(self._segments(text), self.size) for text in self.texts]
        if narrow:
            sizes = [size if size.width <= self.wide else _IMPOSSIBLE for size in sizes]
        return [*sizes, measure_dot(self.dot, self._dot_size)]

    def paint(self, variant: int) -> Sprite:
        """Paint one of the variants."""
        if variant < len(self.texts):
            return paint_plate(self._segments(self.texts[variant]), self.size)
        return paint_dot(self.dot, self._dot_size, self.colour, broken=self.unsure)

    @property
    def _dot_size(self) -> int:
        return max(STYLE.least_text, round(0.85 * self.size))

    def _segments(self, text: str) -> tuple[Segment, ...]:
        return (Segment(text, self.line_colour, self.unsure),)


_LONGEST_DOT = 4
"""Letters of a number that fit into a dot; a name does not."""
_IMPOSSIBLE = Size(1 << 30, 1 << 30)


def _word(face: Mapping[str, Any]) -> tuple[str, tuple[str, ...], str]:
    """Return the answer's name, its texts from the longest to the shortest, and its letter."""
    classes = tuple(face.get("probabilities", ()))
    candidates = find_candidates(face)
    if candidates is None:
        emotion, share = face["predicted_emotion"], write_percent(face["confidence"])
        name = write_label(emotion, classes.index(emotion) if emotion in classes else 0)
        letter = choose_letters(classes or _KNOWN).get(emotion) or name[:1]
        return name, (f"{name} {share}", name, letter), letter
    first, second = (write_label(one, classes.index(one)) for one in candidates)
    letter = f"{choose_letters(classes)[candidates[0]]}?"
    return "unsure", (f"unsure: maybe {first} or {second}", f"{first} or {second}?", f"{first}?", letter), letter


_KNOWN = tuple(PALETTE)


def _place(
    tags: Sequence[_Tag],
    boxes: NDArray[np.float64],
    width: int,
    height: int,
    taken: Sequence[tuple[float, float, float, float]],
    memory: Memory,
) -> list[Place | None]:
    sizes = [tag.measure(narrow=len(tags) > STYLE.few) for tag in tags]
    wishes = [memory.wish_of(tag.who) for tag in tags]
    gaps = [tag.gap for tag in tags]
    return place_tags(boxes, sizes, width=width, height=height, gaps=gaps, taken=taken, wishes=wishes)


def _paint_legend(tags: Sequence[_Tag], places: Sequence[Place | None], width: int, height: int) -> list[Sprite]:
    """Paint rows of colours with their names and counts; none if every tag gives its emotion in words."""
    if all(place is not None and place.variant < tag.spelt for tag, place in zip(tags, places, strict=True)):
        return []
    counts = Counter((tag.name, tag.line_colour, tag.unsure) for tag in tags)
    size = STYLE.measure_text(0, width, height)
    rows: list[list[Segment]] = []
    for (name, colour, unsure), count in counts.most_common(_LONGEST_LEGEND):
        entry = Segment(f"{name} {count}", colour, unsure)
        if not rows or measure_plate([*rows[-1], entry], size).width > _WIDEST_LEGEND * width:
            rows.append([])
        rows[-1].append(entry)
    return [paint_plate(row, size) for row in rows]


_WIDEST_LEGEND = 0.8
"""Maximum width of the legend, relative to the image's width."""
_LONGEST_LEGEND = 10


@lru_cache(maxsize=64)
def colour_of_hex(digits: str) -> Colour:
    """Convert ``#rrggbb`` to red, green and blue, 0 to 255."""
    return int(digits[1:3], 16), int(digits[3:5], 16), int(digits[5:7], 16)
