"""What a client is told when it gets no answer: JSON as in RFC 9457, never a stack trace."""

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
_CLIENT_IS_GONE = 499  # as nginx has it; nobody reads the response


class Problem(CmaenError):  # noqa: N818 - as the RFC calls it
    """Why a request gets no answer.

    Args:
        status: Of HTTP.
        detail: What was wrong and what to do.
        retry_after: Seconds after which another try makes sense.
        refused: By which limit, for the metrics; ``None`` where the request itself is wrong.
        headers: Of the response.
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
        """As it is sent."""
        try:
            title = HTTPStatus(self.status).phrase
        except ValueError:
            title = "Error"
        detail = self.detail if len(self.detail) <= _LONGEST_DETAIL else f"{self.detail[:_LONGEST_DETAIL]}…"
        content = {"type": "about:blank", "title": title, "status": self.status, "detail": detail}
        return json_response(content, self.status, self.headers, media_type=MEDIA_TYPE)


class Room:
    """So many places, each for a while; who finds none is refused at once instead of waiting.

    Args:
        places: How many.
        name: Of the limit, for the metrics.
        what: Is in them, for the client.
    """

    def __init__(self, places: int, name: str, what: str) -> None:
        self.places, self.name, self.what = places, name, what
        self.used = 0
        self._lock = Lock()

    def enter(self, count: int = 1) -> None:
        """Take places, which :meth:`leave` gives back.

        Raises:
            Problem: There are not as many.
        """
        with self._lock:
            if self.used + count > self.places:
                raise Problem(503, f"the server is busy: {self.what}; try again", retry_after=1, refused=self.name)
            self.used += count

    def leave(self, count: int = 1) -> None:
        """Give places back."""
        with self._lock:
            self.used -= count

    @contextmanager
    def reserve(self, count: int = 1) -> Iterator[None]:
        """Places for the time of a ``with`` block."""
        self.enter(count)
        try:
            yield
        finally:
            self.leave(count)

    @contextmanager
    def reserve_growing(self) -> Iterator[Callable[[int], None]]:
        """A ``with`` block that may take places again and again, by the function that it is given."""
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
    """JSON in ASCII: a client's file name may hold what UTF-8 has no bytes for."""
    return Response(json.dumps(content, allow_nan=False), status, dict(headers or {}), media_type)


def add_handlers(app: FastAPI) -> None:
    """Every error of the application becomes a problem."""

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

    async def answer_failure(request: Request, error: Exception) -> Response:  # of what stands before the routes
        return _failure(request.scope, error).response()

    app.add_exception_handler(Exception, answer_failure)
    app.add_exception_handler(Problem, answer_refusal)
    app.add_exception_handler(HTTPException, framework)
    app.add_exception_handler(RequestValidationError, parameters)
    app.add_exception_handler(ClientDisconnect, gone)


class Answered:
    """An application whose unforeseen errors are answered and logged, once, under the same identifier."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI; an answer that has begun is broken off."""
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
    """What the client is told of an unforeseen error, which is logged."""
    number = identify(error)
    log.error("%s %s failed (%s)", scope.get("method", "WebSocket"), _route(scope), number, exc_info=error)
    return Problem(500, f"the server failed on this request; its log says why under {number}")


def shorten_reason(reason: str) -> str:
    """A reason to close a WebSocket, as long as its frame can carry it."""
    return reason.encode("utf-8", "replace")[:_LONGEST_REASON].decode("utf-8", "ignore")


def _route(scope: Scope) -> str:
    """The pattern of a request's route: its path is the client's, and may be another each time."""
    return str(getattr(scope.get("route"), "path", "without a route"))


def describe_findings(errors: Sequence[Any]) -> str:
    """The first of Pydantic's findings in one line, without the values that were sent, and how many more there are."""
    told = "; ".join(f"{'.'.join(map(_short, error['loc']))}: {error['msg']}" for error in errors[:_MOST_FINDINGS])
    more = len(errors) - _MOST_FINDINGS
    return f"{told}; and {more:,} more" if more > 0 else told


def _short(part: object) -> str:
    """A part of a place in a request, where the client's own names may stand."""
    text = str(part)
    return text if len(text) <= _LONGEST_PART else f"{text[:_LONGEST_PART]}…"
