"""A sink that writes one sentence for each image."""

from __future__ import annotations

from pathlib import Path

from cmaen.errors import OutputError
from cmaen.files import replace_file, unwritable
from cmaen.inference.sinks import Needs
from cmaen.results import Result
from cmaen.types import Image


class Diary:
    """Collects sentences, and writes them to a text file at the end, or not at all.

    Args:
        target: Path of the file.

    Raises:
        OutputError: No path is given.
    """

    needs = Needs.RECORDS

    def __init__(self, target: str = "") -> None:
        if not target:
            raise OutputError("the sink diary needs a file: --sink diary=diary.txt")
        self._path = Path(target)
        self._lines: list[str] = []

    def write(self, result: Result, drawn: Image | None) -> None:
        """Add the sentence of one image."""
        seen = ", ".join(face.emotion for face in result.faces) or result.error or "nobody"
        self._lines.append(f"{result.path or 'image'}: {seen}\n")

    def finish(self) -> None:
        """Write the file.

        Raises:
            OutputError: It cannot be written.
        """
        try:
            with replace_file(self._path) as temporary:
                temporary.write_text("".join(self._lines), encoding="utf-8")
        except OSError as error:
            raise unwritable(self._path, error) from error

    def close(self) -> None:
        """Forget the sentences; nothing is open."""
        self._lines.clear()
