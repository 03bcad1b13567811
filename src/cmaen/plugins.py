"""Plug-ins: detectors, backbones and sinks of other packages, which register them as entry points.

A package names them in its ``pyproject.toml``, and they are then found by name like those of this package::

    [project.entry-points."cmaen.detectors"]
    portrait = "my_package.detector:Portrait"

Only a name that is not built in is looked for among them, and only the plug-in that is used is imported, so a plug-in
that does not work affects nobody else. ``examples/plugin`` is a whole package with one of each.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint, distributions
from typing import Any

from cmaen.errors import PluginError, describe, guard

DETECTORS, BACKBONES, SINKS = "cmaen.detectors", "cmaen.backbones", "cmaen.sinks"
"""Groups of entry points."""
GROUPS = {DETECTORS: "detector", BACKBONES: "backbone", SINKS: "sink"}
"""Name of the members of each group."""

_NAME = re.compile(r"[\w][\w.-]*")


@dataclass(frozen=True)
class Plugin:
    """A plug-in of an installed package.

    Attributes:
        group: Group of its entry point.
        name: Name that it is used by.
        home: Location of the object, as ``package.module:object``.
        package: Name and version of the package that provides it: ``my-package 1.2``.
        problem: Why it cannot be used; ``None`` if nothing is known to be wrong. It is not imported to find out.
    """

    group: str
    name: str
    home: str
    package: str
    problem: str | None = None

    def __str__(self) -> str:
        return f"the {GROUPS[self.group]} {self.name!r} of the package {self.package}"

    def load(self) -> Callable[..., Any]:
        """Import the plug-in.

        Returns:
            Function that calls the imported object; whatever a call raises becomes a :class:`PluginError`.

        Raises:
            PluginError: It cannot be imported; the message names its package.
        """
        if self.problem is not None:
            raise PluginError(f"{self} cannot be used: {self.problem}")
        try:
            found = EntryPoint(self.name, self.home, self.group).load()
        except (Exception, SystemExit) as error:
            raise PluginError(
                f"{self} cannot be imported: {describe(error)}; repair or uninstall {self.package.split()[0]}"
            ) from error
        if not callable(found):
            raise PluginError(f"{self} cannot be used: {self.home} is not a class or function")

        def call(*arguments: Any, **options: Any) -> Any:
            with guard(PluginError, f"{self} fails"):
                return found(*arguments, **options)

        return call


def find_plugins(group: str, built_in: Collection[str]) -> dict[str, Plugin]:
    """Find the plug-ins of a group among the installed packages, sorted by name; nothing is imported.

    Those that cannot be used are included, each with its problem: a name that is built in or not valid, or that two
    packages use.

    Args:
        group: One of :data:`GROUPS`.
        built_in: Names that plug-ins cannot take.
    """
    found: dict[str, Plugin] = {}
    for plugin in sorted(_list_entries(group), key=lambda one: (one.name, one.package)):
        before = found.get(plugin.name)
        if before is not None:
            plugin = replace(before, problem=f"{plugin.package} has one of the same name; uninstall one of them")
        elif plugin.name in built_in:
            plugin = replace(plugin, problem="CMAEN itself has one of this name, which is used instead")
        elif not _NAME.fullmatch(plugin.name):
            plugin = replace(plugin, problem="its name may contain only letters, digits, '.', '_' and '-'")
        found[plugin.name] = plugin
    return found


def _list_entries(group: str) -> Iterator[Plugin]:
    """List the entry points of a group; a package whose metadata is damaged is skipped.

    ``importlib.metadata.entry_points`` would raise for all packages if one is damaged.
    """
    seen = set[str]()
    for distribution in distributions():
        try:
            entries = [entry for entry in distribution.entry_points if entry.group == group]
            if not entries:  # the usual case; reading all metadata would take ten times as long
                continue
            name, version = distribution.metadata["Name"], distribution.metadata["Version"]
        except Exception:  # foreign files: anything may be wrong with them
            continue
        known = re.sub(r"[-_.]+", "-", str(name)).lower()
        if known in seen:  # a second copy further down the path is not the one that is imported
            continue
        seen.add(known)
        yield from (Plugin(group, entry.name, entry.value, f"{name} {version}") for entry in entries)
