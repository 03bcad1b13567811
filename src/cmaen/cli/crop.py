"""``cmaen crop``: faces cut out of photographs for training."""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from cmaen.cli.console import log
from cmaen.cli.options import FaceOptions, takes
from cmaen.cli.panels import OUTPUT, SOURCE
from cmaen.cli.recogniser import run_simply


@dataclass(frozen=True, kw_only=True)
class CropOptions(FaceOptions):
    """Options of ``cmaen crop``."""

    input_dir: Annotated[
        Path, typer.Option(help="Folder of photographs, including its subfolders.", rich_help_panel=SOURCE)
    ]
    output_dir: Annotated[
        Path, typer.Option(help="Folder for the faces, with the same subfolders.", rich_help_panel=OUTPUT)
    ]
    every: Annotated[
        bool, typer.Option("--every", help="Crop every face instead of only the largest.", rich_help_panel=OUTPUT)
    ] = False


@takes(CropOptions)
def crop(options: CropOptions) -> None:
    """Cut faces out of photographs for training, aligned as for prediction."""
    log(options.verbose)
    from cmaen.cli.results import TableSink, count_images
    from cmaen.inference.sinks import open_sink
    from cmaen.inference.sources import open_source

    spec = options.to_spec().fetch()
    pipeline, card = spec.build(), spec.open_checkpoint().card
    with ExitStack() as stack:
        crops = open_sink("crops", options.output_dir, root=options.input_dir, spec=card.crop, every=options.every)
        stack.callback(crops.close)
        source = stack.enter_context(closing(open_source("folder", options.input_dir, max_pixels=spec.max_pixels)))
        summary = run_simply(source, pipeline, [crops, TableSink(only_errors=True)])
    typer.echo(f"{count_images(summary)}: {options.output_dir}")
