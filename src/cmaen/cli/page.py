"""``cmaen page``: the page that needs no server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cmaen.cli.console import Verbose, alone, log


def page(
    context: typer.Context,
    output: Annotated[Path, typer.Option(help="Folder to write to; any static web server can serve it.")],
    runtime: Annotated[
        Path | None, typer.Option(help="The folder dist of the npm package onnxruntime-web (npm pack onnxruntime-web).")
    ] = None,
    verbose: Verbose = False,
) -> None:
    """Export the web page as static files; the model runs in the visitor's browser."""
    log(verbose)
    from cmaen.web.site import write_site

    alone(context, output)
    site = write_site(output, runtime)
    sizes = f"{site.bytes / 1e6:.1f} MB, {site.count_compressed() / 1e6:.1f} MB compressed"
    typer.echo(f"Wrote the page to {output}: {len(site.files)} files, {sizes}.")
    if not any(path.suffix == ".br" for path in site.copies):
        typer.echo("For smaller copies (.br) beside those of gzip: pip install brotli, then export it again.")
    typer.echo(f"Look at it: python -m http.server --directory {output}, then open http://localhost:8000")
