"""The log of a server's failures, and its frequency."""

from __future__ import annotations

import logging
import logging.config
import re
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import pytest
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from cmaen.serving.app import create_app
from cmaen.serving.logs import Repeats, identify, log_config
from cmaen.serving.service import Service
from tests.serving.conftest import files, picture, serving, settings
from tests.serving.test_app import problem


@contextmanager
def configured() -> Iterator[None]:
    """Configure the log of a server's process, and restore the previous one afterwards.

    A new configuration closes all handlers of the process, and those of some libraries close their stream, which here
    is pytest's: they are hidden from it.
    """
    root, package = logging.getLogger(), logging.getLogger("cmaen")
    before = root.handlers[:], root.level, package.level
    with mock.patch.object(logging, "_handlerList", []):
        logging.config.dictConfig(log_config(logging.WARNING))
    try:
        yield
    finally:
        root.handlers[:] = before[0]
        root.setLevel(before[1])
        package.setLevel(before[2])


def failed(reason: str) -> Exception:
    try:
        raise RuntimeError(reason)
    except RuntimeError as error:
        return error


def test_a_failure_is_answered_with_what_the_log_has(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise RuntimeError("of our own making")

    monkeypatch.setattr(Service, "predict", fail)
    with configured(), serving() as client:
        told = [problem(client.post("/v1/predict", files=files(picture())), 500) for _ in range(20)]
        assert client.post("/v1/predict", files=files(picture())).headers["x-content-type-options"] == "nosniff"
    said = capsys.readouterr().err
    (number,) = {re.search(r"under ([0-9a-f]{8})$", one).group(1) for one in told}
    assert said.count(f"POST /v1/predict failed ({number})") == 2
    assert said.count("RuntimeError: of our own making") == 1
    assert "(again; from now on this is logged once every 60 s)" in said


def test_a_socket_that_fails_is_closed_with_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("of our own making")

    monkeypatch.setattr(Service, "predictor", fail)
    with (
        configured(),
        serving() as client,
        client.websocket_connect("/v1/live") as socket,
        pytest.raises(WebSocketDisconnect) as closed,
    ):
        socket.receive_text()
    assert closed.value.code == 1011
    assert re.search(r"under ([0-9a-f]{8})$", closed.value.reason).group(1) in capsys.readouterr().err


def test_the_same_failure_has_the_same_identifier() -> None:
    assert identify(failed("a")) == identify(failed("b")) != identify(ValueError("a"))
    assert re.fullmatch("[0-9a-f]{8}", identify(ValueError("never raised")))


def test_every_repeated_warning_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("cmaen.serving.logs.time.monotonic", lambda: now[0])
    repeats, shown = Repeats(), []
    for second in range(200):
        now[0] = float(second)
        for level in (logging.WARNING, logging.INFO):
            record = logging.LogRecord("uvicorn", level, "", 1, "%s", ("it",), None)
            if repeats.filter(record):
                shown.append((level, record.getMessage()))
    warnings = [text for level, text in shown if level == logging.WARNING]
    assert sum(level == logging.INFO for level, _ in shown) == 200
    assert warnings[0] == "it"
    assert "again" in warnings[1]
    left_out = [int(found.group(1)) for text in warnings if (found := re.search(r"(\d+) more", text))]
    assert left_out == [59, 59, 59]


def test_names_in_the_log_steer_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with configured():
        logging.getLogger("uvicorn.error").warning("a name: \x1b[31m")
    assert "\\x1b[31m" in capsys.readouterr().err


def test_what_fails_before_the_routes_is_answered_alike(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("of our own making")

    monkeypatch.setattr("cmaen.serving.safety._stranger", fail)
    with configured(), TestClient(create_app(settings()), raise_server_exceptions=False) as client:
        told = problem(client.get("/healthz"), 500)
    assert told.rpartition(" ")[2] in capsys.readouterr().err
