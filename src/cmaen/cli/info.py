"""``cmaen info``: what a bug report needs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from cmaen.cli.console import escape_for_terminal
from cmaen.cli.panels import OUTPUT
from cmaen.errors import describe_installation

if TYPE_CHECKING:
    from cmaen.environment import Environment

_WIDTH = 17


def info(
    as_json: Annotated[
        bool, typer.Option("--json", help="Write JSON instead of text.", rich_help_panel=OUTPUT)
    ] = False,
) -> None:
    """Describe this installation and this machine, for a bug report. Nothing personal is shown."""
    from cmaen.environment import collect_environment

    environment = collect_environment()
    if as_json:
        typer.echo(json.dumps(environment.to_dict(), indent=2))
    else:
        typer.echo(escape_for_terminal("\n".join(_write(environment))))


def _write(found: Environment) -> Iterator[str]:
    """Write the lines of the text."""
    yield _line("cmaen", f"{found.version} ({found.installed})")
    yield _line("Python", found.python)
    yield _line("system", found.system)
    yield _line("processor", found.processor)
    yield _line("instructions", " ".join(found.instructions) or "unknown")
    yield _line("cores", f"{found.usable_cores} of {found.cores} may be used")
    memory = "unknown" if found.memory_mib is None else f"{found.memory_mib / 1024:.1f} GiB"
    yield _line("memory", memory)
    for name, version in found.engines.items():
        devices = f" ({', '.join(found.providers)})" if name == "onnx" and found.providers else ""
        yield _line(f"engine {name}", f"{version or 'not installed'}{devices}")
    yield _line("packages", ", ".join(f"{name} {version or 'missing'}" for name, version in found.packages.items()))
    there = [name for name, extra in found.extras.items() if not extra.missing]
    yield _line("extras", ", ".join(there) or "none")
    lacking = {name: extra.missing for name, extra in found.extras.items() if extra.missing}
    for number, (name, missing) in enumerate(lacking.items()):
        yield _line("" if number else "not installed", f"{name}: {', '.join(missing)}")
    if lacking:
        yield _line("", f"install one, such as {next(iter(lacking))}: {describe_installation(next(iter(lacking)))}")
    yield _line("models", ", ".join(found.models) or "none")
    yield _line("cache", found.cache)
    for digest, name in found.cached.items():
        yield _line("", f"{digest} {name}")
    for number, plugin in enumerate(found.plugins):
        yield _line("" if number else "plug-ins", plugin)
    for number, variable in enumerate(found.variables):
        yield _line("" if number else "variables", variable)
    for number, problem in enumerate(found.problems):
        yield _line("" if number else "problems", problem)


def _line(name: str, value: str) -> str:
    return f"{name:<{_WIDTH}}{value}"
