"""``cmaen report``: what the people of videos showed, as a page and as data."""

from __future__ import annotations

import glob
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cmaen.cli.console import log, progress
from cmaen.cli.options import PeopleOptions, takes
from cmaen.cli.panels import OUTPUT, SOURCE, STUDY
from cmaen.cli.targets import Target, look_at_file
from cmaen.errors import CmaenError, GalleryError, MissingExtraError, OutputError, RecognitionError
from cmaen.escaping import printable

if TYPE_CHECKING:
    from cmaen.inference.people.circle import Circle
    from cmaen.inference.pipeline import FacePipeline
    from cmaen.recordings.recording import Recording

TABLES = (".csv", ".tsv", ".parquet", ".json", ".jsonl")
"""Suffixes of files of results; anything else may be a video."""


class Unit(str, Enum):
    """What counts as one person; see :data:`cmaen.studies.comparison.Unit`."""

    name = "name"
    number = "number"
    recording = "recording"


@dataclass(frozen=True, kw_only=True)
class ReportOptions(PeopleOptions):
    """Options of ``cmaen report``."""

    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH",
            show_default=False,
            help="Results of videos (.csv, .parquet, .json or .jsonl, also saved by a spreadsheet), or videos, which "
            "are analysed first.",
            rich_help_panel=SOURCE,
        ),
    ]
    output: Annotated[
        Path,
        typer.Option(
            help="Page to write, an .html file; a .json file and .csv tables are written beside it.",
            rich_help_panel=OUTPUT,
        ),
    ] = Path("report.html")
    thumbnails: Annotated[
        bool,
        typer.Option(
            "--thumbnails",
            help="Show the faces at the clearest moments. The videos must be where the results name them, or beside "
            "the results.",
            rich_help_panel=OUTPUT,
        ),
    ] = False
    events: Annotated[
        Path | None,
        typer.Option(
            help="CSV with the columns name, start and end, optionally file and group: compare people between these "
            "events, and between the groups of recordings.",
            rich_help_panel=STUDY,
        ),
    ] = None
    unit: Annotated[
        Unit,
        typer.Option(
            help="What counts as one person in comparisons. name: people of one name (numbers are other people in each "
            "recording); number: also people of one number; recording: everybody in a recording together.",
            rich_help_panel=STUDY,
        ),
    ] = Unit.name


@takes(ReportOptions)
def report(options: ReportOptions) -> None:
    """Report what the people of videos showed: shares of time, episodes, transitions, timelines and comparisons."""
    log(options.verbose)
    from cmaen.cli.results import show_problem, show_written
    from cmaen.drawing.lettering import write_count
    from cmaen.studies.events import read_events
    from cmaen.studies.report import list_places, write_report

    paths = list(_expand(options.paths))
    given = {path.resolve() for path in [*paths, *([options.events] if options.events else [])]}
    for place in list_places(options.output).values():
        if place.resolve() in given:
            raise OutputError(f"{place} is one of the inputs and would be replaced; choose another --output")
    events = None if options.events is None else read_events(options.events)
    work = _Work(options)
    for path in paths:
        work.read(path)
    if not work.recordings:
        raise CmaenError(work.failures[0] if len(work.failures) == 1 else "; ".join(work.failures))
    written = write_report(
        work.recordings,
        options.output,
        events=events,
        unit=options.unit.value,
        thumbnails=options.thumbnails,
        beside=work.folders,
        notes=work.failures,
    )
    if work.failures:
        show_problem(f"{write_count(len(work.failures), 'source')} left out:")
        for failure in work.failures:
            show_problem(f"  {failure}")
    show_written((path, "") for path in written)


@dataclass
class _Work:
    """The recordings that have been read so far.

    Attributes:
        options: Options of the verb.
        recordings: The recordings.
        folders: Folder of the file of each recording.
        failures: Error messages of the sources that could not be read.
    """

    options: ReportOptions
    recordings: list[Recording] = field(default_factory=list)
    folders: list[Path | None] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    _pipeline: FacePipeline | None = None
    _circle: Circle | None = None

    def read(self, path: Path) -> None:
        """Read the recordings of a file of results, or analyse a video; a failure does not stop the others.

        Raises:
            MissingExtraError: An extra is needed, and not installed.
            GalleryError: The photographs of people cannot be used.
            RecognitionError: People cannot be recognised.
        """
        from cmaen.recordings.recording import read_recordings

        name = printable(path)
        try:
            found = read_recordings(path) if path.suffix.lower() in TABLES else [self._record(path, name)]
        except (MissingExtraError, GalleryError, RecognitionError):
            raise
        except CmaenError as error:
            self.failures.append(str(error) if name in str(error) else f"{name}: {error}")
            return
        self.recordings += found
        self.folders += [path.parent] * len(found)

    def _record(self, path: Path, name: str) -> Recording:
        from cmaen.inference.predictor import EmotionPredictor
        from cmaen.studies.videos import record_video

        target = look_at_file(str(path)) if path.exists() else None
        if target is None:
            raise CmaenError(f"{name} does not exist; check the path")
        if not isinstance(target, Target) or target.kind != "video":
            raise CmaenError(f"{name} is neither a video nor a file of results ({', '.join(TABLES)})")
        if self._pipeline is None:
            spec = self.options.to_spec().fetch()
            self._pipeline = EmotionPredictor.from_spec(spec).pipeline
            self._circle = self.options.open_circle(self._pipeline, spec)
        typer.echo(f"analysing {name} …", err=True)
        return record_video(path, self._pipeline, self._circle, progress=lambda results: progress(results, "frames"))


def _expand(paths: list[str]) -> Iterator[Path]:
    """Yield each path once; patterns that no shell has expanded become the files that they match."""
    seen = dict.fromkeys(
        name
        for path in paths
        for name in (sorted(glob.glob(path)) if glob.has_magic(path) and not _exists(path) else [path])  # noqa: PTH207
    )
    if not seen:
        raise CmaenError(f"no file matches {printable(paths[0])}")
    yield from map(Path, seen)


def _exists(path: str) -> bool:
    try:
        return Path(path).exists()
    except (OSError, ValueError):
        return False
