"""``/v1/live``: a client's camera over a WebSocket; late frames are dropped, so that answers do not lag behind.

The query may name a label ``scheme``. The client sends binary messages, each a JPEG or PNG. The server answers each
frame that it processes, in order, with JSON: ``frame`` (its index as received, from 0), ``dropped`` (the number of
frames dropped so far), ``status``, ``error``, ``scheme`` and ``faces``, each with its ``identity``. If the server has
an API key, the client sends it in one of the headers of other requests, or, since browsers cannot set headers, as two
subprotocols: ``cmaen``, and ``bearer.KEY`` with the key percent-encoded.

With ``film=true`` in the query the frames are those of a film, sent as fast as they are answered: each message begins
with the frame's own time, eight bytes (a little-endian double, in seconds), and none is dropped; at most
:data:`AHEAD` may wait for their answers.

The server closes the socket with 1003 (text instead of a frame, or a frame of a film without its time), 1008 (the key
or the scheme is wrong, no frame came for too long, or too many frames of a film wait), 1009 (a frame has too many
bytes), 1011 (internal error), 1012 (the server stops) or 1013 (too many sockets or requests, or the model is not
loaded). A page of another host is refused before the socket is open.
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
"""Subprotocols: that of the service, and the prefix of the one that carries a key."""

AHEAD = 8
"""Frames of a film that may wait for their answers."""

_TIME = struct.Struct("<d")
"""The time of a frame of a film, in seconds, which precedes its content."""


class _Received(NamedTuple):
    """A received frame: its number from 0, its time in seconds, and its bytes."""

    number: int
    time: float
    content: bytes


class _Close(NamedTuple):
    """The code and the reason with which the server closes a socket."""

    code: int
    reason: str


class LiveSource:
    """The frames that a client sends: only the newest of a camera, all those of a film in order.

    Args:
        max_pixels: Maximum number of pixels of a frame.
        max_seconds: Time limit for decoding a frame.
        film: Whether the frames bring their own times and none is dropped.

    Attributes:
        received, dropped: Numbers of frames so far.
    """

    moving = True
    prompt = True

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
        """Add a frame; return whether an unprocessed older one was dropped for it.

        Args:
            content: The encoded frame.
            at: Time of the frame in seconds; ``None`` for now.
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
        """Return ``None``: the number of frames is unknown."""
        return None

    def close(self) -> None:
        """End the source; an unprocessed frame is discarded."""
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
    """The live sockets of one application.

    Args:
        service: Service with the pipeline.
        gate: Gate that checks the key and the rate.
        limits: Limits of the sockets and their frames.
        metrics: Metrics of the sockets and their frames.
    """

    def __init__(self, *, service: Service, gate: Gate, limits: Limits, metrics: Metrics) -> None:
        self._service, self._gate, self._limits, self._metrics = service, gate, limits, metrics
        self._room = Room(limits.live_sockets, "live", "all its live connections are in use")

    async def __call__(self, websocket: WebSocket) -> None:
        """Answer a client until one side closes the socket."""
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
            threads = anyio.CapacityLimiter(1)  # its own, so that waiting for a frame does not block other sockets
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
        """Put received frames into the source until the socket must be closed; ``None`` if the client has left."""
        try:
            while True:
                try:
                    with anyio.fail_after(self._limits.seconds):
                        message = await websocket.receive()
                except TimeoutError:
                    return _Close(1008, f"no frame was received for {self._limits.seconds:g} seconds")
                if message["type"] == "websocket.disconnect":
                    return None
                content = message.get("bytes")
                if content is None:
                    return _Close(1003, "send each frame as a binary message, a JPEG or PNG")
                if len(content) > self._limits.frame_bytes:
                    return _Close(
                        1009, f"a frame may have at most {self._limits.frame_bytes:,} bytes; send a smaller one"
                    )
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
    """Return the time that precedes a frame of a film, in seconds; ``None`` if it is missing."""
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
