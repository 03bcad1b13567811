"""The results of still pictures as a table on the terminal."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cmaen.cli.console import escape_for_terminal
from cmaen.inference.sinks import Needs
from cmaen.results import Result
from cmaen.types import Image


class TableSink:
    """A sink that shows the results at the end, or only what went wrong."""

    needs = Needs.RECORDS

    def __init__(self, *, only_errors: bool) -> None:
        self._only_errors = only_errors
        self._results: list[Result] = []

    def write(self, result: Result, drawn: Image | None) -> None:
        """Remember a result."""
        if result.error is not None or not self._only_errors:
            self._results.append(result)

    def finish(self) -> None:
        """Show them."""
        console = Console()
        if self._only_errors:
            for result in self._results:
                console.print(
                    Text(escape_for_terminal(f"{result.frame.name}: {result.error}"), style="red"), soft_wrap=True
                )
            return
        table = Table("image", "face", "emotion", "confidence", "box: x, y, width, height")
        for result in self._results:
            name = Text(escape_for_terminal(Path(result.frame.name).name), overflow="fold")
            if not result.faces:
                error = Text(
                    escape_for_terminal(result.error or "no face"), style="red" if result.error else "", overflow="fold"
                )
                table.add_row(name, "", error)
            for number, face in enumerate(result.faces, start=1):
                box = ", ".join(f"{value:.0f}" for value in face.to_dict()["box"])
                table.add_row(name, str(number), face.emotion, f"{face.confidence:.1%}", box)
        console.print(table)

    def close(self) -> None:
        """Nothing is open."""
