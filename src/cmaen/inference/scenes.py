"""Comparison of two frames of a video, from small versions of them: same scene or not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from cmaen.types import FaceBox, Image

Grey = NDArray[np.uint8]

SIDE = 320
"""Maximum length of the small grey image's longer side, in pixels."""
SAMPLES, BLOCKS, LEVELS = 64, 16, 6
"""Samples and blocks across and down an image, and levels of each colour channel."""
CUT_COLOURS, CUT_BLOCKS = 0.2, 15.0
"""Limits of the differences in colours and in blocks. In two films of people who talk and move, consecutive frames stay
below 0.09 and 6, and frames 0.2 s apart below 0.16 and 21; 450 pairs of unrelated photographs are all above 0.2 and
27."""
_AROUND = 0.25
"""Margin around a moving face within which the image changes, relative to the face's longer side."""
_CHANGED_LEVELS, _CHANGED_SHARE = 32.0, 6 / BLOCKS**2


class Glance(NamedTuple):
    """Summary of a frame, for comparison with the next one.

    Attributes:
        grey: Small grey image, uint8 [h, w]; input of the optical flow.
        scale: Size of the small image relative to the frame.
        blocks: Mean colours of blocks of the frame, float32 [16, 16, 3].
        colours: Colour histogram of the frame, float32 [216], summing to 1.
    """

    grey: Grey
    scale: float
    blocks: NDArray[np.float32]
    colours: NDArray[np.float32]

    @classmethod
    def at(cls, image: Image) -> Glance:
        """Summarise an RGB frame, uint8 [H, W, 3]."""
        height, width = image.shape[:2]
        scale = min(1.0, SIDE / max(height, width))
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        grey = cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA)
        sample = cv2.resize(image, (SAMPLES, SAMPLES), interpolation=cv2.INTER_NEAREST)  # [64, 64, 3]
        blocks = cv2.resize(sample.astype(np.float32), (BLOCKS, BLOCKS), interpolation=cv2.INTER_AREA)
        counts = cv2.calcHist([sample], [0, 1, 2], None, [LEVELS] * 3, [0, 256] * 3).ravel() / SAMPLES**2
        return cls(np.asarray(grey, np.uint8), scale, np.asarray(blocks, np.float32), np.asarray(counts, np.float32))

    def is_cut_from(self, before: Glance) -> bool:
        """Whether this frame begins another scene: both its colours and their places differ.

        One difference alone is not a cut: a panning camera moves the colours, and a dimmed light shifts them.
        """
        if self.grey.shape != before.grey.shape:
            return True
        colours = float(np.abs(self.colours - before.colours).sum()) / 2
        return colours > CUT_COLOURS and float(np.abs(self.blocks - before.blocks).mean()) > CUT_BLOCKS

    def differs_from(self, before: Glance, faces: Sequence[FaceBox] = ()) -> bool:
        """Whether enough has changed outside the known faces that a face may have come or gone.

        Args:
            before: Summary of the earlier frame.
            faces: Current boxes of the faces, in pixels of the frame.
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
