"""The public interface as text: ``python -m tests.public_api`` renews ``tests/public_api.txt``, which a test compares.

It lists the public names with their signatures, the methods, properties and fields of public classes, and all errors.
Signatures are as they are written in the code, so that they are the same under every version of Python.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cmaen
from cmaen import client, errors

FILE = Path(__file__).with_name("public_api.txt")
RENEW = "python -m tests.public_api"


def write_api() -> str:
    """Write the whole interface, one line for each name."""
    lines = [
        line for name in sorted(cmaen.__all__) if name != "__version__" for line in _write(name, getattr(cmaen, name))
    ]
    lines += _write("client.EmotionClient", client.EmotionClient)
    for name, found in sorted(vars(errors).items()):
        if inspect.isclass(found) and issubclass(found, errors.CmaenError):
            lines.append(f"errors.{name}({', '.join(base.__name__ for base in found.__bases__)})")
    return "\n".join(lines) + "\n"


def _write(name: str, found: Any) -> Iterator[str]:
    if inspect.isclass(found):
        yield from _write_class(name, found)
    elif callable(found):
        yield f"{name}{_sign(found)}"
    else:
        yield f"{name} = {found!r}"


def _write_class(name: str, found: type) -> Iterator[str]:
    """Write the members of a class that are defined in this package, its own and inherited ones."""
    yield f"class {name}"
    members: dict[str, str] = {}
    for kind in reversed(found.__mro__):
        if not kind.__module__.startswith("cmaen"):
            continue
        for member, annotation in inspect.get_annotations(kind).items():
            if not member.startswith("_") and member != "model_config":
                members[member] = f": {annotation}{_write_default(found, member)}"
        for member, value in vars(kind).items():
            if member.startswith("_") and member not in ("__init__", "__call__"):
                continue
            if isinstance(value, property):
                members[member] = f" -> {inspect.get_annotations(value.fget).get('return') if value.fget else None}"
            elif isinstance(value, classmethod | staticmethod):
                members[member] = _sign(value.__func__)
            elif inspect.isfunction(value) and not (member == "__init__" and dataclasses.is_dataclass(kind)):
                members[member] = _sign(value)
    yield from (f"    {member}{text}" for member, text in sorted(members.items()))


def _write_default(kind: Any, name: str) -> str:
    """Write the default of a field of a dataclass or of a pydantic model."""
    if dataclasses.is_dataclass(kind):
        found = {one.name: one.default for one in dataclasses.fields(kind)}.get(name, dataclasses.MISSING)
        return "" if found is dataclasses.MISSING else f" = {found!r}"
    fields = getattr(kind, "model_fields", {})
    return "" if name not in fields or fields[name].is_required() else f" = {fields[name].default!r}"


class _Raw:
    """An annotation that is shown without quotes."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def _sign(function: Any) -> str:
    signature = inspect.signature(function)
    parameters = [one.replace(annotation=_unquote(one.annotation)) for one in signature.parameters.values()]
    written = signature.replace(parameters=parameters, return_annotation=_unquote(signature.return_annotation))
    return str(written)


def _unquote(annotation: Any) -> Any:
    return _Raw(annotation) if isinstance(annotation, str) else annotation


if __name__ == "__main__":
    FILE.write_text(write_api(), encoding="utf-8", newline="\n")
    print(f"wrote {FILE}")
