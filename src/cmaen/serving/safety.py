"""Who may come in, and what browsers are told: hosts, origins, the key, the rate, and the headers of every answer."""

from __future__ import annotations

import hmac
import re
import time
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import urlsplit

import anyio
from fastapi import Request
from fastapi.security import APIKeyHeader, HTTPBearer
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cmaen.serving.problems import Problem
from cmaen.serving.settings import Settings

LOOPBACK = ("localhost", "127.0.0.1", "::1")
_MOST_CLIENTS = 10_000
_HEADERS = {
    "Cross-Origin-Embedder-Policy": "require-corp",  # with the next: the browser's network may use threads
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_POLICY = (
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' blob: data:; "
    "media-src 'self' blob:; connect-src {connect}; worker-src 'self' blob:; object-src 'none'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)

BEARER = HTTPBearer(auto_error=False, description="The API key, where the server has one.")
HEADER = APIKeyHeader(name="X-API-Key", auto_error=False, description="The same in another place.")


class Guarded:
    """An application that only the right hosts and origins reach, and whose answers carry the headers of safety."""

    def __init__(self, app: ASGIApp, *, settings: Settings) -> None:
        self.app, self.settings = app, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI; a WebSocket that may not come in is refused before it is open."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)

        async def forward(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    answer.setdefault(name, value)
                answer.setdefault("Content-Security-Policy", _policy(headers.get("host", "")))
                answer.setdefault("Cache-Control", "no-store")
            await send(message)

        problem = _stranger(headers, self.settings, changes=scope.get("method") not in ("GET", "HEAD", "OPTIONS"))
        if problem is None:
            await self.app(scope, receive, forward)
        elif scope["type"] == "http":
            await problem.response()(scope, receive, forward)
        else:
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": problem.detail})


def _stranger(headers: Mapping[str, str], settings: Settings, *, changes: bool) -> Problem | None:
    """Why a request is not let in: its host is not this server's, or a page of another host makes it."""
    host = headers.get("host", "")
    if settings.hosts and _name_of(host) not in settings.hosts:
        return Problem(421, "this server does not go by that name; see cmaen serve --hostname")
    origin = headers.get("origin")
    if origin is None or not changes or origin in settings.origins:
        return None
    if _is_host(host) and origin.lower() in (f"http://{host}".lower(), f"https://{host}".lower()):
        return None
    return Problem(403, "the page of another host may not use this server; see cmaen serve --origin")


def _name_of(host: str) -> str | None:
    """The name or the address in a Host header, without a port; ``None`` where it is none."""
    if not _is_host(host):
        return None
    with suppress(ValueError):  # brackets around what is no address
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")  # a dot: a name in full
    return None


def _policy(host: str) -> str:
    """The Content-Security-Policy; in some browsers 'self' leaves out the WebSockets of the host."""
    return _POLICY.format(connect=f"'self' ws://{host} wss://{host}" if _is_host(host) else "'self'")


def _is_host(text: str) -> bool:
    return re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[\w.\-]+)(:\d{1,5})?", text, re.ASCII) is not None


class Drained:
    """An application whose refusals can be read: most clients send all of a body before they look for an answer.

    What is left of a body is thrown away as it comes, for a while, before an error is sent.

    Args:
        app: The application.
        most: Bytes that are thrown away; who still sends then finds the connection closed.
        seconds: For as long.
    """

    def __init__(self, app: ASGIApp, *, most: int, seconds: float = 5.0) -> None:
        self.app, self.most, self.seconds = app, most, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        waits = "100-continue" in Headers(scope=scope).get("expect", "")  # and sends nothing unless it is asked to
        over = False

        async def received() -> Message:
            nonlocal over
            message = await receive()
            over = not message.get("more_body", False)
            return message

        async def forward(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] >= 400 and not waits:
                size = 0
                with anyio.move_on_after(self.seconds):
                    while not over and size <= self.most:
                        size += len((await received()).get("body", b""))
            await send(message)

        await self.app(scope, received, forward)


class Gate:
    """The key and the rate, before the routes that cost something.

    Args:
        settings: With the key and the rate.
    """

    def __init__(self, settings: Settings) -> None:
        self._key = settings.api_key
        self._rate, self._burst = settings.limits.rate, settings.limits.burst
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # of a client: tokens, and when

    async def check(self, request: Request) -> None:
        """Let a request in; a dependency of its route.

        Raises:
            Problem: Its client asks too often, or does not know the key.
        """
        self.count(client_of(request))
        if not self.knows(given_key(request.headers)):
            raise Problem(
                401,
                "this server needs its API key, as Authorization: Bearer KEY or X-API-Key: KEY",
                headers={"WWW-Authenticate": "Bearer"},
            )

    def knows(self, key: str | None) -> bool:
        """Whether the key is right, in a time that does not tell how much of it is; or none is needed."""
        if self._key is None:
            return True
        texts = {(key or "").encode(errors="replace"), _bytes_of_header(key or "")}
        return any(hmac.compare_digest(text, self._key.encode()) for text in texts)

    def count(self, client: str) -> None:
        """One more request of a client: a token bucket.

        Raises:
            Problem: There were too many.
        """
        if not self._rate:
            return
        now = time.monotonic()
        tokens, then = self._buckets.pop(client, (float(self._burst), now))
        tokens = min(float(self._burst), tokens + (now - then) * self._rate)
        self._buckets[client] = (max(tokens - 1, 0.0) if tokens >= 1 else tokens, now)
        if len(self._buckets) > _MOST_CLIENTS:
            self._buckets.popitem(last=False)  # who has been silent the longest
        if tokens < 1:
            raise Problem(
                429,
                f"too many requests: {self._rate:g} a second are allowed, {self._burst} at once",
                retry_after=(1 - tokens) / self._rate,
                refused="rate",
            )


def _bytes_of_header(text: str) -> bytes:
    """What a client sent in a header, which is read as Latin-1 and is mostly UTF-8."""
    return text.encode("latin-1", errors="replace")


def given_key(headers: Mapping[str, str]) -> str | None:
    """The key that a client sent in one of the two headers."""
    scheme, _, key = headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else headers.get("x-api-key")


def client_of(connection: HTTPConnection) -> str:
    """The address of who asks, for the rate."""
    return connection.client.host if connection.client else ""
