"""A window that shows frames as they come, on pygame (SDL)."""

from __future__ import annotations

import os

import cv2
import numpy as np

from cmaen.errors import OutputError, VideoError
from cmaen.inference.sinks.base import Needs, Quit
from cmaen.results import Result
from cmaen.types import Image

os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")  # pygame prints a greeting on import
os.environ.setdefault("SDL_NO_SIGNAL_HANDLERS", "1")  # SDL would intercept SIGTERM
import pygame

_TITLE = "CMAEN: q to quit"
_OF_SCREEN = 0.9
_NO_DISPLAY = "there is no display for a window; use --no-display"


class WindowSink:
    """A window that shows frames until the user quits; only one at a time, and only in the main thread.

    Raises:
        VideoError: There is no display.
    """

    needs = Needs.DRAWING

    def __init__(self) -> None:
        try:
            pygame.display.init()
        except pygame.error as error:
            raise VideoError(f"{_NO_DISPLAY}: {error}") from error
        if pygame.display.get_driver() == "offscreen":  # SDL's fallback, which nobody can see
            pygame.display.quit()
            raise VideoError(_NO_DISPLAY)
        self._window: pygame.Window | None = None

    def write(self, result: Result, drawn: Image | None) -> None:
        """Show a frame as large as the window allows.

        Raises:
            Quit: q or Escape was pressed, or the window was closed.
            OutputError: The display is gone.
        """
        if drawn is None:
            return
        try:
            if self._window is None:
                self._window = self._open(drawn.shape[1], drawn.shape[0])
            self._draw(self._window, drawn)
            if any(map(_ends, pygame.event.get())):
                raise Quit
        except pygame.error as error:
            raise OutputError(f"the window cannot be drawn: {error}") from error

    def finish(self) -> None:
        """Do nothing: there is nothing to complete."""

    def close(self) -> None:
        """Close the window."""
        if self._window is not None:
            self._window.destroy()
            self._window = None
        pygame.display.quit()

    def _open(self, width: int, height: int) -> pygame.Window:
        """Open a window for images of this size, reduced if the screen is smaller."""
        across, down = pygame.display.get_desktop_sizes()[0]
        factor = min(1.0, _OF_SCREEN * across / width, _OF_SCREEN * down / height)
        size = (max(1, round(width * factor)), max(1, round(height * factor)))
        window: pygame.Window = pygame.Window(_TITLE, size, resizable=True)
        return window

    def _draw(self, window: pygame.Window, image: Image) -> None:
        """Draw the image centred in the window, with its aspect ratio, on black."""
        height, width = image.shape[:2]
        surface = window.get_surface()
        factor = min(surface.width / width, surface.height / height)
        size = (max(1, round(width * factor)), max(1, round(height * factor)))
        if size != (width, height):
            image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), np.uint8)
        picture = pygame.image.frombuffer(np.ascontiguousarray(image).data, size, "RGB")
        surface.fill((0, 0, 0))
        surface.blit(picture, ((surface.width - size[0]) // 2, (surface.height - size[1]) // 2))
        window.flip()


def _ends(event: pygame.Event) -> bool:
    """Whether the user quits."""
    if event.type == pygame.KEYDOWN:
        return event.key in (pygame.K_q, pygame.K_ESCAPE)
    return event.type in (pygame.QUIT, pygame.WINDOWCLOSE)
