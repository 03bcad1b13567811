"""Films of the astronaut, and the page that looks at them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pytest

from tests.web.browsing import ASTRONAUT, PATIENCE, saved, until

DONE = "#work[data-film=done]"
PICTURE = cv2.resize(cv2.imread(str(ASTRONAUT))[:400, :], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
WALL = np.full_like(PICTURE, 120)


def write_film(path: Path, frames: Iterable[np.ndarray], fps: float = 10, codec: str = "VP80") -> Path:
    """A film of pictures, BGR uint8 [200, 256, 3]."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), fps, (256, 200))
    if not writer.isOpened():
        pytest.skip(f"this OpenCV writes no {codec}")
    for frame in frames:
        writer.write(frame)
    writer.release()
    return path


def astronaut(steps: int) -> Iterable[np.ndarray]:
    """She moves a little: pictures that are all the same are no frames for some browsers."""
    for step in range(steps):
        yield np.roll(PICTURE, step % 5, axis=1)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of the astronaut, and one of a wall."""
    return write_film(tmp_path_factory.mktemp("film") / "film.webm", [*astronaut(20), *[WALL] * 10])


class Watched(NamedTuple):
    """A page at the end of a film, and the records of the film."""

    page: Any
    records: list[dict[str, Any]]


def look_at(page: Any, film: Path, timeout: float = PATIENCE) -> list[dict[str, Any]]:
    """The records of a film that was looked at to its end."""
    page.set_input_files("#video-file", film)
    page.wait_for_selector(f"{DONE}, .notice.bad", timeout=timeout)
    assert page.locator(DONE).count(), page.inner_text(".notice.bad")
    records: list[dict[str, Any]] = json.loads(saved(page, "#save-json").read_text())
    return records


# Notes the time of every frame that a video tells the page of.
NOTE = """
window.shown = [];
const ask = HTMLVideoElement.prototype.requestVideoFrameCallback;
HTMLVideoElement.prototype.requestVideoFrameCallback = function (told) {
    return ask.call(this, (moment, frame) => {
        if (document.querySelector('#work[data-film=done]') === null) window.shown.push(frame.mediaTime);
        told(moment, frame);
    });
};
"""


def now(page: Any) -> float:
    return float(page.evaluate("document.querySelector('video').currentTime"))


def wait_for(page: Any, moment: float) -> None:
    """Until the video shows a moment."""
    until(
        page,
        lambda: abs(now(page) - moment) < 0.06 and not page.evaluate("document.querySelector('video').seeking"),
    )
    page.wait_for_timeout(150)
