"""Metrics for Prometheus."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""Environment variable that names the folder in which the processes of a server share metrics; set before import."""

_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
_SIZES = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """The metrics of one application.

    Attributes:
        requests: Number of requests by route and status.
        seconds: Time from the start of a request to the end of its answer, by route.
        batch_faces, batch_images: Numbers of faces and images in each batch of the network.
        queued: Number of images that are accepted but not yet answered.
        refused: Number of refusals by limit.
        live_frames, live_dropped: Numbers of frames that live sockets received, and of those that were dropped.
        live_sockets: Number of open live sockets.
    """

    requests: Counter
    seconds: Histogram
    batch_faces: Histogram
    batch_images: Histogram
    queued: Gauge
    refused: Counter
    live_frames: Counter
    live_dropped: Counter
    live_sockets: Gauge

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self.requests = Counter("cmaen_requests", "Requests", ["route", "status"], registry=registry)
        self.seconds = Histogram(
            "cmaen_request_seconds",
            "Time from the start of a request to the end of its answer, in seconds",
            ["route"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.batch_faces = Histogram("cmaen_batch_faces", "Faces per batch", buckets=_SIZES, registry=registry)
        self.batch_images = Histogram("cmaen_batch_images", "Images per batch", buckets=_SIZES, registry=registry)
        now: dict[str, Any] = {"registry": registry, "multiprocess_mode": "livesum"}
        self.queued = Gauge("cmaen_queue_images", "Images accepted but not yet answered", **now)
        self.refused = Counter("cmaen_refused", "Requests and sockets refused, by limit", ["limit"], registry=registry)
        self.live_frames = Counter("cmaen_live_frames", "Live frames received", registry=registry)
        self.live_dropped = Counter(
            "cmaen_live_dropped", "Live frames dropped in favour of newer ones", registry=registry
        )
        self.live_sockets = Gauge("cmaen_live_sockets", "Open live sockets", **now)

    def text(self) -> bytes:
        """Return all metrics in the format of Prometheus; of all processes if they share a folder."""
        registry = self._registry
        if SHARED_FOLDER in os.environ:
            _forget_the_dead(Path(os.environ[SHARED_FOLDER]))
            registry = CollectorRegistry()
            multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)


def _forget_the_dead(folder: Path) -> None:
    """Remove the gauges of killed processes; only on Linux, where such processes are easily recognised."""
    for path in folder.glob("gauge_live*_*.db"):
        process = path.stem.rpartition("_")[2]
        if Path("/proc/self").exists() and not Path("/proc", process).exists():
            multiprocess.mark_process_dead(int(process))  # type: ignore[no-untyped-call]


class Measured:
    """Middleware that counts and times requests, by the pattern of their route and never by their path."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500

        async def forward(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, forward)
        finally:
            route = getattr(scope.get("route"), "path", "none")
            self.metrics.requests.labels(route, str(status)).inc()
            self.metrics.seconds.labels(route).observe(time.perf_counter() - started)


__all__ = ["CONTENT_TYPE_LATEST", "SHARED_FOLDER", "Measured", "Metrics"]
