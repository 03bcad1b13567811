"""The command in a process of its own: its workers, its metrics and its shutdown."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.request import urlopen

import psutil
import pytest

from cmaen.client import EmotionClient
from cmaen.errors import ServiceError
from cmaen.serving import local
from tests.conftest import EXAMPLES, PATIENCE, free_port, wait_until
from tests.serving.test_hostile import progressive
from tests.test_cli import cmaen


@contextmanager
def server(*options: str) -> Iterator[tuple[subprocess.Popen, str]]:
    """Run ``cmaen serve`` on a free port, yield its address, and stop it like a service manager."""
    port = free_port()
    command = [sys.executable, "-m", "cmaen", "serve", "--port", str(port), *options]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    address = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: process.poll() is not None or ready(address))
        assert process.poll() is None, process.stderr.read()
        yield process, address
        process.terminate()
        assert process.wait(PATIENCE) in (0, -signal.SIGTERM)
        assert "Traceback" not in process.stderr.read()
    finally:
        process.kill()
        process.wait()


def workers(process: subprocess.Popen) -> set[int]:
    """Return the ids of the serving processes."""
    found = set()
    for child in psutil.Process(process.pid).children():
        with suppress(psutil.Error):
            if "spawn_main" in " ".join(child.cmdline()):
                found.add(child.pid)
    return found


def ready(address: str) -> bool:
    try:
        with urlopen(f"{address}/readyz") as response:
            return response.status == 200
    except OSError:
        return False


def test_a_shutdown_finishes_what_it_took() -> None:
    photo = (EXAMPLES / "astronaut.png").read_bytes()
    done: list[list[dict]] = []
    with server("--queue", "64") as (process, address):
        client = EmotionClient(address, retries=0)
        client.predict([photo])

        def ask() -> None:
            done.append(client.predict([photo] * 8))

        clients = [threading.Thread(target=ask) for _ in range(4)]
        for one in clients:
            one.start()
        while not re.search(r"cmaen_queue_images [1-9]", urlopen(f"{address}/metrics").read().decode()):
            assert any(one.is_alive() for one in clients)
        while urlopen(f"{address}/metrics").read().decode().count("cmaen_queue_images 32.0") == 0:
            if not all(one.is_alive() for one in clients):
                break
        process.terminate()
        for one in clients:
            one.join()
        with pytest.raises(ServiceError):
            client.predict([photo])
        assert process.wait(PATIENCE) in (0, -signal.SIGTERM)
    assert [[answer["status"] for answer in answers] for answers in done] == [["ok"] * 8] * 4


@pytest.mark.skipif(os.name == "nt", reason="kills a process as on Unix")
def test_workers_add_up_and_are_started_anew() -> None:
    photo = EXAMPLES / "astronaut.png"
    with server("--workers", "2") as (process, address):
        client = EmotionClient(address)
        for _ in range(4):
            assert client.predict([photo])[0]["status"] == "ok"
        counted = 'cmaen_requests_total{route="/v1/predict",status="200"} 4.0'
        # a worker counts an answer after it has sent it, and another one tells the sum
        wait_until(lambda: counted in urlopen(f"{address}/metrics").read().decode())
        before = workers(process)
        assert len(before) == 2
        killed = before.pop()
        os.kill(killed, signal.SIGKILL)
        for _ in range(4):
            assert client.predict([photo])[0]["status"] == "ok"
        wait_until(lambda: len(workers(process) - {killed}) == 2)  # another is started


WITHOUT_PYTORCH = """
import sys
import tempfile
from fastapi.testclient import TestClient
from cmaen.serving.app import create_app
from cmaen.serving.settings import Settings

with TestClient(create_app(Settings(load_first=True))) as client:
    with open(sys.argv[1], "rb") as photo:
        (answer,) = client.post("/v1/predict", files={"images": photo}).json()
    assert answer["predicted_emotion"] == "happy"
assert "torch" not in sys.modules
"""


def test_serving_needs_no_pytorch() -> None:
    subprocess.run([sys.executable, "-c", WITHOUT_PYTORCH, EXAMPLES / "astronaut.png"], check=True)


def test_what_cannot_be_served_is_one_clear_line(tmp_path) -> None:
    assert "is not a checkpoint" in cmaen("serve", "--checkpoint", tmp_path, code=2)
    assert "not a face detector" in cmaen("serve", "--detector", "eyes", code=2)
    assert "not an engine" in cmaen("serve", "--engine", "abacus", code=2)
    assert "never has room" in cmaen("serve", "--queue", 3, code=2)
    assert "like https://example.org" in cmaen("serve", "--origin", "*", code=2)
    assert "not the name of a server" in cmaen("serve", "--hostname", "http://x", code=2)
    assert "--proxies takes addresses" in cmaen("serve", "--proxies", "10.0.0.1/8", code=2)


def test_a_shutdown_does_not_wait_for_slow_clients_and_files() -> None:
    content = progressive(2000, 480)  # takes a second or more, as the limit allows
    with server() as (process, address):
        host, _, port = address.removeprefix("http://").partition(":")
        slow = []
        half = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n1"
        for start in (b"", b"GET / HTTP/1.1\r\n", half):
            slow.append(socket.create_connection((host, int(port))))
            slow[-1].sendall(start)
        asking = threading.Thread(target=lambda: EmotionClient(address, retries=0).predict([content]))
        asking.start()
        wait_until(lambda: bool(re.search(r"cmaen_queue_images [1-9]", urlopen(f"{address}/metrics").read().decode())))
        process.terminate()
        assert process.wait(55) in (0, -signal.SIGTERM), "slow clients are waited for"
        asking.join()
        for connection in slow:
            connection.close()


def test_folders_of_numbers_do_not_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    new, old, other = (tmp_path / name for name in ("cmaen-metrics-new", "cmaen-metrics-old", "cmaen-other"))
    for folder in (new, old, other):
        folder.mkdir()
    os.utime(old, (0, 0))
    links = {"cmaen-metrics-link"} if os.name != "nt" else set()
    for name in links:
        (tmp_path / name).symlink_to(other, target_is_directory=True)
    with local._metrics_folder() as first:
        with local._metrics_folder() as second:
            assert first.is_dir()
            assert second.is_dir()
        assert not second.exists()
        assert (first / "in-use").is_file()
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"cmaen-metrics-new", "cmaen-other", *links}


@pytest.mark.skipif(os.name == "nt", reason="kills a process as on Unix")
def test_the_folder_of_a_killed_server_is_removed_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "import os, signal\nfrom cmaen.serving import local\n"
        "with local._metrics_folder(): os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code], env={**os.environ, "TMPDIR": str(tmp_path)}, check=False)
    assert len(list(tmp_path.glob("cmaen-metrics-*"))) == 1
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with local._metrics_folder() as folder:
        assert list(tmp_path.glob("cmaen-metrics-*")) == [folder]
    assert not list(tmp_path.glob("cmaen-metrics-*"))
