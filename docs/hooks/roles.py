"""Docstrings as Markdown: the roles of reStructuredText become links, and double backticks single ones."""

from __future__ import annotations

import re
from typing import Any

import griffe

ROLE = re.compile(r":(?:attr|class|data|exc|func|meth|mod):`(~?)([\w.]+)`")
CODE = re.compile(r"``([^`]+)``")


class Roles(griffe.Extension):
    """Rewrites each docstring when its object is collected."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """See griffe."""
        if obj.docstring is not None:
            owner = obj if obj.is_class or obj.is_module or obj.parent is None else obj.parent
            obj.docstring.value = rewrite_roles(obj.docstring.value, owner.path)


def rewrite_roles(text: str, owner: str) -> str:
    """Rewrite roles as links to what the reference describes, and as mere code where it does not.

    Args:
        text: Docstring.
        owner: Path of the class or module in which short names are looked up.
    """

    def link(role: re.Match[str]) -> str:
        name = role[2]
        path = name if name.startswith("cmaen.") else f"{owner}.{name}"
        shown = name.rpartition(".")[2] if role[1] else name
        return f'<autoref optional identifier="{path}"><code>{shown}</code></autoref>'

    return CODE.sub(r"`\1`", ROLE.sub(link, text))
