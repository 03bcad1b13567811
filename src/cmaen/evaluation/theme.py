"""The look of pages that are one file: their style, and charts whose one drawing serves light and dark mode."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.resources import files

PAPER, DARK_PAPER = "#ffffff", "#1b1e26"
"""Background of charts in light and in dark mode."""
CELL, ON_CELL = "#14407a", "#fefefe"
"""Colour of the cells of a confusion matrix, and of the text on its darkest cells."""
_INK = "#000000"
_CHOSEN = {CELL: "#2f6fc4", ON_CELL: ON_CELL}
"""Colours in dark mode that do not follow the rule of :func:`adapt`."""
_COLOUR = re.compile(r"(?<=: )#([0-9a-f]{6})\b")
_CONTRAST = 4.5
"""Minimum contrast of colours on dark paper, as WCAG requires of text."""
_GREY = 16
"""Difference of red, green and blue below which a colour counts as grey."""


def read_style() -> str:
    """Read the style sheet that all pages share; a page adds its own rules after it."""
    return files("cmaen.evaluation").joinpath("document.css").read_text("utf-8")


def theme(svg: str, label: str) -> str:
    """Prepare a chart for a page: its colours become CSS variables, and it gets a label for screen readers.

    Args:
        svg: The ``<svg>`` element, see :func:`cmaen.evaluation.plots.svg`; files keep it unchanged.
        label: Plain text that says what the chart shows.
    """

    def replace(found: re.Match[str]) -> str:
        colour = found.group()
        if colour == _INK:
            return "currentColor"
        return "var(--paper)" if colour == PAPER else f"var(--c{colour[1:]}, {colour})"

    head = f'<svg role="img" aria-label="{label}" fill="currentColor" '
    return head + _COLOUR.sub(replace, svg).removeprefix("<svg ")


def darken(svgs: Iterable[str]) -> dict[str, str]:
    """Return the CSS variables of themed charts in dark mode, by name."""
    colours = {found for svg in svgs for found in re.findall(r"var\(--c([0-9a-f]{6}),", svg)}
    return {f"--c{colour}": adapt(f"#{colour}") for colour in sorted(colours)}


def adapt(colour: str) -> str:
    """Adapt a colour, ``#rrggbb``, to dark paper: greys are inverted, other colours lightened as far as needed."""
    if colour in _CHOSEN:
        return _CHOSEN[colour]
    parts = _split(colour)
    if max(parts) - min(parts) < _GREY:
        paper = _split(DARK_PAPER)
        return _join(tuple(low + (255 - part) * (255 - low) / 255 for part, low in zip(parts, paper, strict=True)))
    step = 0
    while contrast(_join(parts), DARK_PAPER) < _CONTRAST and step < 20:
        step += 1
        parts = tuple(part + (255 - part) * 0.05 for part in parts)
    return _join(parts)


def contrast(first: str, second: str) -> float:
    """Compute the contrast of two colours, from 1 to 21, as WCAG defines it."""
    light, dark = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    red, green, blue = (
        part / 255 / 12.92 if part <= 10 else ((part / 255 + 0.055) / 1.055) ** 2.4 for part in _split(colour)
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _split(colour: str) -> tuple[float, ...]:
    return tuple(float(int(colour[place : place + 2], 16)) for place in (1, 3, 5))


def _join(parts: Iterable[float]) -> str:
    return "#" + "".join(f"{round(part):02x}" for part in parts)
