"""Connections of the server with time limits, so that slow clients make room for others."""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol


class Connection(H11Protocol):
    """A connection that is closed if its client keeps the server waiting.

    A client has :attr:`patience` seconds to send the head of a request, and as many again to receive some of an answer;
    the application itself limits the time for the body. Once half of the permitted connections are open, a new one
    replaces the one that has kept the server waiting the longest. A client that sends its request without delay is
    therefore answered, however many others do not. The other half is for clients that wait for the server.

    It is based on h11, which stops reading from a client that sends request after request without receiving answers.

    Attributes:
        patience: Time limit in seconds.
    """

    patience = 10.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._since = self.loop.time()
        # at the last check: the request, whether its head was due, unsent bytes
        self._seen: tuple[object, bool, int] = (None, True, 0)
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See :class:`asyncio.Protocol`."""
        super().connection_made(transport)
        self._timer = self.loop.call_later(self.patience, self._check)
        if self.limit_concurrency is not None and len(self.connections) > self.limit_concurrency // 2:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """See :class:`asyncio.Protocol`."""
        self._stop_checking()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Note the end of an answer, from which on the server waits for the client."""
        self._since = self.loop.time()
        super().on_response_complete()

    def handle_websocket_upgrade(self, event: Any) -> None:
        """Hand the connection over to the WebSocket protocol, which may have a quarter of all connections."""
        sockets = sum(not isinstance(one, Connection) for one in self.connections)
        if self.limit_concurrency is not None and sockets >= max(1, self.limit_concurrency // 4):
            headers = [(b"connection", b"close"), (b"content-length", b"0"), (b"retry-after", b"1")]
            refusal = h11.Response(status_code=503, headers=headers, reason=b"Service Unavailable")
            for part in (refusal, h11.EndOfMessage()):
                self.transport.write(self.conn.send(part) or b"")
            self.transport.close()
            return
        self._stop_checking()
        super().handle_websocket_upgrade(event)

    def shutdown(self) -> None:
        """Finish the current request, and close the connection if its client keeps the server waiting too long."""
        self._stop_checking()
        self._timer = self.loop.call_later(self.patience, self._give_up)
        super().shutdown()

    @property
    def _head_is_due(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    @property
    def _waits(self) -> bool:
        """Whether the server waits for the client."""
        if self._head_is_due or self.transport.get_write_buffer_size():
            return True
        return self.cycle.more_body and not self.cycle.response_started

    def _check(self) -> None:
        """Close the connection if nothing has happened since the last check."""
        request, due, left = self._seen
        now = (self.cycle, self._head_is_due, self.transport.get_write_buffer_size())
        idle = due and now[:2] == (request, True) and not now[2]
        if idle or now[2] >= left > 0:
            self.transport.abort()
            return
        self._seen = now
        self._timer = self.loop.call_later(self.patience, self._check)

    def _give_up(self) -> None:
        """Close the connection as soon as the server waits for the client."""
        if self._waits:
            self.transport.abort()
        else:
            self._timer = self.loop.call_later(self.patience, self._give_up)

    def _stop_checking(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _make_room(self) -> None:
        others = (one for one in self.connections if isinstance(one, Connection) and one is not self and one._waits)
        oldest = min(others, key=lambda one: one._since, default=None)
        if oldest is not None:
            self.connections.discard(oldest)  # at once, because the next request counts the connections
            oldest.transport.abort()
