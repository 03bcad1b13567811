"""``cmaen finetune``: a calibrated, exported and measured checkpoint from a folder of labelled faces."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cmaen.checkpoints import Checkpoint
from cmaen.cli.console import Names, Verbose, bar, extra, parse_names, progress
from cmaen.cli.panels import MODEL, OUTPUT, SOURCE
from cmaen.cli.runs import begin, choose_labels, drop_unset, name_settings, plan_fine_tuning, show_next
from cmaen.cli.training import BatchSize, Epochs, LearningRate, Resume, RunDevice, Seed
from cmaen.errors import ExportError

if TYPE_CHECKING:
    from cmaen.evaluation.evaluate import Evaluation

log = logging.getLogger(__name__)


def finetune(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER",
            show_default=False,
            help="Labelled faces: one folder per class, such as my-faces/happy/1.jpg; a published data set; a zip of "
            "either; or a CSV with the columns path and label.",
            rich_help_panel=SOURCE,
        ),
    ],
    names: Names = None,
    output: Annotated[
        Path | None,
        typer.Option(help="Folder of the run. Default: runs/ followed by the folder's name.", rich_help_panel=OUTPUT),
    ] = None,
    checkpoint: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="Checkpoint to start from: cmaen-m, cmaen-s or one of yours.", rich_help_panel=MODEL
        ),
    ] = "cmaen-m",
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    learning_rate: LearningRate = None,
    seed: Seed = None,
    device: RunDevice = None,
    resume: Resume = False,
    verbose: Verbose = False,
) -> None:
    """Adapt the shipped weights to your own labelled faces, then calibrate, export and test the result."""
    begin(verbose)
    meant = parse_names(names)
    labels = choose_labels(folder, meant)  # reports a faulty folder before PyTorch is loaded
    with extra("fine-tuning", "train"):
        from cmaen.training.run import train
    output = output or Path("runs") / (folder.resolve().stem or "finetuned")
    settings = {
        "data.path": folder,
        "data.labels": labels,
        "data.names": meant or None,
        "name": output.name,
        **drop_unset(name_settings(output, epochs, batch_size, learning_rate, device, seed)),
    }
    best = train(plan_fine_tuning(checkpoint, settings), resume=resume)
    _export(best, folder, meant)
    _calibrate(best, folder, meant)
    _show(_test(best, folder, meant), best, [folder, *(["--names", names] if names else [])])


def _export(best: Path, folder: Path, meant: dict[str, str]) -> None:
    """Write the ONNX file; without it, predictions work but are slower."""
    from cmaen.data.faces import load_for
    from cmaen.data.splits import Split
    from cmaen.export import export

    try:
        parity = export(best, validation=load_for(Checkpoint.open(best).card, folder, Split.VALIDATION, meant))
    except ExportError as error:
        log.warning("not exported, so PyTorch computes the answers: %s", error)
        return
    typer.echo(f"exported: probabilities differ by {parity.difference:.1e} at most")


def _calibrate(best: Path, folder: Path, meant: dict[str, str]) -> None:
    """Calibrate the confidences on the validation faces."""
    from cmaen.evaluation.calibrate import calibrate

    for fit in calibrate(best, folder, names=meant, progress=bar("batches")).fits.values():
        typer.echo(f"calibrated: temperature {fit.temperature:.3g}, fitted on {fit.faces:,} validation faces")


def _test(best: Path, folder: Path, meant: dict[str, str]) -> Evaluation:
    """Measure the checkpoint on the test split if the data have one, else on the validation split."""
    from cmaen.data.faces import list_splits
    from cmaen.data.splits import Split
    from cmaen.evaluation.evaluate import evaluate

    split = Split.TEST if Split.TEST in list_splits(folder) else Split.VALIDATION
    return evaluate(best, folder, split=split.folder, names=meant, progress=progress)


def _show(evaluation: Evaluation, best: Path, data: Sequence[str | Path]) -> None:
    """Show the table of figures, the measured faces and the next commands."""
    from cmaen.cli.tables import show_headline
    from cmaen.data.splits import Split
    from cmaen.drawing.lettering import write_count

    (headline, *_) = evaluation.assessment.headlines.values()
    faces = evaluation.faces
    show_headline(f"{write_count(len(faces), 'face')} of {faces.title}", headline)
    if faces.split is Split.VALIDATION:
        typer.echo(
            "these faces were also used to choose the epoch, so expect slightly worse results on new ones; "
            "add a folder test/ to measure them"
        )
    typer.echo(f"wrote {best}/")
    show_next(
        ("predict", "PHOTO", "--checkpoint", best),
        ("serve", "--checkpoint", best),
        ("test", "--checkpoint", best, "--data", *data, "--output", best.parent / "report"),
    )
