"""The output folder for results of the images of another folder."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from cmaen.errors import OutputError
from cmaen.files import same_file
from cmaen.locks import hold
from cmaen.naming import Names


class OutputFolder:
    """A folder of results for this run alone; each result has a place of its own, which is never that of an input.

    Args:
        path: Path of the folder, which is created. It is locked until it is closed, so that its content is not taken as
            input.
        root: Folder of the inputs.

    Raises:
        OutputError: Both folders are the same, another run writes to the folder, or it cannot be written.
    """

    def __init__(self, path: Path, root: Path) -> None:
        if same_file(path, root):
            raise OutputError(f"{path} is the folder of the images themselves; choose another folder for the results")
        self.path = path
        self._names = Names()
        self._root = root if any(same_file(path, above) for above in root.absolute().parents) else None
        self._held = ExitStack()
        self._held.enter_context(hold(path))

    def place(self, wanted: Sequence[str], identity: str) -> Path:
        """Choose the path of a result, see :meth:`cmaen.naming.Names.place`.

        Raises:
            OutputError: The result would lie among the inputs, because the folder contains theirs.
        """
        target = self.path / self._names.place(wanted, identity)
        if self._root is not None and target.resolve().is_relative_to(self._root.resolve()):
            raise OutputError(f"{target} would lie among the images themselves; choose another folder for the results")
        return target

    def close(self) -> None:
        """Release the folder."""
        self._held.close()
