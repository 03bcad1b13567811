"""What the wheel and the source distribution may contain, and what they must."""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

LARGEST = {".safetensors": 9.0, ".onnx": 6.0, ".npz": 0.5, ".keys": 0.5}
"""Largest size of a file in MB by its suffix: weights, and what belongs to faces by their pixels."""
LARGEST_OTHER = 0.15
"""Largest size of any other file in MB: code, the page, its pictures, documents."""
LARGEST_WHEEL, LARGEST_SDIST = 28.0, 31.0
"""Largest sizes of the distributions in MB."""
SUFFIXES = {
    *(".py", ".typed", ".json", ".csv", ".yaml", ".md", ".txt"),
    *(".html", ".css", ".js", ".svg", ".jpg"),
    *LARGEST,
}
"""Suffixes of the files that the package reads; a new kind of file is added here on purpose."""
NEEDED_IN_SDIST = ("pyproject.toml", "LICENSE", "README.md", "CHANGELOG.md", "src", "tests", "docs", "examples")
_MB = 1e6


def list_unwanted(files: Iterable[tuple[str, int]]) -> Iterator[str]:
    """Say which files do not belong into the package.

    Args:
        files: Path below the package, with ``/``, and size in bytes of each file.
    """
    for name, size in files:
        path = PurePosixPath(name)
        most = LARGEST.get(path.suffix, LARGEST_OTHER)
        if path.suffix not in SUFFIXES:
            yield f"{name}: files {path.suffix or 'without a suffix'} do not belong into the wheel"
        elif any(part.startswith((".", "test")) for part in path.parts):
            yield f"{name}: hidden files and tests do not belong into the wheel"
        elif size > most * _MB:
            yield f"{name}: it has {size / _MB:.2f} MB, and at most {most} MB are expected"


def list_package(folder: Path) -> dict[str, int]:
    """List the files of the package in the sources, by their path below it, with their sizes in bytes."""
    files = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in sorted(files)}


def check_wheel(wheel: Path, package: Path) -> list[str]:
    """Compare a wheel with the sources of its package; return what is wrong with it."""
    with zipfile.ZipFile(wheel) as archive:
        sizes = {member.filename: member.file_size for member in archive.infolist()}
    inside = {name.removeprefix("cmaen/"): size for name, size in sizes.items() if name.startswith("cmaen/")}
    others = {name for name in sizes if not name.startswith("cmaen/")}
    problems = list(list_unwanted(inside.items()))
    problems += [f"{name} is missing from the wheel" for name in list_package(package).keys() - inside.keys()]
    problems += [f"{name} is in the wheel, but not among the sources" for name in inside.keys() - list_package(package)]
    problems += [f"{name} stands beside the package" for name in others if ".dist-info/" not in name]
    return problems + list(_check_size(wheel, LARGEST_WHEEL))


def check_sdist(sdist: Path) -> list[str]:
    """Return what is wrong with a source distribution."""
    with tarfile.open(sdist) as archive:
        names = [PurePosixPath(*PurePosixPath(name).parts[1:]) for name in archive.getnames()]
    tops = {name.parts[0] for name in names if name.parts}
    problems = [f"{name} is missing from the source distribution" for name in NEEDED_IN_SDIST if name not in tops]
    problems += [
        f"{name} does not belong into the source distribution"
        for name in names
        if any(part in ("__pycache__", "runs", ".venv", ".git") for part in name.parts) or name.suffix == ".pyc"
    ]
    return problems + list(_check_size(sdist, LARGEST_SDIST))


def _check_size(path: Path, most: float) -> Iterator[str]:
    size = path.stat().st_size / _MB
    if size > most:
        yield f"{path.name} has {size:.1f} MB, and at most {most:.0f} MB are expected"
