"""``cmaen train``, ``train-enhancer``, ``ablate``, ``answers``, ``average`` and ``export``."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cmaen.checkpoints import Checkpoint
from cmaen.cli.console import (
    Data,
    Device,
    Names,
    Verbose,
    alone,
    bar,
    extra,
    in_a_shell,
    keep_freed_memory,
    log,
    parse_names,
)
from cmaen.cli.panels import MODEL, OUTPUT, SOURCE, TRAINING
from cmaen.errors import OutputError
from cmaen.files import check_place

if TYPE_CHECKING:
    from cmaen.training.config import Config

Votes = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="CSV of the FER+ votes, or none. Default: auto, the votes that come with cmaen, for the faces of FER2013.",
        rich_help_panel=SOURCE,
    ),
]
TrunkWeights = Annotated[
    str | None,
    typer.Option(
        "--trunk-weights",
        "--backbone-weights",
        help="Initial weights of the trunk: a published name, a file, or the folder of a checkpoint.",
        rich_help_panel=MODEL,
    ),
]
SideWeights = Annotated[
    str | None,
    typer.Option(
        help="Initial weights of the side pathway: a published name, a file, or the folder of a checkpoint.",
        rich_help_panel=MODEL,
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set", help="Set another key of the configuration, such as model.side=null.", rich_help_panel=TRAINING
    ),
]
RunConfig = Annotated[Path, typer.Option(help="YAML file of the run.", rich_help_panel=TRAINING)]
RunOutput = Annotated[Path | None, typer.Option(help="Folder of the run.", rich_help_panel=OUTPUT)]
Epochs = Annotated[int | None, typer.Option(min=1, help="Epochs to train.", rich_help_panel=TRAINING)]
BatchSize = Annotated[int | None, typer.Option(min=2, help="Images per batch.", rich_help_panel=TRAINING)]
LearningRate = Annotated[float | None, typer.Option(help="Peak learning rate.", rich_help_panel=TRAINING)]
Seed = Annotated[int | None, typer.Option(min=0, help="Random seed.", rich_help_panel=TRAINING)]
RunDevice = Annotated[
    str | None,
    typer.Option(
        "--device", help="Device to run on: auto, cpu, cuda, cuda:1 (the second GPU) or mps.", rich_help_panel=TRAINING
    ),
]
Resume = Annotated[
    bool, typer.Option("--resume", help="Resume an interrupted run that writes to OUTPUT.", rich_help_panel=OUTPUT)
]


def train(
    config: Annotated[
        Path | None,
        typer.Option(help="YAML file of the run. Default: the paper's settings.", rich_help_panel=TRAINING),
    ] = None,
    data: Data = None,
    names: Names = None,
    votes: Votes = None,
    trunk_weights: TrunkWeights = None,
    side_weights: SideWeights = None,
    initial_weights: Annotated[
        str | None,
        typer.Option(
            help="Checkpoint to continue from, such as cmaen-m. Without --config its architecture is kept; labels of "
            "your own get new classifier heads.",
            rich_help_panel=MODEL,
        ),
    ] = None,
    output: RunOutput = None,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    learning_rate: LearningRate = None,
    seed: Seed = None,
    device: RunDevice = None,
    settings: Settings = None,
    resume: Resume = False,
    verbose: Verbose = False,
) -> None:
    """Train a network; the epoch with the best validation accuracy is kept in OUTPUT/best.

    For labels of your own, cmaen finetune is simpler.
    """
    begin(verbose)
    with extra("training", "train"):
        from lightning.pytorch.utilities import rank_zero_only

        from cmaen.training.config import change, configure_fine_tuning, load_config, parse_overrides
        from cmaen.training.run import train as run
    begins = Checkpoint.open(initial_weights).folder if initial_weights else None
    options = {
        "data.path": data,
        "data.names": parse_names(names) or None,
        "data.votes": votes,
        "trunk_weights": trunk_weights,
        "side_weights": side_weights,
        "initial_weights": begins,
        **name_settings(output, epochs, batch_size, learning_rate, device, seed),
    }
    overrides = drop_unset(options) | parse_overrides(settings or [])
    if begins and config is None:
        plan = _with_data(change(configure_fine_tuning(begins), overrides))
    else:
        plan = _with_data(load_config(config, overrides))
    rank_zero_only(_say_what_is_next)(run(plan, resume=resume), plan)


def train_enhancer(
    config: RunConfig,
    data: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of colour faces; repeat the option for more.", rich_help_panel=SOURCE),
    ] = None,
    output: RunOutput = None,
    settings: Settings = None,
    resume: Resume = False,
    verbose: Verbose = False,
) -> None:
    """Train a light super-resolution or colourisation network for cmaen enhance."""
    begin(verbose)
    with extra("training an enhancer", "enhance"):
        from cmaen.training.config import load_enhancer_config, parse_overrides
        from cmaen.training.enhancers import train_enhancer as run
    options = {"data": data, "output": output}
    overrides = drop_unset(options) | parse_overrides(settings or [])
    typer.echo(f"weights: {run(load_enhancer_config(config, overrides), resume=resume)}")


def ablate(
    context: typer.Context,
    config: RunConfig,
    data: Data = None,
    names: Names = None,
    votes: Votes = None,
    trunk_weights: TrunkWeights = None,
    side_weights: SideWeights = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder for the runs and the table.", rich_help_panel=OUTPUT)
    ] = None,
    seeds: Annotated[
        list[int] | None,
        typer.Option(
            "--seed",
            help="Random seed; repeat the option for more: every variant is trained with each. Default: 0.",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    variants: Annotated[
        list[str] | None,
        typer.Option(
            "--variant", help="Variant to train; repeat the option for more. Default: all.", rich_help_panel=TRAINING
        ),
    ] = None,
    variants_of: Annotated[
        Path | None,
        typer.Option(
            "--variants",
            help="YAML file of other variants. Default: each part of the network left out in turn.",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    settings: Settings = None,
    verbose: Verbose = False,
) -> None:
    """Run an ablation study; run it again to resume where it stopped."""
    begin(verbose)
    with extra("the ablation study", "report"):
        from cmaen.evaluation import plots
        from cmaen.files import write_text
        from cmaen.training import ablation
        from cmaen.training.config import load_config, parse_overrides, read_variants
    options = {
        "data.path": data,
        "data.names": parse_names(names) or None,
        "data.votes": votes,
        "trunk_weights": trunk_weights,
        "side_weights": side_weights,
        "output": output,
    }
    run = _with_data(load_config(config, drop_unset(options) | parse_overrides(settings or [])))
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
    checkpoint: Annotated[
        str,
        typer.Option(metavar="NAME", help="Teacher: the name or folder of a checkpoint.", rich_help_panel=MODEL),
    ],
    output: Annotated[
        Path, typer.Option(help="Output file ending in .npz, for distillation.teachers.", rich_help_panel=OUTPUT)
    ],
    data: Data = None,
    device: Device = "cpu",
    verbose: Verbose = False,
) -> None:
    """Save a model's predictions on the training set (under 2 MB) for distillation."""
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
        list[str],
        typer.Option(
            "--checkpoint",
            metavar="NAME",
            help="Name or folder of a checkpoint; repeat the option for each.",
            rich_help_panel=MODEL,
        ),
    ],
    output: Annotated[Path, typer.Option(help="Folder of the new checkpoint.", rich_help_panel=OUTPUT)],
    weights: Annotated[
        list[float] | None,
        typer.Option(
            "--weight", help="Weight of each checkpoint, in the same order. Default: equal.", rich_help_panel=MODEL
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Dataset on whose validation split the average is measured.", rich_help_panel=SOURCE),
    ] = None,
    votes: Votes = None,
    verbose: Verbose = False,
) -> None:
    """Average the weights of networks fine-tuned from the same one: often better than any of them, at the same size."""
    log(verbose)
    keep_freed_memory()
    with extra("averaging", "train"):
        from cmaen.averaging import average as run
    from cmaen.cli.tables import describe_accuracy

    result = run(checkpoints, output, weights=weights, data=data, votes=votes or "auto")
    typer.echo(f"averaged checkpoint: {output}")
    if result.measured is not None:
        plain, *perceived = result.measured.schemes.values()
        typer.echo(f"{result.split}: accuracy {describe_accuracy(plain)}, macro-F1 {plain.macro_f1:.4f}")
        for figures in perceived:
            typer.echo(f"{result.split}: FER+ majority {describe_accuracy(figures)}")


def export(
    checkpoint: Annotated[
        str, typer.Option(metavar="NAME", help="Checkpoint with a model.safetensors.", rich_help_panel=MODEL)
    ],
    output: Annotated[
        Path | None, typer.Option(help="Folder for the file. Default: beside the weights.", rich_help_panel=OUTPUT)
    ] = None,
    engine: Annotated[str, typer.Option("--format", help="onnx or openvino.", rich_help_panel=OUTPUT)] = "onnx",
    precision: Annotated[
        str,
        typer.Option(
            help="fp32, fp16 (half the size, computed in 32 bits), bf16 (OpenVINO only) or int8.",
            rich_help_panel=OUTPUT,
        ),
    ] = "fp16",
    data: Annotated[
        Path | None,
        typer.Option(
            help="Dataset on whose validation split the networks are compared; required for int8.",
            rich_help_panel=SOURCE,
        ),
    ] = None,
    names: Names = None,
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
    training = load_for(card, data, Split.TRAIN, parse_names(names)) if data else None
    validation = load_for(card, data, Split.VALIDATION, parse_names(names)) if data else None
    validation = validation and with_votes(validation, votes or AUTO)
    parity = run(opened, output, engine=engine, precision=precision, training=training, validation=validation)
    typer.echo(
        f"on {parity.faces} {'faces' if data else 'images of noise'} probabilities differ by {parity.difference:.1e} "
        f"at most, {parity.agreement:.1%} of the answers agree, and accuracy changes by {-parity.accuracy_loss:+.2%}"
    )


def _say_what_is_next(best: Path, plan: Config) -> None:
    """Name the checkpoint of a run, and the next commands, which would use the shipped weights by default."""
    data: list[str | Path] = ["--data", plan.data.path] if plan.data.path else []
    if plan.data.names:
        data += ["--names", ",".join(map("=".join, plan.data.names))]
    votes: list[str | Path] = ["--votes", plan.data.votes] if isinstance(plan.data.votes, Path) else []
    typer.echo(f"best checkpoint: {best}")
    show_next(
        ("export", "--checkpoint", best),
        ("calibrate", "--checkpoint", best, *data, *votes),
        ("test", "--checkpoint", best, *data, *votes),
        ("predict", "PHOTO", "--checkpoint", best),
    )


def show_next(*commands: tuple[str | Path, ...]) -> None:
    """Show possible next commands, ready to be copied."""
    typer.echo("next:")
    for words in commands:
        typer.echo(f"  {in_a_shell('cmaen', *words)}")


def begin(verbose: bool) -> None:
    """Prepare a verb that trains: keep freed memory, and show log messages, above any progress line."""
    keep_freed_memory()
    log(True)
    if verbose:
        logging.getLogger("cmaen").setLevel(logging.DEBUG)


def _with_data(config: Config) -> Config:
    """Add the data from the default places to a configuration that names none."""
    from cmaen.data.faces import find_data
    from cmaen.training.config import change

    return config if config.data.path else change(config, {"data.path": find_data()})


def name_settings(
    output: Path | None,
    epochs: int | None,
    batch_size: int | None,
    learning_rate: float | None,
    device: str | None,
    seed: int | None,
) -> dict[str, Any]:
    """Map the options of a run to the keys of its configuration."""
    return {
        "output": output,
        "training.epochs": epochs,
        "training.batch_size": batch_size,
        "optimiser.learning_rate": learning_rate,
        "training.device": device,
        "seed": seed,
    }


def drop_unset(options: dict[str, Any]) -> dict[str, Any]:
    """Drop the options that were not given."""
    return {key: value for key, value in options.items() if value is not None}
