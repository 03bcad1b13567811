from __future__ import annotations

import base64
import io

import cv2
import numpy as np
import pytest
from PIL import Image

from cmaen.drawing.heat import OPACITY, Panel, colour_heat, draw_sheet, encode_crop, encode_map, overlay

RAMP = np.linspace(0, 1, 256, dtype=np.float32)[None].repeat(4, axis=0)


def test_the_colours_are_those_of_inferno_and_the_warmest_is_the_most_opaque() -> None:
    coloured = colour_heat(RAMP)
    inferno = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[None], cv2.COLORMAP_INFERNO)[0, :, ::-1]
    assert np.abs(coloured[0, :, :3].astype(int) - inferno).max() <= 7
    opacity = coloured[0, :, 3].astype(int)
    assert (opacity[0], opacity[-1]) == (0, round(255 * OPACITY))
    assert (np.diff(opacity) >= 0).all()


def test_a_cold_place_shows_the_face_alone() -> None:
    crop = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    heat = np.zeros((64, 64), np.float32)
    heat[:32] = 1
    drawn = overlay(crop, heat)
    assert np.array_equal(drawn[32:], np.repeat(crop[32:, :, None], 3, axis=2))
    assert (drawn[:32, :, 0] > drawn[:32, :, 2]).mean() > 0.9


def test_a_map_and_its_face_fit_over_each_other() -> None:
    def opened(address: str) -> Image.Image:
        return Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2])))

    heat = opened(encode_map(np.eye(30, dtype=np.float32)))
    assert (heat.format, heat.mode, heat.size) == ("PNG", "RGBA", (30, 30))
    for shape, side in (((40, 60, 3), 60), ((1, 1, 3), 1), ((900, 800, 3), 320)):
        crop = opened(encode_crop(np.zeros(shape, np.uint8)))
        assert (crop.format, crop.size) == ("JPEG", (side, side))


@pytest.mark.parametrize("count", [1, 4, 9])
def test_a_sheet_holds_every_face(count: int) -> None:
    crop, heat = np.full((20, 20, 3), 128, np.uint8), np.zeros((10, 10), np.float32)
    colours = [f"#{10 * number:02x}ff00" for number in range(1, count + 1)]
    panels = [Panel(crop, heat, "x" * 200, colour, "\x1b\n" * number) for number, colour in enumerate(colours)]
    sheet = np.asarray(draw_sheet(panels, low="low", high="high", note="word " * 80))
    for number in range(1, count + 1):
        assert (sheet == (10 * number, 255, 0)).all(axis=2).any()
    assert (sheet == 128).all(axis=2).sum() >= count * 320 * 320
