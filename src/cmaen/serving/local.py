"""The application in processes on this machine, run by uvicorn."""

from __future__ import annotations

import logging
import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from pydantic import TypeAdapter

from cmaen.errors import ConfigError
from cmaen.serving.logs import log_config
from cmaen.serving.settings import Settings

if sys.platform != "win32":
    import fcntl

SETTINGS = "CMAEN_SERVE_SETTINGS"
"""Environment variable that passes the settings, as JSON, to the processes that uvicorn starts."""

_MOST_CONNECTIONS = 1000
"""Maximum number of connections of one process, below the usual limit of 1,024 open files."""

_NOT_STARTED = 3
"""Exit status if the application does not start; uvicorn reports why."""

_METRICS, _LOCK = "cmaen-metrics-", "in-use"
_UNLOCKED_SECONDS = 3600.0
"""Age at which a folder without a lock counts as abandoned: folders are locked as soon as they are made."""

_SETTINGS = TypeAdapter(Settings)


def serve(
    settings: Settings,
    *,
    listening: socket.socket,
    workers: int = 1,
    proxies: str | None = None,
    access_log: bool = False,
) -> None:
    """Serve until the process is told to stop; requests accepted by then are finished.

    Args:
        settings: Settings of each process.
        listening: Socket to listen on, see :func:`cmaen.serving.binding.bind`; closed at the end.
        workers: Number of processes; one that dies is restarted.
        proxies: Comma-separated addresses or networks of trusted proxies, whose headers tell the client's address.
        access_log: Whether to log one line for each request.

    Raises:
        ConfigError: A proxy is neither an address nor a network.
    """
    _check_proxies(proxies)
    os.environ[SETTINGS] = _SETTINGS.dump_json(settings).decode()
    with _metrics_folder() if workers > 1 else nullcontext() as folder:
        if folder is not None:
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
        settled: dict[str, Any] = {
            "app": "cmaen.serving.local:build",
            "factory": True,
            "http": "cmaen.serving.connections:Connection",
            "workers": workers,
            "access_log": access_log,
            "log_config": log_config(logging.getLogger("cmaen").getEffectiveLevel()),
            "log_level": "info" if access_log else "warning",
            "server_header": False,
            "proxy_headers": proxies is not None,
            "forwarded_allow_ips": proxies,
            "timeout_graceful_shutdown": int(2 * settings.limits.seconds) + 1,
            "ws_max_size": settings.limits.frame_bytes,
            "ws_max_queue": 2,
            "ws_per_message_deflate": False,  # images are compressed already
            "limit_concurrency": _MOST_CONNECTIONS,
        }
        host, port, *_ = listening.getsockname()
        if workers > 1:
            listening.close()  # uvicorn alone can give its processes a socket on every system
            uvicorn.run(host=host, port=port, **settled)
            return
        server = uvicorn.Server(uvicorn.Config(**settled))
        with listening, suppress(KeyboardInterrupt):
            server.run(sockets=[listening])
        if not server.started:
            sys.exit(_NOT_STARTED)


def _check_proxies(proxies: str | None) -> None:
    named = {proxy.strip() for proxy in (proxies or "").split(",")} - {"", "*"}
    try:
        for proxy in named:
            ip_network(proxy)
    except ValueError as error:
        raise ConfigError(f"--proxies takes addresses and networks, such as 10.0.0.0/8: {error}") from error


@contextmanager
def _metrics_folder() -> Iterator[Path]:
    """Make a temporary folder in which processes share metrics; folders left by killed servers are deleted first."""
    for left in Path(tempfile.gettempdir()).glob(f"{_METRICS}*"):
        if _is_abandoned(left):
            shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=_METRICS))
    lock = folder / _LOCK
    held = lock.open("wb")
    try:
        if sys.platform != "win32":  # Windows cannot remove open files
            fcntl.flock(held, fcntl.LOCK_EX)
        held.write(b"in use")
        held.flush()
        yield folder
    finally:
        held.close()
        shutil.rmtree(folder, ignore_errors=True)


def _is_abandoned(folder: Path) -> bool:
    """Whether a folder of metrics belongs to this user and is no longer used by a server."""
    with suppress(OSError):
        about = folder.lstat()
        if folder.is_symlink() or not folder.is_dir() or (hasattr(os, "getuid") and about.st_uid != os.getuid()):
            return False
        lock = folder / _LOCK
        if not lock.exists() or not lock.stat().st_size:  # it has just been made
            return time.time() - about.st_mtime > _UNLOCKED_SECONDS
        if sys.platform == "win32":
            lock.unlink()  # refused while its server has it open
            return True
        with lock.open("rb") as held:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)  # refused while its server holds it
            return True
    return False


def build() -> FastAPI:
    """Create the application of one process, with the settings in its environment."""
    from cmaen.serving.app import create_app
    from cmaen.serving.service import prepare_process

    prepare_process()
    return create_app(_SETTINGS.validate_json(os.environ[SETTINGS]))
