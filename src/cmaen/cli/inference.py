"""``cmaen inference``: one source named by an option, as in the paper."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cmaen.cli.console import in_a_shell, log
from cmaen.cli.options import RAY, takes
from cmaen.cli.panels import MODEL, SOURCE, VIDEO
from cmaen.cli.plan import CANNOT_RESUME
from cmaen.cli.recogniser import Job, Recogniser
from cmaen.cli.recognition import RecognitionOptions
from cmaen.cli.targets import Target, is_still, look_at_file
from cmaen.errors import CmaenError
from cmaen.images.reader import printable
from cmaen.inference.spec import PipelineSpec

if TYPE_CHECKING:
    from cmaen.inference.sources import Source


@dataclass(frozen=True, kw_only=True)
class InferenceOptions(RecognitionOptions):
    """Options of ``cmaen inference``."""

    image: Annotated[
        list[str] | None, typer.Option(help="Image file; repeat the option for more.", rich_help_panel=SOURCE)
    ] = None
    directory: Annotated[
        str | None,
        typer.Option(
            help="Folder of images, including its subfolders; also an address such as s3://bucket/folder.",
            rich_help_panel=SOURCE,
        ),
    ] = None
    video: Annotated[
        list[str] | None, typer.Option(help="Video file, or the address of a stream.", rich_help_panel=SOURCE)
    ] = None
    real_time: Annotated[bool, typer.Option("--real-time", help="Use the webcam.", rich_help_panel=SOURCE)] = False
    camera_index: Annotated[
        int, typer.Option(min=0, help="Index of the webcam for --real-time.", rich_help_panel=SOURCE)
    ] = 0
    display: Annotated[bool, typer.Option(help="Show the webcam in a window.", rich_help_panel=VIDEO)] = True
    engine: Annotated[
        str,
        typer.Option(
            help="Inference engine: auto, onnx, openvino or torch; ray: ONNX Runtime in many processes on many "
            "machines.",
            rich_help_panel=MODEL,
        ),
    ] = PipelineSpec.engine
    paths: Annotated[list[str] | None, typer.Argument(hidden=True, metavar="")] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        given: object = self.video  # Python may pass a single path
        object.__setattr__(self, "video", [given] if isinstance(given, str) else given)

    @property
    def film(self) -> str | None:
        """The video; ``None`` if the source is something else."""
        return self.video[0] if self.video else None

    @property
    def is_moving(self) -> bool:
        """Whether the source is a video or the webcam."""
        return self.film is not None or self.real_time

    @property
    def remote(self) -> bool:
        """Whether the folder is at an address."""
        return self.directory is not None and "://" in self.directory

    @property
    def shows_faces(self) -> bool:
        """Whether pixels of the source are written, or shown in a window."""
        return super().shows_faces or (self.real_time and self.display)

    def to_spec(self) -> PipelineSpec:
        """Describe the pipeline, which is set up for many pictures if the source is a folder."""
        return replace(super().to_spec(), throughput=self.directory is not None)

    def to_job(self) -> Job:
        """Make the job for the source."""
        return Job(
            open=self._open,
            places=self.places,
            moving=self.is_moving,
            root=None if self.directory is None else Path(self.directory),
            table=self.output is None or bool(self.image),
            window=self.real_time and self.display,
            video="" if self.film is None or "://" in self.film else printable(self.film),
            stays_open=self.resume and self.film is not None,
        )

    def find_problem(self) -> str | None:
        """Describe the first conflict between the options; ``None`` if there is none."""
        images, moving, folder = self.image or [], self.is_moving, self.directory is not None
        common = super().find_problem()
        ray = self.engine == RAY
        problems = {
            f"name the source with an option such as --image, or let this command detect what it is: "
            f"{in_a_shell('cmaen', 'predict', *(self.paths or []))}": bool(self.paths),
            "choose exactly one of --image, --directory, --video or --real-time": (
                sum((bool(images), folder, self.film is not None, self.real_time)) != 1
            ),
            f"--video takes one video, not {len(self.video or ())}; for several, use "
            f"{in_a_shell('cmaen', 'predict', *(self.video or ()))}": len(self.video or ()) > 1,
            "--engine ray works with --directory only": ray and not folder,
            "--engine ray runs on the processors of its machines; leave --device out": (
                ray and self.device != PipelineSpec.device
            ),
            "--save-video, --timeline and --per-person work with --video and --real-time only": (
                bool(self.save_video or self.timeline or self.per_person) and not moving
            ),
            f"{self.for_videos} is for the episodes of a video: it works with --video and --real-time only": (
                self.for_videos is not None and not moving
            ),
            "--chart works with --image and --directory only; a video has --timeline": bool(self.chart) and moving,
            "--every, --every-frame, --start and --end work with --video and --real-time only": self.has_excerpt
            and not moving,
            common or "": common is not None,
            "--annotated works with --image, or with --directory on this machine; a video has --save-video": (
                self.annotated is not None and (moving or self.remote)
            ),
            f"--annotated takes one --image, not {len(images)}; cmaen predict takes several": (
                self.annotated is not None and len(images) > 1
            ),
            "--explain takes exactly one --image": self.explain is not None and len(images) != 1,
            "--resume works with --directory or --video, and --output": (
                self.resume and (not (folder or self.film is not None) or self.output is None)
            ),
            CANNOT_RESUME: self.resume
            and (self.save_video is not None or "://" in (self.film or "") or (moving and self.exclude is not None)),
        }
        return next((problem for problem, there in problems.items() if there), None) or self._find_mistaken_source()

    def _find_mistaken_source(self) -> str | None:
        """Describe a video or an address given to --image, or a picture given to --video; ``None`` if there is none."""
        if self.image and len(self.image) == 1:
            (name,) = self.image
            if "://" in name and not name.lower().startswith("file:"):
                return f"--image takes a file, and {name} is an address: download it first"
            if _is(name, "video"):
                return f"{name} is a video: use --video {name}, or cmaen predict {name}"
        if self.film is not None and _is(self.film, "picture") and is_still(self.film):
            return f"{self.film} is a picture: use --image {self.film}, or cmaen predict {self.film}"
        return None

    def _open(self, without: Container[str], since: float) -> Source:
        from cmaen.inference.sources import open_source

        pixels = self.to_spec().max_pixels
        if self.image:
            return open_source("images", self.image, max_pixels=pixels)
        if self.directory is not None:
            kind = "address" if self.remote else "folder"
            return open_source(kind, self.directory, without=without, max_pixels=pixels)
        if self.film is not None:
            return open_source("video", self.film, excerpt=self.excerpt, since=since)
        return open_source("camera", self.camera_index, excerpt=self.excerpt)


@takes(InferenceOptions)
def inference(options: InferenceOptions) -> None:
    """Recognise facial emotions in an image, a folder, a video or a webcam."""
    log(options.verbose)
    if (problem := options.find_problem()) is not None:
        raise CmaenError(problem)
    recogniser = Recogniser(options, options.to_spec())
    outcome = recogniser.run(options.to_job())
    if options.explain is not None and options.image and outcome.summary.faces:
        recogniser.explain(options.image[0], options.explain)
    if outcome.failed:
        raise typer.Exit(1)


def _is(name: str, kind: str) -> bool:
    """Whether a name is an existing file on this machine of a kind."""
    if "://" in name:
        return False
    try:
        found = look_at_file(name) if Path(name).is_file() else None
    except (OSError, ValueError):
        return False
    return isinstance(found, Target) and found.kind == kind
