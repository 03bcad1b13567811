"""Jobs of ``cmaen predict``: one for all pictures, one for each video, with outputs that do not collide."""

from __future__ import annotations

import os
from collections.abc import Container, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from cmaen.cli.options import RAY
from cmaen.cli.recogniser import Job
from cmaen.cli.recognition import Places, RecognitionOptions
from cmaen.cli.targets import Target
from cmaen.errors import CmaenError
from cmaen.images.reader import printable
from cmaen.images.signatures import is_image_name
from cmaen.naming import Names
from cmaen.recordings.forms import find_form, place_beside

if TYPE_CHECKING:
    from cmaen.inference.sources import Source


@dataclass(frozen=True)
class Plan:
    """The targets, and the jobs that process them.

    Attributes:
        options: Options of the verb.
        targets: Targets that were found.
        missed: Error messages of folders that cannot be opened; the other pictures are still processed.
    """

    options: RecognitionOptions
    targets: list[Target]
    missed: list[str] = field(default_factory=list)

    @property
    def stills(self) -> list[Target]:
        """The pictures and the folders of pictures."""
        return [target for target in self.targets if target.kind != "video"]

    @property
    def videos(self) -> list[Target]:
        """The videos and streams."""
        return [target for target in self.targets if target.kind == "video"]

    @property
    def is_single(self) -> bool:
        """Whether the only target is one picture."""
        return [target.kind for target in self.targets] == ["picture"]

    @property
    def wants_throughput(self) -> bool:
        """Whether there may be many pictures, and no videos."""
        return bool(self.stills) and not self.videos and not self.is_single

    def find_problem(self) -> str | None:
        """Describe the first conflict between options and targets; ``None`` if there is none."""
        given, stills, videos = self.options, self.stills, self.videos
        if not self.targets:
            return None
        problems = {
            given.find_problem() or "": given.find_problem() is not None,
            "--annotated and --chart are for pictures, but there are only videos: use --save-video "
            "and --timeline": bool(given.annotated or given.chart) and not stills,
            "--annotated draws pictures on this machine only, not those at an address": (
                given.annotated is not None and any(target.kind == "address" for target in stills)
            ),
            "--save-video, --timeline and --per-person are for videos, and there is none": (
                bool(given.save_video or given.timeline or given.per_person) and not videos
            ),
            f"{given.for_videos} is for the episodes of a video, and there is none": (
                given.for_videos is not None and not videos
            ),
            f"{given.for_videos} is for the episodes of videos; add --output faces.csv for the pictures": (
                given.for_videos is not None and bool(stills) and given.places.keep_tables().output is None
            ),
            "--every, --start and --end are for videos, and there is none": given.has_excerpt and not videos,
            "--explain takes exactly one picture": given.explain is not None and not self.is_single,
            "--resume needs pictures and an --output; videos are not resumed": (
                given.resume and (bool(videos) or given.output is None)
            ),
            "--engine ray works with cmaen inference --directory only": given.engine == RAY,
        }
        return next((problem for problem, there in problems.items() if there), None)

    def list_jobs(self) -> Iterator[tuple[str, Job]]:
        """Yield each job with its name for error messages: all pictures first, then the videos in their order."""
        stills, given = self.stills, self.options.places
        if stills:
            root = None
            if given.annotated is not None and not (self.is_single and is_image_name(given.annotated)):
                stills, root = _bring_under_one_root(stills)
            places = replace(given.keep_tables(), save_video=None, timeline=None, per_person=None)
            name = printable(stills[0].where) if len(stills) == 1 else f"{len(stills)} sources of pictures"
            opened = partial(self._open_stills, stills)
            yield name, Job(open=opened, places=places, root=root, table=self.is_single or given.output is None)
        for target, places in self._place_videos():
            name = printable(target.where)
            opened = partial(self._open_video, target)
            yield name, Job(open=opened, places=places, moving=True, name=name if len(self.targets) > 1 else "")

    def _open_stills(self, stills: list[Target], without: Container[str]) -> Source:
        """Open all pictures as one source.

        Raises:
            CmaenError: None of the folders can be opened, and there are no other pictures.
        """
        from cmaen.inference.sources import open_source
        from cmaen.inference.sources.chain import ChainSource

        pixels = self.options.to_spec().max_pixels
        sources: list[tuple[str, Source]] = []
        for kind, group in groupby(stills, key=lambda target: target.kind):
            if kind == "picture":
                paths = [path for target in group if printable(path := Path(target.where)) not in without]
                sources.append(("pictures", open_source("images", paths, max_pixels=pixels)))
                continue
            for target in group:
                try:
                    source = open_source(kind, target.where, without=without, max_pixels=pixels)
                except CmaenError as error:  # noqa: PERF203 - each fails alone
                    self.missed.append(str(error))
                else:
                    sources.append((printable(target.where), source))
        if not sources:
            raise CmaenError(self.missed.pop())
        return sources[0][1] if len(sources) == 1 else ChainSource(sources)

    def _open_video(self, target: Target, without: Container[str]) -> Source:
        from cmaen.inference.sources import open_source

        return open_source("video", target.where, excerpt=self.options.excerpt)

    def _place_videos(self) -> Iterator[tuple[Target, Places]]:
        """Yield each video with its outputs; if several sources share an output, the video's name is added to it."""
        given, videos = self.options.places, self.videos
        names: dict[Path, Names] = {}

        def place(wanted: Path | None, option: str, target: Target, shared: bool) -> Path | None:
            if wanted is None or not shared:
                return wanted
            folder = names.setdefault(wanted.parent, Names())
            folder.place((wanted.name,), "")  # reserves the plain name, which the pictures may use
            return wanted.parent / place_beside(wanted, _stem_of(target.where), folder, f"{option}\0{target.where}")

        for target in videos:
            several = len(videos) > 1
            own = ("save_video", "timeline", "per_person")
            placed: dict[str, Any] = {name: place(getattr(given, name), name, target, several) for name in own}
            results = [
                place(path, f"output {path}", target, several or (bool(self.stills) and not find_form(path)))
                for path in (given.output, *given.also)
                if path is not None
            ]
            output, *also = results or (None,)
            yield target, Places(output=output, also=tuple(filter(None, also)), **placed)


def _stem_of(where: str) -> str:
    """Return the name that marks a video's outputs: the stem of its file, or its host."""
    if "://" not in where:
        return Path(where).stem
    parts = urlsplit(where)
    return PurePosixPath(parts.path).stem or parts.hostname or "stream"


def _bring_under_one_root(stills: list[Target]) -> tuple[list[Target], Path]:
    """Find the folder that contains all pictures and folders, and return them with it.

    Raises:
        CmaenError: There is no such folder, as on two drives.
    """
    paths = [Path(target.where) for target in stills]
    if any(".." in path.parts for path in paths) or len({path.is_absolute() for path in paths}) > 1:
        paths = [Path(os.path.abspath(path)) for path in paths]  # noqa: PTH100 - does not resolve links
        stills = [replace(target, where=str(path)) for target, path in zip(stills, paths, strict=True)]
    folders = [path.parent if target.kind == "picture" else path for target, path in zip(stills, paths, strict=True)]
    try:
        return stills, Path(os.path.commonpath(folders))
    except ValueError as error:
        raise CmaenError(
            "--annotated takes pictures from one drive only; run cmaen predict once for each drive"
        ) from error
