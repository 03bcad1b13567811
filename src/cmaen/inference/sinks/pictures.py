"""Images with the faces drawn on them."""

from __future__ import annotations

import logging
import os
from pathlib import Path, PurePath
from urllib.parse import urlsplit

from PIL import Image as PILImage

from cmaen.drawing.sheets import SUFFIXES
from cmaen.errors import OutputError
from cmaen.files import check_place, replace_file, same_file
from cmaen.images.reader import printable
from cmaen.images.signatures import is_image_name
from cmaen.inference.sinks.base import Needs
from cmaen.inference.sinks.folder import OutputFolder
from cmaen.results import Result
from cmaen.types import Image

log = logging.getLogger(__name__)


class PictureSink:
    """Writes each image that contains faces, with the faces drawn. One that cannot be written does not affect the
    others,
    but the run ends with an error.

    Args:
        target: Path of an image file; or of a folder, for images of a folder. They keep their places, and their names
            as far as these are valid on every system, see :class:`cmaen.naming.Names`.
        root: Folder that contains the images; ``None`` for a single image.

    Raises:
        OutputError: The suffix of an image file is not that of an image format, or the path cannot be written; or the
            folder is that of the images themselves, or another run writes to it.
    """

    needs = Needs.DRAWING

    def __init__(self, target: Path, *, root: Path | None = None) -> None:
        kind = PILImage.registered_extensions().get(target.suffix.lower())
        if root is None:
            if kind not in PILImage.SAVE:
                raise OutputError(f"{target}: the suffix is not that of an image format; use .png or .jpg")
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
                log.warning("%s is the image itself; choose another place for the annotated image", target)
                return
            with replace_file(target) as temporary:
                PILImage.fromarray(drawn).save(temporary)
        except OutputError as error:
            self._failures += 1
            log.warning("%s", error)
        except ValueError as error:
            log.warning("%s", error)

    def _place_of(self, source: PurePath) -> Path:
        """Choose the same place and format as the source, or PNG if its format cannot be written."""
        if self._folder is None or self._root is None:
            return self._target
        source = source.relative_to(self._root)
        *folders, name = source.parts
        suffix = source.suffix.lower()
        if not is_image_name(name) or PILImage.registered_extensions().get(suffix) not in PILImage.SAVE:
            name = f"{Path(name).stem}.png"
        return self._folder.place((*folders, name), str(source))

    def finish(self) -> None:
        """Report failures; every image that was written is already complete.

        Raises:
            OutputError: Some images could not be written.
        """
        if self._failures:
            raise OutputError(f"annotated images that could not be written: {self._failures}")

    def close(self) -> None:
        """Release the folder."""
        if self._folder is not None:
            self._folder.close()


def check_chart(path: Path, what: str) -> None:
    """Check that a chart can be drawn to a path.

    Raises:
        OutputError: The suffix is not one of :data:`cmaen.drawing.sheets.SUFFIXES`, or the path cannot be written.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise OutputError(f"{path}: {what} can be drawn as {', '.join(SUFFIXES)}")
    check_place(path)


def title_of(name: str) -> str:
    """Turn the name of a file or stream into a chart's title, without folders and without a key or password."""
    if "://" not in name:
        return PurePath(name).name
    try:
        address = urlsplit(name)
        return PurePath(address.path).name or address.hostname or ""
    except ValueError:
        return ""


def path_of(name: str) -> Path:
    """Return the path of a printable name; names that are not valid UTF-8 are taken as text."""
    return Path(os.fsdecode(name.encode()))
