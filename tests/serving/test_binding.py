from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

pytest.importorskip("uvicorn")

from cmaen.errors import ConfigError
from cmaen.serving.binding import bind, is_everywhere, list_addresses
from tests.conftest import free_port
from tests.test_cli import cmaen


@contextmanager
def taken() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def test_a_port_in_use_names_one_that_is_free() -> None:
    with taken() as port, pytest.raises(ConfigError, match=rf"port {port} is in use; try --port \d+") as said:
        bind("127.0.0.1", port)
    free = int(re.findall(r"--port (\d+)", str(said.value))[0])
    assert port < free <= 65535
    bind("127.0.0.1", free).close()


def test_no_address_is_told_where_there_is_none_to_be_had() -> None:
    with taken() as port:
        said = cmaen("serve", "--port", port, code=2)
    assert said.startswith(f"error: port {port} is in use")
    assert "http://" not in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("host", ["192.0.2.7", "no.such.host.invalid", "999.1.1.1"])
def test_an_address_of_another_machine_is_refused(host: str) -> None:
    with pytest.raises(ConfigError, match="address of this machine"):
        bind(host, free_port())


def test_what_is_taken_is_taken() -> None:
    port = free_port()
    with bind("127.0.0.1", port) as first:
        first.listen()
        with pytest.raises(ConfigError, match="is in use"):
            bind("127.0.0.1", port)
    bind("127.0.0.1", port).close()


def test_addresses_can_be_typed() -> None:
    assert list_addresses("127.0.0.1", 80) == ["http://127.0.0.1:80"]
    assert list_addresses("::1", 8000) == ["http://[::1]:8000"]
    for host in ("0.0.0.0", "::"):
        assert is_everywhere(host)
        first, *others = list_addresses(host, 8000)
        assert first == "http://127.0.0.1:8000"
        assert not any("0.0.0.0" in address or "[::]" in address for address in others)
    assert not is_everywhere("localhost")
    assert all("[" not in address for address in list_addresses("0.0.0.0", 1))


def test_a_machine_without_a_network_has_its_own_address(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    monkeypatch.setattr(socket.socket, "connect", fail)
    assert list_addresses("0.0.0.0", 8000) == ["http://127.0.0.1:8000"]
