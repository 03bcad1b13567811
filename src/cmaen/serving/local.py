"""The application in processes of this machine, by uvicorn."""

from __future__ import annotations

import os
import tempfile

import uvicorn
from fastapi import FastAPI
from pydantic import TypeAdapter

from cmaen.serving.settings import Settings

SETTINGS = "CMAEN_SERVE_SETTINGS"
"""Environment variable with the settings as JSON: how they come into the processes that uvicorn starts."""

_MOST_CONNECTIONS = 1000
"""Of one process: more would leave none of the usual 1,024 open files for anything else."""

_SETTINGS = TypeAdapter(Settings)


def serve(
    settings: Settings, *, host: str, port: int, workers: int = 1, proxies: str | None = None, access_log: bool = False
) -> None:
    """Serve until the process is told to stop; what was taken by then is finished.

    Args:
        settings: Of each process.
        host, port: Where.
        workers: Processes; one that dies is started anew.
        proxies: Addresses, with commas, of the proxies that are believed what they say of the client.
        access_log: One line a request, of its path alone.
    """
    os.environ[SETTINGS] = _SETTINGS.dump_json(settings).decode()
    with tempfile.TemporaryDirectory(prefix="cmaen-metrics-") as folder:
        if workers > 1:
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        uvicorn.run(
            "cmaen.serving.local:build",
            factory=True,
            host=host,
            port=port,
            workers=workers,
            access_log=access_log,
            log_level="info" if access_log else "warning",
            server_header=False,
            proxy_headers=proxies is not None,
            forwarded_allow_ips=proxies,
            timeout_graceful_shutdown=int(2 * settings.limits.seconds) + 1,
            ws_max_size=settings.limits.frame_bytes,
            ws_max_queue=2,
            ws_per_message_deflate=False,  # pictures are compressed already
            limit_concurrency=_MOST_CONNECTIONS,
        )


def build() -> FastAPI:
    """The application of one process, with the settings that its environment tells."""
    from cmaen.serving.app import create_app
    from cmaen.serving.service import prepare_process

    prepare_process()
    return create_app(_SETTINGS.validate_json(os.environ[SETTINGS]))
