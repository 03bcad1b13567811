"""The application in replicas of Ray Serve, on one machine or many; a replica that dies is restarted."""

from __future__ import annotations

import logging
import signal
import threading
from typing import Any

import ray
from fastapi import FastAPI
from ray import serve as ray_serve

from cmaen.inference.cluster import join_cluster
from cmaen.serving.settings import Settings

NAME = "cmaen"


def deploy(settings: Settings, *, host: str, port: int, replicas: int) -> None:
    """Start the replicas, and return when they are ready.

    They run on the cluster that ``RAY_ADDRESS`` names, where every machine needs this package, or else on this machine.

    Args:
        settings: Settings of each replica.
        host, port: Address of the proxy in front of the replicas.
        replicas: Number of replicas.
    """
    join_cluster()
    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    ray_serve.start(http_options={"host": host, "port": port}, logging_config={"enable_access_log": False})

    def build() -> FastAPI:  # runs in the replica
        from cmaen.serving.app import create_app
        from cmaen.serving.service import prepare_process

        prepare_process()
        return create_app(settings)

    cores: float = ray.cluster_resources().get("CPU", 1)  # type: ignore[no-untyped-call]
    replica: Any = ray_serve.ingress(build)()
    deployment: Any = ray_serve.deployment(
        replica,
        name=NAME,
        num_replicas=replicas,
        max_ongoing_requests=2 * settings.limits.queue,  # the replica itself refuses, with a better message
        max_queued_requests=settings.limits.queue,
        graceful_shutdown_timeout_s=settings.limits.seconds,
        health_check_period_s=1,
        ray_actor_options={"num_cpus": min(settings.pipeline.workers or 1, cores / replicas)},
    )
    ray_serve.run(deployment.bind(), name=NAME, route_prefix="/")


def serve(settings: Settings, *, host: str, port: int, replicas: int) -> None:
    """Serve until the process is told to stop."""
    deploy(settings, host=host, port=port, replicas=replicas)
    told = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: told.set())
    told.wait()
    stop()


def stop() -> None:
    """Finish the accepted requests, and leave the cluster."""
    ray_serve.shutdown()  # type: ignore[no-untyped-call]
    ray.shutdown()
