"""A window to look at pictures while they come, on pygame (SDL)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from cmaen.errors import MissingExtraError, VideoError
from cmaen.types import Image

if TYPE_CHECKING:
    import pygame

_TITLE = "CMAEN: q to quit"
_OF_SCREEN = 0.9
_NO_DISPLAY = "there is no display for a window; add --no-display"


class Window:
    """A window that shows pictures until somebody quits; one at a time, and in the process's main thread.

    Raises:
        MissingExtraError: The extra ``video`` is not installed.
        VideoError: There is no display.
    """

    def __init__(self) -> None:
        self._pygame = _pygame()
        try:
            self._pygame.display.init()
        except self._pygame.error as error:
            raise VideoError(f"{_NO_DISPLAY}: {error}") from error
        if self._pygame.display.get_driver() == "offscreen":  # SDL's own way out, which nobody would see
            self._pygame.display.quit()
            raise VideoError(_NO_DISPLAY)
        self._window: pygame.Window | None = None

    def show(self, image: Image) -> bool:
        """Show a picture, RGB uint8 [H, W, 3], as large as the window allows.

        Returns:
            ``False`` once q or Escape was pressed or the window was closed.

        Raises:
            VideoError: The display is gone.
        """
        try:
            if self._window is None:
                self._window = self._opened(image.shape[1], image.shape[0])
            self._draw(self._window, image)
            return not any(map(self._ends, self._pygame.event.get()))
        except self._pygame.error as error:
            raise VideoError(f"the window cannot be drawn: {error}") from error

    def close(self) -> None:
        """Close it."""
        if self._window is not None:
            self._window.destroy()
            self._window = None
        self._pygame.display.quit()

    def _opened(self, width: int, height: int) -> pygame.Window:
        """A window for a picture of that size, made smaller where the screen is."""
        across, down = self._pygame.display.get_desktop_sizes()[0]
        factor = min(1.0, _OF_SCREEN * across / width, _OF_SCREEN * down / height)
        size = (max(1, round(width * factor)), max(1, round(height * factor)))
        window: pygame.Window = self._pygame.Window(_TITLE, size, resizable=True)
        return window

    def _draw(self, window: pygame.Window, image: Image) -> None:
        """The picture in the window's middle, its sides in proportion, on black."""
        height, width = image.shape[:2]
        surface = window.get_surface()
        factor = min(surface.width / width, surface.height / height)
        size = (max(1, round(width * factor)), max(1, round(height * factor)))
        if size != (width, height):
            image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), np.uint8)
        picture = self._pygame.image.frombuffer(np.ascontiguousarray(image).data, size, "RGB")
        surface.fill((0, 0, 0))
        surface.blit(picture, ((surface.width - size[0]) // 2, (surface.height - size[1]) // 2))
        window.flip()

    def _ends(self, event: pygame.Event) -> bool:
        kinds = self._pygame
        if event.type == kinds.KEYDOWN:
            return event.key in (kinds.K_q, kinds.K_ESCAPE)
        return event.type in (kinds.QUIT, kinds.WINDOWCLOSE)


def _pygame() -> Any:
    """The package, which greets on standard output and takes SIGTERM for its own unless it is told not to."""
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    os.environ.setdefault("SDL_NO_SIGNAL_HANDLERS", "1")
    try:
        import pygame
    except ModuleNotFoundError as error:
        raise MissingExtraError("a window", "video") from error
    return pygame
