"""Pictures with the faces drawn on them."""

from __future__ import annotations

import logging
import os
from pathlib import Path, PurePath
from urllib.parse import urlsplit

from PIL import Image as PILImage

from cmaen.errors import OutputError
from cmaen.files import check_place, replace_file
from cmaen.images import printable
from cmaen.inference.sinks.base import Needs
from cmaen.inference.sinks.folder import OutputFolder, same_file
from cmaen.results import Result
from cmaen.sheets import SUFFIXES
from cmaen.signatures import is_image_name
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
        OutputError: The suffix of a picture file names no picture format, or the place cannot be written; or the folder
            is that of the pictures themselves, or another run writes it.
    """

    needs = Needs.DRAWING

    def __init__(self, target: Path, *, root: Path | None = None) -> None:
        kind = PILImage.registered_extensions().get(target.suffix.lower())
        if root is None:
            if kind not in PILImage.SAVE:
                raise OutputError(f"{target}: its suffix names no picture format; use .png or .jpg")
            check_place(target)
        self._target = target
        self._root = None if root is None else PurePath(printable(root))
        self._folder = None if root is None else OutputFolder(target, root)
        self._failures = 0

    def write(self, result: Result, drawn: Image | None) -> None:
        """See :class:`~cmaen.inference.sinks.base.Sink`."""
        if not result.faces or drawn is None:
            return
        source = path_of(result.frame.name)
        try:
            target = self._place_of(PurePath(result.frame.name))
            if same_file(target, source):
                log.warning("%s is the image itself; choose another place for the annotated picture", target)
                return
            with replace_file(target) as temporary:
                PILImage.fromarray(drawn).save(temporary)
        except OutputError as error:
            self._failures += 1
            log.warning("%s", error)
        except ValueError as error:
            log.warning("%s", error)

    def _place_of(self, source: PurePath) -> Path:
        """The same place and format, or PNG where the picture's own format cannot be written."""
        if self._folder is None or self._root is None:
            return self._target
        source = source.relative_to(self._root)
        *folders, name = source.parts
        suffix = source.suffix.lower()
        if not is_image_name(name) or PILImage.registered_extensions().get(suffix) not in PILImage.SAVE:
            name = f"{Path(name).stem}.png"
        return self._folder.place((*folders, name), str(source))

    def finish(self) -> None:
        """Every picture that was written is whole already.

        Raises:
            OutputError: Some could not be written.
        """
        if self._failures:
            raise OutputError(f"annotated pictures that could not be written: {self._failures}")

    def close(self) -> None:
        """Let go of the folder; every picture that was written is whole already."""
        if self._folder is not None:
            self._folder.close()


def check_chart(path: Path, what: str) -> None:
    """That a chart can be drawn to a path.

    Raises:
        OutputError: Its suffix names none of :data:`cmaen.sheets.SUFFIXES`, or the place cannot be written.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise OutputError(f"{path}: {what} can be drawn as {', '.join(SUFFIXES)}")
    check_place(path)


def title_of(name: str) -> str:
    """The name of a file or a stream as the title of a chart: without its folders, and without a key or a password."""
    if "://" not in name:
        return PurePath(name).name
    try:
        address = urlsplit(name)
        return PurePath(address.path).name or address.hostname or ""
    except ValueError:
        return ""


def path_of(name: str) -> Path:
    """The path of a printable name; of one that is not UTF-8, a path of that text."""
    return Path(os.fsdecode(name.encode()))
