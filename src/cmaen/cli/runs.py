"""Shared parts of the verbs that train: how a run is planned, begun and followed up."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from cmaen.checkpoints import Checkpoint, Where
from cmaen.cli.console import in_a_shell, keep_freed_memory, log
from cmaen.errors import ConfigError

if TYPE_CHECKING:
    from cmaen.training.config import Config


def begin(verbose: bool) -> None:
    """Prepare a verb that trains: keep freed memory, and show log messages, above any progress line."""
    keep_freed_memory()
    log(True)
    if verbose:
        logging.getLogger("cmaen").setLevel(logging.DEBUG)


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
    from cmaen.training.config import change, configure_fine_tuning

    if given := [f"--{role}-weights" for role in ("trunk", "side") if settings.get(f"{role}_weights")]:
        raise ConfigError(
            f"fine-tuning keeps the weights that it starts from, so it takes no {' and no '.join(given)}; to train a "
            "new network, name its configuration, such as --config paper"
        )
    plan = with_data(change(configure_fine_tuning(Checkpoint.open(begins)), settings))
    if "data.labels" in settings or plan.data.labels is not None:
        return plan
    assert plan.data.path is not None
    return change(plan, {"data.labels": choose_labels(plan.data.path, dict(plan.data.names))})


def choose_labels(data: Path, meant: Mapping[str, str]) -> str | None:
    """Choose all labels, or ``None`` for the seven emotions under any of their names, whose heads are kept.

    Args:
        data: The data set.
        meant: Meaning of each label that stands in it as something else, such as a number.

    Raises:
        DataError: The data hold no labelled faces.
    """
    from cmaen.data.faces import list_labels, load_faces
    from cmaen.data.labelling import ALL, name_emotions
    from cmaen.data.splits import Split

    names = list_labels(data, meant)
    if not names:
        load_faces(data, Split.TRAIN, names=meant)  # raises with the reason
    return None if name_emotions(names) else ALL


def with_data(config: Config) -> Config:
    """Add the data from the default places to a configuration that names none."""
    from cmaen.data.faces import find_data
    from cmaen.training.config import change

    return config if config.data.path else change(config, {"data.path": find_data()})


def find_began(settings: Mapping[str, Any]) -> Path | None:
    """Find the configuration with which the run in the output folder began; ``None`` if there is none."""
    from cmaen.training.config import FINE_TUNED
    from cmaen.training.record import CONFIG

    output = settings.get("output", FINE_TUNED)
    path = Path(output) / CONFIG if isinstance(output, str | Path) else None
    return path if path is not None and path.is_file() else None


def say_what_is_next(best: Path, plan: Config) -> None:
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
