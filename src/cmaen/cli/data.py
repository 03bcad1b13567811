"""``cmaen enhance`` and ``cmaen balance``: data made ready for training."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from cmaen.cli.console import Data, Device, Verbose, alone, bar, extra, keep_freed_memory, log, progress
from cmaen.errors import OutputError, SplitError

WEIGHTED = "weighted"


def enhance(
    context: typer.Context,
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
        from cmaen.devices import torch_device, torch_threads
        from cmaen.enhance.job import enhance_folder
        from cmaen.enhance.steps import build_chain
        from cmaen.resources import peak_mib
        from cmaen.training.precision import Hardware, automatic
    keep_freed_memory()
    context.with_resource(torch_threads())
    weights = {"super-resolution": super_resolution_weights, "colorization": colorization_weights}
    place = torch_device(device)
    bfloat16 = automatic(Hardware.of(place)).precision == "bf16-mixed"
    chain = build_chain([name.strip() for name in steps.split(",")], weights, bfloat16=bfloat16, device=place)
    started = time.perf_counter()
    done = enhance_folder(input_dir, output_dir, chain, batch_size=batch_size, progress=bar("batches"))
    pace, memory = (done.images - done.reused) / (time.perf_counter() - started), peak_mib()
    typer.echo(f"{done.images:,} images, {done.reused:,} of them from before, {len(done.errors)} errors: {output_dir}")
    typer.echo(f"{pace:.1f} images/s" + (f", {memory:,.0f} MiB at most" if memory else ""))
    if not done.images:
        raise typer.Exit(1)


def balance(
    context: typer.Context,
    output_dir: Annotated[Path, typer.Option(help="Folder to be made; the other splits go there as they are.")],
    input_dir: Data = None,
    method: Annotated[
        str,
        typer.Option(help="borderline-smote or augment; weighted makes no faces, see training.weighted."),
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
    import shutil
    import tempfile

    with extra("balancing", "report"):
        from cmaen.data.balancing import BLOCK, shares, sheet
        from cmaen.data.balancing import balance as run
        from cmaen.data.faces import find_data, load_faces
        from cmaen.data.labelling import ALL
        from cmaen.data.splits import Split
        from cmaen.data.tree import MANIFEST, png, write_tree
        from cmaen.evaluation import plots
        from cmaen.files import replacing, write_text
        from cmaen.locks import LOCK

    alone(context, output_dir)
    if any(path.name != LOCK for path in output_dir.iterdir()):
        raise OutputError(f"{output_dir} is not empty; choose another folder")
    input_dir = input_dir or find_data()
    labels = ALL if all_labels else None
    faces = load_faces(input_dir, Split.parse(split), colour=colour, labels=labels)
    stats = {"method": method, "seed": seed, "source": faces.fingerprint()}
    if method == WEIGHTED:
        weights = shares(faces)
        write_text(
            output_dir / "dataset_stats.json",
            json.dumps(stats | {"before": faces.counts(), "weights": weights}, indent=2) + "\n",
        )
        typer.echo("no faces were made: train with --set training.weighted=true, which draws every emotion as often")
        return
    balanced = run(faces, target=target, method=method, seed=seed)
    counts = balanced.stats()
    with tempfile.TemporaryDirectory(dir=output_dir, prefix=".balance-") as name:
        draft = Path(name)
        write_tree(progress(balanced.blocks(), "blocks of faces", len(balanced) // BLOCK + 1), draft)
        for other in (Split.VALIDATION, Split.TEST):
            with _said_where_missing():
                write_tree(load_faces(input_dir, other, colour=colour, labels=labels), draft)
        if (input_dir / MANIFEST).is_file():
            shutil.copy(input_dir / MANIFEST, draft)
        for part in draft.iterdir():
            shutil.move(part, output_dir / part.name)
    made = list(counts["synthetic"].values())
    kept = [after - new for after, new in zip(counts["after"].values(), made, strict=True)]
    write_text(
        output_dir / "balance.svg", plots.svg(plots.counts(list(counts["before"].values()), kept, made, faces.classes))
    )
    with replacing(output_dir / "synthetic.png") as temporary:
        temporary.write_bytes(png(sheet(balanced)))
    write_text(output_dir / "dataset_stats.json", json.dumps(stats | {"target": target, **counts}, indent=2) + "\n")
    typer.echo(f"{len(balanced):,} faces, {sum(made):,} of them made: {output_dir}")


@contextmanager
def _said_where_missing() -> Iterator[None]:
    try:
        yield
    except SplitError as error:
        typer.echo(f"left out: {error}", err=True)
