"""``cmaen train``, ``cmaen ablate`` and ``cmaen export``: from data to a checkpoint, and to the file of an engine."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cmaen.checkpoints import Checkpoint
from cmaen.cli.console import Data, Device, Verbose, alone, bar, extra, in_a_shell, keep_freed_memory, log
from cmaen.errors import OutputError
from cmaen.files import check_place

if TYPE_CHECKING:
    from cmaen.training.config import Config

Votes = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="CSV of the FER+ votes, or none. Default: auto, the votes that come with cmaen, for the faces of FER2013.",
    ),
]
TrunkWeights = Annotated[
    str | None,
    typer.Option(
        "--trunk-weights",
        "--backbone-weights",
        help="Weights that the trunk starts from: a published name, a file, or the folder of a checkpoint.",
    ),
]
SideWeights = Annotated[
    str | None, typer.Option(help="Weights that the side starts from, named like those of the trunk.")
]
Settings = Annotated[
    list[str] | None, typer.Option("--set", help="Any other key of the configuration, like model.side=null.")
]


def train(
    config: Annotated[Path | None, typer.Option(help="YAML file of the run; default: the paper's settings.")] = None,
    data: Data = None,
    votes: Votes = None,
    trunk_weights: TrunkWeights = None,
    side_weights: SideWeights = None,
    initial_weights: Annotated[
        str | None,
        typer.Option(
            help="Checkpoint to go on from, such as cmaen-m; without a --config its architecture is kept, and for "
            "labels of your own it gets new heads."
        ),
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Folder of the run.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs to train.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images in a batch.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Highest learning rate.")] = None,
    seed: Annotated[int | None, typer.Option(help="Random seed.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:1 (the second GPU) or mps.")] = None,
    settings: Settings = None,
    resume: Annotated[bool, typer.Option("--resume", help="Resume an interrupted run that writes to OUTPUT.")] = False,
    verbose: Verbose = False,
) -> None:
    """Train a network; the best one by validation accuracy is kept in OUTPUT/best."""
    _begin(verbose)
    with extra("training", "train"):
        from lightning.pytorch.utilities import rank_zero_only

        from cmaen.training.config import change, configure_fine_tuning, load_config, parse_overrides
        from cmaen.training.run import train as run
    begins = Checkpoint.open(initial_weights).folder if initial_weights else None
    options = {
        "data.path": data,
        "data.votes": votes,
        "trunk_weights": trunk_weights,
        "side_weights": side_weights,
        "initial_weights": begins,
        "output": output,
        "training.epochs": epochs,
        "training.batch_size": batch_size,
        "optimiser.learning_rate": learning_rate,
        "training.device": device,
        "seed": seed,
    }
    overrides = _drop_unset(options) | parse_overrides(settings or [])
    if begins and config is None:
        plan = _with_data(change(configure_fine_tuning(begins), overrides))
    else:
        plan = _with_data(load_config(config, overrides))
    rank_zero_only(_say_what_is_next)(run(plan, resume=resume), plan)


def train_enhancer(
    config: Annotated[Path, typer.Option(help="YAML file of the run.")],
    data: Annotated[list[Path] | None, typer.Option(help="Folder of colour faces; once for each.")] = None,
    output: Annotated[Path | None, typer.Option(help="Folder of the run.")] = None,
    settings: Settings = None,
    resume: Annotated[bool, typer.Option("--resume", help="Resume an interrupted run that writes to OUTPUT.")] = False,
    verbose: Verbose = False,
) -> None:
    """Train a light network of super-resolution or colour, for cmaen enhance."""
    _begin(verbose)
    with extra("training an enhancer", "enhance"):
        from cmaen.training.config import load_enhancer_config, parse_overrides
        from cmaen.training.enhancers import train_enhancer as run
    options = {"data": data, "output": output}
    overrides = _drop_unset(options) | parse_overrides(settings or [])
    typer.echo(f"weights: {run(load_enhancer_config(config, overrides), resume=resume)}")


def ablate(
    context: typer.Context,
    config: Annotated[Path, typer.Option(help="YAML file of the run that the variants change.")],
    data: Data = None,
    votes: Votes = None,
    trunk_weights: TrunkWeights = None,
    side_weights: SideWeights = None,
    output: Annotated[Path | None, typer.Option(help="Folder of the runs and of the table.")] = None,
    seeds: Annotated[
        list[int] | None,
        typer.Option(
            "--seed", help="Random seed, once for each; every variant is trained with each of them. Default: 0."
        ),
    ] = None,
    variants: Annotated[list[str] | None, typer.Option("--variant", help="Default: all.")] = None,
    variants_of: Annotated[
        Path | None,
        typer.Option(
            "--variants", help="YAML file of other variants, like enhanced faces; default: parts of the network."
        ),
    ] = None,
    settings: Settings = None,
    verbose: Verbose = False,
) -> None:
    """Train the network again with one thing changed after the other, and tabulate; called again, it goes on."""
    _begin(verbose)
    with extra("the ablation study", "report"):
        from cmaen.evaluation import plots
        from cmaen.files import write_text
        from cmaen.training import ablation
        from cmaen.training.config import load_config, parse_overrides, read_variants
    options = {
        "data.path": data,
        "data.votes": votes,
        "trunk_weights": trunk_weights,
        "side_weights": side_weights,
        "output": output,
    }
    run = _with_data(load_config(config, _drop_unset(options) | parse_overrides(settings or [])))
    alone(context, run.output)
    known = read_variants(variants_of) if variants_of else ablation.VARIANTS
    chosen = ablation.choose_variants(variants or list(known), known)
    rows = ablation.ablate(run, seeds or [0], variants=chosen, progress=bar("runs"))
    budget = ablation.describe_budget(run, seeds or [0])
    table = ablation.format_table(rows, budget)
    differences = [(row.variant, *row.difference) for row in rows if row.difference is not None]
    write_text(run.output / "ablation.md", table)
    write_text(run.output / "ablation.json", ablation.format_json(rows, budget))
    if differences:
        write_text(run.output / "ablation.svg", plots.svg(plots.compare(*zip(*differences, strict=True))))
    typer.echo(table)


def answers(
    checkpoint: Annotated[str, typer.Option(metavar="NAME", help="Teacher: a checkpoint's name or folder.")],
    output: Annotated[Path, typer.Option(help="File, ending in .npz, for distillation.teachers.")],
    data: Data = None,
    device: Device = "cpu",
    verbose: Verbose = False,
) -> None:
    """Keep what a network says of the faces of Training, under 2 MB, for others to learn from without its weights."""
    log(verbose)
    keep_freed_memory()
    with extra("distillation", "train"):
        from cmaen.data.faces import find_data, load_for
        from cmaen.data.splits import Split
        from cmaen.training.answers import ANSWERS, KeptAnswers
    if output.suffix != ANSWERS:
        raise OutputError(f"{output} must end in {ANSWERS}")
    check_place(output)
    opened = Checkpoint.open(checkpoint)
    faces = load_for(opened.card, data or find_data(), Split.TRAIN)
    kept = KeptAnswers.ask(faces, opened, bar("batches"), device=device)
    kept.write(output)
    typer.echo(f"the answers of {kept.about['name']} to {kept.logits.shape[1]} faces: {output}")


def average(
    checkpoints: Annotated[
        list[str], typer.Option("--checkpoint", metavar="NAME", help="Name or folder; once for each.")
    ],
    output: Annotated[Path, typer.Option(help="Folder of the new checkpoint.")],
    weights: Annotated[
        list[float] | None,
        typer.Option("--weight", help="Weight of each checkpoint, in the same order; default: all alike."),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="FER2013, to measure the average on its validation split, for its card.")
    ] = None,
    votes: Votes = None,
    verbose: Verbose = False,
) -> None:
    """Average the weights of networks that went on from the same one: often better than either, and one network."""
    log(verbose)
    keep_freed_memory()
    with extra("averaging", "train"):
        from cmaen.averaging import average as run
    result = run(checkpoints, output, weights=weights, data=data, votes=votes or "auto")
    typer.echo(f"averaged checkpoint: {output}")
    if result.measured is not None:
        plain, *perceived = result.measured.schemes.values()
        typer.echo(f"{result.split}: accuracy {plain.accuracy:.2%}, macro-F1 {plain.macro_f1:.4f}")
        for figures in perceived:
            typer.echo(f"{result.split}: FER+ majority {figures.accuracy:.2%}")


def export(
    checkpoint: Annotated[str, typer.Option(metavar="NAME", help="Checkpoint with a model.safetensors.")],
    output: Annotated[Path | None, typer.Option(help="Folder for the file; default: beside the weights.")] = None,
    engine: Annotated[str, typer.Option("--format", help="onnx or openvino.")] = "onnx",
    precision: Annotated[
        str, typer.Option(help="fp32, fp16 (half the size, computed in 32 bits), bf16 (OpenVINO only) or int8.")
    ] = "fp16",
    data: Annotated[
        Path | None, typer.Option(help="FER2013, to compare the networks on its validation split; int8 needs it.")
    ] = None,
    votes: Votes = None,
    verbose: Verbose = False,
) -> None:
    """Export to ONNX or OpenVINO, and check that the result matches."""
    log(verbose)
    keep_freed_memory()
    with extra("exporting", "train"):
        from cmaen.data.faces import load_for
        from cmaen.data.ferplus import AUTO, with_votes
        from cmaen.data.splits import Split
        from cmaen.export import export as run
    opened = Checkpoint.open(checkpoint)
    card = opened.card
    training = load_for(card, data, Split.TRAIN) if data else None
    validation = with_votes(load_for(card, data, Split.VALIDATION), votes or AUTO) if data else None
    parity = run(opened, output, engine=engine, precision=precision, training=training, validation=validation)
    typer.echo(
        f"on {parity.faces} {'faces' if data else 'images of noise'} probabilities differ by {parity.difference:.1e} "
        f"at most, {parity.agreement:.1%} of the answers agree, and accuracy changes by {-parity.accuracy_loss:+.2%}"
    )


def _say_what_is_next(best: Path, plan: Config) -> None:
    """Name the checkpoint of a run, and the commands that measure it and predict with it: by default others do."""
    data: list[str | Path] = ["--data", plan.data.path] if plan.data.path else []
    votes: list[str | Path] = ["--votes", plan.data.votes] if isinstance(plan.data.votes, Path) else []
    typer.echo(f"best checkpoint: {best}\nnext:")
    commands: tuple[tuple[str | Path, ...], ...] = (
        ("test", "--checkpoint", best, *data, *votes),
        ("export", "--checkpoint", best),
        ("inference", "--checkpoint", best, "--image", "PHOTO"),
    )
    for words in commands:
        typer.echo(f"  {in_a_shell('cmaen', *words)}")


def _begin(verbose: bool) -> None:
    """Keep memory, and log the epochs where no progress bar shows them, and always what a run computes in."""
    keep_freed_memory()
    log(verbose or not sys.stderr.isatty())
    logging.getLogger("cmaen.training.precision").setLevel(logging.INFO)


def _with_data(config: Config) -> Config:
    """The configuration with the data that lie where they are looked for, if it names none."""
    from cmaen.data.faces import find_data
    from cmaen.training.config import change

    return config if config.data.path else change(config, {"data.path": find_data()})


def _drop_unset(options: dict[str, Any]) -> dict[str, Any]:
    """Those that the command line names."""
    return {key: value for key, value in options.items() if value is not None}
