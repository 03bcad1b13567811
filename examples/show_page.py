"""Take screenshots of the page: photos, the live view, a phone's width, dark mode, and the network in the browser.

    python examples/show_page.py FOLDER [--camera film.mp4] [--runtime package/dist]

It needs Chromium (``apt-get install chromium``) and Playwright (``pip install playwright``). The camera is a film, by
default one that pans over examples/astronaut.png; the runtime is the folder ``dist`` of npm's onnxruntime-web.
"""

from __future__ import annotations

import argparse
import functools
import http.server
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from playwright.sync_api import Page, sync_playwright

from cmaen.web.site import write_site

ASTRONAUT = Path(__file__).parent / "astronaut.png"
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--use-fake-ui-for-media-stream")


def main() -> None:
    """Take them all."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--camera", type=Path, help="a film for the camera")
    parser.add_argument("--runtime", type=Path, help="the folder dist of onnxruntime-web")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as driver, served() as address:
        film = write_camera(Path(scratch) / "camera.mjpeg", options.camera)
        photos = write_photos(Path(scratch))
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=[*FLAGS, "--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={film}"],
        )

        def opened(address: str = address, *, width: int = 1280, height: int = 900, dark: bool = False) -> Page:
            scheme = "dark" if dark else "light"
            for context in browser.contexts:
                context.close()  # one camera at a time
            size: Any = {"width": width, "height": height}
            page = browser.new_page(viewport=size, color_scheme=scheme, device_scale_factor=2)
            page.goto(address)
            page.wait_for_selector("body[data-ready]")
            return page

        def shot(page: Page, name: str, *, whole: bool = False) -> None:
            page.mouse.move(0, 0)
            page.wait_for_timeout(700)
            page.screenshot(path=options.folder / f"{name}.png", full_page=whole)
            print(options.folder / f"{name}.png")

        def example(page: Page) -> Page:
            page.click("#try-example")
            page.wait_for_selector(".outline")
            return page

        shot(opened(), "welcome")
        shot(example(opened()), "photo")
        page = opened(dark=True, height=1060)
        page.set_input_files("#photo-files", photos)
        page.wait_for_selector("#progress", state="hidden")
        shot(page, "dark")
        page = opened(height=1000)
        watch(page, seconds=25)
        shot(page, "live")
        page = opened(width=360, height=740, dark=True)
        shot(page, "phone-welcome", whole=True)
        shot(example(page), "phone-photo", whole=True)
        watch(page, seconds=6)
        shot(page, "phone-live", whole=True)
        page = example(opened())
        with suppress(Exception):  # where explanations are not installed there is no such button
            page.click("text=Show what it looked at", timeout=2000)
            page.wait_for_selector(".layers .heat", timeout=60_000)
            shot(page, "attention")
        if options.runtime is not None:
            with given(options.runtime) as static:
                page = opened(static, height=1000)
                shot(example(page), "browser-photo")
                watch(page, seconds=15)
                shot(page, "browser-live")
        browser.close()


def watch(page: Page, *, seconds: float) -> None:
    """Look at the camera for a while."""
    page.click("#use-camera")
    page.wait_for_selector(".rate[data-rate]", state="attached")
    page.wait_for_timeout(1000 * seconds)
    print(page.text_content(".rate"))


def write_camera(path: Path, film: Path | None) -> Path:
    """JPEGs of 640 x 480 in a row, which Chromium takes for a camera."""
    with path.open("wb") as file:
        for frame in astronaut_frames() if film is None else film_frames(film):
            file.write(cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes())
    return path


def astronaut_frames() -> Iterator[np.ndarray]:
    """A slow pan to the right and back, BGR uint8 [480, 640, 3]."""
    picture = cv2.resize(cv2.imread(str(ASTRONAUT))[:400], (960, 750))
    for step in range(90):
        left = round(160 - 160 * np.cos(2 * np.pi * step / 90))
        yield picture[:480, left : left + 640]


def film_frames(film: Path) -> Iterator[np.ndarray]:
    """The middle of a film's pictures, BGR uint8 [480, 640, 3]."""
    capture = cv2.VideoCapture(str(film))
    while (read := capture.read())[0]:
        height, width = read[1].shape[:2]
        across = min(width, height * 4 // 3)
        left = (width - across) // 2
        yield cv2.resize(read[1][: across * 3 // 4, left : left + across], (640, 480))


def write_photos(folder: Path) -> list[Path]:
    """The astronaut as she is and six times worse, and files that are no photographs."""
    picture = cv2.imread(str(ASTRONAUT))
    face = picture[:260, 90:350]
    noise = np.random.default_rng(1).normal(0, 60, face.shape)
    turn = cv2.getRotationMatrix2D((130, 130), 25, 1)
    covered = face.copy()
    covered[135:] = 90
    faces = [
        face,
        cv2.GaussianBlur(face, (0, 0), 5),
        cv2.warpAffine(face, turn, (260, 260), borderMode=cv2.BORDER_REPLICATE),
        (face * 0.35).astype(np.uint8),
        np.clip(face + noise, 0, 255).astype(np.uint8),
        covered,
    ]
    pictures = {
        "six.png": np.vstack([np.hstack(faces[:3]), np.hstack(faces[3:])]),
        "astronaut.png": picture,
        "soft.png": cv2.GaussianBlur(face, (0, 0), 7),
        "wall.png": np.full((300, 400, 3), 150, np.uint8),
    }
    for name, pixels in pictures.items():
        cv2.imwrite(str(folder / name), pixels)
    (folder / "broken.jpg").write_bytes(cv2.imencode(".jpg", picture)[1].tobytes()[:3000])
    return [folder / name for name in (*pictures, "broken.jpg")]


@contextmanager
def served() -> Iterator[str]:
    """The address of a ``cmaen serve`` of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-m", "cmaen", "serve", "--port", str(port)])
    address = f"http://127.0.0.1:{port}/"
    try:
        while process.poll() is None:
            try:
                urllib.request.urlopen(f"{address}readyz", timeout=1)
                break
            except OSError:
                time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait()


@contextmanager
def given(runtime: Path) -> Iterator[str]:
    """The address of the page without a server."""
    with tempfile.TemporaryDirectory() as folder:
        write_site(Path(folder), runtime)
        handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as files:
            threading.Thread(target=files.serve_forever, daemon=True).start()
            yield f"http://127.0.0.1:{files.server_address[1]}/"
            files.shutdown()


if __name__ == "__main__":
    main()
