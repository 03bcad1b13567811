"""``cmaen audit``: whether groups of people are served differently well."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from cmaen.cli.console import (
    CheckpointName,
    EngineDevice,
    EngineName,
    Names,
    Verbose,
    keep_freed_memory,
    log,
    parse_names,
    progress,
)
from cmaen.cli.panels import FACES, MODEL, OUTPUT, SOURCE
from cmaen.errors import OutputError


def audit(
    context: typer.Context,
    data: Annotated[
        Path,
        typer.Argument(
            metavar="FACES",
            show_default=False,
            help="Labelled faces: class folders, a published data set, a zip of either, or a CSV with path and label. "
            "A CSV with a label and the probability of each emotion needs no network.",
            rich_help_panel=SOURCE,
        ),
    ],
    group: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN",
            help="Column of groups to compare, such as gender; repeat the option for more columns.",
            rich_help_panel=FACES,
        ),
    ] = None,
    groups: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="CSV with a column of file names and columns of groups. Default: groups.csv in the folder of faces, "
            "if it is there.",
            rich_help_panel=SOURCE,
        ),
    ] = None,
    person: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Column that names the person, whose faces then count as belonging together.",
            rich_help_panel=FACES,
        ),
    ] = None,
    within: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN",
            help="Compare only faces with the same value in this column, such as their source; repeat the option for "
            "more columns.",
            rich_help_panel=FACES,
        ),
    ] = None,
    intersections: Annotated[
        bool,
        typer.Option(
            "--intersections",
            help="Also compare the intersections of each two group columns, such as gender × age.",
            rich_help_panel=FACES,
        ),
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(help="Folder for audit.html and audit.json, or a .json file.", rich_help_panel=OUTPUT),
    ] = None,
    names: Names = None,
    split: Annotated[
        str | None,
        typer.Option(
            help="validation, test, validation,test or all. Default: validation, or test, if the data are split; "
            "otherwise every face.",
            rich_help_panel=SOURCE,
        ),
    ] = None,
    permutations: Annotated[
        int,
        typer.Option(
            min=99,
            help="Number of permutations of each column's groups; more are slower and finer.",
            rich_help_panel=FACES,
        ),
    ] = 9_999,
    seed: Annotated[int, typer.Option(min=0, help="Random seed.", rich_help_panel=FACES)] = 0,
    checkpoint: CheckpointName = None,
    scheme: Annotated[
        str | None,
        typer.Option(
            help="Label scheme: fer2013 (the label FER2013 would give a face) or perceived (what people see in it). "
            "Default: the checkpoint's first.",
            rich_help_panel=MODEL,
        ),
    ] = None,
    engine: EngineName = "auto",
    device: EngineDevice = "cpu",
    verbose: Verbose = False,
) -> None:
    """Compare how well groups of people are recognised: accuracy, emotions, calibration and mistakes.

    Gaps are tested by permutations and corrected for their number; groups that are too small are named, not judged.
    """
    log(verbose)
    keep_freed_memory()
    from cmaen.audit.auditor import audit as run
    from cmaen.audit.labelled import read_labelled
    from cmaen.audit.page import describe_origin, write_audit
    from cmaen.cli.audit_tables import show_audit
    from cmaen.cli.console import alone
    from cmaen.files import write_text

    as_json = output is not None and output.suffix.lower() == ".json" and not output.is_dir()
    if output is not None and not as_json:
        if output.exists() and not output.is_dir():
            raise OutputError(f"{output} is neither a folder nor a .json file; the report needs one")
        alone(context, output)
    if not group:
        raise typer.BadParameter("name a column of groups, such as --group gender", param_hint="--group")
    answers = read_labelled(
        data,
        groups,
        names=parse_names(names),
        split=split,
        checkpoint=checkpoint,
        scheme=scheme,
        engine=engine,
        device=device,
        progress=progress,
    )
    found = run(
        answers,
        group,
        person=person,
        within=within or (),
        intersections=intersections,
        permutations=permutations,
        seed=seed,
        progress=progress,
    )
    show_audit(found)
    if output is None:
        return
    command = ("cmaen", *sys.argv[1:])
    if as_json:
        values = {**found.to_dict(), "origin": describe_origin(data, command)}
        write_text(output, json.dumps(values, indent=2, allow_nan=False) + "\n")
        typer.echo(f"wrote {output}")
        return
    typer.echo(f"report: {write_audit(found, output, data=data, command=command)}")
