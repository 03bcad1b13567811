"""The command-line application, which contains all verbs."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from cmaen import __version__
from cmaen.cli.audit import audit
from cmaen.cli.convert import convert
from cmaen.cli.crop import crop
from cmaen.cli.data import balance, enhance
from cmaen.cli.evaluation import benchmark, calibrate, leaks, test
from cmaen.cli.finetune import finetune
from cmaen.cli.inference import inference
from cmaen.cli.info import info
from cmaen.cli.page import page
from cmaen.cli.panels import OWN, RESEARCH, USE, write_help
from cmaen.cli.predict import predict
from cmaen.cli.report import report
from cmaen.cli.serving import serve
from cmaen.cli.training import ablate, answers, average, export, train, train_enhancer

VERBS: dict[str, tuple[Callable[..., None], ...]] = {
    USE: (predict, inference, report, convert, serve, page, info),
    OWN: (crop, finetune, train, calibrate, test, export),
    RESEARCH: (enhance, balance, leaks, audit, ablate, answers, average, train_enhancer, benchmark),
}
"""Verbs by their panel of the help."""


class Verb(TyperCommand):
    """A verb whose usage line leaves out arguments without a name, which exist only to give advice."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Collect the parts of the usage line, see :class:`click.Command`."""
        return [piece for piece in super().collect_usage_pieces(ctx) if piece.strip("[]{}.")]


app: typer.Typer = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _panel, _verbs in VERBS.items():
    for _verb in _verbs:
        app.command(cls=Verb, help=write_help(_verb), rich_help_panel=_panel)(_verb)


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
    """Recognise facial emotions in pictures, videos and webcam images, and train your own models.

    Start with: cmaen predict photo.jpg
    """


@cache
def build_command() -> Any:
    """Build the command from the application, once in a process: it reads the signatures of all verbs."""
    return typer.main.get_command(app)
