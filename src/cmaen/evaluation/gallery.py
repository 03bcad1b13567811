"""The pictures of a report that show faces, as matplotlib figures: samples, maps, mistakes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from cmaen.data.splits import FaceSet

_COLUMNS = 8
_MISTAKES = 24
_SIDE, _GAP, _LINE = 1.25, 0.1, 0.17
"""Inches: of a picture, between two, and of a line of text."""
_RIGHT, _WRONG, _PLAIN = "#1a7f4b", "#c0392b", "#445"


class Tile(NamedTuple):
    """A picture, grey uint8 [h, w] or RGB uint8 [h, w, 3], and the lines below it: the first in a colour."""

    picture: NDArray[np.uint8]
    caption: tuple[str, ...] = ()
    colour: str = _PLAIN


class Mapped(NamedTuple):
    """A face and the maps over it.

    Attributes:
        answer, label: Names of the classes.
        pictures: Grey uint8 [h, w] or RGB uint8 [h, w, 3], by their names, the face first.
    """

    answer: str
    label: str
    pictures: Mapping[str, NDArray[np.uint8]]


def samples(
    faces: FaceSet, answers: NDArray[np.float64], rng: np.random.Generator, *, right: int = 2, wrong: int = 2
) -> Figure:
    """Faces of every label, drawn by chance: some that are answered right, then some that are not.

    Args:
        faces: Of the split.
        answers: Probabilities of these faces, float64 [N, C].
        rng: Draws them.
        right, wrong: How many of each label; their places stay empty where there are fewer.
    """
    order = rng.permutation(len(faces))
    labels, hit = faces.labels[order], answers.argmax(axis=1)[order] == faces.labels[order]
    tiles: list[Tile | None] = []
    for label in range(len(faces.classes)):
        for chosen, count in ((hit, right), (~hit, wrong)):
            found = order[(labels == label) & chosen][:count]
            tiles += [_make_tile(faces, answers, index) for index in found] + [None] * (count - len(found))
    return _sheet(tiles, max(_COLUMNS // (right + wrong), 1) * (right + wrong))


def mistakes(faces: FaceSet, answers: NDArray[np.float64]) -> Figure | None:
    """The most confident wrong answers, the worst first; ``None`` where all are right. See :func:`samples`."""
    wrong = np.flatnonzero(answers.argmax(axis=1) != faces.labels)
    worst = wrong[np.argsort(-answers[wrong].max(axis=1), kind="stable")][:_MISTAKES]
    return _sheet([_make_tile(faces, answers, index) for index in worst], _COLUMNS) if len(worst) else None


def maps(mapped: Sequence[Mapped]) -> Figure:
    """Faces, each with its maps to the right of it: two faces a row, or one where there are many maps."""
    across = len(mapped[0].pictures)
    tiles = []
    for answer, label, pictures in mapped:
        colour = _RIGHT if answer == label else _WRONG
        face, *others = pictures.items()
        tiles += [Tile(face[1], (answer, f"labelled {label}"), colour)]
        tiles += [Tile(picture, (name,)) for name, picture in others]
    return _sheet(tiles, across * max(_COLUMNS // across, 1))


def _make_tile(faces: FaceSet, answers: NDArray[np.float64], index: int) -> Tile:
    answer, label = int(answers[index].argmax()), int(faces.labels[index])
    words = (f"{faces.classes[answer]} {answers[index, answer]:.0%}", f"labelled {faces.classes[label]}")
    return Tile(faces.images[index], words, _RIGHT if answer == label else _WRONG)


def _sheet(tiles: Sequence[Tile | None], columns: int) -> Figure:
    """Tiles from left to right and from top to bottom; ``None`` leaves a place empty."""
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
        for line, words in enumerate(tile.caption):
            colour = _PLAIN if line else tile.colour
            weight = "normal" if colour == _PLAIN else "bold"
            height = y + _SIDE + 0.03 + line * _LINE
            axes.text(x + _SIDE / 2, height, words, ha="center", va="top", fontsize=8, color=colour, weight=weight)
    axes.set(xlim=(-_GAP / 2, columns * across - _GAP / 2), ylim=(rows * down - _GAP / 2, -_GAP / 2), aspect="equal")
    axes.set_axis_off()
    return figure
