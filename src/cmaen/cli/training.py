"""``cmaen train``, ``train-enhancer``, ``ablate``, ``answers``, ``average`` and ``export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cmaen.checkpoints import SHIPPED, Checkpoint
from cmaen.cli.console import (
    Data,
    Device,
    Names,
    Photographs,
    Pictures,
    Verbose,
    alone,
    bar,
    extra,
    keep_freed_memory,
    log,
    parse_names,
    progress,
)
from cmaen.cli.panels import MODEL, OUTPUT, SOURCE, TRAINING
from cmaen.cli.runs import (
    begin,
    drop_unset,
    find_began,
    name_settings,
    plan_fine_tuning,
    say_what_is_next,
    with_data,
)
from cmaen.errors import OutputError
from cmaen.files import check_place

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
    names: Names = None,
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
    options = {
        "data.path": data,
        "data.names": parse_names(names) or None,
        "data.votes": votes,
        "trunk_weights": trunk_weights,
        "side_weights": side_weights,
        "initial_weights": Checkpoint.open(initial_weights).folder if initial_weights else None,
        **name_settings(output, epochs, batch_size, learning_rate, device, seed),
    }
    overrides = drop_unset(options) | parse_overrides(settings or [])
    begins = overrides.get("initial_weights")
    began = find_began(overrides) if resume and config is None else None
    if config is None and began is None:
        plan = plan_fine_tuning(begins if isinstance(begins, str | Path) else SHIPPED, overrides)
    else:
        plan = with_data(load_config(began if config is None else config, overrides))
    rank_zero_only(say_what_is_next)(run(plan, resume=resume), plan)


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
    photographs: Photographs = None,
    pictures: Pictures = None,
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
        from cmaen.evaluation.evaluate import find_photographed_faces
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
    run = with_data(load_config(config, drop_unset(options) | parse_overrides(settings or [])))
    alone(context, run.output)
    known = read_variants(variants_of) if variants_of else ablation.VARIANTS
    chosen = ablation.choose_variants(variants or list(known), known)
    faces = None if photographs is None else find_photographed_faces(photographs, pictures, progress=progress)
    study = ablation.ablate(run, seeds or [0], variants=chosen, photographs=faces, progress=bar("runs"))
    budget = ablation.describe_budget(run, seeds or [0])
    tables = ablation.format_tables(study, budget)
    write_text(run.output / "ablation.md", tables)
    write_text(run.output / "ablation.json", ablation.format_json(study, budget))
    for number, (scheme, rows) in enumerate(study.items()):
        differences = [(row.variant, *row.difference) for row in rows if row.difference is not None]
        if differences:
            name = f"ablation-{scheme}.svg" if number else "ablation.svg"
            others, gains, intervals = zip(*differences, strict=True)
            write_text(run.output / name, plots.svg(plots.compare(others, gains, intervals, rows[0].variant)))
    typer.echo(tables)


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
        typer.Option(help="Data set on whose validation split the average is measured.", rich_help_panel=SOURCE),
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
            help="Data set on whose validation split the networks are compared; required for int8.",
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
