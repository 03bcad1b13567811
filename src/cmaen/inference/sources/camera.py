"""A webcam, or anything else that OpenCV captures; who is slow misses frames, but never sees old ones."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from typing import NamedTuple

import cv2
import numpy as np

from cmaen.errors import VideoError
from cmaen.inference.sources import Pending
from cmaen.types import Frame, Image

log = logging.getLogger(__name__)


class _Captured(NamedTuple):
    """The newest picture, BGR uint8 [H, W, 3], its number and its time in seconds."""

    number: int
    time: float
    image: Image


class CameraSource:
    """The frames of a camera, with the times at which they came.

    A thread empties the camera all the time and keeps only the newest frame.

    Args:
        where: Its index, from 0; or a file or an address, which then stands in for a camera.

    Attributes:
        rate: Nominal: the frames keep the times at which they come.
        time_base: The unit of their times, in seconds.
        sound: There is none.
        begins: From 0.

    Raises:
        VideoError: There is no such camera, or another program has it.
    """

    moving = True
    live = True
    rate = Fraction(30)
    time_base = Fraction(1, 1000)
    sound = None
    begins = 0.0

    def __init__(self, where: int | str) -> None:
        self.name = f"camera {where}"
        self._capture = cv2.VideoCapture(where)
        if not self._capture.isOpened():
            raise VideoError(
                f"{self.name} cannot be opened: it is not there, or another program has it; try another --camera-index"
            )
        self._changed = threading.Condition()
        self._newest: _Captured | None = None
        self._ended = False
        self._reader = threading.Thread(target=self._read, daemon=True)

    def __iter__(self) -> Iterator[Pending]:
        self._reader.start()
        last = -1
        while True:
            newest = self._after(last)
            if newest is None:
                raise VideoError(f"{self.name} gives no picture; check its cable and its permissions")
            if newest.number == last:
                log.warning("%s gives no more pictures after %d", self.name, last + 1)
                return
            last = newest.number
            yield partial(self._frame, newest)

    def _after(self, number: int) -> _Captured | None:
        """Wait for a newer frame than one, or for the end."""

        def arrived() -> bool:
            return self._ended or (self._newest is not None and self._newest.number > number)

        with self._changed:
            self._changed.wait_for(arrived)
            return self._newest

    def count(self) -> int | None:
        """Nobody knows."""
        return None

    def close(self) -> None:
        """Let go of the camera, unless the thread still waits in one that has stalled."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        if self._reader.is_alive():
            self._reader.join(1.0)
        if not self._reader.is_alive():
            self._capture.release()

    def _read(self) -> None:
        started = time.monotonic()
        number = 0
        while not self._ended:
            found, image = self._capture.read()
            with self._changed:
                if found:
                    self._newest = _Captured(number, time.monotonic() - started, np.asarray(image, np.uint8))
                    number += 1
                else:
                    self._ended = True
                self._changed.notify_all()

    def _frame(self, captured: _Captured) -> Frame:
        rgb = cv2.cvtColor(captured.image, cv2.COLOR_BGR2RGB)
        return Frame(captured.number, self.name, np.asarray(rgb, np.uint8), captured.time)
