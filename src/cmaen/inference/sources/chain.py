"""Several sources of still pictures as one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

from cmaen.errors import CmaenError, describe
from cmaen.inference.sources.base import Pending, Source
from cmaen.types import Frame


class ChainSource:
    """Yields the pictures of several sources in turn, numbered throughout; a source that fails is one error.

    Args:
        sources: Sources, each with the name that an error gives it.
    """

    moving = False
    live = False

    def __init__(self, sources: Sequence[tuple[str, Source]]) -> None:
        self._sources = sources

    def __iter__(self) -> Iterator[Pending]:
        number = 0
        for name, source in self._sources:
            try:
                for pending in source:
                    yield partial(_renumber, number, pending)
                    number += 1
            except CmaenError as error:  # noqa: PERF203 - each fails alone
                yield partial(Frame, number, name, error=describe(error))
                number += 1

    def count(self) -> int | None:
        """Return the total number of pictures, if every source knows its own."""
        counts = [source.count() for _, source in self._sources]
        return None if None in counts else sum(filter(None, counts))

    def close(self) -> None:
        """Close all sources."""
        for _, source in self._sources:
            source.close()


def _renumber(number: int, pending: Pending) -> Frame:
    return replace(pending(), index=number)
