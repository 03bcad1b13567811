from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

pytest.importorskip("fastapi")

import uvicorn

from cmaen import EMOTIONS, EmotionPredictor
from cmaen.client import EmotionClient
from cmaen.errors import ServiceError
from cmaen.serving.app import create_app
from cmaen.serving.settings import SERVED, Limits, Settings
from tests.conftest import EXAMPLES

KEY = "a secret"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Serve in a thread on a real port, and yield the address."""
    limits = Limits(body_bytes=3_000_000, images=4)
    app = create_app(Settings(pipeline=replace(SERVED, workers=1), api_key=KEY, limits=limits))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None))
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        server.should_exit = True
        thread.join()


def test_the_answers_are_those_of_the_predictor(address: str, tmp_path: Path) -> None:
    client = EmotionClient(address, KEY, retries=20)  # retries until the server is ready
    assert client.labels() == list(EMOTIONS)
    odd = tmp_path / 'odd "näme";\n.png'
    odd.write_bytes((EXAMPLES / "astronaut.png").read_bytes())
    answers = client.predict([EXAMPLES / "astronaut.png", b"text", str(odd)] * 2, top_k=1, batch_size=4)
    assert [answer["status"] for answer in answers] == ["ok", "error", "ok"] * 2
    assert [answer["path"] for answer in answers[:2]] == ["astronaut.png", "image"]
    assert answers[2]["path"] == "odd %22näme%22;%0A.png"
    assert answers[0]["top"] == [["happy", answers[0]["probabilities"]["happy"]]]
    expected = EmotionPredictor(threads=1).predict_single(EXAMPLES / "astronaut.png")
    assert answers[0]["probabilities"] == pytest.approx(expected["probabilities"], abs=1e-6)
    (crop,) = client.predict([EXAMPLES / "astronaut.png"], detect=False)
    assert crop["faces"][0]["box"][:2] == [0.0, 0.0]
    large = (EXAMPLES / "astronaut.png").read_bytes() + bytes(1_000_000)  # Pillow ignores the extra bytes
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cmaen.client._BATCH_BYTES", 2_000_000)
        assert [answer["status"] for answer in client.predict([large] * 3)] == ["ok"] * 3
    assert client.predict([]) == []
    features = client.embed([EXAMPLES / "astronaut.png", b"text"])
    assert features[1] is None
    assert features[0] == pytest.approx(EmotionPredictor(threads=1).embed([EXAMPLES / "astronaut.png"])[0], abs=1e-5)


def test_refusals_are_said_in_the_words_of_the_server(address: str, tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match="API key"):
        EmotionClient(address, "wrong").predict([b"x"])
    client = EmotionClient(address, KEY)
    with pytest.raises(ServiceError, match=r"top_k.*\(422\)"):
        client.predict([b"x"], top_k=9)
    with pytest.raises(ServiceError, match="at most 4 images"):
        client.predict([b"x"] * 5)
    with pytest.raises(TypeError, match="list"):
        client.predict("photo.jpg")
    with pytest.raises(ServiceError, match="give one such as"):
        EmotionClient("file:///etc/passwd")


def test_one_bad_image_costs_no_other(address: str, tmp_path: Path) -> None:
    client = EmotionClient(address, KEY)
    photo, folder = EXAMPLES / "astronaut.png", tmp_path / "folder.png"
    folder.mkdir()
    images = [photo, tmp_path / "nothing.png", folder, "nul\0.png", None, bytes(3_500_000), bytearray(b"text"), photo]
    answers = client.predict(images, top_k=1, batch_size=4)
    assert [answer["status"] for answer in answers] == ["ok", *["error"] * 6, "ok"]
    errors = [answer["error"].partition(":")[0] for answer in answers[1:5]]
    assert errors[0] == "ImageNotFoundError"
    assert errors[3] == "ImageArrayError"
    assert "limit of 3,000,000 bytes" in answers[5]["error"]
    assert answers[5]["top"] == answers[1]["top"] == []
    assert set(answers[1]) == set(answers[6])  # the server's form for unreadable files
    assert [features is None for features in client.embed(images[:2])] == [False, True]


def test_what_was_answered_before_a_failure_is_kept(address: str) -> None:
    def images():
        yield (EXAMPLES / "astronaut.png").read_bytes()
        client._headers["Authorization"] = "Bearer another"
        yield b"text"

    client = EmotionClient(address, KEY)
    with pytest.raises(ServiceError, match="API key") as failure:
        client.predict(images(), batch_size=1)
    assert len(failure.value.answers) == 1


def test_a_server_that_is_not_there_is_said() -> None:
    waits: list[float] = []
    with pytest.raises(ServiceError, match="is it running"):
        EmotionClient("http://127.0.0.1:9", retries=2, sleep=waits.append).labels()
    assert waits == [0.25, 0.5]


class _Busy(BaseHTTPRequestHandler):
    """Refuses twice, then answers; after that its answers are not JSON."""

    answers = iter(
        [(503, {"Retry-After": "7"}, b"{}"), (500, {}, b""), (200, {}, b"[{}]"), (200, {}, b"<html>"), (200, {}, b"[]")]
    )

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        status, headers, body = next(self.answers)
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_) -> None:
        """Log nothing."""


def test_a_busy_server_is_asked_again_when_it_says() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Busy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        waits: list[float] = []
        client = EmotionClient(f"http://127.0.0.1:{server.server_port}", sleep=waits.append)
        assert client.predict([b"x"]) == [{}]
        assert waits == [7.0, 2.0]
        for _ in range(2):
            with pytest.raises(ServiceError, match="does not answer like cmaen serve"):
                client.predict([b"x"])
        server.shutdown()
