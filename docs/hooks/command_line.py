"""The reference of the command line, made from the code that parses it."""

from __future__ import annotations

import enum
import inspect
import re
import types
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from cmaen.cli import panels
from cmaen.cli.panels import EXAMPLES, name_of
from cmaen.cli.verbs import VERBS, app

PAGE = "command_line.md"
OTHER = "Options"
PANELS = (
    *(panels.SOURCE, panels.OUTPUT, panels.TRAINING, panels.ADDRESS, panels.ACCESS),
    *(panels.STUDY, panels.FACES, panels.VIDEO, panels.MODEL, panels.LIMITS),
)
"""Panels of options, in the order of the page."""

KINDS = {int: "integer", float: "number", str: "text", Path: "path", bool: ""}
HEAD = """\
# Command line

`cmaen VERB --help` shows the same in a terminal. Options may come in any order; an option that is marked *repeatable*
may be given several times.
"""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the page to the site."""
    files.append(File.generated(config, PAGE, content=describe_command_line()))
    return files


def describe_command_line() -> str:
    """Describe all verbs as Markdown: what they do, examples, arguments and options."""
    commands: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    parts = [HEAD]
    for panel, verbs in VERBS.items():
        parts.append(f"## {panel}\n")
        parts += ("\n".join(_describe(verb, commands[name_of(verb)].params)) for verb in verbs)
    return "\n".join(parts)


def _describe(verb: Callable[..., Any], parameters: list[Any]) -> Iterator[str]:
    name = name_of(verb)
    yield f"### cmaen {name} {{ #{name} }}\n"
    yield f"{_escape(inspect.getdoc(verb) or '')}\n"
    yield "```bash"
    yield from EXAMPLES[name]
    yield "```\n"
    kinds = get_type_hints(verb, include_extras=True)
    shown = [one for one in parameters if one.name != "help" and not getattr(one, "hidden", False) and one.help]
    found = {one.rich_help_panel or OTHER for one in shown}
    for panel in sorted(found, key=[*PANELS, OTHER].index):
        yield f"**{panel}**\n"
        yield "| option | value | what it does |"
        yield "|---|---|---|"
        for one in shown:
            if (one.rich_help_panel or OTHER) == panel:
                yield _row(one, kinds.get(one.name))
        yield ""


def _row(one: Any, kind: Any) -> str:
    names = [*one.opts, *one.secondary_opts] if one.opts[0].startswith("-") else [one.metavar or one.name.upper()]
    notes = [
        *(["*required*"] if one.required else []),
        *(["*repeatable*"] if (one.multiple or one.nargs == -1) and "repeat" not in one.help else []),
        *([f"environment variable `{one.envvar}`"] if getattr(one, "envvar", None) else []),
        *_describe_default(one),
    ]
    said = _escape(one.help) + (f" ({'; '.join(notes)})" if notes else "")
    return f"| {' '.join(f'`{name}`' for name in names)} | {_describe_kind(one, kind)} | {said} |"


def _describe_default(one: Any) -> list[str]:
    value = one.default
    if value in (None, False, (), []) or callable(value) or one.required or not one.show_default:
        return []
    if value is True:
        return ["on unless switched off"]
    values = value if isinstance(value, list | tuple) else [value]
    text = ", ".join(f"{each:g}" if isinstance(each, float) else str(getattr(each, "value", each)) for each in values)
    return [] if "efault" in one.help else [f"default `{text}`"]


def _describe_kind(one: Any, kind: Any) -> str:
    kind = _unwrap(kind)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return ", ".join(f"`{each.value}`" for each in kind)
    if get_origin(kind) is typing.Literal:
        return ", ".join(f"`{each}`" for each in get_args(kind))
    word = KINDS.get(kind, "text")
    least, most = getattr(one, "min", None), getattr(one, "max", None)
    if least is not None and most is not None:
        return f"{word}, {least:g} to {most:g}"
    if least is not None:
        return f"{word}, at least {least:g}"
    return word


def _unwrap(kind: Any) -> Any:
    """Find the type of one value in ``Annotated[list[str] | None, …]`` and the like."""
    while True:
        origin, arguments = get_origin(kind), [each for each in get_args(kind) if each is not type(None)]
        if origin not in (Annotated, Union, types.UnionType, list) or not arguments:
            return kind
        kind = arguments[0]


def _escape(text: str) -> str:
    """Escape what Markdown or a table would take for more than text; options and verbs become code."""
    text = re.sub(r"\s+", " ", text).replace("|", r"\|").replace("<", "&lt;").replace("*", r"\*").replace("_", r"\_")
    return re.sub(r"(?<![\w`-])(--[a-z][a-z-]+|cmaen [a-z-]+)(?![\w`])", r"`\1`", text)
