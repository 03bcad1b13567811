"""The command line: one short function a verb. Heavy imports happen inside them, so that ``--help`` answers at once."""

from __future__ import annotations

import io
import os
import sys
import warnings
from typing import Annotated

import typer

from cmaen import __version__
from cmaen.cli.console import shown
from cmaen.cli.data import balance, enhance
from cmaen.cli.evaluation import benchmark, calibrate, leaks, test
from cmaen.cli.inference import crop, inference
from cmaen.cli.page import page
from cmaen.cli.serving import serve
from cmaen.cli.training import ablate, answers, average, export, train, train_enhancer
from cmaen.errors import CmaenError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for verb in (
    *(inference, serve, page, crop, enhance, balance),
    *(train, test, calibrate, leaks, ablate, answers, average, export, train_enhancer),
    benchmark,
):
    app.command()(verb)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"cmaen {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Facial emotion recognition: train, test and use the Cross-Modal Attention Emotion Network."""


def main() -> None:
    """Run the command line; an error of this project is one clear line and exit status 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # what a terminal cannot show is escaped
    warnings.filterwarnings("ignore", module="PIL")  # odd metadata, and sizes that have a limit of their own
    try:
        app()
    except CmaenError as error:
        typer.secho(shown(f"error: {error}"), fg="red", err=True)
        sys.exit(2)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
