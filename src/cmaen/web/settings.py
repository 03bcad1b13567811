"""``config.json``: what the page shares with the package, each number read from the module that owns it."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from cmaen import heat
from cmaen.checkpoints import Card
from cmaen.drawing import STYLE, hex_of
from cmaen.engines import LOGITS
from cmaen.inference import alignment, doubts, likeness, occlusion, scenes, tracking
from cmaen.inference.detectors import again, base, thinning, yunet
from cmaen.inference.tuning import Tuning
from cmaen.lettering import choose_letters
from cmaen.tabulation import COLUMNS
from cmaen.types import EMOTIONS, FER2013, PERCEIVED, UNSURE_BELOW

LIVE = {"side": yunet.MAX_SIDE, "searched": yunet.MAX_SIDE // 2, "under_way": 2}
"""Of the live view: the longer side, in pixels, to which a frame is shrunk, and to which a browser shrinks it once more
to search it for faces; and how many frames may be under way."""

DETECTOR = {
    "strides": yunet.STRIDES,
    "least_side": yunet.LEAST_SIDE,
    "max_side": yunet.MAX_SIDE,
    "min_score": yunet.MIN_SCORE,
    "overlap": yunet.OVERLAP,
    "most": thinning.MOST,
    "sure": yunet.SURE,
    "better": base.BETTER,
    "same": again.SAME,
    "closer": yunet.CLOSER,
    "closer_from": base.CLOSER_FROM,
    "closer_score": base.CLOSER_SCORE,
    "tiles": {
        "far": base.FAR,
        "large": base.LARGE,
        "side": base.TILE,
        "overlap": again.OVERLAP,
        "most": again.MOST_TILES,
        "at_border": again.AT_BORDER,
    },
}
"""The numbers by which a browser finds faces."""

TRACKING = {
    "search_every": Tuning.detect_every,
    "memory": tracking.MEMORY,
    "min_overlap": tracking.MIN_OVERLAP,
    "reach": tracking.REACH,
    "growth": tracking.GROWTH,
    "gap": tracking.GAP,
    "slowly": tracking.SLOWLY,
    "refresh": tracking.REFRESH,
    "longest": tracking.LONGEST,
    "jitter": tracking.JITTER,
    "smoothing": Tuning.smoothing,
    "classify_every": Tuning.classify_every,
    "scenes": {
        "side": scenes.SIDE,
        "samples": scenes.SAMPLES,
        "blocks": scenes.BLOCKS,
        "levels": scenes.LEVELS,
        "cut_colours": scenes.CUT_COLOURS,
        "cut_blocks": scenes.CUT_BLOCKS,
    },
    "likeness": {
        "alike": likeness.ALIKE,
        "continued": likeness.CONTINUED,
        "side": likeness.SIDE,
        "margin": likeness.MARGIN,
        "levels": likeness.LEVELS,
        "mean": likeness.MEAN,
        "deviation": likeness.DEVIATION,
        "flat": likeness.FLAT,
    },
}
"""The numbers by which a browser follows faces; times are in seconds."""

OCCLUSION = {
    "grid": occlusion.GRID,
    "patch": occlusion.PATCH,
    "spread": occlusion.SPREAD,
    "least": occlusion.LEAST,
    "most": occlusion.MOST,
    "colours": heat.COLOURS,
    "opacity": heat.OPACITY,
    "crop_side": heat.CROP_SIDE,
}
"""The numbers by which a browser finds what an answer depends on, and how it is coloured."""

DOUBTS = {
    "least_side": doubts.LEAST_SIDE,
    "side": doubts.SIDE,
    "sharp": doubts.SHARP,
    "light": doubts.LIGHT,
    "bright": doubts.BRIGHT,
    "turn": doubts.TURN,
}
"""The numbers by which a browser tells why an answer is unsure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """A file that a browser fetches to run the networks.

    Attributes:
        bytes: How many it has, uncompressed.
        sha256: Of its content, in base64.
    """

    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerTerms:
    """What the page has to know of the server that gives it.

    Attributes:
        max_images: Of one request.
        max_bytes: Of one request.
        key_required: Whether it wants an API key.
    """

    max_images: int
    max_bytes: int
    key_required: bool


def describe_page(
    card: Card | None,
    *,
    scheme: str | None = None,
    accuracies: Mapping[str, float] | None = None,
    server: ServerTerms | None = None,
    downloads: Mapping[str, Download] | None = None,
) -> dict[str, Any]:
    """The page's ``config.json``.

    Args:
        card: Of the checkpoint that answers; ``None`` where it cannot be read, which is said elsewhere: the page then
            shows the labels of FER2013.
        scheme: The label scheme in which it answers at first; ``None`` for the checkpoint's own.
        accuracies: How often it is right in each label scheme, from 0 to 1, where that was measured.
        server: Of the server that runs the networks; ``None`` where the browser runs them.
        downloads: What a browser fetches for that, by name.

    Returns:
        Values that JSON can hold.

    Raises:
        ConfigError: The checkpoint has no such scheme.
    """
    terms = {"key_required": False} if server is None else asdict(server)
    return {
        "mode": "browser" if server is None else "server",
        "version": importlib.metadata.version("cmaen"),
        "benchmark": FER2013,
        "perceived": PERCEIVED,
        "right": dict(accuracies or {}),
        "unsure_below": UNSURE_BELOW,
        "explain": True,
        "columns": COLUMNS,
        "live": LIVE,
        "downloads": {name: asdict(download) for name, download in (downloads or {}).items()},
        **_describe_answers(card, scheme),
        **terms,
    }


def choose_colours(labels: Sequence[str]) -> dict[str, str]:
    """The colour of each label, ``#rrggbb``, as in the package's pictures and plots."""
    return {label: hex_of(label, labels) for label in labels}


def describe_drawing(labels: Sequence[str]) -> dict[str, Any]:
    """The numbers by which faces are drawn, and the letters of labels where there is no room for words."""
    return {**asdict(STYLE), "letters": choose_letters(labels)}


def _describe_answers(card: Card | None, scheme: str | None) -> dict[str, Any]:
    """What the networks answer, and how a browser comes to it."""
    if card is None:
        return {
            "labels": EMOTIONS,
            "colours": choose_colours(EMOTIONS),
            "drawing": describe_drawing(EMOTIONS),
            "scheme": FER2013,
            "schemes": [FER2013],
        }
    scheme = card.resolve_scheme(scheme)
    answered = {name: card.select_labels(name) for name in card.schemes}
    labels = answered[scheme].labels
    return {
        "labels": labels,
        "colours": choose_colours(labels),
        "drawing": describe_drawing(labels),
        "scheme": scheme,
        "schemes": list(answered),
        "outputs": {name: PERCEIVED if name == PERCEIVED else LOGITS for name in answered},
        "temperatures": {name: found.temperature for name, found in answered.items()},
        "sharpening": {name: found.sharpening for name, found in answered.items()},
        "detector": DETECTOR,
        "crop": {**asdict(card.crop), "max_side": alignment.MAX_SIDE},
        "preprocess": asdict(card.preprocess),
        "tracking": TRACKING,
        "occlusion": OCCLUSION,
        "doubts": DOUBTS,
    }
