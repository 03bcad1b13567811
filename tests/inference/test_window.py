"""Each window has a process of its own: which display there is, SDL asks of the environment."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from cmaen.errors import MissingExtraError
from cmaen.inference.sinks import open_sink
from tests.conftest import PATIENCE

pytestmark = pytest.mark.skipif(importlib.util.find_spec("pygame") is None, reason="no extra")

HEAD = """
import numpy as np
from cmaen.inference.sinks import Quit
from cmaen.inference.sinks.window import WindowSink, pygame
from cmaen.results import Result
from cmaen.types import Frame

def goes_on(window, image):
    try:
        window.write(Result(Frame(0)), image)
    except Quit:
        return False
    return True

def picture(height=100, width=200):
    return np.full((height, width, 3), (200, 100, 50), np.uint8)
"""
WITHOUT_DISPLAY = {
    name: value
    for name, value in os.environ.items()
    if name not in ("DISPLAY", "WAYLAND_DISPLAY", "XDG_RUNTIME_DIR", "SDL_VIDEODRIVER")
}
DUMMY = {**WITHOUT_DISPLAY, "SDL_VIDEODRIVER": "dummy"}


def said(program: str, environment: dict[str, str] = DUMMY) -> str:
    result = subprocess.run(
        [sys.executable, "-c", HEAD + program], env=environment, capture_output=True, text=True, timeout=PATIENCE
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


@pytest.mark.parametrize(
    "event",
    [
        "pygame.KEYDOWN, key=pygame.K_q",
        "pygame.KEYDOWN, key=pygame.K_ESCAPE",
        "pygame.QUIT",
        "pygame.WINDOWCLOSE",
    ],
)
def test_frames_are_shown_until_somebody_quits(event: str) -> None:
    program = f"""
window = WindowSink()
print(goes_on(window, picture()), goes_on(window, picture()))
pygame.event.post(pygame.Event(pygame.KEYDOWN, key=pygame.K_x))
print(goes_on(window, picture()))
pygame.event.post(pygame.Event({event}))
print(goes_on(window, picture()))
window.close()
window.close()
"""
    assert said(program).split() == ["True", "True", "True", "False"]


def test_a_picture_fills_the_window_in_proportion() -> None:
    program = """
window = WindowSink()
for resized, shown in ((None, (100, 200)), ((400, 100), (100, 200)), ((50, 300), (100, 200)), (None, (300, 10))):
    if resized:
        window._window.size = resized
    goes_on(window, picture(*shown))
    pixels = pygame.surfarray.array3d(window._window.get_surface()).transpose(1, 0, 2)
    rows, columns = np.nonzero((pixels == (200, 100, 50)).all(axis=2))
    print(*pixels.shape[:2], rows.min(), rows.max() + 1, columns.min(), columns.max() + 1)
"""
    assert said(program).splitlines() == [
        "100 200 0 100 0 200",
        "100 400 0 100 100 300",
        "300 50 137 162 0 50",
        "300 50 0 300 20 30",
    ]


def test_a_picture_larger_than_the_screen_gets_a_window_that_is_not() -> None:
    program = """
window = WindowSink()
goes_on(window, picture(2500, 5000))
print(*np.array(window._window.size) <= pygame.display.get_desktop_sizes()[0])
"""
    assert said(program) == "True True"


def test_a_window_can_be_opened_again() -> None:
    program = """
for _ in range(2):
    window = WindowSink()
    print(goes_on(window, picture()[:, ::-1]))
    window.close()
"""
    assert said(program).split() == ["True", "True"]


def test_without_a_display_it_is_said_and_the_process_lives() -> None:
    program = """
from cmaen.errors import VideoError
try:
    WindowSink()
except VideoError as error:
    print(error)
"""
    assert said(program, WITHOUT_DISPLAY).startswith("there is no display for a window")


def test_without_pygame_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pygame", None)
    monkeypatch.delitem(sys.modules, "cmaen.inference.sinks.window", raising=False)
    with pytest.raises(MissingExtraError, match=r"cmaen\[video\]"):
        open_sink("window")


SHOWING = """
import time
window = WindowSink()
while goes_on(window, picture()):
    print("shown", flush=True)
    time.sleep(0.02)
window.close()
"""


def showing(environment: dict[str, str]) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, "-c", HEAD + SHOWING], env=environment, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"shown\n"
    return process


@pytest.mark.skipif(os.name == "nt", reason="has no SIGTERM")
def test_a_process_with_a_window_still_ends_when_it_is_told_to() -> None:
    process = showing(DUMMY)
    process.terminate()
    process.communicate(timeout=PATIENCE)
    assert process.returncode == -signal.SIGTERM


@pytest.fixture
def screen() -> Iterator[dict[str, str]]:
    """The environment of a program that has a screen."""
    reading, writing = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writing), "-screen", "0", "640x480x24"],
        pass_fds=[writing],
        stderr=subprocess.DEVNULL,
    )
    os.close(writing)
    with os.fdopen(reading) as number:
        yield {**WITHOUT_DISPLAY, "DISPLAY": f":{number.readline().strip()}"}
    server.terminate()
    server.wait(timeout=PATIENCE)


@pytest.mark.skipif(not (shutil.which("Xvfb") and shutil.which("xdotool")), reason="needs Xvfb and xdotool")
@pytest.mark.parametrize("key", ["q", "Escape"])
def test_a_real_window_ends_by_a_key(screen: dict[str, str], key: str) -> None:
    process = showing(screen)
    try:
        for _ in range(40):  # until the window has the keyboard
            subprocess.run(["xdotool", "mousemove", "320", "240", "key", key], env=screen, check=True, timeout=PATIENCE)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=0.5)
                break
        assert process.returncode == 0
    finally:
        process.kill()
