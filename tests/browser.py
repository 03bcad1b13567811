"""A real browser for tests of pages: Chromium, driven by Playwright.

Both must be there (``apt-get install chromium``, ``pip install playwright``; ``CMAEN_CHROMIUM`` names another program);
without them the tests are skipped and say so.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PATIENCE as SECONDS

WITHOUT = (
    # Each window makes a hidden page for the suggestions of its address bar, which takes more time than most tests.
    *("WebUIOmniboxPopup", "WebUIOmniboxAimPopup", "WebUIOmniboxFullPopup"),
    "SpareRendererForSitePerProcess",  # a process that waits for a next page
    # What Playwright disables: of two lists, Chromium takes the last.
    *("AvoidUnnecessaryBeforeUnloadCheckSync", "DestroyProfileOnBrowserClose", "HttpsUpgrades", "LensOverlay"),
    *("HttpsFirstBalancedModeAutoEnable", "MediaRouter", "PaintHolding", "ThirdPartyStoragePartitioning"),
    *("AvoidCorsURLLoaderRestartOnRedirect", "OptimizationHints", "NetworkTimeServiceQuerying", "AimEnabled"),
    "PreconnectToSearch",
)
"""Features of the browser that no test needs."""
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", f"--disable-features={','.join(WITHOUT)}"),
)
PATIENCE = 1000 * SECONDS
"""How long the browser may take for what must come, in milliseconds: on a busy machine a page may need many seconds."""
BRIGHTNESS = "rgb => { const [r, g, b] = rgb.match(/[0-9.]+/g).map(Number); return 0.3 * r + 0.6 * g + 0.1 * b }"
"""JavaScript that computes how bright a colour is, 0 to 255."""

Open = Callable[..., Any]


@contextmanager
def chromium(*flags: str) -> Iterator[Any]:
    """Start the browser."""
    playwright = pytest.importorskip("playwright.sync_api", reason="it needs Playwright: pip install playwright")
    program = os.environ.get("CMAEN_CHROMIUM") or shutil.which("chromium")
    if program is None:
        pytest.skip("it needs Chromium: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=[*FLAGS, *flags])
        yield browser
        browser.close()


@contextmanager
def opening(browser: Any) -> Iterator[Open]:
    """Yield what opens a file in a fresh profile; at the end, nothing may have been fetched or complained of."""
    contexts: list[Any] = []
    asked: list[str] = []
    complaints: list[str] = []

    def opened(file: Path, *, width: int = 1280, dark: bool = False, **options: Any) -> Any:
        context = browser.new_context(
            viewport={"width": width, "height": 800}, color_scheme="dark" if dark else "light", **options
        )
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda said: said.type in ("error", "warning") and complaints.append(said.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        page.goto(file.as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
    assert {url for url in asked if not url.startswith(("file:", "data:"))} == set()
    assert complaints == []
