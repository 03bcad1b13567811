"""Error responses: JSON as in RFC 9457, never a stack trace."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from http import HTTPStatus
from threading import Lock
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cmaen.errors import CmaenError
from cmaen.serving.logs import identify

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
_MOST_FINDINGS, _LONGEST_PART, _LONGEST_DETAIL = 3, 50, 1000
_LONGEST_REASON = 123  # bytes, RFC 6455
_CLIENT_IS_GONE = 499  # as in nginx; nobody reads the response


class Problem(CmaenError):  # noqa: N818 - the name in the RFC
    """The reason why a request is not answered.

    Args:
        status: HTTP status.
        detail: Text that says what is wrong and what to do.
        retry_after: Time in seconds after which the client may try again.
        refused: Name of the limit that was reached, for the metrics; ``None`` if the request itself is wrong.
        headers: Headers of the response.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        retry_after: float | None = None,
        refused: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.refused = status, detail, refused
        self.headers = dict(headers or {})
        if retry_after is not None:
            self.headers["Retry-After"] = str(max(1, math.ceil(retry_after)))

    def response(self) -> Response:
        """Make the response that is sent."""
        try:
            title = HTTPStatus(self.status).phrase
        except ValueError:
            title = "Error"
        detail = self.detail if len(self.detail) <= _LONGEST_DETAIL else f"{self.detail[:_LONGEST_DETAIL]}…"
        content = {"type": "about:blank", "title": title, "status": self.status, "detail": detail}
        return json_response(content, self.status, self.headers, media_type=MEDIA_TYPE)


class Room:
    """A limited number of places; requests that find none free are refused at once instead of waiting.

    Args:
        places: Number of places.
        name: Name of the limit, for the metrics.
        what: Reason for a refusal, for the client.
    """

    def __init__(self, places: int, name: str, what: str) -> None:
        self.places, self.name, self.what = places, name, what
        self.used = 0
        self._lock = Lock()

    def enter(self, count: int = 1) -> None:
        """Occupy places, which :meth:`leave` releases.

        Raises:
            Problem: There are not enough free places.
        """
        with self._lock:
            if self.used + count > self.places:
                raise Problem(503, f"the server is busy: {self.what}; try again", retry_after=1, refused=self.name)
            self.used += count

    def leave(self, count: int = 1) -> None:
        """Release places."""
        with self._lock:
            self.used -= count

    @contextmanager
    def reserve(self, count: int = 1) -> Iterator[None]:
        """Occupy places for the duration of a ``with`` block."""
        self.enter(count)
        try:
            yield
        finally:
            self.leave(count)

    @contextmanager
    def reserve_growing(self) -> Iterator[Callable[[int], None]]:
        """Yield a function that occupies more places, all of which are released after the ``with`` block."""
        total = 0

        def take(count: int) -> None:
            nonlocal total
            self.enter(count)
            total += count

        try:
            yield take
        finally:
            self.leave(total)


def json_response(
    content: Any, status: int = 200, headers: Mapping[str, str] | None = None, *, media_type: str = "application/json"
) -> Response:
    """Make a response of ASCII JSON, because a client's file name may contain characters that UTF-8 cannot encode."""
    return Response(json.dumps(content, allow_nan=False), status, dict(headers or {}), media_type)


def add_handlers(app: FastAPI) -> None:
    """Answer every error of the application with a problem."""

    async def answer_refusal(_: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        if error.refused is not None:
            app.state.metrics.refused.labels(error.refused).inc()
        return error.response()

    async def framework(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return Problem(error.status_code, str(error.detail), headers=error.headers).response()

    async def parameters(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return Problem(422, describe_findings(error.errors())).response()

    async def gone(_: Request, __: Exception) -> Response:
        return Response(status_code=_CLIENT_IS_GONE)

    async def answer_failure(request: Request, error: Exception) -> Response:  # raised in the middleware
        return _failure(request.scope, error).response()

    app.add_exception_handler(Exception, answer_failure)
    app.add_exception_handler(Problem, answer_refusal)
    app.add_exception_handler(HTTPException, framework)
    app.add_exception_handler(RequestValidationError, parameters)
    app.add_exception_handler(ClientDisconnect, gone)


class Answered:
    """Middleware that answers unexpected errors and logs them, once, under the same identifier."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI; an answer that has begun is aborted."""
        begun = False

        async def forward(message: Message) -> None:
            nonlocal begun
            begun = begun or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, forward)
        except Exception as error:
            if scope["type"] not in ("http", "websocket"):
                raise
            problem = _failure(scope, error)
            if begun:
                raise
            if scope["type"] == "http":
                await problem.response()(scope, receive, send)
            else:
                with suppress(RuntimeError):  # it is closed already
                    await send({"type": "websocket.close", "code": 1011, "reason": shorten_reason(problem.detail)})


def _failure(scope: Scope, error: Exception) -> Problem:
    """Log an unexpected error, and make the problem that the client gets."""
    number = identify(error)
    log.error("%s %s failed (%s)", scope.get("method", "WebSocket"), _route(scope), number, exc_info=error)
    return Problem(500, f"the server failed on this request; its log gives the reason under {number}")


def shorten_reason(reason: str) -> str:
    """Shorten the reason for closing a WebSocket to what a close frame can carry."""
    return reason.encode("utf-8", "replace")[:_LONGEST_REASON].decode("utf-8", "ignore")


def _route(scope: Scope) -> str:
    """Return the pattern of a request's route, because the client chooses the path and may vary it."""
    return str(getattr(scope.get("route"), "path", "without a route"))


def describe_findings(errors: Sequence[Any]) -> str:
    """Describe the first of Pydantic's findings in one line, without the received values, and count the others."""
    told = "; ".join(f"{'.'.join(map(_short, error['loc']))}: {error['msg']}" for error in errors[:_MOST_FINDINGS])
    more = len(errors) - _MOST_FINDINGS
    return f"{told}; and {more:,} more" if more > 0 else told


def _short(part: object) -> str:
    """Shorten a part of a location in a request, which may be a name that the client chose."""
    text = str(part)
    return text if len(text) <= _LONGEST_PART else f"{text[:_LONGEST_PART]}…"
