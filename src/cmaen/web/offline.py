"""Parts that make the page without a server an app: its service worker, manifest and icons."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from collections.abc import Mapping

from PIL import Image, ImageDraw

from cmaen.drawing import PALETTE

ICONS = (192, 512)
"""Side lengths of the PNG icons, in pixels."""

_GROUND = "#f6f4ef"
_FACE = PALETTE["neutral"]
_AROUND = ("angry", "happy", "disgust", "sad", "fear", "surprise", "neutral")
"""Emotions around the icon, in an order in which neighbouring colours differ."""
_FINE = 4
"""Factor by which icons are drawn larger than their final size."""


def digest(content: bytes) -> str:
    """Compute the SHA-256 of a content in base64, as browsers check it."""
    return base64.b64encode(hashlib.sha256(content).digest()).decode()


def write_worker(code: str, files: Mapping[str, bytes], networks: Mapping[str, bytes]) -> str:
    """Write the service worker of a page; its text changes whenever any content changes.

    Args:
        code: Content of ``page/offline.js``.
        files: Files of the page by their paths; they are stored at the first visit.
        networks: Large files by their paths, which the page itself fetches, and the worker only after an update.
    """
    told = {"FILES": _digest_all(files) | {"./": digest(files["index.html"])}, "NETWORKS": _digest_all(networks)}
    del told["FILES"]["index.html"]  # a visitor requests the folder
    version = hashlib.sha256(json.dumps([code, told], sort_keys=True).encode()).hexdigest()[:16]
    constants = [
        f"const {name} = {json.dumps(value, indent=2)};" for name, value in (told | {"VERSION": version}).items()
    ]
    return "\n".join([*constants, code])


def write_manifest() -> str:
    """Write the manifest, with which browsers offer to install the page."""
    icons = [{"src": "page/icon.svg", "sizes": "any", "type": "image/svg+xml"}]
    for side in ICONS:
        icon = {"src": f"page/icon-{side}.png", "sizes": f"{side}x{side}", "type": "image/png"}
        icons += [icon, icon | {"purpose": "maskable"}]
    manifest = {
        "name": "CMAEN: what faces seem to say",
        "short_name": "CMAEN",
        "start_url": "./",
        "scope": "./",
        "display": "standalone",
        "background_color": _GROUND,
        "theme_color": _GROUND,
        "icons": icons,
    }
    return json.dumps(manifest, indent=2) + "\n"


def draw_icon(side: int) -> bytes:
    """Draw the symbol of ``page/icon.svg`` on a background, as a PNG; a mask may cut off a tenth on every side.

    Args:
        side: Side length of the icon, in pixels.
    """
    large = side * _FINE
    image = Image.new("RGB", (large, large), _GROUND)
    draw = ImageDraw.Draw(image)

    def scale(value: float) -> float:
        return large * (0.14 + 0.72 * value / 64)

    box = [scale(32 - 29.5), scale(32 - 29.5), scale(32 + 29.5), scale(32 + 29.5)]
    stroke = round(0.72 * 7 / 64 * large)
    for number, emotion in enumerate(_AROUND):
        start = number * 360 / len(_AROUND)
        draw.arc(box, start, start + 9 / 70 * 360, PALETTE[emotion], stroke)
    line = 0.72 * 5 / 64 * large
    for x in (23, 41):
        draw.line([scale(x), scale(25), scale(x), scale(29)], _FACE, round(line))
        for y in (25, 29):
            _dot(draw, scale(x), scale(y), line / 2)
    for step in range(41):
        along = step / 40
        _dot(draw, scale(22 + 20 * along), scale(39 + 15 * along * (1 - along)), line / 2)
    buffer = io.BytesIO()
    image.resize((side, side), Image.Resampling.LANCZOS).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _dot(draw: ImageDraw.ImageDraw, x: float, y: float, radius: float) -> None:
    draw.ellipse([x - radius, y - radius, x + radius, y + radius], _FACE)


def _digest_all(files: Mapping[str, bytes]) -> dict[str, str]:
    return {path: digest(content) for path, content in files.items()}
