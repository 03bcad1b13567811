"""A webcam, or anything else that OpenCV captures; a slow consumer misses frames but never gets old ones."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from cmaen.errors import VideoError
from cmaen.inference.sources.base import Pending
from cmaen.inference.sources.excerpt import WHOLE, Excerpt
from cmaen.types import Frame, Image

log = logging.getLogger(__name__)


class _Captured(NamedTuple):
    """The newest frame, BGR uint8 [H, W, 3], with its number and its time in seconds."""

    number: int
    time: float
    image: Image


class CameraSource:
    """The frames of a camera, with their times of arrival.

    A thread reads the camera continuously and keeps only the newest frame.

    Args:
        where: Index of the camera from 0, as a number or in digits; or a file or address that stands in for a camera.
        excerpt: Selection of the frames to analyse, among those that are not missed.

    Attributes:
        rate: Nominal frame rate; the frames keep their times of arrival.
        time_base: Unit of the frames' times, in seconds.
        sound: Always ``None``; there is no sound.
        begins: Always 0; the clock starts with the camera.
        start: Time from which frames are analysed, in seconds.
        ends: Always ``None``; the end is unknown.

    Raises:
        VideoError: The camera does not exist, or another program uses it; while reading: it delivers no frames.
    """

    moving = True
    live = True
    rate: Fraction = Fraction(30)
    time_base: Fraction = Fraction(1, 1000)
    sound = None
    begins: float = 0.0
    ends = None

    def __init__(self, where: int | str | Path, excerpt: Excerpt = WHOLE) -> None:
        name = str(where)
        device = int(name) if name.isdecimal() else name
        self.name: str = f"camera {where}"
        self.excerpt = excerpt
        self.start: float = excerpt.start
        try:
            with _in_silence():
                self._capture = cv2.VideoCapture(device)
                there = self._capture.isOpened()
        except Exception as error:  # OpenCV's backends raise errors of any kind
            raise VideoError(f"{self.name} cannot be opened: {error}") from error
        if not there:
            raise VideoError(
                f"{self.name} cannot be opened: there is none, or another program uses it; try another --camera-index"
            )
        self._changed = threading.Condition()
        self._newest: _Captured | None = None
        self._ended = False
        self._problem = ""
        self._reader = threading.Thread(target=self._read, daemon=True)

    def __iter__(self) -> Iterator[Pending]:
        self._reader.start()
        for _, _, newest in self.excerpt.select(self._see(), live=True):
            yield partial(self._frame, newest)

    def _see(self) -> Iterator[tuple[int, float, _Captured]]:
        """Yield the frames that are not missed, numbered from 0, with their times."""
        last, seen = -1, 0
        while True:
            newest = self._after(last)
            if newest is None:
                raise VideoError(f"{self.name} delivers no image; check its cable and its permissions{self._problem}")
            if newest.number == last:
                log.warning("%s delivered no more images after %d%s", self.name, last + 1, self._problem)
                return
            last = newest.number
            yield seen, newest.time, newest
            seen += 1

    def _after(self, number: int) -> _Captured | None:
        """Wait for a newer frame than this one, or for the end."""

        def has_arrived() -> bool:
            return self._ended or (self._newest is not None and self._newest.number > number)

        with self._changed:
            self._changed.wait_for(has_arrived)
            return self._newest

    def count(self) -> int | None:
        """Return ``None``: the number is unknown."""
        return None

    def close(self) -> None:
        """Release the camera, unless the thread still waits for one that has stalled."""
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
            try:
                found, image = self._capture.read()
                captured = _Captured(number, time.monotonic() - started, np.asarray(image, np.uint8)) if found else None
            except Exception as error:  # without this, the consumer would wait for ever
                captured, self._problem = None, f" ({error})"
            with self._changed:
                self._newest = captured or self._newest
                self._ended = self._ended or captured is None
                self._changed.notify_all()
            number += 1

    def _frame(self, captured: _Captured) -> Frame:
        try:
            rgb = cv2.cvtColor(captured.image, cv2.COLOR_BGR2RGB)
        except cv2.error as error:
            return Frame(
                captured.number, self.name, None, captured.time, f"VideoError: it is not a colour image: {error}"
            )
        return Frame(captured.number, self.name, np.asarray(rgb, np.uint8), captured.time)


@contextmanager
def _in_silence() -> Iterator[None]:
    """Keep what OpenCV's backends write about a camera off the terminal: the error says it."""
    logging_of = getattr(cv2.utils, "logging", None)  # OpenCV can be built without it
    if logging_of is None:
        yield
        return
    level = logging_of.getLogLevel()
    logging_of.setLogLevel(logging_of.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        logging_of.setLogLevel(level)
