"""Options that ``cmaen predict`` and ``cmaen inference`` share."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated

import typer

from cmaen.cli.console import Contempt, EngineDevice, SchemeName, check_share
from cmaen.cli.options import RAY, PeopleOptions
from cmaen.cli.panels import FACES, MODEL, OUTPUT, VIDEO
from cmaen.inference.sources.excerpt import WHOLE, Excerpt
from cmaen.inference.spec import PipelineSpec
from cmaen.recordings.forms import find_form, list_files


@dataclass(frozen=True, kw_only=True)
class RecognitionOptions(PeopleOptions):
    """Options of both verbs."""

    output: Annotated[
        list[Path] | None,
        typer.Option(
            help="Write the results to a .csv, .parquet, .json or .jsonl file, the episodes of a video to an .eaf "
            "(ELAN), _events.tsv (BIDS) or .vtt file (subtitles), or a .csv for each video to a folder; repeatable.",
            rich_help_panel=OUTPUT,
        ),
    ] = None
    annotated: Annotated[
        Path | None,
        typer.Option(
            help="Save the pictures with their faces drawn: a picture file for one picture, a folder for several.",
            rich_help_panel=OUTPUT,
        ),
    ] = None
    chart: Annotated[
        Path | None,
        typer.Option(
            help="Draw a chart of the emotions in all pictures: .png, .jpg, .webp or .svg.", rich_help_panel=OUTPUT
        ),
    ] = None
    explain: Annotated[
        Path | None,
        typer.Option(
            help="Draw what the answer for each face of a single picture depends on, as a .png file.",
            rich_help_panel=OUTPUT,
        ),
    ] = None
    map_kind: Annotated[
        str | None,
        typer.Option(
            "--explain-map",
            help="Map for --explain: occlusion (default); with PyTorch also gradient, or an attention map such as "
            "emotion_head.",
            rich_help_panel=OUTPUT,
        ),
    ] = None
    save_video: Annotated[
        Path | None,
        typer.Option(help="Save the video with its faces drawn, including the sound.", rich_help_panel=OUTPUT),
    ] = None
    anonymise: Annotated[
        bool,
        typer.Option(
            "--anonymise",
            help="Make faces unrecognisable in every picture and video that is written or shown. No detector finds "
            "every face, so look through the result before you share it.",
            rich_help_panel=OUTPUT,
        ),
    ] = False
    timeline: Annotated[
        Path | None,
        typer.Option(
            help="Draw each person's emotions over the video: .png, .jpg, .webp or .svg.", rich_help_panel=OUTPUT
        ),
    ] = None
    per_person: Annotated[
        Path | None,
        typer.Option(
            help="Write a .csv with one row per person of a video: seconds seen; share, mean and peak of each emotion.",
            rich_help_panel=OUTPUT,
        ),
    ] = None
    sink: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=TARGET",
            help="Pass the results to a sink of another package, see cmaen info (repeatable).",
            rich_help_panel=OUTPUT,
        ),
    ] = None
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Resume an interrupted run that writes to --output.", rich_help_panel=OUTPUT),
    ] = False
    detect: Annotated[
        bool, typer.Option(help="Find faces first; --no-detect if the images are face crops.", rich_help_panel=FACES)
    ] = True
    uncertain_below: Annotated[
        float,
        typer.Option(
            callback=check_share,
            help="Answer 'uncertain' if the confidence is below this, 0 to 1. 0: never.",
            rich_help_panel=FACES,
        ),
    ] = PipelineSpec.threshold
    every: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            min=0,
            help="Process one frame in so many seconds, at any frame rate. 0: every frame.",
            rich_help_panel=VIDEO,
        ),
    ] = WHOLE.every
    every_frame: Annotated[
        int, typer.Option(metavar="N", min=1, help="Process only every n-th frame.", rich_help_panel=VIDEO)
    ] = WHOLE.every_frame
    start: Annotated[float, typer.Option(min=0, help="Start time, in seconds.", rich_help_panel=VIDEO)] = WHOLE.start
    end: Annotated[
        float | None, typer.Option(min=0, help="End time, in seconds. Default: the end.", rich_help_panel=VIDEO)
    ] = WHOLE.end
    smoothing: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            min=PipelineSpec.range_of("smoothing").low,
            max=PipelineSpec.range_of("smoothing").high,
            help="Average answers over a window of this many seconds around each frame. 0: off.",
            rich_help_panel=VIDEO,
        ),
    ] = PipelineSpec.smoothing
    search_every: Annotated[
        float,
        typer.Option(
            min=PipelineSpec.range_of("detect_every").low,
            help="Seconds between two searches for new faces. 0: search every frame.",
            rich_help_panel=VIDEO,
        ),
    ] = PipelineSpec.detect_every
    scheme: SchemeName = PipelineSpec.scheme
    contempt: Contempt = PipelineSpec.contempt
    batch_size: Annotated[
        int,
        typer.Option(min=int(PipelineSpec.range_of("batch_size").low), help="Images per batch.", rich_help_panel=MODEL),
    ] = PipelineSpec.batch_size
    engine: Annotated[
        str, typer.Option(help="Inference engine: auto, onnx, openvino or torch.", rich_help_panel=MODEL)
    ] = PipelineSpec.engine
    device: EngineDevice = PipelineSpec.device

    def __post_init__(self) -> None:
        output = [self.output] if isinstance(self.output, Path) else self.output  # Python may pass a single path
        object.__setattr__(self, "output", output or None)

    @property
    def excerpt(self) -> Excerpt:
        """The frames of a video to process."""
        return Excerpt(self.every, self.start, self.end, self.every_frame)

    @property
    def has_excerpt(self) -> bool:
        """Whether only some frames of a video are to be processed."""
        given = (self.every, self.start, self.end, self.every_frame)
        return given != (WHOLE.every, WHOLE.start, WHOLE.end, WHOLE.every_frame)

    def explain_every(self) -> str | None:
        """Explain what a whole number means that may have been meant as a number of frames; ``None`` if none can."""
        if self.every < 1 or not self.every.is_integer():
            return None
        number = round(self.every)
        return (
            f"--every {number} processes one frame in {number} s; it meant every n-th frame in earlier versions, which "
            f"is --every-frame {number} now"
        )

    @property
    def places(self) -> Places:
        """The output files and folders."""
        output, *also = self.output or (None,)
        others = {one.name: getattr(self, one.name) for one in fields(Places) if one.name not in ("output", "also")}
        return Places(output=output, also=tuple(filter(None, also)), **others)

    @property
    def for_videos(self) -> Path | None:
        """The first output that takes the episodes of a video only; ``None`` if there is none."""
        return next(filter(find_form, self.output or ()), None)

    @property
    def shows_faces(self) -> bool:
        """Whether pixels of the source are written or shown; a sink of another package may do so."""
        return any((self.annotated, self.save_video, self.timeline, self.sink))

    def to_spec(self) -> PipelineSpec:
        """Describe the pipeline, which is set up for one picture or video."""
        return replace(
            super().to_spec(),
            detector=self.detector if self.detect else None,
            engine=PipelineSpec.engine if self.engine == RAY else self.engine,
            device=self.device,
            scheme=self.scheme,
            contempt=self.contempt,
            threshold=self.uncertain_below,
            batch_size=self.batch_size,
            smoothing=self.smoothing,
            detect_every=self.search_every,
            throughput=False,
        )

    def find_problem(self) -> str | None:
        """Describe the first conflict between the options, whatever the source; ``None`` if there is none."""
        if not math.isfinite(self.every):
            return f"--every must be a number of seconds, not {self.every:g}"
        if self.every and self.every_frame > 1:
            return "choose one of --every (in seconds) and --every-frame (in frames)"
        if not math.isfinite(self.start):
            return f"--start must be a number of seconds, not {self.start:g}"
        if self.end is not None and not self.end > self.start:
            return f"--end must be later than --start ({self.start:g} s), not {self.end:g} s"
        if self.anonymise and self.explain is not None:
            return (
                "--explain shows the faces themselves, so it cannot be combined with --anonymise; leave one of them out"
            )
        if self.anonymise and not self.shows_faces:
            return (
                "--anonymise hides the faces in pictures and videos, and none is written; add --annotated, "
                "--save-video or --timeline, or leave --anonymise out"
            )
        if self.compares_faces and self.engine == RAY:
            return "--people, --recognise-people and --exclude do not work with --engine ray"
        if self.explain is not None and self.exclude is not None:
            return "--explain does not work with --exclude: it draws every face of the picture"
        if self.resume and (self.recognise_people or self.people is not None):
            return "--resume does not work with --people and --recognise-people: who is who is not stored between runs"
        places = [place for place in (*self.places.list_given(), self.explain) if place is not None]
        twice = next((place for place in places if places.count(place) > 1), None)
        return None if twice is None else f"two options would write to {twice}; give each a file of its own"


@dataclass(frozen=True, kw_only=True)
class Places:
    """Output files and folders for one source; ``None`` for none. The names are those of the options.

    Attributes:
        output: Path of the results, the first one that was given.
        also: Further paths of the same results in other formats.
    """

    output: Path | None = None
    also: tuple[Path, ...] = ()
    annotated: Path | None = None
    chart: Path | None = None
    save_video: Path | None = None
    timeline: Path | None = None
    per_person: Path | None = None

    def list_given(self) -> list[Path]:
        """List the paths that were given, each with the file that is written beside it."""
        single = [getattr(self, one.name) for one in fields(self) if one.name != "also"]
        return [
            file for path in (*single[:1], *self.also, *single[1:]) if path is not None for file in list_files(path)
        ]

    def keep_tables(self) -> Places:
        """Leave out the outputs that take the episodes of a video only."""
        output, *also = [path for path in (self.output, *self.also) if path and not find_form(path)] or (None,)
        return replace(self, output=output, also=tuple(filter(None, also)))
