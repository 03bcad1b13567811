"""Pictures with the faces drawn on them."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from PIL import Image as PILImage

from cmaen.errors import OutputError
from cmaen.files import check_place, replacing
from cmaen.images import is_image_name, printable
from cmaen.inference.sinks.base import Needs
from cmaen.naming import Names
from cmaen.results import Result
from cmaen.types import Image

log = logging.getLogger(__name__)


class PictureSink:
    """Writes each picture that holds faces, with them drawn; one that cannot be written costs the others nothing, but
    the run ends in an error.

    Args:
        target: A picture file; or a folder, for pictures from a folder, which keep their places and names as far as
            they are names on every system, see :class:`cmaen.naming.Names`.
        root: The folder that the pictures come from; ``None`` for a single picture.

    Raises:
        OutputError: The suffix of a picture file names no picture format, or the place cannot be written.
    """

    needs = Needs.DRAWING

    def __init__(self, target: Path, *, root: Path | None = None) -> None:
        kind = PILImage.registered_extensions().get(target.suffix.lower())
        if root is None:
            if kind not in PILImage.SAVE:
                raise OutputError(f"{target}: its suffix names no picture format; use .png or .jpg")
            check_place(target)
        self._target = target
        self._root = None if root is None else path_of(printable(root))
        self._names = Names()
        self._failures = 0

    def write(self, result: Result, drawn: Image | None) -> None:
        """See :class:`~cmaen.inference.sinks.base.Sink`."""
        if not result.faces or drawn is None:
            return
        source = path_of(result.frame.name)
        target = self._target if self._root is None else self._place_of(source.relative_to(self._root))
        if same_file(target, source) or (self._root is not None and same_file(self._target, self._root)):
            log.warning("%s is the image itself; choose another place for the annotated picture", target)
            return
        try:
            with replacing(target) as temporary:
                PILImage.fromarray(drawn).save(temporary)
        except OutputError as error:
            self._failures += 1
            log.warning("%s", error)
        except ValueError as error:
            log.warning("%s", error)

    def _place_of(self, source: Path) -> Path:
        """The same place and format, or PNG where the picture's own format cannot be written."""
        *folders, name = map(printable, source.parts)
        suffix = source.suffix.lower()
        if not is_image_name(name) or PILImage.registered_extensions().get(suffix) not in PILImage.SAVE:
            name = f"{Path(name).stem}.png"
        return self._target / self._names.place((*folders, name), printable(source))

    def finish(self) -> None:
        """Every picture that was written is whole already.

        Raises:
            OutputError: Some could not be written.
        """
        if self._failures:
            raise OutputError(f"annotated pictures that could not be written: {self._failures}")

    def close(self) -> None:
        """Nothing is open."""


def path_of(name: str) -> Path:
    """The path of a printable name; of one that is not UTF-8, a path of that text."""
    return Path(os.fsdecode(name.encode()))


def same_file(one: Path, other: Path) -> bool:
    """Whether both are there, and the same file."""
    try:
        return one.samefile(other)
    except OSError:
        return False
