"""Clients that make the server wait, on real sockets."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
import uvicorn

from cmaen.serving.connections import Connection
from tests.conftest import PATIENCE, wait_until

LIMIT = 12
LARGE = 8_000_000


async def app(scope, receive, send) -> None:
    """Reads a body, and answers with what its path says; closes a WebSocket as soon as it is open."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": 1013})
        return
    while (message := await receive())["type"] == "http.request" and message["more_body"]:
        pass
    if message["type"] == "http.disconnect":
        return
    body = bytes(LARGE) if scope["path"] == "/large" else b"ok"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
def lost(monkeypatch: pytest.MonkeyPatch) -> list[Connection]:
    """The connections that have ended."""
    ended: list[Connection] = []
    lose = Connection.connection_lost

    def losing(self: Connection, exc: Exception | None) -> None:
        lose(self, exc)
        ended.append(self)

    monkeypatch.setattr(Connection, "connection_lost", losing)
    return ended


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch, lost: list[Connection]) -> Iterator[Callable[[bytes], socket.socket]]:
    """Yield a function that connects to a server with few places, and sends something."""
    monkeypatch.setattr(Connection, "patience", 1.0)
    opened: list[socket.socket] = []
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            http="cmaen.serving.connections:Connection",
            limit_concurrency=LIMIT,
            lifespan="off",
            log_config=None,
            timeout_graceful_shutdown=round(4 * PATIENCE),
        )
    )
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        wait_until(lambda: server.started)

        def opening(content: bytes) -> socket.socket:
            connection = socket.create_connection(listening.getsockname(), timeout=PATIENCE)
            opened.append(connection)
            connection.sendall(content)
            return connection

        yield opening
        monkeypatch.setattr(Connection, "patience", 0.05)
        server.should_exit = True
        thread.join(PATIENCE)
        assert not thread.is_alive(), "slow clients are waited for"
        for connection in opened:
            connection.close()


def head(path: str = "/", *lines: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: x", *lines, "", ""]).encode()


def status(connection: socket.socket) -> bytes:
    """Return the first line of an answer; nothing if the connection is closed without one."""
    with suppress(ConnectionError):
        return connection.recv(100_000).partition(b"\r\n")[0]
    return b""


@contextmanager
def dripping(connection: socket.socket, content: bytes) -> Iterator[None]:
    """Run a client that sends a byte now and then."""
    ended = threading.Event()

    def drip() -> None:
        with suppress(OSError):
            while not ended.wait(0.05):
                connection.sendall(content)

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


WAITING = {
    "nothing": b"",
    "half a head": b"GET / HTTP/1.1\r\nHost: x\r\nA: ",
    "half a body": head("/", "Content-Length: 100") + b"x",
    "half a chunk": head("/", "Transfer-Encoding: chunked") + b"5\r\nab",
    "an answer not taken": head("/large"),
    "pipelined and not taken": head("/large") * 20,
    "a second head": head() + b"GET /",
    "a WebSocket that is not closed": head(
        "/",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: MTIzNDU2Nzg5MDEyMzQ1Ng==",
    ),
}


@pytest.mark.parametrize("way", WAITING)
def test_those_who_let_it_wait_shut_nobody_out(way: str, connect: Callable[[bytes], socket.socket]) -> None:
    slow = [connect(WAITING[way]) for _ in range(3 * LIMIT)]
    time.sleep(0.2)
    for _ in range(3):
        assert status(connect(head())) == b"HTTP/1.1 200 OK"
    assert len(slow) == 3 * LIMIT


@pytest.mark.parametrize("way", ["nothing", "half a head", "an answer not taken", "a second head"])
def test_who_lets_it_wait_for_too_long_is_given_up(
    way: str, connect: Callable[[bytes], socket.socket], lost: list[Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Connection, "patience", 0.2)
    connection = connect(WAITING[way])
    wait_until(lambda: bool(lost))
    received = 0
    with suppress(ConnectionError):
        while part := connection.recv(100_000):
            received += len(part)
    assert received < LARGE


def test_dripping_a_head_is_waiting_too(
    connect: Callable[[bytes], socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Connection, "patience", 0.2)
    connection = connect(b"GET / HTTP/1.1\r\nA: ")
    with dripping(connection, b"a"):
        assert status(connection) == b"", "it would be open for as long as it drips"


def test_who_takes_a_large_answer_slowly_gets_it(connect: Callable[[bytes], socket.socket]) -> None:
    connection = connect(head("/large"))
    received = 0
    while received < LARGE:
        part = connection.recv(400_000)
        assert part, received
        received += len(part)
        time.sleep(0.05)


def test_a_connection_is_used_again(connect: Callable[[bytes], socket.socket]) -> None:
    connection = connect(head())
    for _ in range(4):
        assert status(connection) == b"HTTP/1.1 200 OK"
        time.sleep(0.3)  # together longer than the patience
        connection.sendall(head())
    assert status(connection) == b"HTTP/1.1 200 OK"
