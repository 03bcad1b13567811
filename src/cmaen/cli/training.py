"""``cmaen train``, ``train-enhancer``, ``ablate``, ``answers``, ``average`` and ``export``."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cmaen.checkpoints import SHIPPED, Checkpoint
from cmaen.cli.console import Data, Device, Verbose, alone, bar, extra, in_a_shell, keep_freed_memory, log
from cmaen.cli.panels import MODEL, OUTPUT, SOURCE, TRAINING
from cmaen.errors import ConfigError, OutputError
from cmaen.files import check_place

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cmaen.checkpoints import Where
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
        str | None,
        typer.Option(
            metavar="NAME|FILE",
            help="Configuration of the run: a name listed above, or a YAML file. Default: fine-tune the shipped "
            "weights.",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    data: Data = None,
    votes: Votes = None,
    trunk_weights: TrunkWeights = None,
    side_weights: SideWeights = None,
    initial_weights: Annotated[
        str | None,
        typer.Option(
            help="Checkpoint to start from, such as cmaen-m. Without --config it is fine-tuned: its architecture is "
            "kept, and labels of your own get new classifier heads.",
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

    Without --config the shipped weights are fine-tuned on your faces.
    cmaen finetune does so too, and then exports, calibrates and tests the result.
    """
    begin(verbose)
    with extra("training", "train"):
        from lightning.pytorch.utilities import rank_zero_only

        from cmaen.training.config import load_config, parse_overrides
        from cmaen.training.run import train as run
    begins = Checkpoint.open(initial_weights).folder if initial_weights else None
    options = {
        "data.path": data,
        "data.votes": votes,
        "trunk_weights": trunk_weights,
        "side_weights": side_weights,
        "initial_weights": begins,
        **name_settings(output, epochs, batch_size, learning_rate, device, seed),
    }
    overrides = drop_unset(options) | parse_overrides(settings or [])
    began = _find_began(overrides) if resume and config is None else None
    if config is None and began is None:
        plan = plan_fine_tuning(overrides.get("initial_weights") or SHIPPED, overrides)
    else:
        plan = _with_data(load_config(began if config is None else config, overrides))
    rank_zero_only(_say_what_is_next)(run(plan, resume=resume), plan)


def train_enhancer(
    config: Annotated[
        str,
        typer.Option(
            metavar="NAME|FILE",
            help="Configuration of the run: a name listed above, or a YAML file.",
            rich_help_panel=TRAINING,
        ),
    ],
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
    config: Annotated[
        str,
        typer.Option(
            metavar="NAME|FILE",
            help="Configuration of the runs: a name listed by cmaen train --help, or a YAML file.",
            rich_help_panel=TRAINING,
        ),
    ] = "ablation",
    data: Data = None,
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
        str | None,
        typer.Option(
            "--variants",
            metavar="NAME|FILE",
            help="Other variants: a name listed above, or a YAML file. Default: each part of the network left out in "
            "turn.",
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
    """Name the checkpoint of a run, and the next commands, which would use the shipped weights by default."""
    data: list[str | Path] = ["--data", plan.data.path] if plan.data.path else []
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


def plan_fine_tuning(begins: Where, settings: Mapping[str, Any]) -> Config:
    """Make the configuration of a run that fine-tunes a checkpoint.

    Args:
        begins: The checkpoint.
        settings: Values by dotted key. Without ``data.path``, the data of the default places are learnt; without
            ``data.labels``, what :func:`choose_labels` chooses.

    Raises:
        ConfigError: A setting is wrong, or gives a pathway other weights.
        DataError: The data hold no labelled faces.
    """
    from cmaen.data.faces import find_data
    from cmaen.training.config import change, configure_fine_tuning

    if given := [f"--{role}-weights" for role in ("trunk", "side") if settings.get(f"{role}_weights")]:
        raise ConfigError(
            f"fine-tuning keeps the weights that it starts from, so it takes no {' and no '.join(given)}; to train a "
            "new network, name its configuration, such as --config paper"
        )
    settings = {"data.path": find_data(), **settings} if settings.get("data.path") is None else settings
    if "data.labels" not in settings:
        settings = {**settings, "data.labels": choose_labels(Path(settings["data.path"]))}
    return change(configure_fine_tuning(Checkpoint.open(begins)), settings)


def choose_labels(data: Path) -> str | None:
    """Choose all labels, or ``None`` for the seven emotions under any of their names, whose heads are kept.

    Raises:
        DataError: The data hold no labelled faces.
    """
    from cmaen.data.faces import list_labels, load_faces
    from cmaen.data.labelling import ALL, name_emotions
    from cmaen.data.splits import Split

    names = list_labels(data)
    if not names:
        load_faces(data, Split.TRAIN)  # raises with the reason
    return None if name_emotions(names) else ALL


def _find_began(settings: Mapping[str, Any]) -> Path | None:
    """Find the configuration with which the run in the output folder began; ``None`` if there is none."""
    from cmaen.training.config import FINE_TUNED
    from cmaen.training.record import CONFIG

    path = Path(settings.get("output") or FINE_TUNED) / CONFIG
    return path if path.is_file() else None


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
