"""Everything that draws: faces on images and videos, charts, heat maps, and small images for notebooks."""

from cmaen.types import CONTEMPT

PALETTE: dict[str, str] = {
    "angry": "#e74751",
    "disgust": "#4a5205",
    "fear": "#6e24dd",
    "happy": "#cc7b0b",
    "neutral": "#869298",
    "sad": "#16519c",
    "surprise": "#703c5e",
    CONTEMPT: "#019dcc",
}
"""Colours of the emotions, ``#rrggbb``; every picture, plot and page of this package uses them.

They can be told apart with any kind of colour vision (tests/drawing/test_palette.py).
"""
