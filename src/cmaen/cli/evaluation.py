"""``cmaen test``, ``calibrate``, ``leaks`` and ``benchmark``: accuracy, calibration, leaks and speed."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from cmaen.cli.console import (
    CheckpointName,
    Data,
    EngineDevice,
    EngineName,
    Names,
    Photographs,
    Pictures,
    SchemeName,
    Verbose,
    alone,
    bar,
    extra,
    keep_freed_memory,
    log,
    parse_names,
    progress,
)
from cmaen.cli.panels import FACES, MODEL, OUTPUT, SOURCE
from cmaen.errors import OutputError


def test(
    context: typer.Context,
    data: Data = None,
    names: Names = None,
    split: Annotated[
        str | None,
        typer.Option(
            help="validation, test, validation,test, all (every face), or inner (the tenth of the training faces that "
            "data.inner_validation holds out). Default: validation; test if the data have no validation split.",
            rich_help_panel=SOURCE,
        ),
    ] = None,
    checkpoint: CheckpointName = None,
    output: Annotated[
        Path | None,
        typer.Option(
            help="Folder for report.html, its pictures, metrics.json, metrics.csv and predictions.csv.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    votes: Annotated[
        str,
        typer.Option(
            metavar="FILE",
            help="CSV of the FER+ votes, to also compare the answers with what annotators saw; auto, the votes that "
            "come with cmaen, for the faces of FER2013; or none.",
            rich_help_panel=SOURCE,
        ),
    ] = "auto",
    photographs: Photographs = None,
    pictures: Pictures = None,
    scheme: SchemeName = None,
    without_copies: Annotated[
        bool,
        typer.Option(
            "--without-copies",
            help="Also measure without the images that have a copy among the training images.",
            rich_help_panel=FACES,
        ),
    ] = False,
    by: Annotated[
        str | None,
        typer.Option(
            help="Also measure each group of faces with the same value in a column of the CSV, such as an age.",
            rich_help_panel=FACES,
        ),
    ] = None,
    tta: Annotated[
        bool,
        typer.Option(
            "--tta",
            help="Also measure with the average of the answers to each face and its mirror image.",
            rich_help_panel=FACES,
        ),
    ] = False,
    robustness: Annotated[
        bool,
        typer.Option(
            "--robustness",
            help="Also measure eight corruptions at five severities (takes minutes).",
            rich_help_panel=FACES,
        ),
    ] = False,
    engine: EngineName = "auto",
    device: EngineDevice = "cpu",
    verbose: Verbose = False,
) -> None:
    """Evaluate a checkpoint on labelled faces or photographs.

    The faces may be your own or FER2013; every label scheme of the checkpoint is measured unless --scheme names one.
    """
    log(verbose)
    keep_freed_memory()
    from cmaen.checkpoints import CARD, METRICS, Checkpoint
    from cmaen.cli.tables import show_checkpoint, show_evaluation, show_photographs
    from cmaen.evaluation.evaluate import evaluate, evaluate_photographs
    from cmaen.files import write_text

    if output is not None:
        if output.exists() and not output.is_dir():
            raise OutputError(f"{output} is not a folder; the report needs one")
        if (output / CARD).exists():
            raise OutputError(f"{output} holds a checkpoint, whose {METRICS} the report would replace; choose another")
        alone(context, output)
        with extra("the report", "report"):
            from cmaen.evaluation.report import write_report
    opened = Checkpoint.open(checkpoint)
    show_checkpoint(opened)
    asked: dict[str, Any] = {"scheme": scheme, "engine": engine, "device": device}
    figures: dict[str, Any] = {}
    if photographs is not None:
        found = evaluate_photographs(opened, photographs, pictures, **asked, progress=progress)
        for name, of_scheme in found.figures.items():
            show_photographs(f"{found.name}, scheme {name}", of_scheme)
        figures = found.to_dict()
        if data is None:
            if output is not None:
                write_text(output / "metrics.json", json.dumps(figures, indent=2) + "\n")
            return
    evaluation = evaluate(
        opened,
        data,
        **asked,
        split=split,
        names=parse_names(names),
        votes=votes,
        without_copies=without_copies or (None if output is not None else False),
        by=by,
        mirrored=tta,
        robustness=robustness,
        progress=progress,
    )
    show_evaluation(evaluation)
    if output is not None:
        command = ("cmaen", *sys.argv[1:])
        typer.echo(f"report: {write_report(evaluation, output, figures=figures, command=command)}")


def calibrate(
    checkpoint: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="Your own checkpoint; its temperatures are overwritten.", rich_help_panel=MODEL
        ),
    ],
    data: Data = None,
    names: Names = None,
    votes: Annotated[
        str,
        typer.Option(
            metavar="FILE",
            help="CSV of the FER+ votes, on which the scheme perceived is calibrated; auto, the votes that come with "
            "cmaen, for the faces of FER2013; or none.",
            rich_help_panel=SOURCE,
        ),
    ] = "auto",
    engine: EngineName = "auto",
    verbose: Verbose = False,
) -> None:
    """Calibrate a checkpoint's confidences on the validation faces, so that "80%" is right 80 times in 100.

    Fits the temperature of each label scheme and stores it in the checkpoint.
    """
    log(verbose)
    keep_freed_memory()
    from cmaen.checkpoints import Checkpoint
    from cmaen.evaluation.calibrate import calibrate as run
    from cmaen.types import PERCEIVED

    opened = Checkpoint.open(checkpoint)
    done = run(opened, data, names=parse_names(names), votes=votes, engine=engine, progress=bar("batches"))
    if PERCEIVED in opened.card.schemes and PERCEIVED not in done.fits:
        typer.echo("perceived is not calibrated: it needs --votes, the CSV of the FER+ votes", err=True)
    for scheme, fit in done.fits.items():
        typer.echo(
            f"{scheme}: temperature {fit.temperature:.4f}, fitted on {fit.faces} faces of {done.split} {done.copies} "
            f"copies; ECE (equal mass): {fit.before:.4f} before, {fit.cross_fitted:.4f} cross-fitted"
        )
        if fit.confidence_temperature is not None:
            typer.echo(
                f"{scheme}: confidence temperature {fit.confidence_temperature:.4f}; error of the shares "
                f"{fit.share_error:.4f}, cross-fitted"
            )


def leaks(
    data: Data = None,
    first: Annotated[str, typer.Option(help="First split to compare.", rich_help_panel=SOURCE)] = "train",
    second: Annotated[str, typer.Option(help="Second split to compare.", rich_help_panel=SOURCE)] = "validation",
    output: Annotated[Path | None, typer.Option(help="Write the pairs to a .csv file.", rich_help_panel=OUTPUT)] = None,
    verbose: Verbose = False,
) -> None:
    """Find images that appear in two splits: exact, near and mirrored copies."""
    log(verbose)
    import csv
    import io

    from cmaen.data.leaks import COLUMNS, find_leaks
    from cmaen.drawing.lettering import write_count
    from cmaen.files import write_text

    found = find_leaks(data, first, second)
    for kind, count in found.pairs.items():
        images = write_count(found.images[kind], "image")
        typer.echo(f"{kind}: {write_count(count, 'pair')}, {images} of {found.second.title}")
    typer.echo(
        f"together: {found.affected} of {len(found.second)} images of {found.second.title}; "
        f"{write_count(found.conflicts, 'pair')} with different labels"
    )
    if output is not None:
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, COLUMNS)
        writer.writeheader()
        writer.writerows(found.rows)
        write_text(output, text.getvalue())


def benchmark(
    checkpoint: CheckpointName = None,
    engines: Annotated[
        list[str] | None,
        typer.Option(
            "--engine", help="Engine to time; repeat the option for more. Default: onnx.", rich_help_panel=MODEL
        ),
    ] = None,
    batch_sizes: Annotated[
        list[int] | None,
        typer.Option(
            "--batch-size",
            min=1,
            help="Batch size to time; repeat the option for more. Default: 1 and 64.",
            rich_help_panel=MODEL,
        ),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads to use. Default: one per core.", rich_help_panel=MODEL)
    ] = None,
    scheme: SchemeName = None,
    output: Annotated[
        Path | None, typer.Option(help="Write the figures to a .json file.", rich_help_panel=OUTPUT)
    ] = None,
) -> None:
    """Time a checkpoint from face crops to logits, and compare it with the limits of this machine."""
    from rich.console import Console
    from rich.table import Table

    from cmaen.checkpoints import Checkpoint
    from cmaen.cli.tables import show_checkpoint
    from cmaen.files import write_text
    from cmaen.inference.benchmark import measure_machine, measure_speed
    from cmaen.inference.spec import PipelineSpec

    opened = Checkpoint.open(checkpoint)
    show_checkpoint(opened)
    scheme = opened.card.resolve_scheme(scheme)
    specs = [
        PipelineSpec(checkpoint=checkpoint, engine=name, batch_size=size, threads=threads, scheme=scheme)
        for name in engines or ["onnx"]
        for size in batch_sizes or [1, 64]
    ]
    machine = measure_machine(threads)
    speeds = [measure_speed(spec, machine) for spec in progress(specs, "engines", len(specs))]
    table = Table("engine", "batch", "ms", "quartiles", "faces/s", "MiB", "limits, ms", "times the arithmetic limit")
    for speed in speeds:
        limits = (speed.arithmetic_limit, speed.memory_limit)
        table.add_row(
            speed.engine,
            str(speed.batch_size),
            f"{speed.milliseconds:.2f}",
            f"{speed.low:.2f}–{speed.high:.2f}",
            f"{speed.faces_per_second:.0f}",
            "?" if speed.peak_mib is None else f"{speed.peak_mib:.0f}",
            " / ".join("?" if limit is None else f"{limit:.2f}" for limit in limits),
            "?" if speed.overhead is None else f"{speed.overhead:.2f} ×",
        )
    Console().print(table)
    for speed in speeds:
        if speed.enhancement is not None:
            typer.echo(
                f"{speed.engine}, batch {speed.batch_size}: {speed.enhancement:.2f} of the {speed.milliseconds:.2f} ms "
                "enhance the crops like the faces that the network was trained on"
            )
    cost = opened.card.cost
    if cost:
        typer.echo(f"{cost['parameters'] / 1e6:.2f} million parameters, {cost['flops'] / 1e6:.0f} MFLOP per face")
    for name, size in sorted({(speed.engine, speed.file_mib) for speed in speeds}):
        typer.echo(f"{name}: file of {size:.1f} MiB")
    typer.echo(
        f"limits of this machine, measured: {machine.gflops:.0f} GFLOP/s in float32 (arithmetic) and "
        f"{machine.bandwidth:.1f} GB/s (memory)"
    )
    if output is not None:
        values = {"machine": machine._asdict(), "cost": cost, "speeds": [speed.to_dict() for speed in speeds]}
        write_text(output, json.dumps(values, indent=2) + "\n")
