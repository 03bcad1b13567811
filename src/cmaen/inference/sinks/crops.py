"""Faces cut out of pictures, as prediction cuts them out: data to learn from."""

from __future__ import annotations

import logging
from pathlib import Path

from cmaen.data.tree import png
from cmaen.errors import OutputError
from cmaen.files import replacing
from cmaen.images import printable
from cmaen.inference.alignment import crop_face
from cmaen.inference.sinks.base import Needs
from cmaen.inference.sinks.pictures import path_of, same_file
from cmaen.naming import Names
from cmaen.preprocessing import CropSpec
from cmaen.results import Result
from cmaen.types import Image

log = logging.getLogger(__name__)


class CropSink:
    """Writes the faces of each picture of a folder as PNG, to the same place in another folder.

    ``a/photo.jpg`` becomes ``a/photo.png``; further faces, from the second largest on, ``a/photo-1.png`` and so on.
    Where another face has the name already, like that of ``a/photo.webp``, digits are added, see
    :class:`cmaen.naming.Names`.

    Args:
        target: The other folder.
        root: The folder that the pictures come from.
        spec: How large a crop is against the face's box.
        every: All faces of a picture, or the largest alone.

    Raises:
        OutputError: Both folders are the same.
    """

    needs = Needs.PIXELS

    def __init__(self, target: Path, *, root: Path, spec: CropSpec, every: bool = False) -> None:
        if same_file(target, root):
            raise OutputError(f"{target} is the folder of the pictures themselves; choose another folder for the faces")
        self._target, self._root = target, path_of(printable(root))
        self._spec, self._every = spec, every
        self._names = Names()
        self._failures = 0

    def write(self, result: Result, drawn: Image | None) -> None:
        """See :class:`~cmaen.inference.sinks.base.Sink`."""
        image = result.frame.image
        if image is None:
            return
        place = Path(printable(path_of(result.frame.name).relative_to(self._root)))
        for number, face in enumerate(result.faces if self._every else result.faces[:1]):
            name = f"{place.stem}-{number}.png" if number else f"{place.stem}.png"
            target = self._target / self._names.place((*place.parts[:-1], name), f"{number}/{place}")
            try:
                with replacing(target) as temporary:
                    temporary.write_bytes(png(crop_face(image, face.box, self._spec)))
            except OutputError as error:
                self._failures += 1
                log.warning("%s", error)

    def finish(self) -> None:
        """Every crop that was written is whole already.

        Raises:
            OutputError: Some could not be written.
        """
        if self._failures:
            raise OutputError(f"faces that could not be written: {self._failures}")

    def close(self) -> None:
        """Nothing is open."""
