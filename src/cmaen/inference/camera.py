"""A webcam, or anything else that OpenCV can capture, and a window to look at what is found."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from fractions import Fraction

import cv2
import numpy as np

from cmaen.errors import VideoError
from cmaen.inference.video import Frame
from cmaen.types import Image

_TITLE = "CMAEN: q to quit"

log = logging.getLogger(__name__)


class Camera:
    """The frames of a camera, with the times at which they came.

    Args:
        source: Its index, from 0; or a file or an address, which then stands in for a camera.

    Raises:
        VideoError: There is no such camera, or another program has it.
    """

    def __init__(self, source: int | str) -> None:
        self.source = source
        self.rate = Fraction(30)  # nominal: the frames keep the times at which they come
        self.time_base = Fraction(1, 1000)
        self.frames = None
        self._capture = cv2.VideoCapture(source)
        if not self._capture.isOpened():
            raise VideoError(
                f"camera {source} cannot be opened: it is not there, or another program has it; "
                "try another --camera-index"
            )

    def __iter__(self) -> Iterator[Frame]:
        started = time.monotonic()
        number = 0
        while True:
            found, image = self._capture.read()
            if not found:
                break
            yield Frame(
                number, time.monotonic() - started, np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)
            )
            number += 1
        if number == 0:
            raise VideoError(f"camera {self.source} gives no picture; check its cable and its permissions")
        log.warning("camera %s gives no more pictures after %d", self.source, number)

    def close(self) -> None:
        """Let go of the camera."""
        self._capture.release()


class Window:
    """A window that shows pictures until somebody quits.

    Raises:
        VideoError: There is no display.
    """

    def __init__(self) -> None:
        # Without a display OpenCV's Qt ends the whole process, so another one tries first.
        attempt = [sys.executable, "-c", "import cv2; cv2.namedWindow('cmaen')"]
        if subprocess.run(attempt, capture_output=True, check=False).returncode:
            raise VideoError("there is no display for a window; add --no-display")
        cv2.namedWindow(_TITLE, cv2.WINDOW_NORMAL | cv2.WINDOW_GUI_NORMAL)
        self._sized = False

    def show(self, image: Image) -> bool:
        """Show an RGB picture; ``False`` once q or Escape was pressed or the window was closed."""
        if not self._sized:
            cv2.resizeWindow(_TITLE, image.shape[1], image.shape[0])
            self._sized = True
        cv2.imshow(_TITLE, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        key = cv2.waitKey(1) & 0xFF
        return key not in (ord("q"), 27) and cv2.getWindowProperty(_TITLE, cv2.WND_PROP_VISIBLE) >= 1

    def close(self) -> None:
        """Close it."""
        cv2.destroyWindow(_TITLE)
        cv2.waitKey(1)
