"""The address that a server listens on: taken before anything else is done, and told as people can type it."""

from __future__ import annotations

import errno
import socket
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from ipaddress import ip_address

from cmaen.errors import ConfigError

_NEXT = 50
"""So many ports after the one that is in use are tried, to name a free one."""
_ELSEWHERE = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))
"""Addresses of documentation; that a socket is meant for one tells which address of this machine would be used."""


def bind(host: str, port: int) -> socket.socket:
    """Take the address of a server; nobody is answered yet.

    Args:
        host: A name or an address of this machine.
        port: From 1 to 65535.

    Raises:
        ConfigError: The port is in use, and the message names one that is not; or the address is not this machine's, or
            may not be used.
    """
    try:
        return _bind(host, port)
    except OSError as error:
        raise ConfigError(_explain(host, port, error)) from error


def list_addresses(host: str, port: int) -> list[str]:
    """The addresses to open in a browser, ``http://…``: that of this machine first, then those that others can use."""
    hosts = [host]
    if is_everywhere(host):
        hosts = ["127.0.0.1", *_list_own(only=socket.AF_INET if "." in host else None)]
    return [f"http://{f'[{one}]' if ':' in one else one}:{port}" for one in hosts]


def is_everywhere(host: str) -> bool:
    """Whether a host stands for all addresses of this machine."""
    with suppress(ValueError):
        return ip_address(host).is_unspecified
    return False


def _bind(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    taken = socket.socket(family, kind, protocol)
    try:
        if sys.platform != "win32":  # there it would let two servers have one port
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(address)
        taken.set_inheritable(True)
    except BaseException:
        taken.close()
        raise
    return taken


def _explain(host: str, port: int, error: OSError) -> str:
    if isinstance(error, socket.gaierror):
        return f"--host {host} is no address of this machine; 127.0.0.1 is, and 0.0.0.0 stands for all"
    if error.errno == errno.EADDRINUSE:
        free = next(_list_free(host, port), None)
        return f"port {port} is in use; {f'try --port {free}' if free else 'choose another --port'}"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"--host {host} is not an address of this machine; 127.0.0.1 is, and 0.0.0.0 stands for all"
    if error.errno == errno.EACCES:
        return f"port {port} may not be used by this user; ports from 1024 on may: try --port 8000"
    return f"{host}:{port} cannot be used: {error.strerror or error}"


def _list_free(host: str, port: int) -> Iterator[int]:
    for candidate in range(port + 1, min(port + _NEXT, 65535) + 1):
        with suppress(OSError):
            _bind(host, candidate).close()
            yield candidate


def _list_own(only: int | None) -> list[str]:
    """The addresses of this machine that others may reach it by; none where it has no network."""
    found: dict[str, None] = {}
    for family, address in _ELSEWHERE:
        with suppress(OSError), closing(socket.socket(family, socket.SOCK_DGRAM)) as probe:
            probe.connect((address, 9))  # of a datagram: nothing is sent
            found[probe.getsockname()[0]] = None
    with suppress(OSError):
        for _, _, _, _, place in socket.getaddrinfo(socket.gethostname(), None, type=socket.SOCK_STREAM):
            found[str(place[0])] = None
    usable = [one for one in found if only is None or (only == socket.AF_INET) == ("." in one)]
    return [one for one in usable if not (ip_address(one).is_loopback or ip_address(one).is_link_local)]
