"""Face crops as prediction cuts them out, for training data."""

from __future__ import annotations

import logging
from pathlib import Path, PurePath

from cmaen.data.tree import png
from cmaen.errors import OutputError
from cmaen.files import replace_file
from cmaen.images.reader import printable
from cmaen.inference.alignment import crop_face
from cmaen.inference.sinks.base import Needs
from cmaen.inference.sinks.folder import OutputFolder
from cmaen.preprocessing import CropSpec
from cmaen.results import Result
from cmaen.types import Image

log = logging.getLogger(__name__)


class CropSink:
    """Writes the faces of each image of a folder as PNG, to the same place in another folder.

    ``a/photo.jpg`` becomes ``a/photo.png``; further faces, from the second largest on, become ``a/photo-1.png`` and so
    on. If the name is taken, for example by a face of ``a/photo.webp``, digits are added, see
    :class:`cmaen.naming.Names`.

    Args:
        target: Path of the other folder.
        root: Folder that contains the images.
        spec: Size of a crop relative to the face's box.
        every: Whether to write all faces of an image or only the largest.

    Raises:
        OutputError: Both folders are the same, another run writes to the target, or it cannot be written.
    """

    needs = Needs.PIXELS

    def __init__(self, target: Path, *, root: Path, spec: CropSpec, every: bool = False) -> None:
        self._folder, self._root = OutputFolder(target, root), PurePath(printable(root))
        self._spec, self._every = spec, every
        self._failures = 0

    def write(self, result: Result, drawn: Image | None) -> None:
        """See :class:`~cmaen.inference.sinks.base.Sink`."""
        image = result.frame.image
        if image is None:
            return
        place = PurePath(result.frame.name).relative_to(self._root)
        for number, face in enumerate(result.faces if self._every else result.faces[:1]):
            name = f"{place.stem}-{number}.png" if number else f"{place.stem}.png"
            try:
                target = self._folder.place((*place.parts[:-1], name), f"{number}/{place}")
                with replace_file(target) as temporary:
                    temporary.write_bytes(png(crop_face(image, face.box, self._spec)))
            except OutputError as error:
                self._failures += 1
                log.warning("%s", error)

    def finish(self) -> None:
        """Report failures; every crop that was written is already complete.

        Raises:
            OutputError: Some crops could not be written.
        """
        if self._failures:
            raise OutputError(f"faces that could not be written: {self._failures}")

    def close(self) -> None:
        """Release the folder."""
        self._folder.close()
