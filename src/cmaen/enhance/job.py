"""Enhancing a folder in batches: resumable after a kill, which costs at most one batch; a bad file affects no other."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from cmaen.data.restoration import Faces
from cmaen.data.tree import MANIFEST, enhancement_of, png
from cmaen.devices import torch_device, torch_threads
from cmaen.enhance.onnx import OpenSession
from cmaen.enhance.recipe import EnhancedFaces, Step
from cmaen.enhance.steps import build_chain
from cmaen.errors import CmaenError, ConfigError, DataError
from cmaen.files import replace_file, unwritable, write_text
from cmaen.images.reader import printable, read_image
from cmaen.listing import LeftOut, list_images
from cmaen.locks import hold
from cmaen.naming import Names
from cmaen.resources import usable_cores

PROGRESS = ".enhanced.jsonl"
"""The progress file: the chain, then one line per image; at the end the manifest repeats it."""
_SHORT = 16
"""Number of digits of the weights' SHA-256 that identify a chain."""
_SOME = 64
"""Largest number of images by which the faces before enhancement are described."""

log = logging.getLogger(__name__)


class Picture(NamedTuple):
    """A picture to enhance.

    Attributes:
        path: Path of its file.
        place: Path in the output folder.
        source: SHA-256 of its file.
        pixels: RGB uint8 [H, W, 3]; ``None`` if an earlier call has enhanced it.
    """

    path: Path
    place: Path
    source: str
    pixels: Faces | None


@dataclass(frozen=True)
class Enhanced:
    """The result of enhancing a folder.

    Attributes:
        images: Number of enhanced images, including those of earlier calls.
        reused: Number of images that an earlier call had made.
        errors: Reasons why files were left out, by name.
        seconds: Duration in seconds.
    """

    images: int
    reused: int
    errors: dict[str, str]
    seconds: float = field(default=0.0, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Return a plain dict, ready for JSON."""
        return asdict(self)


def enhance(
    source: Path | str,
    target: Path | str,
    steps: Sequence[str] = ("super-resolution", "colorization"),
    *,
    weights: Mapping[str, str | None] | None = None,
    batch_size: int = 16,
    bfloat16: bool = False,
    device: torch.device | str = "cpu",
    open_session: OpenSession | None = None,
    progress: Callable[[Sequence[Any]], Iterable[Any]] = iter,
) -> Enhanced:
    """Enlarge the images of a folder fourfold and colourise them: ``cmaen enhance`` as a function.

    Args:
        source, target, batch_size, progress: See :func:`enhance_folder`, also for its errors.
        steps: Names of the steps, in order.
        weights: Weights files by the name of a step, see :func:`cmaen.enhance.steps.build_chain`; ``None`` for the
            light networks of the package.
        bfloat16: Whether to compute in bfloat16.
        device: Device to run on, see :func:`cmaen.devices.torch_device`.
        open_session: See :func:`cmaen.enhance.steps.build_chain`.

    Raises:
        ConfigError: A step does not exist, there is none at all, or its weights cannot be obtained.
        CheckpointError: Weights are missing or damaged, or belong to another network.
        MissingExtraError: The weights need the extra ``enhance``.
    """
    place = torch_device(device) if isinstance(device, str) else device
    chain = build_chain(list(steps), dict(weights or {}), bfloat16=bfloat16, device=place, open_session=open_session)
    with torch_threads():
        return enhance_folder(Path(source), Path(target), chain, batch_size=batch_size, progress=progress)


def enhance_folder(
    source: Path,
    target: Path,
    chain: Sequence[Step],
    *,
    batch_size: int = 16,
    progress: Callable[[Sequence[Any]], Iterable[Any]] = iter,
) -> Enhanced:
    """Run every image of a folder through a chain, and write PNG files to a folder of the same structure.

    An image that the same chain has already enhanced, judged by its content, is skipped.

    Args:
        source: Folder of images, at any depth, see :mod:`cmaen.listing`; files that are left out are logged.
        target: Output folder; a ``manifest.json`` at the end holds the chain, preceded by that of the source or a
            description of its faces, counts, checksums and errors.
        chain: The steps, in order.
        batch_size: Number of images of one size that are processed together.
        progress: Wraps the list of batches.

    Raises:
        DataError: The folder does not exist, or holds no image.
        ConfigError: The target holds the results of another chain, or the source.
        OutputError: The target cannot be written, another run is writing it, or the disk is full; results so far stay,
            and a later call resumes.
    """
    started = time.perf_counter()
    if not source.is_dir():
        raise DataError(f"{source} is not a folder of images")
    if source.resolve().is_relative_to(target.resolve()):
        raise ConfigError(f"{target} holds the source images; choose another folder")
    left_out, names = LeftOut(), Names()
    before = list(enhancement_of(source))
    steps = [*before, *(f"{step.name} {step.weights[:_SHORT]}" for step in chain)]
    reused, errors, sources = 0, dict[str, str](), dict[Path, str]()
    with hold(target), ThreadPoolExecutor(usable_cores()) as pool:
        files = list(list_images(source, left_out))
        if not files:
            raise DataError(f"{source} contains no image" + (f"; left out: {left_out}" if left_out else ""))
        places = {path: names.place(*_place(path.relative_to(source))) for path in files}
        done = _begun(target, steps)
        for batch in progress([files[start : start + batch_size] for start in range(0, len(files), batch_size)]):
            pictures = []
            for path, found in zip(batch, pool.map(_reader(places, target, done), batch), strict=True):
                if isinstance(found, str):
                    errors[printable(path.relative_to(source))] = found
                    log.warning("left out: %s", found)
                    continue
                if found.pixels is None:
                    reused += 1
                    sources[found.place] = found.source
                else:
                    pictures.append(found)
            for alike in _of_one_size(pictures):
                made, failures = _through(chain, alike)
                errors |= {printable(path.relative_to(source)): text for path, text in failures.items()}
                list(pool.map(_write, [target / picture.place for picture, _ in made], [image for _, image in made]))
                _append(target / PROGRESS, [{str(picture.place): picture.source} for picture, _ in made])
                sources |= {picture.place: picture.source for picture, _ in made}
        described = [] if before else _describe_faces(files)
    left_out.say(source)
    manifest = {
        "chain": [*described, *steps],
        "images": len(sources),
        "errors": errors,
        "sources": {printable(place): checksum for place, checksum in sources.items()},
    }
    write_text(target / MANIFEST, json.dumps(manifest, indent=1) + "\n")
    return Enhanced(len(sources), reused, errors, time.perf_counter() - started)


def _begun(target: Path, steps: Sequence[str]) -> dict[str, str]:
    """Read what earlier calls have made: SHA-256 of the source by place; a line truncated by a kill is dropped."""
    path, done = target / PROGRESS, dict[str, str]()
    identity = json.dumps(steps)
    if path.is_file():
        first, *lines = path.read_text(encoding="utf-8").splitlines() or [""]
        if first != identity:
            raise ConfigError(f"{target} holds the results of another chain or other weights; choose another folder")
        for line in lines:
            done.update(_entry(line))
    write_text(path, "\n".join([identity, *(json.dumps({place: source}) for place, source in done.items())]) + "\n")
    return done


def _entry(line: str) -> dict[str, str]:
    try:
        return dict(json.loads(line))
    except (ValueError, TypeError):
        return {}


def _describe_faces(files: Sequence[Path]) -> list[str]:
    """Describe the faces before enhancement, by some of them: prediction makes such faces of its crops."""
    found = []
    for path in files[:: -(-len(files) // _SOME)]:
        with suppress(CmaenError, OSError):
            found.append(read_image(path))
    return [str(EnhancedFaces.of(found))] if found else []


def _append(path: Path, entries: Sequence[dict[str, str]]) -> None:
    try:
        with path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(entry) + "\n" for entry in entries)
    except OSError as error:
        raise unwritable(path, error) from error


def _place(path: Path) -> tuple[tuple[str, ...], str]:
    """Return the wanted place of a picture's result, and the picture's identity."""
    return tuple(map(printable, path.with_suffix(".png").parts)), printable(path)


def _through(chain: Sequence[Step], pictures: Sequence[Picture]) -> tuple[list[tuple[Picture, Faces]], dict[Path, str]]:
    """Run the chain on pictures of one size; if they fail together, each is processed alone.

    Returns:
        The pictures with their results, and the reasons why the others failed, by path.
    """
    try:
        enhanced = np.stack([np.asarray(picture.pixels) for picture in pictures])
        for step in chain:
            enhanced = step(enhanced)
        return list(zip(pictures, enhanced, strict=True)), {}
    except Exception as error:  # any failure of a network on an odd picture, such as one four pixels wide
        if len(pictures) > 1:
            parts = [_through(chain, [picture]) for picture in pictures]
            return [pair for made, _ in parts for pair in made], {
                path: text for _, failures in parts for path, text in failures.items()
            }
        (picture,) = pictures
        height, width = np.asarray(picture.pixels).shape[:2]
        text = f"{type(error).__name__}: {picture.path} ({width} x {height} pixels) cannot be enhanced: {error}"
        log.warning("left out: %s", text)
        return [], {picture.path: text}


def _reader(places: Mapping[Path, Path], target: Path, done: Mapping[str, str]) -> Callable[[Path], Picture | str]:
    """Return a function that reads a file and returns the picture, or what is wrong with it."""

    def read(path: Path) -> Picture | str:
        place = places[path]
        try:
            checksum = hashlib.sha256(path.read_bytes()).hexdigest()
            made = done.get(str(place)) == checksum and (target / place).is_file()
            return Picture(path, place, checksum, None if made else read_image(path))
        except OSError as error:
            return f"DataError: {path} cannot be read: {error.strerror}"
        except CmaenError as error:
            return f"{type(error).__name__}: {error}"

    return read


def _of_one_size(pictures: Sequence[Picture]) -> Iterator[list[Picture]]:
    groups: dict[tuple[int, ...], list[Picture]] = {}
    for picture in pictures:
        assert picture.pixels is not None
        groups.setdefault(picture.pixels.shape, []).append(picture)
    yield from groups.values()


def _write(path: Path, picture: Faces) -> None:
    with replace_file(path) as temporary:
        temporary.write_bytes(png(picture))
