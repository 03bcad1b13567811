"""A real browser for the tests of the page: Debian's Chromium, driven by Playwright, its camera a film made by code.

See ``tests/browser.py`` for what it needs. Some tests need files of the npm registry as well, named by variables:

    CMAEN_AXE   axe-core's axe.min.js (npm pack axe-core): the look for barriers
    CMAEN_ORT   onnxruntime-web's folder dist (npm pack onnxruntime-web): the networks in the browser
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests import browser
from tests.browser import PATIENCE, Open
from tests.conftest import EXAMPLES, free_port, wait_until
from tests.conftest import PATIENCE as SECONDS

ASTRONAUT = EXAMPLES / "astronaut.png"
AXE = os.environ.get("CMAEN_AXE")
ORT = os.environ.get("CMAEN_ORT")

Opening = Callable[[], AbstractContextManager[Open]]

REFUSED = r"Failed to load resource: the server responded with a status of (401|429|503) .*"
"""What Chromium says of answers that the page knows how to take."""


@contextmanager
def serving(*options: str) -> Iterator[str]:
    """``cmaen serve`` in a process of its own."""
    port = free_port()
    command = [sys.executable, "-m", "cmaen", "serve", "--port", str(port), *options]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}/"

    def ready() -> bool:
        assert process.poll() is None, f"{' '.join(command)} ended"
        try:
            urllib.request.urlopen(f"{address}readyz", timeout=10)
        except OSError:
            return False
        return True

    try:
        wait_until(ready)
        yield address
    finally:
        process.terminate()
        process.wait(SECONDS)


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    with serving() as address:
        yield address


@pytest.fixture(scope="session")
def camera(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The film of the fake camera: the astronaut, over whom it pans slowly and back; JPEGs of 640 x 480 in a row."""
    picture = cv2.resize(cv2.imread(str(ASTRONAUT))[:400, :], (960, 750))
    path = tmp_path_factory.mktemp("camera") / "camera.mjpeg"
    with path.open("wb") as film:
        for step in range(90):
            left = round(160 - 160 * np.cos(2 * np.pi * step / 90))
            film.write(cv2.imencode(".jpg", picture[:480, left : left + 640])[1].tobytes())
    return path


@pytest.fixture(scope="package")
def chromium(camera: Path) -> Iterator[Any]:
    """The browser."""
    with browser.chromium(
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-video-capture={camera}",
    ) as started:
        yield started


@pytest.fixture(scope="package")
def opening(chromium: Any, request: pytest.FixtureRequest) -> Opening:
    """Makes what opens the page in fresh profiles; at the end, nothing may have asked another host or complained."""

    @contextmanager
    def opening() -> Iterator[Open]:
        contexts: list[Any] = []
        asked: list[str] = []
        complaints: list[str] = []

        def opened(
            address: str | None = None, *, width: int = 1280, height: int = 900, script: str = "", **options: Any
        ) -> Any:
            context = chromium.new_context(viewport={"width": width, "height": height}, **options)
            contexts.append(context)
            page = context.new_page()
            page.set_default_timeout(PATIENCE)
            page.on("request", lambda request: asked.append(request.url))
            page.on("console", lambda said: said.type in ("error", "warning") and complaints.append(said.text))
            page.on("pageerror", lambda error: complaints.append(str(error)))
            if script:
                page.add_init_script(script)
            page.goto(address or request.getfixturevalue("server"))
            page.wait_for_selector("body[data-ready]")
            return page

        yield opened
        for context in contexts:
            context.close()
        assert {url for url in asked if not url.startswith(("http://127.0.0.1:", "blob:", "data:"))} == set()
        assert [text for text in complaints if not re.fullmatch(REFUSED, text)] == []

    return opening


@pytest.fixture
def open_page(opening: Opening) -> Iterator[Open]:
    """Opens the page for one test."""
    with opening() as opened:
        yield opened


def until(page: Any, holds: Callable[[], bool]) -> None:
    """Let the page work until something holds."""
    due = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < due, f"{holds} does not hold after {SECONDS:g} s"
        page.wait_for_timeout(50)


TROUBLE = ".notice.bad, .empty:not(.hint) h3, #stage .blank"
"""Where the page says that it has no answer."""


def answered(page: Any, selector: str = ".outline", count: int = 1) -> Any:
    """Wait for a picture's faces, or what else is to come; fail with what the page says if it says that none will.

    Returns:
        The first of the elements.
    """
    page.wait_for_selector(f":nth-match({selector}, {count}), {TROUBLE}", state="attached")
    there = page.locator(selector).count()
    told = [each.inner_text() for each in page.query_selector_all(TROUBLE)]
    assert there >= count, f"the page has {there} of {count} {selector}, and says {told}"
    return page.wait_for_selector(selector)


def wait_until_nothing_moves(page: Any) -> None:
    """Until all movements that end have ended."""
    page.evaluate(
        """() => Promise.allSettled(
            document.getAnimations()
                .filter((each) => each.effect?.getComputedTiming().endTime !== Infinity)
                .map((each) => each.finished))"""
    )


def count_answers(page: Any) -> list[Any]:
    """What the server answers to the live view from now on, as a list that grows."""
    answers: list[Any] = []
    page.on("websocket", lambda socket: socket.on("framereceived", lambda answer: answers.append(answer)))
    return answers


def saved(page: Any, button: str) -> Path:
    """What a button saves."""
    with page.expect_download() as download:
        page.click(button)
    return Path(download.value.path())
