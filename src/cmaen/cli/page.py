"""``cmaen page``: the page that needs no server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cmaen.cli.console import Verbose, alone, in_a_shell, log
from cmaen.cli.panels import OUTPUT, SOURCE
from cmaen.web.notice import NOTICE


def page(
    context: typer.Context,
    output: Annotated[
        Path, typer.Option(help="Folder to write to; any static web server can serve it.", rich_help_panel=OUTPUT)
    ],
    runtime: Annotated[
        Path | None,
        typer.Option(
            help="Folder dist of the npm package onnxruntime-web (npm pack onnxruntime-web).", rich_help_panel=SOURCE
        ),
    ] = None,
    notice: Annotated[
        str, typer.Option(help="Notice on the page that emotions are inferred there: one line.", rich_help_panel=OUTPUT)
    ] = NOTICE,
    verbose: Verbose = False,
) -> None:
    """Export the web page as static files; the model runs in the visitor's browser."""
    log(verbose)
    from cmaen.web.site import write_site

    alone(context, output)
    site = write_site(output, runtime, notice)
    compressed = f", {site.count_compressed() / 1e6:.1f} MB compressed"
    typer.echo(f"wrote {output}/ ({len(site.files)} files, {site.bytes / 1e6:.1f} MB{compressed})")
    if not any(path.suffix == ".br" for path in site.copies):
        typer.echo("for smaller copies (.br) beside those of gzip: pip install brotli, then export the page again")
    typer.echo(f"try it: {in_a_shell('python', '-m', 'http.server', '-d', output)}")
