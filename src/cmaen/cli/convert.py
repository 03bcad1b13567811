"""``cmaen convert``: results of videos in the forms that other tools read."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from cmaen.cli.console import Verbose, log
from cmaen.cli.options import takes
from cmaen.cli.panels import OUTPUT, SOURCE, VIDEO
from cmaen.errors import CmaenError
from cmaen.recordings.episodes import BRIDGE, SHORTEST
from cmaen.recordings.forms import check_form, check_source, list_files, write_episodes
from cmaen.recordings.recording import read_recordings


@dataclass(frozen=True, kw_only=True)
class ConvertOptions:
    """Options of ``cmaen convert``."""

    table: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            show_default=False,
            help="Results of videos: a .csv, .parquet, .json or .jsonl file that --output has written.",
            rich_help_panel=SOURCE,
        ),
    ]
    output: Annotated[
        list[Path],
        typer.Option(
            "--output",
            "--to",
            help="Write the episodes to an .eaf (ELAN), _events.tsv (BIDS) or .vtt file (subtitles); repeatable. "
            "If there are several videos, each gets a file of its own.",
            rich_help_panel=OUTPUT,
        ),
    ]
    shortest: Annotated[
        float, typer.Option(min=0, help="Leave out episodes shorter than this, in seconds.", rich_help_panel=VIDEO)
    ] = SHORTEST
    bridge: Annotated[
        float,
        typer.Option(min=0, help="Ignore interruptions of an episode up to this, in seconds.", rich_help_panel=VIDEO),
    ] = BRIDGE
    verbose: Verbose = False

    def find_problem(self) -> str | None:
        """Describe the first conflict between the options; ``None`` if there is none."""
        files = [file for path in self.output for file in list_files(path)]
        if twice := next((file for file in files if files.count(file) > 1), None):
            return f"two options would write to {twice}; give each a file of its own"
        if not math.isfinite(self.shortest + self.bridge):
            return f"--shortest and --bridge must be numbers of seconds, not {self.shortest:g} and {self.bridge:g}"
        return None


@takes(ConvertOptions)
def convert(options: ConvertOptions) -> None:
    """Convert the results of videos to ELAN annotations, BIDS events or subtitles."""
    log(options.verbose)
    from cmaen.cli.results import show_written
    from cmaen.drawing.lettering import write_count

    if (problem := options.find_problem()) is not None:
        raise CmaenError(problem)
    for path in options.output:
        check_form(path)
        check_source(path, options.table)
    recordings = read_recordings(options.table)
    written: dict[Path, str] = {}
    for path in options.output:
        counts = write_episodes(path, recordings, shortest=options.shortest, bridge=options.bridge)
        for place, count in counts.items():
            written |= dict.fromkeys(list_files(place), "")
            written[place] = write_count(count, "episode")
    left_out = sum(recording.left_out for recording in recordings)
    show_written(written.items())
    if left_out:
        typer.echo(f"{write_count(left_out, 'row')} of {options.table} could not be read and were left out")
