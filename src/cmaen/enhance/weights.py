"""Finding the weights of enhancement: those of the package, a file, or those published by the authors."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from cmaen.checkpoints.hub import fetch
from cmaen.errors import CheckpointError, ConfigError


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


def _fetch(name: str, file: Published) -> Path:
    from torch import hub

    place = Path(hub.get_dir()) / "checkpoints" / Path(file.address).name
    if place.is_file():
        return place
    by_hand = f"download {file.address} ({file.licence}) by hand and name the file"
    if file.sha256 is None:
        raise ConfigError(f"{name} is published without a checksum, so it is not downloaded automatically: {by_hand}")
    try:
        return fetch(file.address, place, sha256=file.sha256)
    except CheckpointError as error:  # no network, or not the published file
        raise ConfigError(f"{name} could not be downloaded ({error}): {by_hand}") from error
