from __future__ import annotations

import io
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image
from starlette.websockets import WebSocketDisconnect

from cmaen.serving.live import LiveSource
from cmaen.types import Frame
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
    def slow(index: int, name: str, fetch, **_) -> Frame:
        time.sleep(0.05)
        return Frame(index, name, error="slow")

    monkeypatch.setattr("cmaen.serving.live.read_frame", slow)
    with serving() as client, client.websocket_connect("/v1/live") as socket:
        for _ in range(100):
            socket.send_bytes(b"x")
            time.sleep(0.002)
        answers = [socket.receive_json()]
        while answers[-1]["frame"] < 99:
            answers.append(socket.receive_json())
        assert len(answers) < 30
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
        assert waiting.result(10) is None
    assert source.count() is None


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
        for _ in range(100):  # its place is free a moment later
            with client.websocket_connect("/v1/live") as third:
                third.send_bytes(portrait)
                try:
                    assert third.receive_json()["status"] == "ok"
                    break
                except WebSocketDisconnect:
                    time.sleep(0.05)
        else:
            raise AssertionError("the place is never free")


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
        until = time.monotonic() + 10
        while threading.active_count() > before and time.monotonic() < until:
            time.sleep(0.05)
        assert threading.active_count() <= before


@pytest.mark.parametrize("scheme", ["nope", "x" * 5000, "\N{PILE OF POO}" * 100, "\0"])
def test_a_scheme_that_is_none_is_said_in_a_frame_that_fits(client: TestClient, scheme: str) -> None:
    with client.websocket_connect(f"/v1/live?scheme={quote(scheme)}") as socket:
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_json()
        assert closed.value.code == 1008
        assert "has no label scheme" in closed.value.reason
        assert len(closed.value.reason.encode()) <= 123
