"""Whether two pictures of a video belong to the same scene, told from small versions of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from cmaen.types import FaceBox, Image

Grey = NDArray[np.uint8]

SIDE = 320
"""The longer side of the small grey picture, in pixels at most."""
SAMPLES, BLOCKS, LEVELS = 64, 16, 6
"""A picture is looked at in so many places across and down, in so many blocks, in so many levels of each colour."""
CUT_COLOURS, CUT_BLOCKS = 0.2, 15.0
"""Of two films with people who talk and move, neighbouring frames stay below 0.09 and 6, and frames 0.2 s apart below
0.16 and 21; of 450 pairs of unlike photographs all lie above 0.2 and 27."""
_AROUND = 0.25
"""Of a face's longer side: so far around it a picture changes where it moves."""
_CHANGED_LEVELS, _CHANGED_SHARE = 32.0, 6 / BLOCKS**2


class Glance(NamedTuple):
    """What is remembered of a picture to compare the next one with.

    Attributes:
        grey: The picture, small and grey, uint8 [h, w]; what the optical flow sees.
        scale: Its size, as a share of the picture's.
        blocks: Mean colours of the picture's parts, float32 [16, 16, 3].
        colours: How often each of its colours occurs, float32 [216], summing to 1.
    """

    grey: Grey
    scale: float
    blocks: NDArray[np.float32]
    colours: NDArray[np.float32]

    @classmethod
    def at(cls, image: Image) -> Glance:
        """At an RGB picture, uint8 [H, W, 3]."""
        height, width = image.shape[:2]
        scale = min(1.0, SIDE / max(height, width))
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        grey = cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA)
        sample = cv2.resize(image, (SAMPLES, SAMPLES), interpolation=cv2.INTER_NEAREST)  # [64, 64, 3]
        blocks = cv2.resize(sample.astype(np.float32), (BLOCKS, BLOCKS), interpolation=cv2.INTER_AREA)
        counts = cv2.calcHist([sample], [0, 1, 2], None, [LEVELS] * 3, [0, 256] * 3).ravel() / SAMPLES**2
        return cls(np.asarray(grey, np.uint8), scale, np.asarray(blocks, np.float32), np.asarray(counts, np.float32))

    def is_cut_from(self, before: Glance) -> bool:
        """Whether this picture begins another scene: it has other colours, and has them in other places.

        One of the two alone is none: a camera that turns moves the colours, and a light that is dimmed shifts them.
        """
        if self.grey.shape != before.grey.shape:
            return True
        colours = float(np.abs(self.colours - before.colours).sum()) / 2
        return colours > CUT_COLOURS and float(np.abs(self.blocks - before.blocks).mean()) > CUT_BLOCKS

    def differs_from(self, before: Glance, faces: Sequence[FaceBox] = ()) -> bool:
        """Whether so much of the picture has changed, beside the faces that are known, that one may have come or gone.

        Args:
            before: The picture of before.
            faces: Where faces are now, in pixels of the picture.
        """
        if self.grey.shape != before.grey.shape:
            return True
        changed = np.abs(self.blocks - before.blocks).max(axis=2) > _CHANGED_LEVELS  # [16, 16]
        height, width = self.grey.shape
        for face in faces:
            reach = _AROUND * max(face.width, face.height)
            left, right = (int(x * self.scale / width * BLOCKS) for x in (face.x - reach, face.x + face.width + reach))
            top, bottom = (
                int(y * self.scale / height * BLOCKS) for y in (face.y - reach, face.y + face.height + reach)
            )
            changed[max(top, 0) : max(bottom + 1, 0), max(left, 0) : max(right + 1, 0)] = False
        return float(changed.mean()) >= _CHANGED_SHARE
