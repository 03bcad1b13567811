"""Detection of what each path of ``cmaen predict`` is: a picture, a folder, a video or an address."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple
from urllib.parse import urlsplit
from urllib.request import url2pathname

from cmaen.errors import CmaenError
from cmaen.images.reader import printable
from cmaen.images.signatures import FORMATS, HEAD, is_image_name, sniff
from cmaen.listing import OTHER, VIDEO, LeftOut, is_hidden, is_rubbish, left_out_kind, list_images

Kind = Literal["picture", "folder", "address", "video"]
"""Kinds of targets; an address is a remote folder of pictures, and a stream is a video."""
_STREAMS = frozenset(
    (
        "http",
        "https",
        "hls",
        "mms",
        "mmsh",
        "rtmp",
        "rtmpe",
        "rtmps",
        "rtmpt",
        "rtp",
        "rtsp",
        "rtsps",
        "srt",
        "tcp",
        "udp",
    )
)
"""Protocols over which FFmpeg reads videos."""


@dataclass(frozen=True)
class Target:
    """A source to process.

    Attributes:
        kind: Kind of the target.
        where: Path or address.
        root: Folder in which a video was found; empty if it was named itself, and for other targets.
    """

    kind: Kind
    where: str
    root: str = ""


@dataclass(frozen=True)
class Refusal:
    """A path that is not processed, and the reason.

    Attributes:
        name: Path as it was given, made printable.
        reason: Sentence with the name and the reason.
    """

    name: str
    reason: str


class Found(NamedTuple):
    """Targets and refusals, each once and in order."""

    targets: list[Target]
    refusals: list[Refusal]


def find_targets(paths: Sequence[str]) -> Found:
    """Detect what each path is; nothing is fetched, and only the first bytes of a file are read.

    Args:
        paths: Files, folders, patterns like ``holiday/*.jpg`` that no shell has expanded, and addresses.
    """
    left_out = LeftOut()
    everything = dict.fromkeys(one for path in paths for one in _look(path, left_out))
    left_out.say("the patterns")
    targets: dict[tuple[str, str], Target] = {}
    for one in everything:
        for target in _open_folder(one) if isinstance(one, Target) else ():
            targets.setdefault((target.kind, target.where), target)
    return Found(list(targets.values()), [one for one in everything if isinstance(one, Refusal)])


def _open_folder(target: Target) -> Iterator[Target]:
    """Yield a target; in place of a folder with videos, yield them after the folder, if it also has pictures."""
    left_out = LeftOut(videos=[])
    any_picture = False
    if target.kind == "folder":
        try:
            for _ in list_images(Path(target.where), left_out):
                any_picture = True
        except CmaenError:  # the source reports it
            left_out.videos = []
    if any_picture or not left_out.videos:
        yield target
    for video in left_out.videos or ():
        yield Target("video", str(video), target.where)


def _look(text: str, left_out: LeftOut) -> Iterator[Target | Refusal]:
    scheme, separator, _ = text.partition("://")
    separator = separator if len(scheme) > 1 else ""  # C:// is a drive
    if separator and scheme.lower() != "file":
        yield _look_at_address(text)
        return
    name = url2pathname(urlsplit(text).path) if separator else text
    if _exists(name):
        yield look_at_file(name)
    elif glob.has_magic(name):
        yield from _expand(name, left_out)
    elif name.isdecimal():
        yield Refusal(name, f"there is no file {name}; for a webcam: cmaen inference --real-time --camera-index {name}")
    else:  # the source reports that it does not exist
        yield Target("video" if left_out_kind(name, bytes) is VIDEO else "picture", name)


def _look_at_address(text: str) -> Target | Refusal:
    name = printable(text)
    try:
        parts = urlsplit(text)
    except ValueError:
        return Refusal(name, f"{name} is not a valid address")
    file = PurePosixPath(parts.path)
    stream = parts.scheme.lower() in _STREAMS
    if is_image_name(file):
        how = "download it first" if stream else "name its folder, or copy it to this machine"
        return Refusal(name, f"{name} is the address of a picture, but single pictures are not downloaded: {how}")
    if stream:
        return Target("video", text)
    if left_out_kind(file.name, bytes) is VIDEO:
        return Refusal(name, f"{name} is a video in remote storage; copy it to this machine first")
    return Target("address", text)


def look_at_file(name: str) -> Target | Refusal:
    """Detect what a path on this machine is, by its content, or by its name if the content is inconclusive."""
    path = Path(name)
    shown = printable(name)
    try:
        if path.is_dir():
            return Target("folder", name)
        if path.is_char_device() and path.name.startswith("video"):
            index = path.name.removeprefix("video") or "0"
            return Refusal(shown, f"{shown} is a camera: cmaen inference --real-time --camera-index {index}")
        if not path.is_file():
            return Refusal(shown, f"{shown} is a device or a pipe; give a file or a folder")
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError:  # the source reports that it cannot be read
        head = b""
    content = sniff(head)
    if content == "video":
        return Target("video", name)
    kind = left_out_kind(name, lambda: head)
    if kind is VIDEO and content not in FORMATS:
        return Target("video", name)
    if kind is OTHER:
        return Refusal(shown, f"{shown} is neither a picture nor a video")
    return Target("picture", name)


def _expand(pattern: str, left_out: LeftOut) -> Iterator[Target | Refusal]:
    """Expand a pattern in order of names; files that are no pictures or videos are counted and left out."""
    names = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207 - a pattern may begin at the root, or with "~"
    any_target = False
    for name in names:
        last = Path(name).name
        if is_rubbish(last) or is_hidden(last):
            continue
        one = look_at_file(name)
        if isinstance(one, Refusal):
            left_out.add(OTHER, last)
        else:
            any_target = True
            yield one
    if not any_target:
        shown = printable(pattern)
        yield Refusal(shown, f"no picture, folder or video matches {shown}")


def _exists(name: str) -> bool:
    try:
        return Path(name).exists()
    except (OSError, ValueError):  # a name too long, or with a NUL
        return False


def is_still(name: str) -> bool:
    """Whether a picture file holds a single picture, so that there is nothing to play."""
    from PIL import Image as PILImage

    try:
        with PILImage.open(name) as image:
            return not getattr(image, "is_animated", False)
    except Exception:  # Pillow raises nearly anything on damaged files, which are not animated either
        return True
