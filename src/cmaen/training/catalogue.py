"""The catalogue of configurations that come with the package: YAML files that the command line takes by name."""

from __future__ import annotations

import os
from enum import Enum
from importlib.resources import files
from pathlib import Path

from cmaen.errors import ConfigError

_FOLDER = Path(str(files("cmaen.training") / "configs"))
_ENDINGS = (".yaml", ".yml")


class Kind(str, Enum):
    """A kind of configuration; the value is its folder in the package."""

    RUN = "recipes"
    ENHANCER = "enhancers"
    VARIANTS = "variants"


def list_configurations(kind: Kind) -> dict[str, str]:
    """List what each configuration of a kind is for, by name; the first line of its file says so."""
    return {path.stem: _read_purpose(path) for path in sorted((_FOLDER / kind.value).glob("*.yaml"))}


def find_configuration(given: str | Path, kind: Kind) -> Path:
    """Find the file of a configuration.

    Args:
        given: A name, such as ``paper``. A path is a file; so is a text that ends in .yaml or .yml or has a slash.
        kind: Kind of the configuration.

    Raises:
        ConfigError: No configuration has the name, or the file does not exist and one that does has its name.
    """
    names = list(list_configurations(kind))
    path = Path(given)
    if isinstance(given, Path) or _names_a_file(given):
        if path.stem in names and _exists(path) is False:
            raise ConfigError(f"{given} does not exist; the configuration that comes with cmaen is named {path.stem}")
        return path
    if given in names:
        return _FOLDER / kind.value / f"{given}.yaml"
    advice = f"; for the file of that name write .{os.sep}{given}" if given and _exists(path) else ""
    raise ConfigError(
        f"{given!r} is not a configuration that comes with cmaen{advice}; choose from {', '.join(names)}, or give a "
        "file, such as my.yaml"
    )


def _names_a_file(given: str) -> bool:
    separators = {"/", os.sep, os.altsep} - {None}
    return given.lower().endswith(_ENDINGS) or any(separator in given for separator in separators if separator)


def _exists(path: Path) -> bool | None:
    """Whether there is such a file; ``None`` for an impossible name, of which its reader says what is wrong."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return None


def _read_purpose(path: Path) -> str:
    with path.open(encoding="utf-8") as file:
        return file.readline().removeprefix("#").strip()
