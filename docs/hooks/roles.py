"""Docstrings as Markdown: the roles of reStructuredText become code, and double backticks single ones."""

from __future__ import annotations

import re
from typing import Any

import griffe

ROLE = re.compile(r":(?:attr|class|data|exc|func|meth|mod):`~?([^`]+)`")
CODE = re.compile(r"``([^`]+)``")


class Roles(griffe.Extension):
    """Rewrites each docstring when its object is collected."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """See griffe."""
        if obj.docstring is not None:
            obj.docstring.value = rewrite_roles(obj.docstring.value)


def rewrite_roles(text: str) -> str:
    """Rewrite roles and code: ``:class:`~a.B` `` becomes the last part of the name, as code."""

    def shorten(role: re.Match[str]) -> str:
        whole = role[0]
        return f"`{role[1].rpartition('.')[2] if '~' in whole else role[1]}`"

    return CODE.sub(r"`\1`", ROLE.sub(shorten, text))
