"""``/v1/live``: a client's camera over a WebSocket; what is late is dropped instead of lagging.

The query may name a label ``scheme``. The client sends binary messages, each a JPEG or PNG. The server answers each
frame that it processes, in order, with JSON: ``frame`` (its index as received, from 0), ``dropped`` (how many were left
out so far), ``status``, ``error``, ``scheme`` and ``faces``, each with its ``identity``. Where the server has an API
key, it comes in one of the headers of a request, or, since browsers cannot set them, as two subprotocols: ``cmaen``,
and ``bearer.KEY`` with the key percent-encoded.

With ``film=true`` in the query the frames are those of a film, sent as fast as they are answered: each message begins
with the frame's own time, eight bytes (a little-endian double, in seconds), and none is dropped; at most
:data:`AHEAD` may wait for their answers.

The server closes the socket with 1003 (text where a frame is due, or a frame of a film without its time), 1008 (the key
or the scheme is wrong, nothing came for too long, or too many frames of a film wait), 1009 (a frame has too many
bytes), 1011 (the server failed), 1012 (it stops) or 1013 (too many sockets, or no model yet). A page of another host is
refused before the socket is open.
"""

from __future__ import annotations

import asyncio
import json
import math
import struct
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from threading import Condition
from typing import NamedTuple
from urllib.parse import unquote

import anyio
import anyio.to_thread
from fastapi import WebSocket, WebSocketDisconnect

from cmaen.inference.sources import Pending
from cmaen.inference.sources.images import read_frame
from cmaen.results import Result
from cmaen.serving.metrics import Metrics
from cmaen.serving.problems import Problem, Room, shorten_reason
from cmaen.serving.safety import Gate, client_of, given_key
from cmaen.serving.service import Service
from cmaen.serving.settings import Limits
from cmaen.types import Frame

PROTOCOL, _KEY = "cmaen", "bearer."
"""Subprotocols: the one that is spoken, and the beginning of the one that carries a key."""

AHEAD = 8
"""Frames of a film that may wait for their answers."""

_TIME = struct.Struct("<d")
"""What stands before a frame of a film: its time in seconds."""


class _Received(NamedTuple):
    """A frame as it came: its number from 0, its time in seconds, and its bytes."""

    number: int
    time: float
    content: bytes


class _Close(NamedTuple):
    """Why the server closes a socket: the code of WebSocket, and a reason."""

    code: int
    reason: str


class LiveSource:
    """The frames that a client sends: of a camera the newest alone, of a film all of them, in order.

    Args:
        max_pixels: Of a frame.
        max_seconds: For a frame to be decoded.
        film: The frames bring their own times, and none is dropped.

    Attributes:
        received, dropped: Frames so far.
    """

    moving = True

    def __init__(self, *, max_pixels: int, max_seconds: float | None = None, film: bool = False) -> None:
        self.received = 0
        self.dropped = 0
        self.live = not film
        self._max_pixels, self._max_seconds = max_pixels, max_seconds
        self._started = time.monotonic()
        self._changed = Condition()
        self._waiting = deque[_Received](maxlen=None if film else 1)
        self._ended = False

    def put(self, content: bytes, at: float | None = None) -> bool:
        """One more frame; whether an older one, which nobody had taken, was dropped for it.

        Args:
            content: Its bytes.
            at: Its time in seconds; ``None`` for now.
        """
        with self._changed:
            late = self.live and bool(self._waiting)
            self.dropped += late
            seconds = time.monotonic() - self._started if at is None else at
            self._waiting.append(_Received(self.received, seconds, content))
            self.received += 1
            self._changed.notify()
        return late

    @property
    def waiting(self) -> int:
        """Frames that nobody has taken yet."""
        return len(self._waiting)

    def __iter__(self) -> Iterator[Pending]:
        while (taken := self._next()) is not None:
            yield partial(self._frame, taken)

    def count(self) -> int | None:
        """Nobody knows."""
        return None

    def close(self) -> None:
        """No more will come; what was not taken is left out."""
        with self._changed:
            self._ended = True
            self._changed.notify()

    def _next(self) -> _Received | None:
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self._waiting)
            return None if self._ended else self._waiting.popleft()

    def _frame(self, taken: _Received) -> Frame:
        frame = read_frame(
            taken.number, "", lambda: taken.content, max_pixels=self._max_pixels, max_seconds=self._max_seconds
        )
        return replace(frame, time=taken.time)


class Live:
    """The sockets of one application.

    Args:
        service: Has the pipeline.
        gate: Knows the key and the rate.
        limits: Of the sockets and their frames.
        metrics: Told of every frame.
    """

    def __init__(self, *, service: Service, gate: Gate, limits: Limits, metrics: Metrics) -> None:
        self._service, self._gate, self._limits, self._metrics = service, gate, limits, metrics
        self._room = Room(limits.live_sockets, "live", "it follows as many cameras as it can")

    async def __call__(self, websocket: WebSocket) -> None:
        """Answer a client until it, or the server, has had enough."""
        offered = websocket.scope.get("subprotocols", ())
        await websocket.accept(subprotocol=PROTOCOL if PROTOCOL in offered else None)
        with suppress(WebSocketDisconnect):
            try:
                self._gate.count(client_of(websocket))
                close = await self._follow_session(websocket)
            except Problem as problem:
                if problem.refused is not None:
                    self._metrics.refused.labels(problem.refused).inc()
                close = _Close(1008 if problem.refused is None else 1013, problem.detail)
            if close is not None:
                await websocket.close(close.code, shorten_reason(close.reason))

    async def _follow_session(self, websocket: WebSocket) -> _Close | None:
        if not self._gate.knows(_key_of(websocket)):
            return _Close(1008, "the API key is missing or wrong")
        predictor = self._service.predictor(websocket.query_params.get("scheme"))
        film = websocket.query_params.get("film") == "true"
        with self._room.reserve():
            source = LiveSource(
                max_pixels=self._limits.frame_pixels, max_seconds=self._limits.decode_seconds, film=film
            )
            results = predictor.pipeline.results(source)
            self._metrics.live_sockets.inc()
            receiver = asyncio.create_task(self._receive(websocket, source))
            threads = anyio.CapacityLimiter(1)  # its own: waiting for a frame must not keep others from theirs
            try:
                while (result := await anyio.to_thread.run_sync(next, results, None, limiter=threads)) is not None:
                    await websocket.send_text(_answer(result, source.dropped))
                return await receiver
            finally:
                self._metrics.live_sockets.dec()
                receiver.cancel()
                source.close()
                with anyio.CancelScope(shield=True):
                    await anyio.to_thread.run_sync(results.close, limiter=threads)

    async def _receive(self, websocket: WebSocket, source: LiveSource) -> _Close | None:
        """Put what comes into the source, until there is a reason not to; ``None`` where the client has left."""
        try:
            while True:
                try:
                    with anyio.fail_after(self._limits.seconds):
                        message = await websocket.receive()
                except TimeoutError:
                    return _Close(1008, f"no frame has come for {self._limits.seconds:g} seconds")
                if message["type"] == "websocket.disconnect":
                    return None
                content = message.get("bytes")
                if content is None:
                    return _Close(1003, "send each frame as a binary message, a JPEG or PNG")
                if len(content) > self._limits.frame_bytes:
                    return _Close(1009, f"a frame has at most {self._limits.frame_bytes:,} bytes; send a smaller one")
                at = None
                if not source.live:
                    if (at := _time_of(content)) is None:
                        return _Close(1003, "begin each frame of a film with its time, eight bytes")
                    if source.waiting >= AHEAD:
                        return _Close(1008, f"at most {AHEAD} frames of a film may wait; await the answers")
                    content = content[_TIME.size :]
                self._metrics.live_frames.inc()
                self._metrics.live_dropped.inc(source.put(content, at))
        finally:
            source.close()


def _time_of(message: bytes) -> float | None:
    """The time with which a frame of a film begins, in seconds; ``None`` where there is none."""
    if len(message) < _TIME.size:
        return None
    (seconds,) = _TIME.unpack_from(message)
    return float(seconds) if math.isfinite(seconds) else None


def _key_of(websocket: WebSocket) -> str | None:
    for offered in websocket.scope.get("subprotocols", ()):
        if offered.startswith(_KEY):
            return unquote(offered.removeprefix(_KEY))
    return given_key(websocket.headers)


def _answer(result: Result, dropped: int) -> str:
    faces = [face.to_dict() for face in result.faces]
    answer = {"frame": result.frame.index, "dropped": dropped, "status": result.status, "error": result.error}
    return json.dumps({**answer, "scheme": result.scheme, "faces": faces})
