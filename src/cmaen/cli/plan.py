"""Jobs of ``cmaen predict``: one for all pictures, one for each video, with outputs that do not collide."""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby, islice
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
from cmaen.recordings.forms import place_beside

if TYPE_CHECKING:
    from cmaen.inference.sources import Source


_PICTURES = "pictures.csv"
"""Results of the pictures, in a folder of results."""
_OF_VIDEOS = ("save_video", "timeline", "per_person")
_DIGITS = 8
CANNOT_RESUME = (
    "--resume continues the results of video files; it cannot continue a stream, a video that --save-video writes, or "
    "one without the people of --exclude"
)


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
    def folder(self) -> Path | None:
        """The folder among the outputs, for a file for each video; ``None`` if there is none."""
        return next(filter(_is_folder, self.options.output or ()), None) if self.videos else None

    @property
    def shared(self) -> Sequence[Path]:
        """The files of the results that all jobs share; none if there is only one job, or a folder."""
        several = len(self.videos) + bool(self.stills) > 1
        return self.options.output or () if several and self.folder is None else ()

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
            "--every, --every-frame, --start and --end are for videos, and there is none": (
                given.has_excerpt and not videos
            ),
            "--explain takes exactly one picture": given.explain is not None and not self.is_single,
            "--resume needs an --output, whose unfinished results it continues": given.resume and given.output is None,
            CANNOT_RESUME: given.resume
            and (
                given.save_video is not None or any(map(_is_stream, videos)) or (bool(videos) and bool(given.exclude))
            ),
            "--engine ray works with cmaen inference --directory only": given.engine == RAY,
        }
        return next((problem for problem, there in problems.items() if there), None)

    def list_jobs(self) -> Iterator[tuple[str, Job]]:
        """Yield each job with its name for error messages: all pictures first, then the videos in their order."""
        stills, given = self.stills, self.options.places
        places_of_videos = list(self._place_videos())
        if stills:
            root = None
            if given.annotated is not None and not (self.is_single and is_image_name(given.annotated)):
                stills, root = _bring_under_one_root(stills)
            places = replace(self._place_stills(), save_video=None, timeline=None, per_person=None)
            name = printable(stills[0].where) if len(stills) == 1 else f"{len(stills)} sources of pictures"
            opened = partial(self._open_stills, stills)
            yield (
                name,
                Job(
                    open=opened,
                    places=places,
                    root=root,
                    table=self.is_single or given.output is None,
                    shares=bool(self.shared),
                ),
            )
        for target, places in places_of_videos:
            name = printable(target.where)
            yield (
                name,
                Job(
                    open=partial(self._open_video, target),
                    places=places,
                    moving=True,
                    name=name if len(self.targets) > 1 else "",
                    video="" if _is_stream(target) else name,
                    shares=bool(self.shared),
                    stays_open=self.options.resume or self.folder is not None,
                    is_complete=self.options.resume and self.folder is not None and _is_complete(places.output),
                ),
            )

    def _open_stills(self, stills: list[Target], without: Container[str], since: float) -> Source:
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
                    mind = None if kind == "address" else not any(video.root == target.where for video in self.videos)
                    source = open_source(kind, target.where, without=without, max_pixels=pixels, mind_videos=mind)
                except CmaenError as error:  # noqa: PERF203 - each fails alone
                    self.missed.append(str(error))
                else:
                    sources.append((printable(target.where), source))
        if not sources:
            raise CmaenError(self.missed.pop())
        return sources[0][1] if len(sources) == 1 else ChainSource(sources)

    def _open_video(self, target: Target, without: Container[str], since: float) -> Source:
        from cmaen.inference.sources import open_source

        return open_source("video", target.where, excerpt=self.options.excerpt, since=since)

    def _place_stills(self) -> Places:
        given = self.options.places
        if self.shared:
            return replace(given, output=None, also=())
        if self.folder is None:
            return given
        tables = given.keep_tables()
        also = [path for path in (tables.output, *tables.also) if path is not None and path != self.folder]
        return replace(tables, output=self.folder / _PICTURES, also=tuple(also))

    def _place_videos(self) -> Iterator[tuple[Target, Places]]:
        """Yield each video with its outputs; if several sources share an output, the video's name is added to it."""
        given, videos = self.options.places, self.videos
        names: dict[Path, Names] = {}
        tables = Names()
        tables.place((_PICTURES,), "")  # which the pictures may use

        def place(wanted: Path | None, option: str, target: Target) -> Path | None:
            if wanted is None or len(videos) == 1:
                return wanted
            folder = names.setdefault(wanted.parent, Names())
            folder.place((wanted.name,), "")  # reserves the plain name, which the pictures may use
            return wanted.parent / place_beside(wanted, _stem_of(target.where), folder, f"{option}\0{target.where}")

        for target in videos:
            placed: dict[str, Any] = {name: place(getattr(given, name), name, target) for name in _OF_VIDEOS}
            if self.folder is not None:
                others = [path for path in (given.output, *given.also) if path is not None and path != self.folder]
                also = [place(path, f"output {path}", target) for path in others]
                output = _place_table(self.folder, tables, target)
                placed |= {"output": output, "also": tuple(filter(None, also))}
            elif not self.shared:
                placed |= {"output": given.output, "also": given.also}
            yield target, Places(**placed)


def _place_table(folder: Path, names: Names, target: Target) -> Path:
    """Choose the file for the results of a video in a folder: never one with those of another, from whatever run."""
    *folders, _ = Path(target.where).relative_to(target.root).parts if target.root else ("",)
    stem = _stem_of(target.where)
    path = folder / names.place((*folders, f"{stem}.csv"), target.where)
    if _owner_of(path) in (None, printable(target.where)):
        return path
    digits = hashlib.sha256(target.where.encode(errors="backslashreplace")).hexdigest()[:_DIGITS]
    return folder / names.place((*folders, f"{stem}-{digits}.csv"), f"{target.where}\0")


def _part_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.part")


def _is_complete(path: Path | None) -> bool:
    """Whether there are whole results in the place of a video."""
    return path is not None and path.exists() and not _part_of(path).exists()


def _owner_of(path: Path) -> str | None:
    """Name the video whose results a file or its part holds; ``None`` if there are none, empty if they are no video's.

    A part without a record belongs to nobody.
    """
    try:
        if (part := _part_of(path)).exists():
            with part.open(encoding="utf-8") as lines:
                return str(json.loads([*islice(lines, 2)][1])["path"])
        with path.open(newline="", encoding="utf-8") as file:
            return str(next(csv.DictReader(file), {}).get("path", ""))
    except (FileNotFoundError, IndexError):
        return None
    except (OSError, ValueError, LookupError, TypeError, csv.Error):
        return ""


def _is_stream(target: Target) -> bool:
    return "://" in target.where and not target.where.lower().startswith("file:")


def _is_folder(path: Path) -> bool:
    """Whether an output is a folder for a file for each video."""
    return path.is_dir() or not path.suffix


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
