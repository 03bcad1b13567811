"""The command line: one short function per verb. Heavy imports happen inside the functions, so ``--help`` is fast."""

from __future__ import annotations

import io
import os
import sys
import warnings
from collections.abc import Callable

import typer

from cmaen.cli.console import escape_for_terminal
from cmaen.deprecation import CmaenDeprecationWarning
from cmaen.errors import CmaenError

_format_foreign = warnings.formatwarning


def main() -> None:
    """Run the command line; an error of CMAEN becomes one clear line and exit status 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # escapes what the terminal cannot show
    warnings.filterwarnings("default", category=CmaenDeprecationWarning)
    warnings.formatwarning = _format_warning
    warnings.filterwarnings("ignore", module="PIL")  # odd metadata, and sizes, which have their own limit
    try:
        _find_command()()
    except CmaenError as error:
        typer.secho(escape_for_terminal(f"error: {error}"), fg="red", err=True)
        sys.exit(2)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _format_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    """Write a deprecation as one clear line; whoever types a command has no line of code."""
    if issubclass(category, CmaenDeprecationWarning):
        return f"{escape_for_terminal(f'warning: {message}')}\n"
    return _format_foreign(message, category, filename, lineno, line)


def _find_command() -> Callable[[], object]:
    """Import the verbs; if a broken installation prevents that, ``cmaen info`` still works, to show what is wrong."""
    try:
        from cmaen.cli.verbs import build_command
    except Exception:
        if sys.argv[1:2] != ["info"]:
            raise
        from cmaen.cli.info import info

        app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        app.callback()(lambda: None)  # without it, the only verb would have no name
        app.command()(info)
        return app
    command: Callable[[], object] = build_command()
    return command
