from __future__ import annotations

import io
import struct
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from urllib.parse import quote

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image
from starlette.websockets import WebSocketDisconnect

from cmaen.serving.live import AHEAD, LiveSource
from cmaen.types import Frame
from tests.conftest import PATIENCE, wait_until
from tests.serving.conftest import encoded, picture, serving


def moved(portrait: bytes, step: int) -> bytes:
    pixels = np.roll(np.asarray(Image.open(io.BytesIO(portrait))), 2 * step, axis=1)
    return encoded(Image.fromarray(pixels), "JPEG", quality=92)


def test_faces_keep_their_identities(client: TestClient, portrait: bytes) -> None:
    with client.websocket_connect("/v1/live") as socket:
        for step in range(8):
            socket.send_bytes(moved(portrait, step))
            answer = socket.receive_json()
            assert (answer["frame"], answer["dropped"], answer["status"]) == (step, 0, "ok")
            (face,) = answer["faces"]
            assert face["identity"] == 1
            assert face["predicted_emotion"] == "happy"
    with client.websocket_connect("/v1/live") as socket:  # another client has its own faces
        socket.send_bytes(portrait)
        assert socket.receive_json()["faces"][0]["identity"] == 1


def test_a_bad_frame_costs_no_other(client: TestClient, portrait: bytes) -> None:
    with client.websocket_connect("/v1/live") as socket:
        answers = []
        for content in (portrait, b"text", b"", portrait[:3000], encoded(Image.new("L", (4001, 1000))), portrait):
            socket.send_bytes(content)
            answers.append(socket.receive_json())
    assert [answer["status"] for answer in answers] == ["ok", "error", "error", "error", "error", "ok"]
    assert "ImageTooLargeError" in answers[4]["error"]
    assert [answer["frame"] for answer in answers] == list(range(6))


def test_frames_are_dropped_instead_of_lagging(monkeypatch: pytest.MonkeyPatch) -> None:
    all_came = threading.Event()

    def slow(index: int, name: str, fetch, **_) -> Frame:
        assert all_came.wait(PATIENCE)
        return Frame(index, name, error="slow")

    monkeypatch.setattr("cmaen.serving.live.read_frame", slow)
    with serving() as client, client.websocket_connect("/v1/live") as socket:
        for _ in range(100):
            socket.send_bytes(b"x")
        wait_until(lambda: "cmaen_live_frames_total 100.0" in client.get("/metrics").text)
        all_came.set()
        answers = [socket.receive_json()]
        while answers[-1]["frame"] < 99:
            answers.append(socket.receive_json())
        assert len(answers) < 10
        assert answers[-1]["dropped"] == 100 - len(answers)
        text = client.get("/metrics").text
        assert "cmaen_live_frames_total 100.0" in text
        assert f"cmaen_live_dropped_total {answers[-1]['dropped']:.1f}" in text
        assert "cmaen_live_sockets 1.0" in text


def test_the_newest_frame_is_kept_until_it_is_taken() -> None:
    source = LiveSource(max_pixels=10_000)
    assert [source.put(picture()) for _ in range(3)] == [False, True, True]
    frames = iter(source)
    frame = next(frames)()
    assert (frame.index, frame.image.shape, source.dropped) == (2, (40, 48, 3), 2)
    with ThreadPoolExecutor(1) as reader:
        waiting = reader.submit(next, frames, None)
        source.close()
        assert waiting.result(PATIENCE) is None
    assert source.count() is None


def of_film(seconds: float, content: bytes) -> bytes:
    return struct.pack("<d", seconds) + content


def test_a_film_has_its_own_times_and_loses_no_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sent at once, with times that go back and forth, a bad one among them: all are answered, in order."""
    times: list[float] = []
    replace = Frame.__init__

    def remember(self: Frame, *args, **fields) -> None:
        replace(self, *args, **fields)
        if self.time is not None:
            times.append(self.time)

    monkeypatch.setattr("cmaen.serving.live.read_frame", lambda index, name, fetch, **_: Frame(index, name, error="no"))
    monkeypatch.setattr(Frame, "__init__", remember)
    sent = [0.0, 0.5, 0.25, -3.0, 1e9, 0.04]
    with serving() as client, client.websocket_connect("/v1/live?film=true") as socket:
        for seconds in sent:
            socket.send_bytes(of_film(seconds, b"x"))
        answers = [socket.receive_json() for _ in sent]
    assert [(answer["frame"], answer["dropped"], answer["status"]) for answer in answers] == [
        (number, 0, "error") for number in range(len(sent))
    ]
    assert times == sent


def test_the_time_of_a_film_is_that_of_its_smoothing(client: TestClient, portrait: bytes) -> None:
    """A face that was away for longer than it is remembered is another one, however fast the frames came."""

    def identities(times: tuple[float, ...]) -> list[int]:
        wall = encoded(Image.new("L", (320, 240), 120))
        with client.websocket_connect("/v1/live?film=true") as socket:
            found = []
            for seconds, content in zip(times, (portrait, wall, portrait), strict=True):
                socket.send_bytes(of_film(seconds, content))
                found += [face["identity"] for face in socket.receive_json()["faces"]]
        return found

    assert identities((0.0, 100.0, 200.0)) == [1, 2]


def test_what_a_film_may_not_send(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(index: int, name: str, fetch, **_) -> Frame:
        time.sleep(0.3)
        return Frame(index, name, error="slow")

    monkeypatch.setattr("cmaen.serving.live.read_frame", slow)
    with serving() as client:
        for message in (b"", b"1234567", of_film(float("nan"), b"x"), of_film(float("inf"), b"x")):
            with client.websocket_connect("/v1/live?film=true") as socket:
                socket.send_bytes(message)
                assert closed(socket)[0] == 1003
        with client.websocket_connect("/v1/live?film=true") as socket:
            for _ in range(AHEAD + 8):
                socket.send_bytes(of_film(0.0, b"x"))
            assert closed(socket) == (1008, f"at most {AHEAD} frames of a film may wait; await the answers")


def closed(socket) -> tuple[int, str]:
    """Return why the server closes a socket."""
    with pytest.raises(WebSocketDisconnect) as end:
        while True:
            socket.receive_json()
    return end.value.code, end.value.reason


def test_what_a_socket_may_not_send() -> None:
    with serving(frame_bytes=1000) as client:
        with client.websocket_connect("/v1/live") as socket:
            socket.send_text("hello")
            assert closed(socket)[0] == 1003
        with client.websocket_connect("/v1/live") as socket:
            socket.send_bytes(bytes(1001))
            assert closed(socket) == (1009, "a frame may have at most 1,000 bytes; send a smaller one")


def test_a_socket_that_sends_nothing_is_closed() -> None:
    with serving(seconds=0.3) as client:
        with client.websocket_connect("/v1/live") as socket:
            assert closed(socket) == (1008, "no frame was received for 0.3 seconds")
        assert "cmaen_live_sockets 0.0" in client.get("/metrics").text


def test_sockets_are_limited(portrait: bytes) -> None:
    with serving(live_sockets=1) as client:
        with client.websocket_connect("/v1/live") as first:
            with client.websocket_connect("/v1/live") as second:
                code, reason = closed(second)
                assert code == 1013
                assert "busy" in reason
            first.send_bytes(portrait)
            assert first.receive_json()["status"] == "ok"
        assert 'cmaen_refused_total{limit="live"} 1.0' in client.get("/metrics").text

        def is_answered() -> bool:
            with client.websocket_connect("/v1/live") as third:
                third.send_bytes(portrait)
                with suppress(WebSocketDisconnect):
                    return bool(third.receive_json()["status"] == "ok")
                return False

        wait_until(is_answered)  # its place is free a moment later


def test_the_key_comes_in_a_header_or_a_subprotocol(portrait: bytes) -> None:
    key = "a key/with ünusual=signs"
    with serving(key=key) as client:
        for options in ({}, {"subprotocols": ["cmaen", "bearer.wrong"]}, {"headers": {"X-API-Key": "wrong"}}):
            with client.websocket_connect("/v1/live", **options) as socket:
                assert closed(socket) == (1008, "the API key is missing or wrong")
        with client.websocket_connect("/v1/live", subprotocols=["cmaen", f"bearer.{quote(key, safe='')}"]) as socket:
            assert socket.accepted_subprotocol == "cmaen"
            socket.send_bytes(portrait)
            assert socket.receive_json()["status"] == "ok"


def test_no_thread_is_left(portrait: bytes) -> None:
    with serving() as client:
        for _ in range(2):
            with client.websocket_connect("/v1/live") as socket:
                socket.send_bytes(portrait)
                socket.receive_json()
        before = threading.active_count()
        for _ in range(5):
            with client.websocket_connect("/v1/live") as socket:
                socket.send_bytes(portrait)
                socket.receive_json()
        wait_until(lambda: threading.active_count() <= before)


@pytest.mark.parametrize("scheme", ["nope", "x" * 5000, "\N{PILE OF POO}" * 100, "\0"])
def test_a_scheme_that_is_none_is_said_in_a_frame_that_fits(client: TestClient, scheme: str) -> None:
    with client.websocket_connect(f"/v1/live?scheme={quote(scheme)}") as socket:
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_json()
        assert closed.value.code == 1008
        assert "has no label scheme" in closed.value.reason
        assert len(closed.value.reason.encode()) <= 123
