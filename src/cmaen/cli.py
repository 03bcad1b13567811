"""The command line: one short function a verb. Heavy imports happen inside them, so that ``--help`` answers at once."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cmaen.errors import CmaenError, MissingExtraError, OutputError

if TYPE_CHECKING:
    from cmaen.evaluation.metrics import Metrics

app = typer.Typer(
    help="Facial emotion recognition: train, test and use the Cross-Modal Attention Emotion Network.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Checkpoint = Annotated[Path | None, typer.Option(help="Folder of a checkpoint; default: the shipped weights.")]
EngineName = Annotated[str, typer.Option("--engine", help="onnx or torch.")]
Data = Annotated[Path, typer.Option(help="FER2013: a folder tree, its zip, or the Kaggle CSV.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say more of what happens.")]


@app.command()
def inference(
    image: Annotated[Path | None, typer.Option(help="One image.")] = None,
    directory: Annotated[Path | None, typer.Option(help="All images of a folder and the folders in it.")] = None,
    output: Annotated[Path | None, typer.Option(help="Write the results to a .json, .jsonl or .csv file.")] = None,
    annotated: Annotated[
        Path | None, typer.Option(help="Draw the faces: a picture file with --image, a folder with --directory.")
    ] = None,
    detect: Annotated[bool, typer.Option(help="Find the faces first; --no-detect: the images are face crops.")] = True,
    detector: Annotated[str, typer.Option(help="auto, centerface, haar, or yunet:MODEL.onnx.")] = "auto",
    batch_size: Annotated[int, typer.Option(min=1, help="Images whose faces are judged together.")] = 32,
    checkpoint: Checkpoint = None,
    engine: EngineName = "onnx",
    verbose: Verbose = False,
) -> None:
    """Recognise the emotions of the faces in an image or in a folder of images."""
    _log(verbose)
    from cmaen.images import printable
    from cmaen.inference.outputs import check_output, write_results
    from cmaen.inference.predictor import EmotionPredictor

    if (image is None) == (directory is None):
        raise CmaenError("give either --image or --directory")
    if output is not None:
        check_output(output)
    paths = [image] if image is not None else _images_in(directory or Path())
    predictor = EmotionPredictor(checkpoint, detector=detector, engine=engine)
    results = []
    predictions = predictor.predict_each(paths, detect, batch_size)
    for path, prediction in zip(paths, _progress(predictions, "images", len(paths)), strict=True):
        result = {"path": printable(path), **prediction.as_dict()}
        results.append(result)
        if annotated is not None and result["faces"]:
            _draw(path, result, annotated if image is not None else annotated / path.relative_to(directory or Path()))
    if output is not None:
        write_results(output, results)
    _show(results, quiet=output is not None and image is None)
    if not any(result["status"] != "error" for result in results):
        raise typer.Exit(1)


@app.command()
def train(
    config: Annotated[Path | None, typer.Option(help="YAML file of the run; default: the paper's settings.")] = None,
    data: Annotated[Path | None, typer.Option(help="FER2013: a folder tree, its zip, or the Kaggle CSV.")] = None,
    votes: Annotated[Path | None, typer.Option(help="CSV of the FER+ votes.")] = None,
    backbone_weights: Annotated[
        str | None, typer.Option(help="Published name or file that the backbone starts from.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Folder of the run.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs to train.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images in a batch.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Highest learning rate.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of all randomness.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Any other key of the configuration: --set model.ecnn=false")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the output folder.")] = False,
    verbose: Verbose = False,
) -> None:
    """Train a network; the best one by validation accuracy is kept in OUTPUT/best."""
    _log(verbose or not sys.stderr.isatty())
    with _extra("training", "train"):
        from lightning.pytorch.utilities import rank_zero_only

        from cmaen.config import load_config, parse_overrides
        from cmaen.training.run import train as run
    overrides = {
        "data.path": _text(data),
        "data.votes": _text(votes),
        "backbone_weights": backbone_weights,
        "output": _text(output),
        "training.epochs": epochs,
        "training.batch_size": batch_size,
        "training.learning_rate": learning_rate,
        "seed": seed,
        **parse_overrides(settings or []),
    }
    rank_zero_only(typer.echo)(f"best checkpoint: {run(load_config(config, overrides), resume=resume)}")


@app.command()
def test(
    data: Data,
    split: Annotated[str, typer.Option(help="validation or test.")] = "validation",
    checkpoint: Checkpoint = None,
    output: Annotated[Path | None, typer.Option(help="Write the figures to a .json file.")] = None,
    without_copies: Annotated[
        bool, typer.Option("--without-copies", help="Also measure without the images that stand in Training too.")
    ] = False,
    tta: Annotated[
        bool, typer.Option("--tta", help="Also measure with each face and its mirror image averaged.")
    ] = False,
    engine: EngineName = "onnx",
    verbose: Verbose = False,
) -> None:
    """Measure a checkpoint on a split of FER2013: one crop, and what is asked for beside it."""
    _log(verbose)
    from cmaen.card import read_card
    from cmaen.data.fer2013 import load_fer2013
    from cmaen.data.leakage import without_copies as leave_out
    from cmaen.data.splits import Split
    from cmaen.engines import build_engine
    from cmaen.evaluation.metrics import measure
    from cmaen.evaluation.run import logits_of
    from cmaen.files import write_text
    from cmaen.inference.predictor import shipped_checkpoint

    folder = checkpoint or shipped_checkpoint()
    spec, network = read_card(folder).preprocess, build_engine(engine, folder)
    chosen = Split.parse(split)
    faces = load_fer2013(data, chosen)
    sets = {"official": faces}
    if without_copies:
        training = load_fer2013(data, Split.TRAIN)
        sets["without exact copies"] = leave_out(faces, training, exact_only=True)
        sets["without near copies"] = leave_out(faces, training, exact_only=False)
    logits = logits_of(faces, spec, network, progress=_bar("batches"))
    predictions = logits.argmax(axis=1)
    row_of = {key: row for row, key in enumerate(faces.names)}
    figures = {}
    for name, some in sets.items():
        rows = [row_of[key] for key in some.names]
        figures[name] = measure(faces.labels[rows], predictions[rows])
    if tta:
        logits = logits + logits_of(faces, spec, network, mirrored=True, progress=_bar("mirrored batches"))
        figures["with test-time augmentation"] = measure(faces.labels, logits.argmax(axis=1))
    for name, metrics in figures.items():
        _show_metrics(f"{chosen.value}, {name}", metrics)
    if output is not None:
        values = {name: metrics.as_dict() for name, metrics in figures.items()}
        write_text(output, json.dumps({"split": chosen.value, "engine": engine, **values}, indent=2) + "\n")


@app.command()
def leaks(
    data: Data,
    first: Annotated[str, typer.Option(help="A split.")] = "train",
    second: Annotated[str, typer.Option(help="Another split.")] = "validation",
    output: Annotated[Path | None, typer.Option(help="Write the pairs to a .csv file.")] = None,
    verbose: Verbose = False,
) -> None:
    """List the images that stand in two splits: exact copies, near ones and mirrored ones."""
    _log(verbose)
    import csv
    import io
    from collections import Counter

    from cmaen.data.fer2013 import load_fer2013
    from cmaen.data.leakage import find_copies
    from cmaen.data.splits import Split
    from cmaen.files import write_text

    one, other = (load_fer2013(data, Split.parse(name)) for name in (first, second))
    copies = find_copies(one, other)
    for kind, count in sorted(Counter(copy.kind for copy in copies).items()):
        images = len({copy.second for copy in copies if copy.kind == kind})
        typer.echo(f"{kind}: {count} pairs, {images} images of {other.split.value}")
    affected = len({copy.second for copy in copies})
    conflicts = sum(one.labels[copy.first] != other.labels[copy.second] for copy in copies)
    typer.echo(f"together: {affected} of {len(other)} images of {other.split.value}; {conflicts} pairs differ in label")
    if output is not None:
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, ("kind", "first", "first_label", "second", "second_label", "correlation"))
        writer.writeheader()
        writer.writerows(copy.row(one, other) for copy in copies)
        write_text(output, text.getvalue())


@app.command()
def export(
    checkpoint: Annotated[Path, typer.Option(help="Folder with a model.safetensors.")], verbose: Verbose = False
) -> None:
    """Write a checkpoint's ONNX file, which predicting needs, beside its weights."""
    _log(verbose)
    with _extra("exporting", "train"):
        from cmaen.export import export_onnx
    parity = export_onnx(checkpoint)
    typer.echo(
        f"probabilities differ by {parity.max_difference:.1e} at most, {parity.agreement:.1%} of the answers agree"
    )


@app.command()
def benchmark(
    checkpoint: Checkpoint = None,
    engines: Annotated[list[str] | None, typer.Option("--engine", help="Engines; default: onnx.")] = None,
    batch_sizes: Annotated[list[int] | None, typer.Option("--batch-size", help="Default: 1 and 64.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Default: all cores.")] = None,
) -> None:
    """Time a checkpoint: milliseconds from face crops to logits, the median of 30 runs."""
    from cmaen.card import read_card
    from cmaen.engines import build_engine
    from cmaen.inference.latency import latency_ms
    from cmaen.inference.predictor import shipped_checkpoint

    folder = checkpoint or shipped_checkpoint()
    spec = read_card(folder).preprocess
    for name in engines or ["onnx"]:
        network = build_engine(name, folder, threads=threads)
        for size in batch_sizes or [1, 64]:
            typer.echo(f"{name:6} batch {size:3}: {latency_ms(network, spec, size):8.2f} ms")


def main() -> None:
    """Run the command line; an error of this project is one clear line and exit status 2."""
    try:
        app()
    except CmaenError as error:
        typer.secho(f"error: {error}", fg="red", err=True)
        sys.exit(2)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


@contextmanager
def _extra(feature: str, extra: str) -> Iterator[None]:
    """Turn the failed import of an optional dependency into advice."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingExtraError(feature, extra) from error


def _log(verbose: bool) -> None:
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("cmaen").setLevel(logging.INFO if verbose else logging.WARNING)


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _images_in(folder: Path) -> list[Path]:
    from cmaen.images import is_image_name

    if not folder.is_dir():
        raise CmaenError(f"{folder} is not a folder; for one image use --image")
    paths = sorted(path for path in folder.rglob("*") if is_image_name(path) and not path.is_dir())
    if not paths:
        raise CmaenError(f"{folder} holds no file whose name is an image's")
    return paths


def _progress(items: Iterable[Any], unit: str, total: int | None = None) -> Iterator[Any]:
    """The items, with a bar on a terminal and in silence elsewhere."""
    if not sys.stderr.isatty() or (total is not None and total < 2):
        yield from items
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(items, description=unit, total=total, console=Console(stderr=True))


def _bar(unit: str) -> Any:
    return lambda items: _progress(items, unit, len(items))


def _draw(path: Path, result: dict[str, Any], target: Path) -> None:
    """Draw the faces of one image; a picture that cannot be written is said and costs the others nothing."""
    from cmaen.images import read_image
    from cmaen.inference.annotate import annotate
    from cmaen.inference.outputs import write_picture

    try:
        if target.exists() and target.samefile(path):
            raise OutputError(f"{target} is the image itself; choose another place for the annotated picture")
        write_picture(target, annotate(read_image(path), result["faces"]))
    except OutputError as error:
        logging.getLogger(__name__).warning("%s", error)


def _show(results: list[dict[str, Any]], *, quiet: bool) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    if not quiet:
        table = Table("image", "face", "emotion", "confidence", "box: x, y, width, height")
        for result in results:
            name = Text(Path(result["path"]).name)
            if not result["faces"]:
                table.add_row(name, "", Text(result["error"] or "no face", style="red" if result["error"] else ""))
            for number, face in enumerate(result["faces"], start=1):
                box = ", ".join(f"{value:.0f}" for value in face["box"])
                table.add_row(name, str(number), face["predicted_emotion"], f"{face['confidence']:.1%}", box)
        console.print(table)
    failed = [result for result in results if result["status"] == "error"]
    if quiet:
        for result in failed:
            console.print(Text(f"{result['path']}: {result['error']}", style="red"), soft_wrap=True)
    faces = sum(len(result["faces"]) for result in results)
    counts = {"image": len(results), "face": faces, "error": len(failed)}
    text = ", ".join(f"{count} {noun}{'' if count == 1 else 's'}" for noun, count in counts.items())
    console.print(text, highlight=False)


def _show_metrics(title: str, metrics: Metrics) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("emotion", "precision", "recall", "F1", "faces", title=title)
    for emotion, figures in metrics.by_emotion.items():
        shares = (f"{value:.3f}" for value in (figures.precision, figures.recall, figures.f1))
        table.add_row(emotion, *shares, str(figures.support))
    console = Console()
    console.print(table)
    console.print(
        f"accuracy {metrics.accuracy:.2%}   macro-F1 {metrics.macro_f1:.4f}   {metrics.count} faces", highlight=False
    )


if __name__ == "__main__":
    main()
