"""Access control and headers of each response: hosts, origins, the API key, the rate limit, and the notice."""

from __future__ import annotations

import hmac
import re
import time
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import quote, urlsplit

import anyio
from fastapi import Request
from fastapi.security import APIKeyHeader, HTTPBearer
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cmaen.serving.problems import Problem
from cmaen.serving.settings import Settings

NOTICE_HEADER = "CMAEN-Notice"
"""Header of each response that carries the operator's notice."""

LOOPBACK = ("localhost", "127.0.0.1", "::1")
_MOST_CLIENTS = 10_000
_HEADERS = {
    "Cross-Origin-Embedder-Policy": "require-corp",  # with the next: allows threads for the network in the browser
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

BEARER = HTTPBearer(auto_error=False, description="The API key, if the server requires one.")
HEADER = APIKeyHeader(
    name="X-API-Key", auto_error=False, description="The API key in another header, as an alternative."
)


class Guarded:
    """Middleware that refuses unknown hosts and origins, and adds security headers and the notice to all responses."""

    def __init__(self, app: ASGIApp, *, settings: Settings) -> None:
        self.app, self.settings = app, settings
        self._notice = encode_notice(settings.notice)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI; a WebSocket that is not permitted is refused before it is open."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)

        async def forward(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.accept"):
                MutableHeaders(scope=message)[NOTICE_HEADER] = self._notice
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


def encode_notice(text: str) -> str:
    """Encode a notice as the value of a header: ``text="…"``, or ``text*=UTF-8''…`` (RFC 8187) if it is not ASCII."""
    if text.isascii():
        escaped = text.replace("\\", r"\\").replace('"', r"\"")
        return f'text="{escaped}"'
    return f"text*=UTF-8''{quote(text, safe='')}"


def _stranger(headers: Mapping[str, str], settings: Settings, *, changes: bool) -> Problem | None:
    """Return why a request is refused: its host is not this server's, or it comes from a page of another host."""
    host = headers.get("host", "")
    if settings.hosts and _name_of(host) not in settings.hosts:
        return Problem(
            421, "the request names another host than this server; permit the name with cmaen serve --hostname"
        )
    origin = headers.get("origin")
    if origin is None or not changes or origin in settings.origins:
        return None
    if _is_host(host) and origin.lower() in (f"http://{host}".lower(), f"https://{host}".lower()):
        return None
    return Problem(403, "pages of other hosts may not use this server; permit the origin with cmaen serve --origin")


def _name_of(host: str) -> str | None:
    """Extract the name or address from a Host header, without the port; ``None`` if it is invalid."""
    if not _is_host(host):
        return None
    with suppress(ValueError):  # brackets without an address
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")  # fully qualified names end with a dot
    return None


def _policy(host: str) -> str:
    """Make the Content-Security-Policy, with WebSockets, which 'self' does not cover in some browsers."""
    return _POLICY.format(connect=f"'self' ws://{host} wss://{host}" if _is_host(host) else "'self'")


def _is_host(text: str) -> bool:
    return re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[\w.\-]+)(:\d{1,5})?", text, re.ASCII) is not None


class Drained:
    """Middleware that makes refusals readable for clients that send the whole body before they read a response.

    The rest of the body is received and discarded, up to a limit, before an error is sent.

    Args:
        app: The application.
        most: Maximum number of bytes to discard; a client that sends more finds the connection closed.
        seconds: Maximum time for discarding.
    """

    def __init__(self, app: ASGIApp, *, most: int, seconds: float = 5.0) -> None:
        self.app, self.most, self.seconds = app, most, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        # such a client sends no body until it is asked to
        waits = "100-continue" in Headers(scope=scope).get("expect", "")
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
    """Check of the API key and the rate limit, before the routes that use the model.

    Args:
        settings: Settings with the key and the rate limit.
    """

    def __init__(self, settings: Settings) -> None:
        self._key = settings.api_key
        self._rate, self._burst = settings.limits.rate, settings.limits.burst
        # by client: tokens, and the time of the last request
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    async def check(self, request: Request) -> None:
        """Check a request, as a dependency of its route.

        Raises:
            Problem: The client exceeds the rate limit, or does not send the key.
        """
        self.count(client_of(request))
        if not self.knows(given_key(request.headers)):
            raise Problem(
                401,
                "this server requires an API key; send the header Authorization: Bearer KEY or X-API-Key: KEY",
                headers={"WWW-Authenticate": "Bearer"},
            )

    def knows(self, key: str | None) -> bool:
        """Whether the key is right or none is required; the comparison takes constant time."""
        if self._key is None:
            return True
        texts = {(key or "").encode(errors="replace"), _bytes_of_header(key or "")}
        return any(hmac.compare_digest(text, self._key.encode()) for text in texts)

    def count(self, client: str) -> None:
        """Count a request of a client, by a token bucket.

        Raises:
            Problem: The client exceeds the rate limit.
        """
        if not self._rate:
            return
        now = time.monotonic()
        tokens, then = self._buckets.pop(client, (float(self._burst), now))
        tokens = min(float(self._burst), tokens + (now - then) * self._rate)
        self._buckets[client] = (max(tokens - 1, 0.0) if tokens >= 1 else tokens, now)
        if len(self._buckets) > _MOST_CLIENTS:
            self._buckets.popitem(last=False)  # the client that has been silent the longest
        if tokens < 1:
            raise Problem(
                429,
                f"too many requests: {self._rate:g} per second are permitted, and {self._burst} at once",
                retry_after=(1 - tokens) / self._rate,
                refused="rate",
            )


def _bytes_of_header(text: str) -> bytes:
    """Recover the bytes of a header, which is decoded as Latin-1 but is usually UTF-8."""
    return text.encode("latin-1", errors="replace")


def given_key(headers: Mapping[str, str]) -> str | None:
    """Extract the key that a client sent in one of the two headers."""
    scheme, _, key = headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else headers.get("x-api-key")


def client_of(connection: HTTPConnection) -> str:
    """Return the address of the client, for the rate limit."""
    return connection.client.host if connection.client else ""
