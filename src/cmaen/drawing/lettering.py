"""Text in images: a font that has its characters, labels of limited length, percentages, and letters for labels."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from PIL import ImageFont

from cmaen.errors import escape

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

_SYSTEM_FONTS = (
    "DejaVuSans.ttf",
    "NotoSans-Regular.ttf",
    "segoeui.ttf",
    "Arial Unicode.ttf",
    "arial.ttf",
    "Arial.ttf",
    "LiberationSans-Regular.ttf",
    "NotoSansCJK-Regular.ttc",
    "msyh.ttc",
    "malgun.ttf",
    "YuGothM.ttc",
    "PingFang.ttc",
    "Hiragino Sans GB.ttc",
    "AppleSDGothicNeo.ttc",
    "wqy-zenhei.ttc",
    "NotoSansArabic-Regular.ttf",
    "NotoSansDevanagari-Regular.ttf",
    "Nirmala.ttf",
    "NotoSansThai-Regular.ttf",
)
"""Fonts of Linux, Windows and macOS, for labels that Pillow's own font cannot write, which only has ASCII."""
_NOBODYS = "\uffff"
"""Character that no font has; it is drawn like every missing character."""
_LONGEST_LETTERS = 3


@lru_cache(maxsize=64)
def load_font(size: int) -> Font:
    """Load Pillow's own font, so that the output is the same on every machine."""
    return ImageFont.load_default(size=size)


@lru_cache(maxsize=256)
def choose_font(text: str, size: int) -> Font | None:
    """Choose a font that has all characters of a text: Pillow's own or a system font; ``None`` if there is none."""
    if text.isascii():
        return load_font(size)
    characters = frozenset(text)
    if _has(load_font(size), characters):
        return load_font(size)
    name = next((name for name in _find_system_fonts() if _has(_load_system_font(name, 16), characters)), None)
    return None if name is None else _load_system_font(name, size)


@lru_cache(maxsize=4096)
def measure(text: str, size: int) -> float:
    """Measure the width of a line of text, in pixels."""
    return (choose_font(text, size) or load_font(size)).getlength(text)


def space_out(text: str) -> str:
    """Widen the spaces of ASCII text, because those of Pillow's own font are too narrow at small sizes."""
    return text.replace(" ", "  ") if text.isascii() else text


@lru_cache(maxsize=1024)
def write_label(name: str, number: int, most: int = 24) -> str:
    """Write a label as one short line that can be drawn.

    Args:
        name: Label of any script and length; it may come from the user.
        number: Position of the label, from 0; used in place of a label that no font can write.
        most: Maximum number of characters; the rest is cut off.
    """
    line = _cut(name, most)
    drawable = choose_font(line, 16) is not None and measure(line, 16) > 0
    return line if drawable else f"label {number + 1}"


def write_line(text: str, most: int = 200) -> str:
    """Write text as one line of limited length; if no font can write it, ``?`` replaces all but ASCII."""
    line = _cut(text, most)
    return line if choose_font(line, 16) is not None else line.encode("ascii", "replace").decode()


def _cut(text: str, most: int) -> str:
    line = " ".join(escape(text).split())
    return line if len(line) <= most else f"{line[: most - 1].rstrip()}…"


def choose_letters(labels: Sequence[str]) -> dict[str, str]:
    """Choose the shortest unique beginning of each label, up to three letters: ``h``, ``sa``, ``su``."""
    return dict(zip(labels, _choose_letters(tuple(labels)), strict=True))


@lru_cache(maxsize=64)
def _choose_letters(labels: tuple[str, ...]) -> tuple[str, ...]:
    written = [write_label(label, number) for number, label in enumerate(labels)]
    return tuple(_begin(label, [*written[:place], *written[place + 1 :]]) for place, label in enumerate(written))


def _begin(label: str, others: Sequence[str]) -> str:
    beginning = ""
    for character in label:
        if len(beginning) >= _LONGEST_LETTERS and not unicodedata.combining(character):
            break
        if beginning and not unicodedata.combining(character) and not any(o.startswith(beginning) for o in others):
            break
        beginning += character
    return beginning.strip()


def write_percent(share: float) -> str:
    """Write a share as a percentage: 0.983 is ``98%``; a positive share below half a percent is ``<1%``.

    Raises:
        ValueError: The share is NaN.
    """
    if 0 < share < 0.005:
        return "<1%"
    return f"{math.floor(100 * share + 0.5)}%"


def write_count(number: int, one: str, several: str | None = None) -> str:
    """Write a number with its noun: ``1 face``, ``2 faces``, ``3 people``.

    Args:
        number: Number of things.
        one: Noun in the singular.
        several: Noun in the plural; by default with an s at the end.
    """
    return f"{number:,} {one if number == 1 else several or f'{one}s'}"


def _has(font: Font, characters: frozenset[str]) -> bool:
    missing = bytes(font.getmask(_NOBODYS))
    return all(character.isspace() or bytes(font.getmask(character)) != missing for character in characters)


@lru_cache(maxsize=1)
def _find_system_fonts() -> tuple[str, ...]:
    return tuple(name for name in _SYSTEM_FONTS if _is_there(name))


def _is_there(name: str) -> bool:
    try:
        _load_system_font(name, 16)
    except OSError:
        return False
    return True


@lru_cache(maxsize=64)
def _load_system_font(name: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(name, size)


def write_time(seconds: float, *, exact: bool = False) -> str:
    """Write a time as ``1:05``, or ``1:00:05`` from one hour; an exact one has tenths unless they are 0."""
    part = round(seconds % 1, 1) if exact else 0.0
    whole = math.floor(seconds + 1e-6) if 0.05 < part < 0.95 else round(seconds)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    told = f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
    return f"{told}.{round(10 * part)}" if 0.05 < part < 0.95 else told
