"""One picture of what many pictures show: how many faces there are of each emotion."""

from __future__ import annotations

from collections import Counter
from pathlib import Path, PurePath

import numpy as np

from cmaen.charts import Counts, draw_counts
from cmaen.errors import rename_errors
from cmaen.files import replace_file, unwritable
from cmaen.inference.sinks.base import Needs
from cmaen.inference.sinks.pictures import check_chart, title_of
from cmaen.results import Result
from cmaen.types import EMOTIONS, Image


class ChartSink:
    """Draws a bar for each emotion when all pictures were seen: sure answers solid, unsure ones hatched; the pictures
    without a face and those that could not be read are counted too.

    Args:
        path: Its suffix names the picture's format: .png, .jpg, .webp or .svg.
        title: What was looked at; ``None`` for the name of the one file, or the folder that all files lie in.

    Raises:
        OutputError: The suffix names no format that can be drawn, or the place cannot be written.
    """

    needs = Needs.RECORDS

    def __init__(self, path: Path, *, title: str | None = None) -> None:
        check_chart(path, "a chart")
        self.path = path
        self._title = title
        self._sure: Counter[str] = Counter()
        self._unsure: Counter[str] = Counter()
        self._seen: Counter[str] = Counter()
        self._classes: tuple[str, ...] = EMOTIONS
        self._name = ""
        self._moving = False

    def write(self, result: Result, drawn: Image | None) -> None:
        """See :class:`~cmaen.inference.sinks.base.Sink`."""
        self._seen[result.status] += 1
        self._moving = self._moving or result.frame.time is not None
        name = result.frame.name
        self._name = name if self._seen.total() == 1 else _share(self._name, name)
        for face in result.faces:
            counted = self._unsure if face.is_unsure else self._sure
            counted[face.classes[int(np.argmax(face.probabilities))]] += 1
            self._classes = face.classes

    def finish(self) -> None:
        """See :class:`~cmaen.inference.sinks.base.Sink`."""
        counts = Counts(
            sure=self._sure,
            unsure=self._unsure,
            pictures=self._seen.total(),
            empty=self._seen["no_face"],
            errors=self._seen["error"],
            noun="frame" if self._moving else "picture",
        )
        title = self._title if self._title is not None else title_of(self._name)
        with rename_errors(lambda problem: unwritable(self.path, problem)), replace_file(self.path) as temporary:
            draw_counts(counts, self._classes, title=title).save(temporary, self.path.suffix)

    def close(self) -> None:
        """Nothing is open."""


def _share(one: str, other: str) -> str:
    """The folder that two names have in common, or the name that both are."""
    if one == other:
        return one
    parts = []
    for mine, its in zip(PurePath(one).parts, PurePath(other).parts, strict=False):
        if mine != its:
            break
        parts.append(mine)
    return str(PurePath(*parts)) if parts else ""
