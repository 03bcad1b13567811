"""What a report of a fault needs: versions, the machine, engines, extras, models and plug-ins; nothing personal.

Every part is collected for itself, so that a broken installation can be described, too.
"""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

from cmaen import __version__
from cmaen.errors import describe
from cmaen.plugins import BACKBONES, DETECTORS, SINKS, find_plugins
from cmaen.resources import count_cores, list_instructions, name_processor, usable_cores, usable_mib

_NEEDED = re.compile(r"\s*([\w.-]+)\s*(?:\[[^]]*])?[^;]*(?:;(.*))?")
_EXTRA = re.compile(r"""\bextra\s*==\s*["']([\w-]+)["']""")
_ENGINES = {"onnx": ("onnxruntime", "onnxruntime-gpu"), "openvino": ("openvino",), "torch": ("torch",)}
"""Packages of each engine; any one of them is enough."""
_DEVELOPMENT = "dev"
"""Extra for those who change the package, which nobody else misses."""
_SHOWN = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "CUDA_VISIBLE_DEVICES")
"""Environment variables whose values are shown; of those of this package, which may be secret, only the names are."""


@dataclass(frozen=True, kw_only=True)
class Extra:
    """The optional dependencies of a feature.

    Attributes:
        missing: Its packages that are not installed; empty if it can be used.
    """

    missing: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Environment:
    """The installation and the machine that it runs on.

    Attributes:
        version: Version of this package.
        installed: How it is installed: ``package``, ``editable``, ``folder`` or ``not installed``.
        python: Implementation and version of Python, and whether it is a virtual environment.
        system: Name and version of the operating system, and the architecture.
        processor: Name of the processor.
        instructions: Instruction sets that engines choose their code by.
        usable_cores, cores: Cores that this process may use, and all cores of the machine.
        memory_mib: Memory that it may use, in MiB; ``None`` if the system does not report it.
        engines: Version of each engine; ``None`` if it is not installed.
        providers: Devices of ONNX Runtime, by its own names.
        packages: Versions of the packages that are always needed; ``None`` if one is not installed.
        extras: Optional dependencies by extra.
        models: Models of this package.
        cache: Folder of downloaded checkpoints.
        cached: Name of each checkpoint in it, by the beginning of its checksum.
        plugins: Plug-ins of other packages, with their problems.
        variables: Environment variables that have an effect.
        problems: What could not be found out, and why.
    """

    version: str
    installed: str
    python: str
    system: str
    processor: str
    instructions: tuple[str, ...]
    usable_cores: int
    cores: int
    memory_mib: float | None
    engines: dict[str, str | None]
    providers: tuple[str, ...]
    packages: dict[str, str | None]
    extras: dict[str, Extra]
    models: tuple[str, ...]
    cache: str
    cached: dict[str, str]
    plugins: tuple[str, ...]
    variables: tuple[str, ...]
    problems: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return a plain dict, ready for JSON."""
        return asdict(self)


def collect_environment() -> Environment:
    """Describe this installation and this machine; what cannot be found out is among the problems."""
    problems: list[str] = []

    def ask(what: str, call: Callable[[], Any], otherwise: Any) -> Any:
        try:
            return call()
        except (Exception, SystemExit) as error:
            problems.append(f"{what}: {' '.join(describe(error).split())}")
            return otherwise

    needed, extras = ask("installed packages", _read_requirements, ({}, {}))
    found: dict[str, Any] = {
        "version": __version__,
        "installed": ask("installation", _describe_installation, "unknown"),
        "python": f"{platform.python_implementation()} {platform.python_version()}"
        + (", in a virtual environment" if sys.prefix != sys.base_prefix else ""),
        "system": f"{platform.platform()}, {platform.machine()}",
        "processor": ask("processor", name_processor, "unknown"),
        "instructions": ask("instruction sets", list_instructions, ()),
        "usable_cores": ask("cores", usable_cores, 1),
        "cores": count_cores(),
        "memory_mib": ask("memory", usable_mib, None),
        "engines": {name: _version_of(*packages) for name, packages in _ENGINES.items()},
        "providers": ask("ONNX Runtime", _list_providers, ()),
        "packages": needed,
        "extras": extras,
        "models": ask("models of the package", _list_models, ()),
        "cache": ask("cache", _name_cache, "unknown"),
        "cached": ask("cached models", _list_cached, {}),
        "plugins": tuple(
            line for group in _TABLES for line in ask(f"plug-ins {group}", partial(_list_plugins, group), ())
        ),
        "variables": _list_variables(),
    }
    ask("OpenCV", _check_opencv, None)
    return Environment(**_hide_home(found), problems=_hide_home(tuple(problems)))


def _version_of(*packages: str) -> str | None:
    """Return the version of the first of these packages that is installed."""
    for package in packages:
        try:
            return str(metadata.version(package))
        except Exception:  # noqa: PERF203 - not there, or its metadata are damaged
            continue
    return None


def _describe_installation() -> str:
    try:
        source = metadata.distribution("cmaen").read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        return "not installed"
    if source is None or "dir_info" not in source:
        return "package"
    return "editable" if "editable" in source else "folder"


def _read_requirements() -> tuple[dict[str, str | None], dict[str, Extra]]:
    """Read the packages that are always needed, with their versions, and those that each extra misses."""
    try:
        distribution = metadata.distribution("cmaen")
    except metadata.PackageNotFoundError:
        return {}, {}
    needed: dict[str, str | None] = {}
    missing: dict[str, set[str]] = {extra: set() for extra in distribution.metadata.get_all("Provides-Extra") or ()}
    missing.pop(_DEVELOPMENT, None)
    for line in distribution.requires or ():
        match = _NEEDED.match(line)
        if match is None:
            continue
        package, condition = match[1], match[2] or ""
        extra = _EXTRA.search(condition)
        if extra is None:
            needed[package] = _version_of(package)
        elif extra[1] in missing and package != "cmaen" and _version_of(package) is None:
            missing[extra[1]].add(package)
    return dict(sorted(needed.items())), {
        extra: Extra(missing=tuple(sorted(packages))) for extra, packages in sorted(missing.items())
    }


def _list_providers() -> tuple[str, ...]:
    import onnxruntime

    return tuple(onnxruntime.get_available_providers())


def _check_opencv() -> None:
    from cmaen.opencv import check_opencv

    check_opencv()


def _list_models() -> tuple[str, ...]:
    from cmaen.checkpoints import list_models

    return tuple(model.name for model in list_models())


def _name_cache() -> str:
    from cmaen.checkpoints.hub import cache_folder

    return str(cache_folder())


def _list_cached() -> dict[str, str]:
    from cmaen.checkpoints import Checkpoint
    from cmaen.checkpoints.hub import cache_folder

    folder = cache_folder() / "checkpoints"
    found: dict[str, str] = {}
    for one in sorted(folder.iterdir()) if folder.is_dir() else ():
        try:
            found[one.name[:12]] = Checkpoint(one).card.name
        except Exception as error:  # noqa: PERF203 - a damaged one costs none of the others
            found[one.name[:12]] = f"cannot be read: {describe(error)}"
    return found


def _read_detectors() -> set[str]:
    from cmaen.inference.detectors.base import DETECTORS

    return set(DETECTORS)


def _read_sinks() -> set[str]:
    from cmaen.inference.sinks.base import SINKS

    return set(SINKS)


def _read_backbones() -> set[str]:
    try:
        from cmaen.models.backbones import BACKBONES
    except ModuleNotFoundError:  # without PyTorch no backbone can be used, whatever its name
        return set()
    return set(BACKBONES)


_TABLES: dict[str, Callable[[], set[str]]] = {
    DETECTORS: _read_detectors,
    BACKBONES: _read_backbones,
    SINKS: _read_sinks,
}
"""Functions that read the built-in names of each group of plug-ins."""


def _list_plugins(group: str) -> tuple[str, ...]:
    """List the plug-ins of a group; its built-in names are read only if there are any, since they may need PyTorch."""
    if not find_plugins(group, ()):
        return ()
    plugins = find_plugins(group, _TABLES[group]()).values()
    return tuple(f"{plugin}{'' if plugin.problem is None else f': {plugin.problem}'}" for plugin in plugins)


def _list_variables() -> tuple[str, ...]:
    own = [f"{name} (value not shown)" for name in sorted(os.environ) if name.startswith("CMAEN_")]
    return (*own, *(f"{name}={os.environ[name]}" for name in _SHOWN if name in os.environ))


def _hide_home(value: Any) -> Any:
    """Replace the user's home folder by ``~`` in every text."""
    if isinstance(value, str):
        return _shorten(value)
    if isinstance(value, tuple):
        return tuple(map(_hide_home, value))
    if isinstance(value, dict):
        return {_hide_home(key): _hide_home(one) for key, one in value.items()}
    return value


def _shorten(text: str) -> str:
    try:
        home = Path.home()
        places = {str(home), str(home.resolve()), home.as_posix()}
    except (OSError, RuntimeError):  # there is no home folder
        return text
    for place in sorted(places, key=len, reverse=True):
        if len(place) > 1:  # not "/", the home of nobody
            text = re.sub(rf"(?<![\w.-]){re.escape(place)}(?![\w.-])", "~", text)
    return text
