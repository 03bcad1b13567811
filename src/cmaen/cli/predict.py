"""``cmaen predict``: any number of pictures, folders, videos and addresses, which the command tells apart."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Annotated

import typer

from cmaen.cli.console import log
from cmaen.cli.options import takes
from cmaen.cli.panels import SOURCE
from cmaen.cli.plan import Plan
from cmaen.cli.recogniser import Job, Recogniser
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
    work = _Work()
    if found.targets:
        work.through(plan)
    failures = [*(refusal.reason for refusal in found.refusals), *work.failures, *plan.missed]
    if not work.done and len(failures) == 1 == len(options.paths):
        raise CmaenError(failures[0])
    from cmaen.cli.results import show_problem
    from cmaen.drawing.lettering import write_count

    if failures:
        show_problem(f"{write_count(len(failures), 'source')} left out:")
        for failure in failures:
            show_problem(f"  {failure}")
    if work.skipped:
        typer.echo(f"{write_count(work.skipped, 'video')} skipped: the results are complete")
    if work.stopped:
        typer.echo("stopped; the results so far are kept, and --resume continues them", err=True)
    if not work.done or work.unwritten or work.failures or work.stopped:
        raise typer.Exit(1)


@dataclass
class _Work:
    """The results of the jobs so far.

    Attributes:
        failures: Error messages of the sources that could not be processed.
        done: Number of jobs that gave an answer, in this run or before.
        skipped: Number of videos whose results were complete before.
        unwritten: Whether a result could not be written.
        stopped: Whether the user has stopped a run that can be resumed.
    """

    failures: list[str] = field(default_factory=list)
    done: int = 0
    skipped: int = 0
    unwritten: bool = False
    stopped: bool = False

    def through(self, plan: Plan) -> None:
        """Do each job of a plan; one that fails does not stop the others."""
        options = plan.options
        recogniser = Recogniser(options, replace(options.to_spec(), throughput=plan.wants_throughput))
        with recogniser.share_table(plan.shared, mixed=bool(plan.stills)) as finish:
            for name, job in plan.list_jobs():
                if recogniser.is_complete(job):
                    self.skipped += 1
                    self.done += 1
                elif not self._do(name, job, recogniser, plan):
                    break  # Ctrl-C stops all jobs
            if self.done and not self.stopped:
                finish()

    def _do(self, name: str, job: Job, recogniser: Recogniser, plan: Plan) -> bool:
        """Do a job; return whether to go on."""
        try:
            outcome = recogniser.run(job)
        except CmaenError as error:
            self.failures.append(str(error) if name in str(error) else f"{name}: {error}")
            self.unwritten = self.unwritten or isinstance(error, OutputError)
            return True
        self.done += not outcome.failed
        self.stopped = not outcome.whole and (job.shares or job.stays_open)
        if outcome.whole and plan.options.explain is not None and outcome.summary.faces:
            recogniser.explain(plan.targets[0].where, plan.options.explain)
        return outcome.whole
