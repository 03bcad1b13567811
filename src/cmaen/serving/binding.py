"""The address that a server listens on: bound before anything else is done, and printed as people can type it."""

from __future__ import annotations

import errno
import socket
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from ipaddress import ip_address

from cmaen.errors import ConfigError

_NEXT = 50
"""Number of ports that are tried after one that is in use, to suggest a free one."""
_ELSEWHERE = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))
"""Addresses reserved for documentation; a socket connected to one tells which address of this machine is used."""


def bind(host: str, port: int) -> socket.socket:
    """Bind the address of a server; requests are not answered yet.

    Args:
        host: A name or an address of this machine.
        port: Port number, 1 to 65535.

    Raises:
        ConfigError: The port is in use, and the message names a free one; or the address does not belong to this
            machine or cannot be used.
    """
    try:
        return _bind(host, port)
    except OSError as error:
        raise ConfigError(_explain(host, port, error)) from error


def list_addresses(host: str, port: int) -> list[str]:
    """List the addresses to open in a browser, ``http://…``: the local one first, then those for other machines."""
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
        if sys.platform != "win32":  # there it would let two servers share a port
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(address)
        taken.set_inheritable(True)
    except BaseException:
        taken.close()
        raise
    return taken


def _explain(host: str, port: int, error: OSError) -> str:
    if isinstance(error, socket.gaierror):
        return f"--host {host} is not an address of this machine; 127.0.0.1 is, and 0.0.0.0 stands for all"
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
    """List the addresses at which other machines can reach this one; empty without a network."""
    found: dict[str, None] = {}
    for family, address in _ELSEWHERE:
        with suppress(OSError), closing(socket.socket(family, socket.SOCK_DGRAM)) as probe:
            probe.connect((address, 9))  # a datagram socket: nothing is sent
            found[probe.getsockname()[0]] = None
    with suppress(OSError):
        for _, _, _, _, place in socket.getaddrinfo(socket.gethostname(), None, type=socket.SOCK_STREAM):
            found[str(place[0])] = None
    usable = [one for one in found if only is None or (only == socket.AF_INET) == ("." in one)]
    return [one for one in usable if not (ip_address(one).is_loopback or ip_address(one).is_link_local)]
