"""The version is one number everywhere: the code, the changelog, the citation, and a tag."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
_CODE = re.compile(r'^__version__ = "(.+)"$', re.MULTILINE)
_CITATION = re.compile(r"^version: (.+)$", re.MULTILINE)
_RELEASE = re.compile(r"^## \[(\d[^]]*)\] - \d{4}-\d{2}-\d{2}$", re.MULTILINE)


def read_version(root: Path = ROOT) -> str:
    """Read the version of the code."""
    (version,) = _CODE.findall((root / "src/cmaen/__init__.py").read_text("utf-8"))
    return str(version)


def find_differences(root: Path = ROOT, *, tag: str | None = None) -> Iterator[str]:
    """Say where another version stands than in the code.

    Args:
        root: Folder of the project.
        tag: Name of the tag that is to be released, such as ``v0.2.0``; ``None`` for none.
    """
    version = read_version(root)
    released = _RELEASE.findall((root / "CHANGELOG.md").read_text("utf-8"))
    cited = _CITATION.findall((root / "CITATION.cff").read_text("utf-8"))
    if released[:1] != [version]:
        yield f"CHANGELOG.md has {released[:1]} as its latest release, the code {version}"
    if cited != [version]:
        yield f"CITATION.cff has {cited}, the code {version}"
    if tag is not None and tag != f"v{version}":
        yield f"the tag is {tag}, the code {version}"
