"""``cmaen test``, ``calibrate``, ``leaks`` and ``benchmark``: how good, how honest and how fast."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cmaen.cli.console import (
    Checkpoint,
    Data,
    EngineDevice,
    EngineName,
    SchemeName,
    Verbose,
    alone,
    bar,
    extra,
    keep_freed_memory,
    log,
    progress,
)
from cmaen.cli.splits import load_split, without_copies_of
from cmaen.errors import OutputError, SplitError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cmaen.card import Card
    from cmaen.data.splits import FaceSet
    from cmaen.engines import Engine
    from cmaen.evaluation.perceived import PerceivedAssessment


def test(
    context: typer.Context,
    data: Data = None,
    split: Annotated[
        str | None,
        typer.Option(
            help="validation, test, both with a comma, or inner (the tenth of Training that data.inner_validation "
            "holds out). Default: validation; test where the data have a test split and no validation split."
        ),
    ] = None,
    checkpoint: Checkpoint = None,
    output: Annotated[
        Path | None,
        typer.Option(help="Folder for report.html, its pictures, metrics.json, metrics.csv and predictions.csv."),
    ] = None,
    votes: Annotated[
        Path | None,
        typer.Option(help="CSV of the FER+ votes: also measure the answers against what annotators saw."),
    ] = None,
    photographs: Annotated[
        Path | None,
        typer.Option(help="CSV of file and label: also measure these photographs, after finding the faces in them."),
    ] = None,
    pictures: Annotated[
        Path | None,
        typer.Option(help="Folder or zip of the files that --photographs names. Default: the folder of the CSV."),
    ] = None,
    scheme: SchemeName = None,
    without_copies: Annotated[
        bool, typer.Option("--without-copies", help="Also measure without the images that are in Training too.")
    ] = False,
    by: Annotated[
        str | None,
        typer.Option(help="Also measure by the values of a column of the CSV, such as an age or a skin tone."),
    ] = None,
    tta: Annotated[
        bool, typer.Option("--tta", help="Also measure with each face and its mirror image averaged.")
    ] = False,
    robustness: Annotated[
        bool, typer.Option("--robustness", help="Also measure eight corruptions at five severities (takes minutes).")
    ] = False,
    engine: EngineName = "auto",
    device: EngineDevice = "cpu",
    verbose: Verbose = False,
) -> None:
    """Evaluate a checkpoint on labelled faces or photographs, under all of its label schemes unless one is named."""
    log(verbose)
    keep_freed_memory()
    import numpy as np

    from cmaen.card import folder_of, read_card, shipped_checkpoint
    from cmaen.cli.tables import show_calibration, show_checkpoint, show_headline, show_perceived, show_robustness
    from cmaen.data.faces import by_column, find_data
    from cmaen.data.ferplus import with_votes
    from cmaen.data.tree import require_enhancement
    from cmaen.engines import build_engine, probabilities, resolved
    from cmaen.evaluation.assessment import ALL_FACES, assess, metrics_csv, predictions_csv
    from cmaen.evaluation.run import logits_of
    from cmaen.files import write_text
    from cmaen.types import PERCEIVED

    if output is not None:
        if output.exists() and not output.is_dir():
            raise OutputError(f"{output} is not a folder; the report needs one")
        alone(context, output)
        with extra("the report", "report"):
            from cmaen.cli.report import history_of, look_inside, measure_cost
            from cmaen.evaluation.report import PAGE, draw_report
    folder = folder_of(checkpoint or shipped_checkpoint())
    engine = resolved(engine, folder)
    card = read_card(folder)
    show_checkpoint(card, folder, is_default=checkpoint is None)
    schemes = list(card.schemes) if scheme is None else [card.resolve_scheme(scheme)]
    figures: dict[str, Any] = {"checkpoint": card.name, "engine": engine}
    if photographs is not None:
        figures["photographs"] = _measure_photographs(photographs, pictures, folder, schemes, engine, device)
        if data is None:
            if output is not None:
                write_text(output / "metrics.json", json.dumps(figures, indent=2) + "\n")
            return
    data = data or find_data()
    require_enhancement(data, card.enhancement)
    faces = with_votes(load_split(card, data, split), votes)
    subsets: dict[str, FaceSet] = {}
    if without_copies or output is not None:
        try:
            subsets = without_copies_of(faces, card, data, split)
        except SplitError as error:
            if without_copies:
                raise
            typer.echo(f"not measured without copies: {error}", err=True)
    if by is not None:
        subsets |= {f"{by} {value}": group for value, group in by_column(faces, data, by).items()}
    network = build_engine(engine, folder, device=device)
    first, *_ = card.schemes
    measured = first if first in schemes else None
    logits = logits_of(faces, card.preprocess, network, progress=bar("batches"))
    temperature = card.schemes[first].temperature
    assessment = assess(faces, logits, temperature=temperature, rng=np.random.default_rng(0), subsets=subsets)
    if measured:
        for name, headline in assessment.headlines.items():
            show_headline(f"{faces.title}, {name}, scheme {first}", headline)
        show_calibration(assessment)
        figures |= assessment.as_dict()
    if tta and measured:
        mirrored = logits_of(faces, card.preprocess, network, mirrored=True, progress=bar("mirrored batches"))
        both = assess(
            faces, (logits + mirrored) * np.float32(0.5), temperature=temperature, rng=np.random.default_rng(0)
        )
        show_headline(f"{faces.title}, with test-time augmentation", both.headlines[ALL_FACES])
        figures["with_test_time_augmentation"] = both.as_dict()
    perceived = _measure_perceived(faces, card, network, schemes) if faces.votes is not None else {}
    for name, found in perceived.items():
        show_perceived(f"{faces.title}, what annotators saw, scheme {name}", found)
    figures["perceived"] = {name: found.as_dict() for name, found in perceived.items()}
    if robustness:
        figures["robustness"] = _measure_robustness(faces, card, network, schemes)
        for name, curves in figures["robustness"].items():
            show_robustness(f"scheme {name}", curves)
    if output is not None:
        cost = measure_cost(folder, card, engine)
        figures["cost"] = cost.as_dict()
        report = draw_report(
            card,
            faces,
            logits,
            assessment,
            perceived=perceived.get(PERCEIVED),
            robustness=figures.get("robustness", {}).get(first, {}).get("accuracy"),
            inside=look_inside(folder, faces),
            history=history_of(folder, card),
            cost=cost,
        )
        answers = probabilities(logits, temperature)
        for name, text in {
            "metrics.json": json.dumps(figures, indent=2) + "\n",
            "metrics.csv": metrics_csv(assessment),
            "predictions.csv": predictions_csv(faces, answers),
        }.items():
            write_text(output / name, text)
        report.write(output)
        typer.echo(f"report: {output / PAGE}")


def calibrate(
    checkpoint: Annotated[Path, typer.Option(help="Folder of a checkpoint; its card is rewritten.")],
    data: Data = None,
    votes: Annotated[
        Path | None, typer.Option(help="CSV of the FER+ votes, which the scheme perceived is calibrated on.")
    ] = None,
    engine: EngineName = "auto",
    verbose: Verbose = False,
) -> None:
    """Fit the temperature of each label scheme on the validation split, so that "0.8" means 80 %, and keep it."""
    log(verbose)
    keep_freed_memory()
    from cmaen.card import folder_of, read_card
    from cmaen.data.faces import find_data, load_for
    from cmaen.data.ferplus import with_votes
    from cmaen.data.splits import Split
    from cmaen.data.tree import require_enhancement
    from cmaen.evaluation.run import calibrate as fit
    from cmaen.types import PERCEIVED

    folder = folder_of(checkpoint)
    card, data = read_card(folder), data or find_data()
    require_enhancement(data, card.enhancement)
    faces = load_for(card, data, Split.VALIDATION)
    copies = "without"
    try:
        faces = without_copies_of(faces, card, data, Split.VALIDATION.folder)["without near copies"]
    except SplitError as error:
        copies = "with"
        typer.echo(f"copies are not left out: {error}", err=True)
    faces = with_votes(faces, votes)
    if votes is None and PERCEIVED in card.schemes:
        typer.echo("perceived is not calibrated: it needs --votes, the CSV of the FER+ votes", err=True)
    for scheme, fitted in fit(folder, faces, engine=engine, copies=copies, progress=bar("batches")).items():
        typer.echo(
            f"{scheme}: temperature {fitted.temperature:.4f}, fitted on {fitted.faces} faces of {faces.title} {copies} "
            f"copies; ECE, equal mass: {fitted.before:.4f} before, {fitted.cross_fitted:.4f} cross-fitted"
        )
        if fitted.confidence_temperature is not None:
            typer.echo(
                f"{scheme}: temperature of the confidence {fitted.confidence_temperature:.4f}; error of the shares "
                f"{fitted.share_error:.4f}, cross-fitted"
            )


def leaks(
    data: Data = None,
    first: Annotated[str, typer.Option(help="A split.")] = "train",
    second: Annotated[str, typer.Option(help="Another split.")] = "validation",
    output: Annotated[Path | None, typer.Option(help="Write the pairs to a .csv file.")] = None,
    verbose: Verbose = False,
) -> None:
    """List the images that stand in two splits: exact copies, near ones and mirrored ones."""
    log(verbose)
    import csv
    import io
    from collections import Counter

    from cmaen.data.faces import find_data, load_faces
    from cmaen.data.labelling import ALL
    from cmaen.data.leakage import find_copies
    from cmaen.data.splits import Split
    from cmaen.files import write_text

    data = data or find_data()
    one, other = (load_faces(data, Split.parse(name), labels=ALL) for name in (first, second))
    copies = find_copies(one, other)
    for kind, count in sorted(Counter(copy.kind for copy in copies).items()):
        images = len({copy.second for copy in copies if copy.kind == kind})
        typer.echo(f"{kind}: {count} pairs, {images} images of {other.title}")
    affected = len({copy.second for copy in copies})
    conflicts = sum(one.labels[copy.first] != other.labels[copy.second] for copy in copies)
    typer.echo(f"together: {affected} of {len(other)} images of {other.title}; {conflicts} pairs differ in label")
    if output is not None:
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, ("kind", "first", "first_label", "second", "second_label", "correlation"))
        writer.writeheader()
        writer.writerows(copy.row(one, other) for copy in copies)
        write_text(output, text.getvalue())


def benchmark(
    checkpoint: Checkpoint = None,
    engines: Annotated[list[str] | None, typer.Option("--engine", help="Engines; default: onnx.")] = None,
    batch_sizes: Annotated[list[int] | None, typer.Option("--batch-size", help="Default: 1 and 64.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Default: all cores.")] = None,
    scheme: SchemeName = None,
    output: Annotated[Path | None, typer.Option(help="Write the figures to a .json file.")] = None,
) -> None:
    """Time a checkpoint from face crops to logits, and compare it with this machine's limits."""
    from rich.console import Console
    from rich.table import Table

    from cmaen.card import folder_of, read_card, shipped_checkpoint
    from cmaen.cli.tables import show_checkpoint
    from cmaen.files import write_text
    from cmaen.inference.benchmark import measure_machine, measure_speed

    folder = folder_of(checkpoint or shipped_checkpoint())
    show_checkpoint(read_card(folder), folder, is_default=checkpoint is None)
    scheme = read_card(folder).resolve_scheme(scheme)
    machine = measure_machine(threads)
    pairs = [(name, size) for name in engines or ["onnx"] for size in batch_sizes or [1, 64]]
    speeds = [
        measure_speed(name, folder, size, threads, machine, scheme)
        for name, size in progress(pairs, "engines", len(pairs))
    ]
    table = Table("engine", "batch", "ms", "quartiles", "faces/s", "MiB", "limits, ms", "of arithmetic's limit")
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
            "?" if speed.arithmetic_limit is None else f"{speed.milliseconds / speed.arithmetic_limit:.2f} ×",
        )
    Console().print(table)
    cost = read_card(folder).cost
    if cost:
        typer.echo(f"{cost['parameters'] / 1e6:.2f} million parameters, {cost['flops'] / 1e6:.0f} MFLOP a face")
    for name, size in sorted({(speed.engine, speed.file_mib) for speed in speeds}):
        typer.echo(f"{name}: a file of {size:.1f} MiB")
    typer.echo(
        f"limits: of arithmetic at {machine.gflops:.0f} GFLOP/s in float32, of memory at {machine.bandwidth:.1f} GB/s, "
        "as measured here"
    )
    if output is not None:
        values = {"machine": machine._asdict(), "cost": cost, "speeds": [speed.as_dict() for speed in speeds]}
        write_text(output, json.dumps(values, indent=2) + "\n")


def _measure_perceived(
    faces: FaceSet, card: Card, network: Engine, schemes: Sequence[str]
) -> dict[str, PerceivedAssessment]:
    """The answers under each label scheme of emotions against the annotators' votes."""
    import numpy as np

    from cmaen.engines import answering, probabilities
    from cmaen.evaluation.perceived import assess_perceived
    from cmaen.evaluation.run import logits_of

    found = {}
    for scheme in schemes:
        logits = logits_of(faces, card.preprocess, answering(network, scheme), progress=bar("batches"))
        answers = probabilities(logits, card.schemes[scheme].temperature)
        sharpening = card.schemes[scheme].sharpening
        found[scheme] = assess_perceived(faces, answers, np.random.default_rng(0), sharpening=sharpening)
    return found


def _measure_robustness(
    faces: FaceSet, card: Card, network: Engine, schemes: Sequence[str]
) -> dict[str, dict[str, dict[str, list[float]]]]:
    """Accuracy and calibration error by scheme; of ``perceived`` against the annotators' majority."""
    import numpy as np

    from cmaen.data.ferplus import majority
    from cmaen.engines import answering
    from cmaen.evaluation.assessment import measure_robustness
    from cmaen.types import PERCEIVED

    found = {}
    for scheme in schemes:
        if scheme == PERCEIVED and faces.votes is None:
            typer.echo("the robustness of perceived is not measured: it needs --votes", err=True)
            continue
        found[scheme] = measure_robustness(
            faces,
            card.preprocess,
            answering(network, scheme),
            np.random.default_rng(0),
            bar(f"corruptions, {scheme}"),
            labels=majority(faces) if scheme == PERCEIVED else None,
            temperature=card.schemes[scheme].confidence_temperature or card.schemes[scheme].temperature,
        )
    return found


def _measure_photographs(
    labels: Path, pictures: Path | None, folder: Path, schemes: Sequence[str], engine: str, device: str
) -> dict[str, Any]:
    """Photographs as a user has them: the answer for the largest face that is found."""
    import numpy as np

    from cmaen.cli.tables import show_photographs
    from cmaen.evaluation.photographs import measure_photographs, read_photographs
    from cmaen.inference.predictor import EmotionPredictor

    predictor = EmotionPredictor(folder, engine=engine, device=device)
    found = {}
    for scheme in schemes:
        photographs = list(read_photographs(labels, pictures))
        results = predictor.under(scheme).predict_each([photograph.content for photograph in photographs])
        answers = [
            result.faces[0].emotion if result.faces else None
            for result in progress(results, "photographs", len(photographs))
        ]
        truth = [photograph.label for photograph in photographs]
        figures = measure_photographs(truth, answers, np.random.default_rng(0))
        show_photographs(f"{labels.name}, scheme {scheme}", figures)
        found[scheme] = figures.as_dict()
    return found
