"""Pictures of faces in a report, samples, mistakes and maps: sheets of tiles for the page and for files."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from cmaen.data.splits import FaceSet
from cmaen.data.tree import png

_COLUMNS = 8
_MISTAKES = 24
_SIDE, _GAP, _LINE = 1.25, 0.1, 0.17
"""Side of a picture, gap between two pictures, and height of a line of text, in inches."""
_RIGHT, _WRONG, _PLAIN = "#1a7f4b", "#c0392b", "#445"
_MARKS = {True: "✓", False: "✗"}
"""Marks that accompany the colours, for readers who cannot tell these apart."""


class Tile(NamedTuple):
    """A picture and the lines below it.

    Attributes:
        picture: Grey uint8 [h, w] or RGB uint8 [h, w, 3].
        caption: Lines below the picture.
        right: Whether the first line is a right answer; ``None`` if it is not an answer.
        name: Name of the face, as in :attr:`cmaen.data.splits.FaceSet.names`.
    """

    picture: NDArray[np.uint8]
    caption: tuple[str, ...] = ()
    right: bool | None = None
    name: str | None = None

    @property
    def lines(self) -> tuple[str, ...]:
        """The caption, with ✓ or ✗ before an answer."""
        if self.right is None:
            return self.caption
        return (f"{_MARKS[self.right]} {self.caption[0]}", *self.caption[1:])

    @property
    def address(self) -> str:
        """The picture as a ``data:`` URI."""
        return f"data:image/png;base64,{base64.b64encode(png(self.picture)).decode()}"


class Sheet(NamedTuple):
    """Tiles from left to right and from top to bottom.

    Attributes:
        tiles: The tiles; ``None`` leaves a place empty.
        columns: Number of columns in a file; the page has as many as fit.
        together: Number of consecutive tiles that are kept in one row.
    """

    tiles: Sequence[Tile | None]
    columns: int
    together: int = 1

    @property
    def groups(self) -> list[list[Tile]]:
        """The groups of tiles that are kept together, without empty places."""
        starts = range(0, len(self.tiles), self.together)
        groups = [[tile for tile in self.tiles[start : start + self.together] if tile] for start in starts]
        return [group for group in groups if group]


class Mapped(NamedTuple):
    """A face and its maps.

    Attributes:
        answer, label: Names of the answered and the labelled class.
        pictures: Pictures by name, the face first: grey uint8 [h, w] or RGB uint8 [h, w, 3].
    """

    answer: str
    label: str
    pictures: Mapping[str, NDArray[np.uint8]]


def choose_samples(
    faces: FaceSet, answers: NDArray[np.float64], rng: np.random.Generator, *, right: int = 2, wrong: int = 2
) -> Sheet:
    """Choose random faces of every label: some that are answered right, then some that are answered wrong.

    Args:
        faces: Faces of the split.
        answers: Probabilities for these faces, float64 [N, C].
        rng: The source of all randomness.
        right, wrong: Numbers of faces of each label; places stay empty if there are fewer.
    """
    order = rng.permutation(len(faces))
    labels, hit = faces.labels[order], answers.argmax(axis=1)[order] == faces.labels[order]
    tiles: list[Tile | None] = []
    for label in range(len(faces.classes)):
        for chosen, count in ((hit, right), (~hit, wrong)):
            found = order[(labels == label) & chosen][:count]
            tiles += [_make_tile(faces, answers, index) for index in found] + [None] * (count - len(found))
    return Sheet(tiles, max(_COLUMNS // (right + wrong), 1) * (right + wrong))


def choose_mistakes(faces: FaceSet, answers: NDArray[np.float64]) -> Sheet | None:
    """Choose the most confident wrong answers, the most confident first; ``None`` if all answers are right."""
    wrong = np.flatnonzero(answers.argmax(axis=1) != faces.labels)
    worst = wrong[np.argsort(-answers[wrong].max(axis=1), kind="stable")][:_MISTAKES]
    return Sheet([_make_tile(faces, answers, index) for index in worst], _COLUMNS) if len(worst) else None


def lay_out_maps(mapped: Sequence[Mapped]) -> Sheet:
    """Lay out faces, each with its maps to the right of it: several faces in a row, or one if there are many maps."""
    across = len(mapped[0].pictures)
    tiles = []
    for answer, label, pictures in mapped:
        face, *others = pictures.items()
        tiles += [Tile(face[1], (answer, f"labelled {label}"), answer == label)]
        tiles += [Tile(picture, (name,)) for name, picture in others]
    return Sheet(tiles, across * max(_COLUMNS // across, 1), across)


def draw_sheet(sheet: Sheet) -> Figure:
    """Draw a sheet as a figure."""
    tiles, columns, _ = sheet
    rows, lines = -(-len(tiles) // columns), max(len(tile.caption) for tile in tiles if tile)
    across, down = _SIDE + _GAP, _SIDE + _GAP + lines * _LINE
    figure = Figure(figsize=(columns * across, rows * down))
    axes = figure.add_axes((0, 0, 1, 1))
    for place, tile in enumerate(tiles):
        if tile is None:
            continue
        x, y = place % columns * across, place // columns * down
        where = (x, x + _SIDE, y + _SIDE, y)
        axes.imshow(tile.picture, cmap="gray", vmin=0, vmax=255, extent=where, interpolation="bilinear")
        for line, words in enumerate(tile.lines):
            first = tile.right is not None and not line
            colour = _PLAIN if not first else _RIGHT if tile.right else _WRONG
            height = y + _SIDE + 0.03 + line * _LINE
            weight = "bold" if first else "normal"
            axes.text(x + _SIDE / 2, height, words, ha="center", va="top", fontsize=8, color=colour, weight=weight)
    axes.set(xlim=(-_GAP / 2, columns * across - _GAP / 2), ylim=(rows * down - _GAP / 2, -_GAP / 2), aspect="equal")
    axes.set_axis_off()
    return figure


def _make_tile(faces: FaceSet, answers: NDArray[np.float64], index: int) -> Tile:
    answer, label = int(answers[index].argmax()), int(faces.labels[index])
    words = (f"{faces.classes[answer]} {answers[index, answer]:.0%}", f"labelled {faces.classes[label]}")
    return Tile(faces.images[index], words, answer == label, faces.names[index])
