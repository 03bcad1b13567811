"""The common design of the tables of sources, detectors and sinks; classes are imported on demand.

Detectors and sinks may also come from other packages, see :mod:`cmaen.plugins`.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple

from cmaen.errors import CmaenError, MissingExtraError
from cmaen.plugins import find_plugins


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


def load(
    table: Mapping[str, Entry],
    kind: str,
    what: str,
    error: type[CmaenError] = CmaenError,
    *,
    plugins: str | None = None,
) -> Any:
    """Import the class of a kind.

    Args:
        table: Entries by kind.
        kind: Key of the table, or the name of a plug-in.
        what: Description of the entries: "a face detector".
        error: Class of the error for an unknown kind.
        plugins: Group of the plug-ins that may also be used, see :mod:`cmaen.plugins`; ``None`` if there is none.

    Raises:
        CmaenError: An ``error``: the kind does not exist; the message lists the kinds that do.
        MissingExtraError: The extra that it needs is not installed.
        PluginError: The plug-in cannot be imported.
    """
    if kind not in table:
        found = {} if plugins is None else find_plugins(plugins, table)
        if kind in found:
            return found[kind].load()
        raise error(f"{kind!r} is not {what}; choose from {sorted({*table, *found})}")
    entry = table[kind]
    module, _, name = entry.home.partition(":")
    try:
        return getattr(import_module(module), name)
    except ModuleNotFoundError as problem:
        if entry.extra is None:
            raise
        raise MissingExtraError(entry.feature or f"the {what.split()[-1]} {kind}", entry.extra) from problem
