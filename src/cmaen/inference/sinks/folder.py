"""The folder that pictures of another folder go to."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from cmaen.errors import OutputError
from cmaen.locks import hold
from cmaen.naming import Names


class OutputFolder:
    """A folder of results, which this run alone writes: each in a place of its own, and none in that of an input.

    Args:
        path: Of the folder, which is made; it is held until it is closed, so that what lies in it is no input.
        root: The folder of the inputs.

    Raises:
        OutputError: Both are the same, another run writes the folder, or it cannot be written.
    """

    def __init__(self, path: Path, root: Path) -> None:
        if same_file(path, root):
            raise OutputError(f"{path} is the folder of the pictures themselves; choose another folder for the results")
        self.path = path
        self._names = Names()
        self._root = root if any(same_file(path, above) for above in root.absolute().parents) else None
        self._held = ExitStack()
        self._held.enter_context(hold(path))

    def place(self, wanted: Sequence[str], identity: str) -> Path:
        """Where a result goes, see :meth:`cmaen.naming.Names.place`.

        Raises:
            OutputError: It would lie among the inputs, for the folder lies above theirs.
        """
        target = self.path / self._names.place(wanted, identity)
        if self._root is not None and target.resolve().is_relative_to(self._root.resolve()):
            raise OutputError(
                f"{target} would lie among the pictures themselves; choose another folder for the results"
            )
        return target

    def close(self) -> None:
        """Let go of the folder."""
        self._held.close()


def same_file(one: Path, other: Path) -> bool:
    """Whether both are there, and the same file."""
    try:
        return one.samefile(other)
    except OSError:
        return False
