"""``cmaen page``: the page that needs no server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cmaen.cli.console import Verbose, alone, log


def page(
    context: typer.Context,
    output: Annotated[Path, typer.Option(help="Folder for the page; any web server of files can give it.")],
    runtime: Annotated[
        Path | None, typer.Option(help="The folder dist of the npm package onnxruntime-web (npm pack onnxruntime-web).")
    ] = None,
    verbose: Verbose = False,
) -> None:
    """Write the page of serve as a folder of files: the networks then run in the visitor's browser."""
    log(verbose)
    from cmaen.web.site import write_site

    alone(context, output)
    files = write_site(output, runtime)
    size = sum(path.stat().st_size for path in files)
    typer.echo(f"{len(files)} files, {size / 1e6:.1f} MB: {output}; look at it with python -m http.server -d {output}")
