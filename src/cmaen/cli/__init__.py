"""The command line: one short function a verb. Heavy imports happen inside them, so that ``--help`` answers at once."""

from __future__ import annotations

import io
import os
import sys
import warnings

import typer

from cmaen.cli.console import escape_for_terminal
from cmaen.errors import CmaenError


def main() -> None:
    """Run the command line; an error of this project is one clear line and exit status 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # what a terminal cannot show is escaped
    warnings.filterwarnings("ignore", module="PIL")  # odd metadata, and sizes that have a limit of their own
    try:
        from cmaen.cli.verbs import app  # here, so that what is wrong with an installation is one line, too

        app()
    except CmaenError as error:
        typer.secho(escape_for_terminal(f"error: {error}"), fg="red", err=True)
        sys.exit(2)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
