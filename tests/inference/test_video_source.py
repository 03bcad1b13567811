"""Frames of videos and streams: their times and pixels, and whatever is broken in them."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from cmaen.errors import VideoError
from cmaen.inference.sources import open_source
from tests.inference.conftest import BLUE, RED, TIMES, frames_of, picture, plain, write_film


def test_the_frames_of_a_video_keep_their_times_and_pixels(film: Path) -> None:
    frames = frames_of(open_source("video", film))
    assert [frame.index for frame in frames] == list(range(12))
    assert [frame.time for frame in frames] == pytest.approx(TIMES, abs=1e-3)
    assert {frame.name for frame in frames} == {str(film)}
    for number, frame in enumerate(frames):
        assert frame.image is not None
        assert np.abs(frame.image.astype(int) - picture(number)).mean() < 4
    assert open_source("video", film).count() == 12


def test_the_times_of_a_broadcast_begin_with_it_and_not_hours_before(tmp_path: Path) -> None:
    path = tmp_path / "film.ts"
    times = [50_000 + number / 25 for number in range(3)]
    write_film(path, [picture(step) for step in range(3)], times=times, codec="mpeg2video")
    source = open_source("video", path)
    assert source.begins == pytest.approx(50_000, abs=0.1)
    assert [frame.time for frame in frames_of(source)] == pytest.approx([0, 0.04, 0.08], abs=1e-3)


@pytest.mark.parametrize("kind", ["video", "camera"])
@pytest.mark.parametrize("colour", [RED, BLUE])
def test_red_stays_red_and_blue_stays_blue(kind: str, colour: tuple[int, int, int], tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mp4", [plain(colour)] * 2)
    frame = frames_of(open_source(kind, film))[-1]
    assert frame.image is not None
    assert np.abs(frame.image.astype(int) - colour).max() < 12


@pytest.mark.parametrize(
    ("matrix", "turns"),
    [((0, 1, -1, 0), -1), ((-1, 0, 0, -1), 2), ((0, -1, 1, 0), 1)],
    ids=["90 degrees", "180 degrees", "270 degrees"],
)
def test_a_video_that_was_filmed_sideways_comes_upright(
    matrix: tuple[int, int, int, int], turns: int, tmp_path: Path
) -> None:
    path = write_film(tmp_path / "film.mp4", [picture(0)])
    content = bytearray(path.read_bytes())
    place = content.index(b"tkhd") + 44  # of the matrix a b u c d v x y w, in 16.16 and 2.30 fixed point
    a, b, c, d = ((value << 16).to_bytes(4, "big", signed=True) for value in matrix)
    content[place : place + 20] = a + b + bytes(4) + c + d
    path.write_bytes(content)
    (frame,) = frames_of(open_source("video", path))
    expected = np.rot90(picture(0), turns)
    assert frame.image is not None
    assert frame.image.shape == expected.shape
    assert np.abs(frame.image.astype(int) - expected).mean() < 4


def test_broken_packets_lose_only_themselves(tmp_path: Path) -> None:
    path = tmp_path / "film.ts"
    write_film(path, [picture(step) for step in range(12)], codec="mpeg2video", options={"g": "1"})
    content = path.read_bytes()
    broken, middle = tmp_path / "broken.ts", len(content) // 2
    broken.write_bytes(content[:middle] + bytes(3000) + content[middle + 3000 :])
    assert 8 <= len(frames_of(open_source("video", broken))) <= 12


def test_a_packet_that_cannot_be_decoded_is_counted(film: Path, caplog: pytest.LogCaptureFixture) -> None:
    from av.error import InvalidDataError

    class Broken:
        def decode(self) -> None:
            raise InvalidDataError(1, "invalid")

    source = open_source("video", film)
    packets = source._packets()
    source._packets = lambda: iter([Broken(), *packets])
    assert len(frames_of(source)) == 12
    assert "1 broken packets were left out" in caplog.text


def test_a_file_that_is_cut_short_gives_what_it_holds(tmp_path: Path) -> None:
    whole = write_film(tmp_path / "whole.mkv", [picture(step) for step in range(30)], options={"g": "5"})
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    frames = frames_of(open_source("video", cut))
    assert 8 <= len(frames) < 30
    assert np.abs(np.subtract(frames[-1].image, picture(len(frames) - 1), dtype=int)).mean() < 4


def test_what_is_no_video_is_said(tmp_path: Path) -> None:
    text, sound = tmp_path / "text.mp4", tmp_path / "sound.mp4"
    text.write_text("no video")
    av = pytest.importorskip("av")
    with av.open(str(sound), "w") as container:
        tune = container.add_stream("aac", rate=16000)
        tone = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        tone.sample_rate = 16000
        container.mux(tune.encode(tone))
        container.mux(tune.encode())
    for path in (text, tmp_path / "nothing.mp4", tmp_path):
        with pytest.raises(VideoError, match="cannot be opened as a video"):
            open_source("video", path)
    with pytest.raises(VideoError, match="contains no video"):
        open_source("video", sound)


HANGS = 100.0
"""Seconds after which a stream that sends nothing is closed: who waits for that does not end by itself."""


@pytest.fixture
def server() -> Iterator[Callable[[bytes], tuple[str, list[socket.socket]]]]:
    """Sends some bytes to whoever connects, and then nothing more; its address and its connections."""
    opened: list[socket.socket] = []
    timers: list[threading.Timer] = []

    def serve(content: bytes) -> tuple[str, list[socket.socket]]:
        listening = socket.create_server(("127.0.0.1", 0))
        connections: list[socket.socket] = []
        opened.append(listening)

        def accept() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    connections.append(connection)
                    opened.append(connection)
                    connection.sendall(content)
                    timers.append(threading.Timer(HANGS, connection.close))  # who waits longer fails and does not hang
                    timers[-1].start()

        threading.Thread(target=accept, daemon=True).start()
        return f"tcp://127.0.0.1:{listening.getsockname()[1]}", connections

    yield serve
    for timer in timers:
        timer.cancel()
        timer.join()
    for one in opened:
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()


def test_a_stream_that_sends_nothing_ends(
    server: Callable[[bytes], tuple[str, list[socket.socket]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("av")
    monkeypatch.setattr("cmaen.inference.sources.video.PATIENCE", 0.3)
    address, _ = server(b"")
    started = time.monotonic()
    with pytest.raises(VideoError, match="cannot be opened"):
        open_source("video", address)
    assert time.monotonic() - started < HANGS


def test_a_stream_that_stalls_gives_what_it_has_sent_and_is_opened_once(
    server: Callable[[bytes], tuple[str, list[socket.socket]]],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    pytest.importorskip("av")
    monkeypatch.setattr("cmaen.inference.sources.video.PATIENCE", 0.3)
    path = tmp_path / "film.ts"
    write_film(path, [picture(step) for step in range(12)], codec="mpeg2video", options={"g": "1"}, sound=0.5)
    address, connections = server(path.read_bytes())
    started = time.monotonic()
    source = open_source("video", address)
    assert source.live
    assert source.sound is None
    frames = frames_of(source)
    assert time.monotonic() - started < HANGS
    assert len(frames) >= 9
    assert "ends early" in caplog.text
    assert len(connections) == 1
