"""What a server is told when it starts; every limit has a number here and nowhere else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import urlsplit

from cmaen.errors import ConfigError
from cmaen.inference.spec import PipelineSpec

MIB = 2**20
SERVED = PipelineSpec(engine="onnx", throughput=True)
"""The pipeline of a server of which nothing is said: all clients' pictures at a time, each on one core."""
_PORTS = {"http": 80, "https": 443}
"""The port that browsers leave out of an origin."""
_NEVER = ("", "file", "ftp", "ws", "wss")
"""What no page is loaded by, so that none has an origin of it; extensions of browsers have schemes of their own."""
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
    """How much the server takes on; each process counts for itself.

    Attributes:
        body_bytes: Of one request.
        held_bytes: Of the bodies of all requests that are being read or answered, counted as they come.
        images: Of one request.
        pixels: Of one image.
        faces: Of one image.
        decode_seconds: For one image to be decoded.
        decoding_pixels: Of all images that are decoded and searched for faces at the same time; a larger one alone.
            ``None``: as many as one image may have, or 12.5 million for each core. Each takes some 12 bytes.
        waiting_faces: Of all images that wait for the network.
        seconds: For a request to be sent, then for it to be answered, and between two frames of a live socket.
        queue: Images that are taken and not yet answered; the next ones are refused.
        wait: Seconds; images that would wait longer for their turn are refused.
        explanations: Images that are waiting to be explained, which takes far longer than an answer.
        rate: Requests a second of one client, on average; 0 for no limit.
        burst: Requests that a client may make at once after a rest.
        live_sockets: Open at the same time.
        frame_bytes, frame_pixels: Of one live frame.
        batch_faces: That go through the network together.
        batch_seconds: That the first face of a batch waits for others, where others are on their way.

    Raises:
        ConfigError: Limits are below the least that works; the message lists every one.
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
            yield f"a queue of {self.queue} images never has room for a request of {self.images}"
        if self.held_bytes < self.body_bytes:
            yield f"held_bytes ({self.held_bytes:,}) must be at least body_bytes ({self.body_bytes:,})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """A server.

    Attributes:
        pipeline: Of one process; its ``scheme`` is that of requests that name none, its ``workers`` are the cores that
            the process uses, and the pixels of a picture are in the limits.
        api_key: That clients must know; ``None`` lets everybody in.
        origins: Of pages of other hosts that may use the service from a browser, like ``https://example.org``; kept as
            browsers send them.
        hosts: Names under which this server may be asked for; empty for any. On a loopback address it should have
            them, or a page anywhere could reach it under a name of its own (DNS rebinding).
        load_first: Take no connection before the model is loaded: others take them meanwhile. Else ``/readyz`` says so.
        limits: How much it takes on.

    Raises:
        ConfigError: The key is empty, or something here could never be equal to what a client sends.
    """

    pipeline: PipelineSpec = SERVED
    api_key: str | None = None
    origins: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    load_first: bool = False
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if self.api_key is not None:
            object.__setattr__(self, "api_key", self.api_key.strip())  # a header has none around it
            if not self.api_key:
                raise ConfigError("the API key is empty; give one that cannot be guessed, or none at all")
            if not self.api_key.isprintable():
                raise ConfigError(
                    "the API key holds a line break or another control character, which no header can carry"
                )
        object.__setattr__(self, "origins", tuple(map(_as_browsers_send_it, self.origins)))
        object.__setattr__(self, "hosts", tuple(map(_as_hostname, self.hosts)))


def _as_browsers_send_it(origin: str) -> str:
    """An origin in the form in which browsers send it, in which it is compared.

    Raises:
        ConfigError: It is none that a browser would ever send.
    """
    advice = "give a scheme, a name and, where it is not the usual one, a port, like https://example.org:8443"
    try:
        parts = urlsplit(origin.strip())
        port, name = parts.port, _ascii_name(parts.hostname or "")
    except ValueError as error:
        raise ConfigError(f"{origin!r} is not the origin of a page: {error}; {advice}") from error
    if parts.scheme in _NEVER or not name or parts.username is not None:
        raise ConfigError(f"{origin!r} is not the origin of a page; {advice}")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ConfigError(f"{origin!r} names a page, and an origin is that of a whole site; {advice}")
    return f"{parts.scheme}://{name}" + ("" if port in (None, _PORTS.get(parts.scheme)) else f":{port}")


def _as_hostname(host: str) -> str:
    """A name or an address of the server as it is compared with what clients ask for: without a port, in lower case.

    Raises:
        ConfigError: It is neither.
    """
    advice = "give the name alone, like faces.example.org"
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
    """The name of a host in lower case, with other letters as browsers write them, and IPv6 addresses in brackets.

    Raises:
        ValueError: No host can have it.
    """
    if ":" in name:
        return f"[{ip_address(name)}]"
    ascii_name = name.encode("idna").decode("ascii").lower() if not name.isascii() else name.lower()
    if not re.fullmatch(r"[a-z0-9_.-]*", ascii_name):
        raise ValueError("a name holds letters, digits, dots and hyphens")
    return ascii_name
