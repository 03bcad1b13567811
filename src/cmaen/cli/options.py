"""Options of the verbs as values: a verb takes one frozen dataclass, and each of its fields is an option."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_type_hints

import typer

from cmaen.cli.console import (
    CheckpointName,
    DetectorName,
    DetectorSide,
    MaxMegapixels,
    MinFace,
    MinScore,
    Verbose,
)
from cmaen.cli.panels import FACES
from cmaen.inference.detectors.base import DEFAULT, OWN, DetectorOptions
from cmaen.inference.spec import PipelineSpec

if TYPE_CHECKING:
    from cmaen.inference.people.circle import Circle
    from cmaen.inference.pipeline import FacePipeline

_T = TypeVar("_T")
MILLION = 1e6

RAY = "ray"
"""The engine that runs ONNX Runtime in the processes of a Ray cluster."""


def takes(options: type[_T]) -> Callable[[Callable[[_T], None]], Callable[..., None]]:
    """Turn the fields of a dataclass into the options of a verb, which takes them as one value.

    The annotations are Typer's; a field without a default is a required option. The fields of the class itself come
    first, then those of its parents.
    """
    hints = get_type_hints(options, include_extras=True)
    depths = {
        name: depth
        for depth, kind in reversed(list(enumerate(options.__mro__)))
        for name in inspect.get_annotations(kind)
    }
    ordered = sorted(fields(options), key=lambda one: depths[one.name])  # type: ignore[arg-type]
    parameters = [
        inspect.Parameter(
            one.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if one.default is MISSING else one.default,
            annotation=hints[one.name],
        )
        for one in ordered
    ]

    def decorate(run: Callable[[_T], None]) -> Callable[..., None]:
        @wraps(run)
        def verb(**values: Any) -> None:
            run(options(**values))

        verb.__annotations__ = {one.name: hints[one.name] for one in ordered}
        verb.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        return verb

    return decorate


@dataclass(frozen=True, kw_only=True)
class FaceOptions:
    """Options of every verb that finds faces in pictures."""

    detector: DetectorName = DEFAULT
    detector_side: DetectorSide = OWN.max_side
    min_score: MinScore = OWN.min_score
    min_face: MinFace = OWN.min_face
    max_megapixels: MaxMegapixels = PipelineSpec.max_pixels / MILLION
    checkpoint: CheckpointName = None
    verbose: Verbose = False

    def to_spec(self) -> PipelineSpec:
        """Describe the pipeline, which is set up for many pictures."""
        return PipelineSpec(
            checkpoint=self.checkpoint,
            detector=self.detector,
            options=self.detector_options,
            max_pixels=round(self.max_megapixels * MILLION),
            throughput=True,
        )

    @property
    def detector_options(self) -> DetectorOptions:
        """The options of the detector."""
        return DetectorOptions(max_side=self.detector_side, min_score=self.min_score, min_face=self.min_face)


@dataclass(frozen=True, kw_only=True)
class PeopleOptions(FaceOptions):
    """Options of every verb that can recognise people."""

    people: Annotated[
        Path | None,
        typer.Option(
            help="Name people by a folder of photographs: a folder each, or one photograph named after each.",
            rich_help_panel=FACES,
        ),
    ] = None
    recognise_people: Annotated[
        bool,
        typer.Option(
            "--recognise-people",
            help="Tell people apart without names, across cuts and all videos or pictures of the run.",
            rich_help_panel=FACES,
        ),
    ] = False
    exclude: Annotated[
        Path | None,
        typer.Option(
            help="Leave out the faces of the people in a folder of photographs, see --people.", rich_help_panel=FACES
        ),
    ] = None

    @property
    def compares_faces(self) -> bool:
        """Whether people are recognised, or some are excluded."""
        return self.recognise_people or self.people is not None or self.exclude is not None

    def open_circle(self, pipeline: FacePipeline, spec: PipelineSpec) -> Circle | None:
        """Read the photographs of people who are known or excluded, and say how many there are.

        Args:
            pipeline: Pipeline that finds their faces.
            spec: Its settings.

        Returns:
            The people; ``None`` if nobody is to be recognised.
        """
        if not self.compares_faces:
            return None
        from cmaen.cli.results import describe_known
        from cmaen.inference.people.opening import open_circle

        circle = open_circle(
            pipeline.detect,
            people=self.people,
            exclude=self.exclude,
            recognise=self.recognise_people,
            threads=spec.share_threads().engine,
            max_pixels=spec.max_pixels,
        )
        typer.echo(describe_known(circle.known, circle.excluded), err=True)
        return circle
