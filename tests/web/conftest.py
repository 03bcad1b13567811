"""The service is started once, and the browser once for the tests of the page that follow each other."""

from __future__ import annotations

from tests.web.browsing import camera, chromium, open_page, opening, server

__all__ = ["camera", "chromium", "open_page", "opening", "server"]  # fixtures
