"""A replica on Ray: it answers like the application in this process, and it is restarted when it is killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import psutil
import pytest

ray = pytest.importorskip("ray")
pytest.importorskip("ray.serve")

from cmaen.client import EmotionClient  # noqa: E402
from cmaen.serving.distributed import deploy, stop  # noqa: E402
from cmaen.serving.settings import Settings  # noqa: E402
from tests.conftest import EXAMPLES, free_port  # noqa: E402
from tests.serving.conftest import one_core  # noqa: E402


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    port = free_port()
    deploy(Settings(pipeline=one_core(), api_key="secret", load_first=True), host="127.0.0.1", port=port, replicas=1)
    yield f"http://127.0.0.1:{port}"
    stop()


def replica() -> int:
    (found,) = (
        child.pid
        for child in psutil.Process().children(recursive=True)
        if any("ray::ServeReplica" in part for part in child.cmdline())
    )
    return found


@pytest.mark.skipif(os.name == "nt", reason="kills a process as on Unix")
def test_a_replica_that_is_killed_comes_back(address: str) -> None:
    client = EmotionClient(address, "secret", retries=8)
    photo = EXAMPLES / "astronaut.png"
    answers = client.predict([photo, b"text"], top_k=1)
    assert [answer["status"] for answer in answers] == ["ok", "error"]
    killed = replica()
    os.kill(killed, signal.SIGKILL)
    again = client.predict([photo, b"text"], top_k=1)
    assert again == answers
    assert replica() != killed
