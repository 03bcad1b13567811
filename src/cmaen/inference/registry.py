"""The one design of the tables of sources, detectors and sinks: what there is, imported when it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple

from cmaen.errors import CmaenError, MissingExtraError


class Entry(NamedTuple):
    """Where something lives, and what it needs.

    Attributes:
        home: Its module and its class: ``package.module:Class``.
        extra: The optional dependencies that it needs; ``None`` where it needs none.
        feature: What those are for, where the kind does not say it well.
    """

    home: str
    extra: str | None = None
    feature: str | None = None


def load(table: Mapping[str, Entry], kind: str, what: str, error: type[CmaenError] = CmaenError) -> Any:
    """The class of a kind.

    Args:
        table: By kind.
        kind: One of its keys.
        what: What its entries are: "a face detector".
        error: What is raised where there is no such kind.

    Raises:
        CmaenError: One of ``error``: there is no such kind; the message lists those that there are.
        MissingExtraError: What it needs is not installed.
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
