from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

av = pytest.importorskip("av")

from cmaen.errors import OutputError, VideoError  # noqa: E402
from cmaen.images import read_image  # noqa: E402
from cmaen.inference.camera import Camera, Window  # noqa: E402
from cmaen.inference.predictor import EmotionPredictor  # noqa: E402
from cmaen.inference.video import Frame, VideoAnalyser, VideoReader, VideoWriter  # noqa: E402
from cmaen.inference.watch import watch  # noqa: E402
from tests.conftest import EXAMPLES  # noqa: E402
from tests.test_cli import cmaen  # noqa: E402

TIMES = [0.0, 0.04, 0.08, 0.2, 0.24, 0.28, 0.5, 0.54, 0.6, 0.64, 0.9, 1.0]


def picture(step: int) -> np.ndarray:
    """The astronaut, who moves to the right; odd sides."""
    photo = read_image(EXAMPLES / "astronaut.png")[:301, 60:381]
    return np.ascontiguousarray(np.roll(photo, 2 * step, axis=1))


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve frames at uneven times, and a second of sound."""
    path = tmp_path_factory.mktemp("films") / "film.mp4"
    silent = path.with_name("silent.mp4")
    with VideoWriter(silent, rate=25, time_base=Fraction(1, 1000)) as writer:
        for number, time in enumerate(TIMES):
            writer.write(Frame(number, time, picture(number)))
    with av.open(str(silent)) as source, av.open(str(path), "w") as target:
        pictures = target.add_stream_from_template(source.streams.video[0])
        sound = target.add_stream("aac", rate=16000)
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = pictures
                target.mux(packet)
        wave = np.sin(np.arange(16000) / 10).astype(np.float32)[None]
        frame = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 16000, 0
        for packet in [*sound.encode(frame), *sound.encode()]:
            target.mux(packet)
    return path


@pytest.fixture(scope="module")
def predictor() -> EmotionPredictor:
    return EmotionPredictor(detector="haar")


def frames_of(path: Path) -> list[Frame]:
    reader = VideoReader(path)
    try:
        return list(reader)
    finally:
        reader.close()


def test_frames_keep_their_times_and_pixels(film: Path) -> None:
    frames = frames_of(film)
    assert [frame.number for frame in frames] == list(range(12))
    assert [frame.time for frame in frames] == pytest.approx(TIMES, abs=2e-3)
    assert frames[3].image.shape == (302, 322, 3)
    difference = np.abs(frames[3].image[:301, :321].astype(int) - picture(3))
    assert difference.mean() < 6


def test_a_video_becomes_rows_a_video_with_sound_and_a_timeline(film: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    rows, drawn, timeline = tmp_path / "faces.csv", tmp_path / "drawn.mp4", tmp_path / "people.png"
    said = cmaen(
        *("inference", "--video", film, "--detector", "haar", "--output", rows),
        *("--save-video", drawn, "--timeline", timeline),
    )
    assert "12 frames (1.0 s), 12 faces, 1 people" in said
    table = list(csv.DictReader(rows.open()))
    assert [int(row["frame"]) for row in table] == list(range(12))
    assert {row["identity"] for row in table} == {"1"}
    assert all(row["predicted_emotion"] == "happy" for row in table)
    places = [float(row["x"]) for row in table]
    assert places[-1] - places[0] == pytest.approx(22, abs=6)
    result = frames_of(drawn)
    assert [frame.time for frame in result] == pytest.approx(TIMES, abs=2e-3)
    assert np.abs(result[0].image.astype(int) - frames_of(film)[0].image).max() > 100
    with av.open(str(drawn)) as container:
        assert len(container.streams.audio) == 1
        assert sum(frame.samples for frame in container.decode(audio=0)) >= 16000
    assert timeline.stat().st_size > 5000


def test_smoothing_is_slower_than_the_face(predictor: EmotionPredictor, film: Path) -> None:
    class Fickle(EmotionPredictor):
        """Answers happy and sad in turn."""

        def classify(self, crops: object) -> np.ndarray:
            self.turn = not getattr(self, "turn", False)
            return np.eye(7)[[3 if self.turn else 5]] if crops else np.empty((0, 7))  # type: ignore[arg-type]

    fickle = Fickle(detector="haar")
    spreads = []
    for smoothing in (0.0, 1.0):
        analyser = VideoAnalyser(fickle, smoothing=smoothing, judge_every=1)
        happy = [analyser(frame.image, frame.time)[0].face.probabilities[3] for frame in frames_of(film)]
        spreads.append(np.ptp(happy[2:]))
    assert spreads[0] == 1
    assert spreads[1] < 0.7


def test_a_broken_packet_and_a_cut_file_lose_only_themselves(film: Path, tmp_path: Path) -> None:
    mpegts = tmp_path / "film.ts"  # unlike MP4, it has no index at its end
    with av.open(str(film)) as source, av.open(str(mpegts), "w") as target:
        stream = target.add_stream("mpeg2video", rate=25)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = 322, 302, "yuv420p", 1
        for number, frame in enumerate(source.decode(video=0)):
            clean = frame.reformat(format="rgb24").reformat(format="yuv420p")
            clean.pts, clean.time_base = number, Fraction(1, 25)
            target.mux(stream.encode(clean))
        target.mux(stream.encode())
    content = mpegts.read_bytes()
    whole = len(frames_of(mpegts))
    cut = tmp_path / "cut.ts"
    cut.write_bytes(content[: len(content) * 2 // 3])
    assert whole // 2 <= len(frames_of(cut)) < whole
    broken = tmp_path / "broken.ts"
    middle = len(content) // 2
    broken.write_bytes(content[:middle] + bytes(3000) + content[middle + 3000 :])
    assert whole - 4 <= len(frames_of(broken)) <= whole


def test_what_is_no_video_is_said(tmp_path: Path, film: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("no video")
    with pytest.raises(VideoError, match="cannot be opened"):
        VideoReader(text)
    with pytest.raises(VideoError, match="cannot be opened"):
        VideoReader(tmp_path / "nothing.mp4")
    assert "cannot be opened" in cmaen("inference", "--video", text, "--detector", "haar", code=2)
    assert ".jsonl" in cmaen("inference", "--video", film, "--output", tmp_path / "faces.json", code=2)
    assert "one of --image" in cmaen("inference", "--video", film, "--image", film, code=2)
    assert not list(tmp_path.glob("*.csv"))
    with (
        pytest.raises(OutputError, match="cannot be written"),
        VideoWriter(tmp_path / "no" / "folder.mp4", rate=25, time_base=Fraction(1, 1000)) as writer,
    ):
        writer.write(Frame(0, 0.0, picture(0)))


def test_frames_with_their_faces_in_python(predictor: EmotionPredictor, film: Path, tmp_path: Path) -> None:
    with predictor.video(film) as frames:
        seen = list(frames)
    assert [frame.time for frame in seen] == pytest.approx(TIMES, abs=2e-3)
    assert seen[0].image.shape == (302, 322, 3)
    assert all(frame.faces[0]["identity"] == 1 for frame in seen)
    json.dumps(seen[0].faces)
    threads = threading.active_count()
    with predictor.video(film) as frames:
        assert next(frames).number == 0
    assert threading.active_count() == threads  # who leaves early leaves nothing behind
    with pytest.raises(VideoError, match="cannot be opened"), predictor.video(tmp_path / "none.mp4"):
        pass


def test_ctrl_c_keeps_what_was_found(predictor: EmotionPredictor, film: Path, tmp_path: Path) -> None:
    def interrupted() -> Iterator[Frame]:
        yield from frames_of(film)[:5]
        raise KeyboardInterrupt

    rows, drawn = tmp_path / "faces.jsonl", tmp_path / "drawn.avi"
    writer = VideoWriter(drawn, rate=25, time_base=Fraction(1, 1000))
    seen = watch(interrupted(), VideoAnalyser(predictor), output=rows, video=writer)
    assert (seen.frames, seen.faces, seen.people) == (5, 5, 1)
    assert [json.loads(line)["frame"] for line in rows.read_text().splitlines()] == list(range(5))
    assert len(frames_of(drawn)) >= 5


def test_a_window_that_is_closed_ends_the_watching(predictor: EmotionPredictor, film: Path) -> None:
    class ThreeFrames:
        shown = 0

        def show(self, image: np.ndarray) -> bool:
            self.shown += 1
            return self.shown < 3

    assert watch(frames_of(film), VideoAnalyser(predictor), window=ThreeFrames()).frames == 3


def test_without_a_display_it_is_said_and_the_process_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(VideoError, match="there is no display"):
        Window()


SHOWING = """
import numpy as np
from cmaen.inference.camera import Window

window = Window()
while window.show(np.zeros((100, 100, 3), np.uint8)):
    print("shown", flush=True)
window.close()
"""


@pytest.mark.skipif(not (shutil.which("Xvfb") and shutil.which("xdotool")), reason="needs Xvfb and xdotool")
def test_a_window_shows_frames_until_q_is_pressed() -> None:
    environment = {**os.environ, "DISPLAY": ":91"}
    server = subprocess.Popen(["Xvfb", ":91", "-screen", "0", "640x480x24"])
    time.sleep(2)
    shown = subprocess.Popen([sys.executable, "-c", SHOWING], env=environment, stdout=subprocess.PIPE)
    try:
        assert shown.stdout is not None
        assert shown.stdout.readline() == b"shown\n"
        for _ in range(20):  # until the window has the keyboard
            subprocess.run(["xdotool", "mousemove", "50", "50", "click", "1", "key", "q"], env=environment, check=True)
            shown.stdout.read1()
            if shown.poll() is not None:
                break
            time.sleep(0.5)
        assert shown.wait(timeout=20) == 0
    finally:
        shown.kill()
        server.kill()


def test_a_file_stands_in_for_a_camera_and_a_missing_one_is_said(film: Path) -> None:
    camera = Camera(str(film))
    frames = list(camera)
    camera.close()
    assert len(frames) == 12
    assert frames[0].image.shape == (302, 322, 3)
    assert np.abs(frames[0].image.astype(int) - frames_of(film)[0].image).mean() < 3
    with pytest.raises(VideoError, match="camera 99 cannot be opened"):
        Camera(99)
    assert "camera 99" in cmaen("inference", "--real-time", "--camera-index", "99", "--detector", "haar", code=2)
