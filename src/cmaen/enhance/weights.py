"""Finding the weights of enhancement: those of the package, a file, or those published by the authors."""

from __future__ import annotations

from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from cmaen.checkpoints.hub import fetch
from cmaen.errors import CheckpointError, ConfigError, EnhancementError, MissingExtraError
from cmaen.files import sha256


class Published(NamedTuple):
    """A weights file published by the authors.

    Attributes:
        step: Step that it is for.
        address: Address of the file.
        sha256: SHA-256 of the file, in hex; ``None`` if unknown, in which case it is not downloaded.
        licence: Licence of the weights.
    """

    step: str
    address: str
    sha256: str | None
    licence: str


_SWINIR = "https://github.com/JingyunLiang/SwinIR/releases/download/v0.0/003_realSR_BSRGAN_"
_DDCOLOR = "https://huggingface.co/piddnad/DDColor-models/resolve/main/ddcolor_"
PUBLISHED = {
    "swinir-l": Published(
        "super-resolution",
        f"{_SWINIR}DFOWMFC_s64w8_SwinIR-L_x4_GAN.pth",
        "99adfa91350a84c99e946c1eb3d8fce34bc28f57d807b09dc8fe40a316328c0a",
        "Apache-2.0",
    ),
    "swinir-m": Published(
        "super-resolution",
        f"{_SWINIR}DFO_s64w8_SwinIR-M_x4_GAN.pth",
        "b9afb61e65e04eb7f8aba5095d070bbe9af28df76acd0c9405aeb33b814bcfc6",
        "Apache-2.0",
    ),
    "ddcolor": Published("colorization", f"{_DDCOLOR}modelscope.pth", None, "Apache-2.0"),
    "ddcolor-tiny": Published("colorization", f"{_DDCOLOR}paper_tiny.pth", None, "Apache-2.0"),
}
"""The published weights by their name on the command line."""


def find_shipped(step: str) -> Path:
    """Return the weights file of a step's light network, which comes with the package."""
    return Path(str(files("cmaen") / "enhance" / f"{step}.safetensors"))


def find_weights(step: str, named: str | None) -> Path:
    """Find the weights file of a step.

    Args:
        step: Step that needs the weights.
        named: A file, or a name in :data:`PUBLISHED`, which is downloaded once and verified by its checksum; ``None``:
            the weights of the package.

    Raises:
        ConfigError: The file or the name does not exist, or cannot be downloaded; the message says what to do by hand.
    """
    if named is None:
        return find_shipped(step)
    known = {name: file for name, file in PUBLISHED.items() if file.step == step}
    if named not in known:
        if not Path(named).is_file():
            raise ConfigError(f"{named} is neither a file nor one of the weights published for {step}: {list(known)}")
        return Path(named)
    return _fetch(named, known[named])


def find_by_checksum(step: str, checksum: str, folder: Path) -> Path | None:
    """Find the weights file of a step by the first digits of its SHA-256; ``None`` if there is none.

    Args:
        step: Step that needs the weights.
        checksum: The first digits, in hex.
        folder: Folder that may hold the file as ``<step>.safetensors`` or ``<step>.pth``, besides the package and the
            published weights, which are downloaded once if their checksum is known to be this.

    Raises:
        ConfigError: The published weights cannot be downloaded.
        EnhancementError: The published weights were downloaded before, and are damaged.
        MissingExtraError: The published weights need PyTorch, which is not installed.
    """
    for path in (find_shipped(step), *(folder / f"{step}{suffix}" for suffix in (".safetensors", ".pth"))):
        if path.is_file() and sha256(path).startswith(checksum):
            return path
    published = {name: file for name, file in PUBLISHED.items() if file.step == step}
    for name, file in published.items():
        if file.sha256 is not None and file.sha256.startswith(checksum):
            path = _fetch(name, file)
            if sha256(path) != file.sha256:
                raise EnhancementError(f"{path} is not {name} as published: delete it, to download it again")
            return path
    if find_spec("torch") is None:  # then nothing is in its cache
        return None
    places = [_place(file) for file in published.values() if file.sha256 is None]
    return next((place for place in places if place.is_file() and sha256(place).startswith(checksum)), None)


def _place(file: Published) -> Path:
    """Return the place of published weights in PyTorch's cache."""
    try:
        from torch import hub
    except ModuleNotFoundError as error:
        raise MissingExtraError("enhancement with the authors' weights", "enhance") from error
    return Path(hub.get_dir()) / "checkpoints" / Path(file.address).name


def _fetch(name: str, file: Published) -> Path:
    place = _place(file)
    if place.is_file():
        return place
    by_hand = f"download {file.address} ({file.licence}) by hand and name the file"
    if file.sha256 is None:
        raise ConfigError(f"{name} is published without a checksum, so it is not downloaded automatically: {by_hand}")
    try:
        return fetch(file.address, place, sha256=file.sha256)
    except CheckpointError as error:  # no network, or not the published file
        raise ConfigError(f"{name} could not be downloaded ({error}): {by_hand}") from error
