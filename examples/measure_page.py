"""Measure how long the page without a server takes to its first answer over a slow connection, by compression.

    python examples/measure_page.py package/dist [--rate 1.5] [--runs 3]

The argument is the folder ``dist`` of npm's onnxruntime-web. It needs Chromium and Playwright, and ``pip install
brotli`` for the last row. The server itself limits the speed, so that it is the same for the page and for its worker,
which fetches the networks: all requests share so many megabytes a second, and each waits 40 ms before its first byte.
"""

from __future__ import annotations

import argparse
import http.server
import mimetypes
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from playwright.sync_api import sync_playwright

from cmaen.web.site import write_site

FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
LATENCY = 0.04


class Way(NamedTuple):
    """A server of files.

    Attributes:
        name: What it does.
        suffixes: Of the copies that it gives in place of files, by the encoding that the browser must take.
        beside: Whether it gives the copies to who asks for them by name; every server does, but for the first row.
    """

    name: str
    suffixes: dict[str, str]
    beside: bool = True


WAYS = (
    Way("no copies, as it was", {}, beside=False),
    Way("a plain server, the page takes .gz", {}),
    Way("a server that gives .gz", {"gzip": ".gz"}),
    Way("a server that gives .br", {"br": ".br", "gzip": ".gz"}),
)


def main() -> None:
    """Measure all ways and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("runtime", type=Path)
    parser.add_argument("--rate", type=float, default=1.5, help="megabytes a second")
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        site = write_site(folder, options.runtime)
        has_brotli = any(path.suffix == ".br" for path in site.copies)
        print(f"{options.rate} MB/s, {1000 * LATENCY:.0f} ms, median of {options.runs}")
        for way in WAYS:
            if ".br" in way.suffixes.values() and not has_brotli:
                print(f"{way.name}: the package brotli is not installed")
                continue
            found = [measure(folder, way, 1e6 * options.rate) for _ in range(options.runs)]
            sent, ready, answer = np.median(np.array(found), axis=0)
            print(f"{way.name}: {sent / 1e6:.1f} MB, ready after {ready:.1f} s, first answer after {answer:.1f} s")


def measure(folder: Path, way: Way, rate: float) -> tuple[float, float, float]:
    """Bytes that were sent until the first answer, and seconds from opening the page until it is ready and answers."""
    with giving(folder, way, rate) as files, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = browser.new_page()
        page.set_default_timeout(120_000)
        begun = time.monotonic()
        page.goto(files.address)
        page.wait_for_selector("body[data-ready]")
        page.click("#try-example")
        page.wait_for_selector("#where[data-state=ready]")
        ready = time.monotonic() - begun
        page.wait_for_selector(".outline")
        answer = time.monotonic() - begun
        browser.close()
        return float(files.sent), ready, answer


class Slow(http.server.ThreadingHTTPServer):
    """A server of files with a slow line.

    Attributes:
        address: Where it is.
        sent: Bytes of bodies so far.
    """

    daemon_threads = True

    def __init__(self, folder: Path, way: Way, rate: float) -> None:
        self.sent, self._due, self._lock = 0, 0.0, threading.Lock()
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: Any) -> None:
                pass

            def do_HEAD(self) -> None:
                self.do_GET(body=False)

            def do_GET(self, *, body: bool = True) -> None:
                name = self.path.partition("?")[0].lstrip("/") or "index.html"
                path = folder / name
                if not path.is_file() or (path.suffix in (".gz", ".br") and not way.beside):
                    self.send_error(404)
                    return
                taken = self.headers.get("Accept-Encoding", "")
                for encoding, suffix in way.suffixes.items():
                    copy = Path(f"{path}{suffix}")
                    if encoding in taken and copy.is_file():
                        break
                else:
                    encoding, copy = "", path
                content = copy.read_bytes()
                time.sleep(LATENCY)
                self.send_response(200)
                self.send_header("Content-Type", mimetypes.guess_type(name)[0] or "application/octet-stream")
                self.send_header("Content-Length", str(len(content)))
                if encoding:
                    self.send_header("Content-Encoding", encoding)
                self.end_headers()
                for at in range(0, len(content) if body else 0, 1 << 14):
                    part = content[at : at + (1 << 14)]
                    server.wait(len(part), rate)
                    self.wfile.write(part)

        super().__init__(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server_address[1]}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that has what it wants hangs up."""

    def wait(self, count: int, rate: float) -> None:
        """Until so many bytes may be sent."""
        with self._lock:
            self.sent += count
            self._due = max(self._due, time.monotonic()) + count / rate
            due = self._due
        time.sleep(max(0.0, due - time.monotonic()))


@contextmanager
def giving(folder: Path, way: Way, rate: float) -> Iterator[Slow]:
    """A server for a while."""
    with Slow(folder, way, rate) as files:
        threading.Thread(target=files.serve_forever, daemon=True).start()
        yield files
        files.shutdown()


if __name__ == "__main__":
    main()
