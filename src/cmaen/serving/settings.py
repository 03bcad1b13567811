"""Settings of a server; the defaults of all limits are defined only here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import urlsplit

from cmaen.errors import ConfigError
from cmaen.inference.spec import PipelineSpec
from cmaen.web.notice import NOTICE, check_notice

MIB = 2**20
SERVED = PipelineSpec(engine="onnx", throughput=True)
"""Default pipeline of a server, which processes the images of all clients in parallel, each on one core."""
_PORTS = {"http": 80, "https": 443}
"""Default ports, which browsers leave out of an origin."""
_NEVER = ("", "file", "ftp", "ws", "wss")
"""Schemes that cannot be the origin of a page; browser extensions have schemes of their own, which can."""
_AT_LEAST_ONE = (
    "body_bytes",
    "images",
    "pixels",
    "faces",
    "waiting_faces",
    "explanations",
    "burst",
    "frame_bytes",
    "frame_pixels",
    "batch_faces",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of the server; each process counts separately.

    Attributes:
        body_bytes: Size of the body of one request.
        held_bytes: Total size of the bodies of all requests that are being read or answered, counted as they arrive.
        images: Number of images in one request.
        pixels: Number of pixels in one image.
        faces: Number of faces in one image.
        decode_seconds: Time for decoding one image.
        decoding_pixels: Total pixels of the images that are decoded and searched for faces at the same time; a larger
            image is processed alone. ``None``: ``pixels`` or 12.5 million per core, whichever is more. Each pixel takes
            about 12 bytes.
        waiting_faces: Total number of faces that wait for the network.
        seconds: Time for a request to arrive, then for it to be answered, and between two frames of a live socket.
        queue: Number of images that are accepted but not yet answered; further images are refused.
        wait: Time in seconds; requests whose images would wait longer are refused.
        explanations: Number of images that wait to be explained, which takes far longer than an answer.
        rate: Average number of requests per second of one client; 0 for no limit.
        burst: Number of requests that a client may send at once after a pause.
        live_sockets: Number of live sockets that are open at the same time.
        frame_bytes, frame_pixels: Size and number of pixels of one live frame.
        batch_faces: Number of faces that the network processes together.
        batch_seconds: Time that the first face of a batch waits for others, if others are being processed.

    Raises:
        ConfigError: Limits are below their minimum; the message lists all of them.
    """

    body_bytes: int = 32 * MIB
    held_bytes: int = 256 * MIB
    images: int = 32
    pixels: int = 50_000_000
    faces: int = 1000
    decode_seconds: float = 10.0
    decoding_pixels: int | None = None
    waiting_faces: int = 2000
    seconds: float = 30.0
    queue: int = 128
    wait: float = 3.0
    explanations: int = 8
    rate: float = 0.0
    burst: int = 20
    live_sockets: int = 8
    frame_bytes: int = 2 * MIB
    frame_pixels: int = 4_000_000
    batch_faces: int = 32
    batch_seconds: float = 0.003

    def __post_init__(self) -> None:
        problems = list(self._find_problems())
        if problems:
            raise ConfigError("; ".join(problems))

    def _find_problems(self) -> Iterator[str]:
        for name in _AT_LEAST_ONE:
            if not getattr(self, name) >= 1:
                yield f"the limit {name} must be at least 1, not {getattr(self, name)}"
        for name in ("seconds", "decode_seconds", "wait"):
            if not getattr(self, name) > 0:
                yield f"the limit {name} must be above 0 seconds, not {getattr(self, name)}"
        for name in ("rate", "live_sockets", "batch_seconds"):
            if not getattr(self, name) >= 0:
                yield f"the limit {name} must be 0 or more, not {getattr(self, name)}"
        if self.decoding_pixels is not None and not self.decoding_pixels >= 1:
            yield f"the limit decoding_pixels must be at least 1, not {self.decoding_pixels}"
        if self.queue < self.images:
            yield f"a queue of {self.queue} images never has room for a request with {self.images}; change either limit"
        if self.held_bytes < self.body_bytes:
            yield f"held_bytes ({self.held_bytes:,}) must be at least body_bytes ({self.body_bytes:,})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of a server.

    Attributes:
        pipeline: Pipeline of one process. Its ``scheme`` applies to requests that do not name one, and its ``workers``
            is the number of cores that the process uses; the pixels of an image are among the limits.
        api_key: API key that clients must send; ``None``: no key is required.
        origins: Origins of pages of other hosts that may use the service, such as ``https://example.org``; stored in
            the form in which browsers send them.
        hosts: Host names under which clients may address the server; empty for any. A server on a loopback address
            should have them, or any page could reach it under a name of its own (DNS rebinding).
        load_first: Whether to accept connections only after the model is loaded, so that other processes take them
            meanwhile. Otherwise ``/readyz`` reports when it is.
        notice: Notice on the page and in the header ``CMAEN-Notice`` of each response: one line of plain text.
        limits: Limits of the server.

    Raises:
        ConfigError: The key or the notice is empty or cannot be sent, or the key, an origin or a host could never match
            what a client sends.
    """

    pipeline: PipelineSpec = SERVED
    api_key: str | None = None
    origins: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    load_first: bool = False
    notice: str = NOTICE
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if self.api_key is not None:
            object.__setattr__(self, "api_key", self.api_key.strip())  # headers have no surrounding spaces
            if not self.api_key:
                raise ConfigError("the API key is empty; give one that cannot be guessed, or leave it out")
            if not self.api_key.isprintable():
                raise ConfigError(
                    "the API key contains a line break or another control character, which no header can carry"
                )
        object.__setattr__(self, "notice", check_notice(self.notice))
        object.__setattr__(self, "origins", tuple(map(_as_browsers_send_it, self.origins)))
        object.__setattr__(self, "hosts", tuple(map(_as_hostname, self.hosts)))


def _as_browsers_send_it(origin: str) -> str:
    """Convert an origin to the form in which browsers send it, for comparison.

    Raises:
        ConfigError: No browser would send this origin.
    """
    advice = "give a scheme, a name and, if it is not the default, a port, like https://example.org:8443"
    try:
        parts = urlsplit(origin.strip())
        port, name = parts.port, _ascii_name(parts.hostname or "")
    except ValueError as error:
        raise ConfigError(f"{origin!r} is not the origin of a page: {error}; {advice}") from error
    if parts.scheme in _NEVER or not name or parts.username is not None:
        raise ConfigError(f"{origin!r} is not the origin of a page; {advice}")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ConfigError(f"{origin!r} is the address of a page, not the origin of a site; {advice}")
    return f"{parts.scheme}://{name}" + ("" if port in (None, _PORTS.get(parts.scheme)) else f":{port}")


def _as_hostname(host: str) -> str:
    """Convert a host name or address to the form in which requests are compared: without a port, in lower case.

    Raises:
        ConfigError: It is neither a name nor an address.
    """
    advice = "give only a name, like faces.example.org"
    text = host.strip()
    with suppress(ValueError):
        return str(ip_address(text.removeprefix("[").removesuffix("]")))
    try:
        parts = urlsplit(f"//{text}")
        _, name = parts.port, _ascii_name(parts.hostname or "")
    except ValueError as error:
        raise ConfigError(f"{host!r} is not the name of a server: {error}; {advice}") from error
    if not name or parts.path or parts.query or parts.fragment or parts.username is not None:
        raise ConfigError(f"{host!r} is not the name of a server; {advice}")
    return name.strip("[]").rstrip(".")


def _ascii_name(name: str) -> str:
    """Convert a host name to lower-case ASCII, as browsers do, and put IPv6 addresses in brackets.

    Raises:
        ValueError: No host can have this name.
    """
    if ":" in name:
        return f"[{ip_address(name)}]"
    ascii_name = name.encode("idna").decode("ascii").lower() if not name.isascii() else name.lower()
    if not re.fullmatch(r"[a-z0-9_.-]*", ascii_name):
        raise ValueError("a host name consists of letters, digits, dots and hyphens")
    return ascii_name
