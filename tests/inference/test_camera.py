from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from cmaen.errors import VideoError
from cmaen.inference.sources import Excerpt, Source, open_source
from cmaen.inference.sources.camera import CameraSource
from cmaen.types import Frame
from tests.inference.conftest import RED, picture, plain


def frames_of(source: Source) -> list[Frame]:
    with closing(source):
        return [pending() for pending in source]


class FakeCamera:
    """Gives a picture of one colour for each tick of a clock, and BGR, as OpenCV does."""

    opened = True

    def __init__(self, where: int | str) -> None:
        self.ticks = threading.Semaphore(0)
        self.asked = 0
        self.ends = self.released = False

    def isOpened(self) -> bool:  # noqa: N802
        return self.opened

    def read(self) -> tuple[bool, np.ndarray | None]:
        self.asked += 1
        self.ticks.acquire()
        return (False, None) if self.ends else (True, plain(RED)[:, :, ::-1])

    def release(self) -> None:
        self.released = True

    def tick(self, count: int) -> None:
        """So many pictures pass, and are seen by whoever reads."""
        goal = self.asked + count
        self.ticks.release(count)
        while self.asked < goal:
            time.sleep(0.001)


@pytest.fixture
def camera(monkeypatch: pytest.MonkeyPatch) -> tuple[CameraSource, FakeCamera]:
    made: list[FakeCamera] = []
    monkeypatch.setattr(cv2, "VideoCapture", lambda where: made.append(FakeCamera(where)) or made[0])
    return CameraSource(0), made[0]


def test_who_is_slow_gets_the_newest_picture_of_a_camera(camera: tuple[CameraSource, FakeCamera]) -> None:
    source, fake = camera
    fake.ticks.release()
    frames = iter(source)
    first = next(frames)()
    assert (first.index, first.name) == (0, "camera 0")
    assert (first.image == RED).all()
    while fake.asked < 2:
        time.sleep(0.001)
    fake.tick(5)
    second = next(frames)()
    assert second.index == 5
    assert second.time > first.time >= 0
    fake.tick(1)
    assert next(frames)().index == 6
    threading.Timer(0.05, fake.ticks.release).start()
    source.close()
    assert fake.released


def test_a_camera_that_ends_is_said(camera: tuple[CameraSource, FakeCamera], caplog: pytest.LogCaptureFixture) -> None:
    source, fake = camera
    fake.ticks.release()
    frames = iter(source)
    next(frames)
    fake.ends = True
    fake.ticks.release()
    assert list(frames) == []
    assert "camera 0 delivered no more images after 1" in caplog.text
    source.close()


def test_a_camera_that_gives_nothing_is_said(camera: tuple[CameraSource, FakeCamera]) -> None:
    source, fake = camera
    fake.ends = True
    fake.ticks.release()
    with pytest.raises(VideoError, match="delivers no image; check its cable"):
        next(iter(source))


def test_a_camera_that_hangs_is_left_and_not_pulled_from_under_its_thread(
    camera: tuple[CameraSource, FakeCamera],
) -> None:
    source, fake = camera
    fake.ticks.release()
    next(iter(source))
    source.close()  # which would never end if it waited for the camera
    assert not fake.released
    fake.ticks.release()


@pytest.mark.parametrize("wrong", ["raises", "no picture", "two channels"])
def test_whatever_a_camera_does_nobody_waits_for_ever(
    wrong: str,
    camera: tuple[CameraSource, FakeCamera],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    source, fake = camera
    fake.ticks.release()
    frames = iter(source)
    next(frames)

    def read() -> tuple[bool, np.ndarray | None]:
        if wrong == "raises":
            raise cv2.error("the driver is gone")
        return True, None if wrong == "no picture" else np.zeros((4, 6, 2), np.uint8)

    monkeypatch.setattr(fake, "read", read)
    fake.ticks.release(5)
    if wrong == "two channels":
        assert "VideoError: it is not a colour image" in [next(frames)() for _ in range(3)][-1].error
    else:
        assert len(list(frames)) <= 2
        assert "camera 0 delivered no more images" in caplog.text
    source.close()


def test_a_part_of_what_a_camera_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each frame is seen, by a clock that does not depend on the machine."""
    made: list[FakeCamera] = []

    class Ticking(Excerpt):
        def select(self, frames: Iterable[Any], *, live: bool = False) -> Iterator[Any]:
            def ticking() -> Iterator[Any]:
                for frame in frames:
                    made[0].ticks.release()  # a frame was seen, and the next one comes
                    yield frame

            return super().select(ticking(), live=live)

    clock = SimpleNamespace(monotonic=itertools.count(0.0, 1 / 64).__next__)
    monkeypatch.setattr("cmaen.inference.sources.camera.time", clock)
    monkeypatch.setattr(cv2, "VideoCapture", lambda where: made.append(FakeCamera(where)) or made[0])
    source = CameraSource(0, Ticking(every_frame=2, end=0.5))
    made[0].ticks.release()
    frames = [pending() for pending in source]
    assert [frame.index for frame in frames] == list(range(0, 32, 2))
    assert [frame.time for frame in frames] == [(frame.index + 1) / 64 for frame in frames]
    made[0].ticks.release(5)
    source.close()


def test_a_camera_whose_driver_raises_cannot_be_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    def raising(_: object) -> None:
        raise cv2.error("no backend")

    monkeypatch.setattr(cv2, "VideoCapture", raising)
    with pytest.raises(VideoError, match="camera 0 cannot be opened: no backend"):
        CameraSource(0)


def test_a_file_stands_in_for_a_camera(film: Path) -> None:
    frames = frames_of(open_source("camera", film))
    assert frames[-1].index == 11
    assert frames[-1].image is not None
    assert np.abs(frames[-1].image.astype(int) - picture(11)).mean() < 4
    assert [frame.index for frame in frames] == sorted({frame.index for frame in frames})


def test_a_camera_that_is_not_there(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    with pytest.raises(VideoError, match="camera 99 cannot be opened"):
        open_source("camera", "99")
