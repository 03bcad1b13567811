"""The common design of the tables of sources, detectors and sinks; classes are imported on demand."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple

from cmaen.errors import CmaenError, MissingExtraError


class Entry(NamedTuple):
    """Location and requirements of a class.

    Attributes:
        home: Module and name of the class, as ``package.module:Class``.
        extra: Name of the optional dependencies that it needs; ``None`` if it needs none.
        feature: Purpose of those dependencies, if the kind does not describe it well.
    """

    home: str
    extra: str | None = None
    feature: str | None = None


def load(table: Mapping[str, Entry], kind: str, what: str, error: type[CmaenError] = CmaenError) -> Any:
    """Import the class of a kind.

    Args:
        table: Entries by kind.
        kind: Key of the table.
        what: Description of the entries: "a face detector".
        error: Class of the error for an unknown kind.

    Raises:
        CmaenError: An ``error``: the kind does not exist; the message lists the kinds that do.
        MissingExtraError: The extra that it needs is not installed.
    """
    if kind not in table:
        raise error(f"{kind!r} is not {what}; choose from {sorted(table)}")
    entry = table[kind]
    module, _, name = entry.home.partition(":")
    try:
        return getattr(import_module(module), name)
    except ModuleNotFoundError as problem:
        if entry.extra is None:
            raise
        raise MissingExtraError(entry.feature or f"the {what.split()[-1]} {kind}", entry.extra) from problem
