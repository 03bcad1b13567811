"""A chart of many images: the number of faces with each emotion."""

from __future__ import annotations

from collections import Counter
from pathlib import Path, PurePath

import numpy as np

from cmaen.drawing.charts import Counts, draw_counts
from cmaen.errors import rename_errors
from cmaen.files import replace_file, unwritable
from cmaen.inference.sinks.base import Needs
from cmaen.inference.sinks.pictures import check_chart, title_of
from cmaen.results import Result
from cmaen.types import EMOTIONS, Image


class ChartSink:
    """Draws a bar for each emotion after the last image: sure answers solid, unsure ones hatched. Images without a face
    and unreadable images are counted as well.

    Args:
        path: Path of the chart; the suffix names the format: .png, .jpg, .webp or .svg.
        title: Title of the chart; ``None`` for the name of the only file, or of the folder that contains all files.

    Raises:
        OutputError: The suffix does not name a supported format, or the path cannot be written.
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
        """Do nothing: there is nothing to close."""


def _share(one: str, other: str) -> str:
    """Return the common folder of two names, or the name itself if both are equal."""
    if one == other:
        return one
    parts = []
    for mine, its in zip(PurePath(one).parts, PurePath(other).parts, strict=False):
        if mine != its:
            break
        parts.append(mine)
    return str(PurePath(*parts)) if parts else ""
