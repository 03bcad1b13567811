"""``cmaen predict``: any number of pictures, folders, videos and addresses, which the command tells apart."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

import typer

from cmaen.cli.console import log
from cmaen.cli.options import takes
from cmaen.cli.panels import SOURCE
from cmaen.cli.plan import Plan
from cmaen.cli.recogniser import Recogniser
from cmaen.cli.recognition import RecognitionOptions
from cmaen.cli.targets import find_targets
from cmaen.errors import CmaenError, OutputError


@dataclass(frozen=True, kw_only=True)
class PredictOptions(RecognitionOptions):
    """Options of ``cmaen predict``."""

    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH",
            show_default=False,
            help="Pictures, folders, videos, patterns such as 'holiday/*.jpg', streams such as rtsp://camera, and "
            "remote folders such as s3://bucket/folder.",
            rich_help_panel=SOURCE,
        ),
    ]


@takes(PredictOptions)
def predict(options: PredictOptions) -> None:
    """Recognise facial emotions in pictures, folders and videos; the command detects what each path is."""
    log(options.verbose)
    found = find_targets(options.paths)
    plan = Plan(options, found.targets)
    if (problem := plan.find_problem()) is not None:
        raise CmaenError(problem)
    work = _Work([refusal.reason for refusal in found.refusals])
    if found.targets:
        work.through(plan)
    failures = [*work.failures, *plan.missed]
    if not work.done and len(failures) == 1 == len(options.paths):
        raise CmaenError(failures[0])
    from cmaen.cli.results import show_problem
    from cmaen.drawing.lettering import write_count

    if failures:
        show_problem(f"{write_count(len(failures), 'source')} left out:")
        for failure in failures:
            show_problem(f"  {failure}")
    if not work.done or work.unwritten:
        raise typer.Exit(1)


@dataclass
class _Work:
    """The results of the jobs so far.

    Attributes:
        failures: Error messages of the sources that could not be processed.
        done: Number of jobs that gave an answer.
        unwritten: Whether a result could not be written.
    """

    failures: list[str]
    done: int = 0
    unwritten: bool = False

    def through(self, plan: Plan) -> None:
        """Do each job of a plan; one that fails does not stop the others."""
        options = plan.options
        recogniser = Recogniser(options, replace(options.to_spec(), throughput=plan.wants_throughput))
        for name, job in plan.list_jobs():
            try:
                outcome = recogniser.run(job)
            except CmaenError as error:
                self.failures.append(str(error) if name in str(error) else f"{name}: {error}")
                self.unwritten = self.unwritten or isinstance(error, OutputError)
                continue
            self.done += not outcome.failed
            if not outcome.whole:
                break  # Ctrl-C stops all jobs
            if options.explain is not None and outcome.summary.faces:
                recogniser.explain(plan.targets[0].where, options.explain)
