"""The verbs, put together."""

from __future__ import annotations

from typing import Annotated

import typer

from cmaen import __version__
from cmaen.cli.data import balance, enhance
from cmaen.cli.evaluation import benchmark, calibrate, leaks, test
from cmaen.cli.inference import crop, inference
from cmaen.cli.page import page
from cmaen.cli.serving import serve
from cmaen.cli.training import ablate, answers, average, export, train, train_enhancer

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
