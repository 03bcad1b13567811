"""``cmaen predict``: pictures, folders, videos and addresses, several at once, each found out by looking."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

import typer

from cmaen.cli.console import log
from cmaen.cli.options import takes
from cmaen.cli.panels import SOURCE
from cmaen.cli.plan import Plan
from cmaen.cli.recognition import Recogniser, RecognitionOptions
from cmaen.cli.targets import find_targets
from cmaen.errors import CmaenError


@dataclass(frozen=True, kw_only=True)
class PredictOptions(RecognitionOptions):
    """The options of ``cmaen predict``."""

    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH",
            show_default=False,
            help="Pictures, folders, videos, patterns such as 'holiday/*.jpg', streams such as rtsp://camera, and "
            "folders in a storage such as s3://bucket/folder.",
            rich_help_panel=SOURCE,
        ),
    ]


@takes(PredictOptions)
def predict(options: PredictOptions) -> None:
    """Recognise facial emotions in pictures, folders and videos; it finds out what each path is."""
    log(options.verbose)
    found = find_targets(options.paths)
    plan = Plan(options, found.targets)
    if (problem := plan.find_problem()) is not None:
        raise CmaenError(problem)
    failures = [refusal.reason for refusal in found.refusals]
    done = _work_through(plan, failures) if found.targets else 0
    failures += plan.missed
    if not done and len(failures) == 1 == len(options.paths):
        raise CmaenError(failures[0])
    from cmaen.cli.results import count, show_problem

    if failures:
        show_problem(f"{count(len(failures), 'source')} left out:")
        for failure in failures:
            show_problem(f"  {failure}")
    if not done:
        raise typer.Exit(1)


def _work_through(plan: Plan, failures: list[str]) -> int:
    """Do each job, and add what is wrong with those that fail.

    Returns:
        How many gave an answer.
    """
    options, done = plan.options, 0
    recogniser = Recogniser(options, replace(options.to_spec(), throughput=plan.wants_throughput))
    for name, job in plan.list_jobs():
        try:
            outcome = recogniser.run(job)
        except CmaenError as error:
            failures.append(str(error) if name in str(error) else f"{name}: {error}")
            continue
        done += not outcome.failed
        if not outcome.whole:
            break  # Ctrl-C is meant for all
        if options.explain is not None and outcome.summary.faces:
            recogniser.explain(plan.targets[0].where, options.explain)
    return done
