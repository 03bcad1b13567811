"""``cmaen enhance`` and ``cmaen balance``: data made ready for training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cmaen.cli.console import Data, Device, Verbose, bar, extra, keep_freed_memory, log, progress


def enhance(
    input_dir: Annotated[Path, typer.Option(help="Folder of images, at any depth.")],
    output_dir: Annotated[Path, typer.Option(help="Folder for the results; called again, it goes on.")],
    steps: Annotated[str, typer.Option(help="In their order, with commas.")] = "super-resolution,colorization",
    super_resolution_weights: Annotated[
        str | None, typer.Option(help="Of SwinIR: a file, swinir-l or swinir-m; default: the light one of the package.")
    ] = None,
    colorization_weights: Annotated[
        str | None, typer.Option(help="Of DDColor: a file; default: the light one of the package.")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Images that are enhanced together.")] = 16,
    device: Device = "auto",
    verbose: Verbose = False,
) -> None:
    """Enlarge faces four times and give them colour, before they are learnt; what was done is in manifest.json."""
    log(verbose)
    with extra("enhancement", "enhance"):
        from cmaen.devices import torch_device
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
        progress=bar("batches"),
    )
    pace, memory = (done.images - done.reused) / done.seconds, peak_mib()
    typer.echo(f"{done.images:,} images, {done.reused:,} of them from before, {len(done.errors)} errors: {output_dir}")
    typer.echo(f"{pace:.1f} images/s" + (f", {memory:,.0f} MiB at most" if memory else ""))
    if not done.images:
        raise typer.Exit(1)


def balance(
    output_dir: Annotated[Path, typer.Option(help="Folder to be made; the other splits go there as they are.")],
    input_dir: Data = None,
    method: Annotated[
        str,
        typer.Option(help="borderline-smote or augment; weighted makes no faces, see augment.weighted."),
    ] = "borderline-smote",
    target: Annotated[int, typer.Option(min=1, help="Faces of each emotion; the paper's is 7,000.")] = 7000,
    colour: Annotated[bool, typer.Option("--colour", help="Keep it, where the faces have it.")] = False,
    all_labels: Annotated[bool, typer.Option("--all-labels", help="All classes, not the emotions alone.")] = False,
    split: Annotated[str, typer.Option(help="Only train is ever balanced.")] = "train",
    seed: Annotated[int, typer.Option(help="Of all randomness.")] = 42,
    verbose: Verbose = False,
) -> None:
    """Give every emotion as many faces in Training; what was done is in dataset_stats.json, and in two pictures."""
    log(verbose)
    with extra("balancing", "report"):
        from cmaen.data.balance import balance_folder
        from cmaen.evaluation import plots
        from cmaen.files import write_text
    done = balance_folder(
        output_dir,
        input_dir,
        method=method,
        target=target,
        colour=colour,
        all_labels=all_labels,
        split=split,
        seed=seed,
        progress=progress,
    )
    if done.target is None:
        typer.echo("no faces were made: train with --set augment.weighted=true, which draws every emotion as often")
        return
    before, after, made = (list(counts.values()) for counts in (done.before, done.after, done.synthetic))
    kept = [whole - new for whole, new in zip(after, made, strict=True)]
    write_text(output_dir / "balance.svg", plots.svg(plots.counts(before, kept, made, tuple(done.before))))
    typer.echo(f"{sum(after):,} faces, {sum(made):,} of them made: {output_dir}")
