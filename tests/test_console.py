from __future__ import annotations

import io
import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from cmaen.cli import console


@contextmanager
def beginning() -> Iterator[logging.Logger]:
    """Yield the root logger without handlers, as at the start of a process; pytest has added its own."""
    root, package = logging.getLogger(), logging.getLogger("cmaen")
    handlers, level = root.handlers[:], package.level
    root.handlers[:] = []
    try:
        yield root
    finally:
        root.handlers[:] = handlers
        package.setLevel(level)


def fail(message: str, reason: str) -> None:
    try:
        raise RuntimeError(reason)
    except RuntimeError:
        logging.getLogger("cmaen.x").exception(message)


def test_a_command_says_a_warning_once_and_every_error(capsys: pytest.CaptureFixture[str]) -> None:
    with beginning():
        console.log(verbose=False)
        for _ in range(3):
            logging.getLogger("cmaen.x").warning("a %s warning", "repeated")
            logging.getLogger("cmaen.x").error("an error")
            fail("it failed", "why")
            logging.getLogger("cmaen.x").info("a detail")
    said = capsys.readouterr().err
    assert said.count("a repeated warning") == 1
    assert said.count("an error") == 3
    assert said.count("RuntimeError: why") == 3
    assert "a detail" not in said


def test_a_server_says_again_what_is_repeated_and_how_often(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with beginning():
        console.log(verbose=False, lasting=True)
        for second in range(100):
            now[0] = float(second)
            fail("POST /v1/predict failed", "why")
        now[0] = 200.0
        fail("POST /v1/predict failed", "another reason")
        fail("POST /v1/predict failed", "why")
    said = capsys.readouterr().err
    assert said.count("RuntimeError: why") == 3
    assert said.count("RuntimeError: another reason") == 1
    assert "(59 more like this since the last one)" in said
    assert "(39 more like this since the last one)" in said


def test_what_a_server_has_said_is_not_remembered_for_ever() -> None:
    with beginning() as root:
        console.log(verbose=False, lasting=True)
        (only,) = root.handlers[0].filters
        for number in range(5000):
            logging.getLogger("cmaen.x").warning("warning %d", number)
    assert len(only._said) <= 1000


def test_a_warning_goes_to_what_is_the_standard_error_by_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bar takes the standard error for itself, so that lines stand above it."""
    with beginning():
        console.log(verbose=False)
        bar = io.StringIO()
        monkeypatch.setattr(sys, "stderr", bar)
        logging.getLogger("cmaen.x").warning("there is no validation split")
    assert bar.getvalue() == "there is no validation split\n"
