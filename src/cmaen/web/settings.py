"""``config.json``: the values that the page shares with the package, each read from the module that owns it."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from cmaen.checkpoints import Card
from cmaen.drawing import heat
from cmaen.drawing.lettering import choose_letters
from cmaen.drawing.style import STYLE, hex_of
from cmaen.engines import LOGITS
from cmaen.inference import alignment, doubts, likeness, occlusion, scenes, tracking
from cmaen.inference.detectors import again, base, thinning, yunet
from cmaen.inference.tuning import Tuning
from cmaen.tabulation import COLUMNS
from cmaen.types import EMOTIONS, FER2013, PERCEIVED, UNSURE_BELOW
from cmaen.web.notice import NOTICE

LIVE = {"side": yunet.MAX_SIDE, "searched": yunet.MAX_SIDE // 2, "under_way": 2}
"""Numbers for the live view: the longer side, in pixels, to which a frame is shrunk, and to which a browser shrinks it
further to search it for faces; and how many frames may be under way."""

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
"""Numbers with which a browser finds faces."""

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
    "minute": tracking.MINUTE,
    "smoothing": Tuning.smoothing / 2,  # the time constant of a live source
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
"""Numbers with which a browser tracks faces; times are in seconds."""

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
"""Numbers with which a browser computes and colours the map of what an answer depends on."""

DOUBTS = {
    "least_side": doubts.LEAST_SIDE,
    "side": doubts.SIDE,
    "sharp": doubts.SHARP,
    "light": doubts.LIGHT,
    "bright": doubts.BRIGHT,
    "turn": doubts.TURN,
    "clear_side": doubts.CLEAR_SIDE,
    "clear": doubts.CLEAR,
    "least_clarity": doubts.LEAST_CLARITY,
}
"""Numbers with which a browser finds the faults of a face's image, and lowers the confidence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """A file that a browser fetches to run the networks.

    Attributes:
        bytes: Uncompressed size, in bytes.
        sha256: SHA-256 of its content, in base64.
    """

    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerTerms:
    """Terms of the server that the page must know.

    Attributes:
        max_images: Maximum number of images per request.
        max_bytes: Maximum size of a request, in bytes.
        key_required: Whether the server requires an API key.
    """

    max_images: int
    max_bytes: int
    key_required: bool


def describe_page(
    card: Card | None,
    *,
    scheme: str | None = None,
    accuracies: Mapping[str, float] | None = None,
    notice: str = NOTICE,
    server: ServerTerms | None = None,
    weights: str | None = None,
    downloads: Mapping[str, Download] | None = None,
) -> dict[str, Any]:
    """Collect the content of the page's ``config.json``.

    Args:
        card: Card of the checkpoint; ``None`` if it cannot be read, which is reported elsewhere: the page then shows
            the labels of FER2013.
        scheme: Initial label scheme of the answers; ``None`` for the checkpoint's own.
        accuracies: Accuracy in each label scheme, from 0 to 1, where it was measured.
        notice: Text that says that emotions are inferred here.
        server: Terms of the server that runs the networks; ``None`` if the browser runs them.
        weights: File of the network; ``None`` if the browser does not run it.
        downloads: Files that a browser fetches to run the networks, by name.

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
        "notice": notice,
        "columns": COLUMNS,
        "live": LIVE,
        "model": card and card.name,
        "weights": weights,
        "downloads": {name: asdict(download) for name, download in (downloads or {}).items()},
        **_describe_answers(card, scheme),
        **terms,
    }


def choose_colours(labels: Sequence[str]) -> dict[str, str]:
    """Choose the colour of each label, ``#rrggbb``, as in the package's pictures and plots."""
    return {label: hex_of(label, labels) for label in labels}


def describe_drawing(labels: Sequence[str]) -> dict[str, Any]:
    """Describe how faces are drawn: numbers, and the letters of labels where there is no room for words."""
    return {**asdict(STYLE), "letters": choose_letters(labels)}


def _describe_answers(card: Card | None, scheme: str | None) -> dict[str, Any]:
    """Describe the answers of the networks, and how a browser computes them."""
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
