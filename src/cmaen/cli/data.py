"""``cmaen enhance`` and ``cmaen balance``: preparation of training data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cmaen.checkpoints.hub import SHIPPED
from cmaen.cli.console import Data, Device, Verbose, bar, extra, keep_freed_memory, log, progress
from cmaen.cli.panels import FACES, MODEL, OUTPUT, SOURCE


def enhance(
    input_dir: Annotated[
        Path, typer.Option(help="Folder of images, including its subfolders.", rich_help_panel=SOURCE)
    ],
    output_dir: Annotated[
        Path,
        typer.Option(help="Folder for the results; an interrupted run resumes in it.", rich_help_panel=OUTPUT),
    ],
    steps: Annotated[
        str,
        typer.Option(help="Comma-separated steps, in order: super-resolution, colorization.", rich_help_panel=FACES),
    ] = "super-resolution,colorization",
    super_resolution_weights: Annotated[
        str | None,
        typer.Option(
            help="SwinIR weights: a file, swinir-l or swinir-m. Default: the light network of the package.",
            rich_help_panel=MODEL,
        ),
    ] = None,
    colorization_weights: Annotated[
        str | None,
        typer.Option(help="DDColor weights: a file. Default: the light network of the package.", rich_help_panel=MODEL),
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Images per batch.", rich_help_panel=MODEL)] = 16,
    device: Device = "auto",
    verbose: Verbose = False,
) -> None:
    """Upscale faces (4x) and colourise them before training; manifest.json records what was done."""
    log(verbose)
    from cmaen.drawing.lettering import write_count

    with extra("enhancement", "enhance"):
        from cmaen.devices import torch_device
        from cmaen.engines import onnx_session
        from cmaen.enhance.job import enhance as run
        from cmaen.resources import peak_mib
        from cmaen.training.precision import Hardware, automatic
    keep_freed_memory()
    weights = {"super-resolution": super_resolution_weights, "colorization": colorization_weights}
    place = torch_device(device)
    bfloat16 = automatic(Hardware.of(place)).precision == "bf16-mixed"
    names = [name.strip() for name in steps.split(",")]
    done = run(
        *(input_dir, output_dir, names),
        weights=weights,
        batch_size=batch_size,
        bfloat16=bfloat16,
        device=place,
        open_session=onnx_session,
        progress=bar("batches"),
    )
    pace, memory = (done.images - done.reused) / done.seconds, peak_mib()
    counts = f"{write_count(done.images, 'image')} ({done.reused:,} from an earlier run)"
    typer.echo(f"{counts}, {write_count(len(done.errors), 'error')}: {output_dir}")
    typer.echo(f"{pace:.1f} images/s" + (f", {memory:,.0f} MiB of memory at most" if memory else ""))
    if not done.images:
        raise typer.Exit(1)


def balance(
    output_dir: Annotated[
        Path,
        typer.Option(help="New folder; the other splits are copied to it unchanged.", rich_help_panel=OUTPUT),
    ],
    input_dir: Data = None,
    method: Annotated[
        str,
        typer.Option(
            help="borderline-smote, augment, or weighted (makes no faces; see augment.weighted of cmaen train).",
            rich_help_panel=FACES,
        ),
    ] = "borderline-smote",
    target: Annotated[
        int, typer.Option(min=1, help="Faces per emotion; the paper uses 7,000.", rich_help_panel=FACES)
    ] = 7000,
    colour: Annotated[
        bool | None,
        typer.Option(
            "--colour/--grey", help="Write faces in colour or in grey. Default: as they are.", rich_help_panel=FACES
        ),
    ] = None,
    network: Annotated[
        str,
        typer.Option(
            help="Checkpoint whose features tell which faces are neighbours: its name or folder; or pixels, to compare "
            "their pixels.",
            rich_help_panel=MODEL,
        ),
    ] = SHIPPED,
    all_labels: Annotated[
        bool,
        typer.Option(
            "--all-labels", help="Balance all classes of the data, not only the emotions.", rich_help_panel=FACES
        ),
    ] = False,
    split: Annotated[
        str, typer.Option(help="Split to balance; only train is allowed.", rich_help_panel=SOURCE)
    ] = "train",
    seed: Annotated[int, typer.Option(help="Random seed.", rich_help_panel=FACES)] = 42,
    verbose: Verbose = False,
) -> None:
    """Balance the training set, and write dataset_stats.json and two charts."""
    log(verbose)
    with extra("balancing", "report"):
        from cmaen.data.balance import balance_folder
        from cmaen.data.balancing import PIXELS, Features
        from cmaen.data.tree import CHART
        from cmaen.evaluation import plots
        from cmaen.files import write_text
        from cmaen.inference.classifier import FaceClassifier
    features = None
    if method == "borderline-smote" and network != PIXELS:
        features = Features(network, FaceClassifier(network).features_of)
    done = balance_folder(
        output_dir,
        input_dir,
        method=method,
        target=target,
        colour=colour,
        all_labels=all_labels,
        split=split,
        seed=seed,
        features=features,
        progress=progress,
    )
    if done.target is None:
        typer.echo(
            "no faces were made: train with --set augment.weighted=true, which draws every emotion equally often"
        )
        return
    before, after, made = (list(counts.values()) for counts in (done.before, done.after, done.synthetic))
    kept = [whole - new for whole, new in zip(after, made, strict=True)]
    write_text(output_dir / CHART, plots.svg(plots.counts(before, kept, made, tuple(done.before))))
    altered = sum(done.altered.values())
    copies = f" ({altered:,} altered copies)" if altered and done.neighbours else ""
    typer.echo(f"{sum(after):,} faces, {sum(made):,} of them synthetic{copies}: {output_dir}")
