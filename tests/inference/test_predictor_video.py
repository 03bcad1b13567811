"""The predictor over videos and a webcam."""

from __future__ import annotations

import itertools
import json
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

from cmaen import EmotionPredictor
from cmaen.errors import (
    VideoError,
)
from cmaen.types import FaceBox
from tests.conftest import EXAMPLES
from tests.inference.conftest import TIMES

ASTRONAUT = EXAMPLES / "astronaut.png"


def test_frames_of_a_video_with_their_faces(predictor: EmotionPredictor, film: Path, tmp_path: Path) -> None:
    with predictor.video(film) as frames:
        seen = list(frames)
    assert [frame.number for frame in seen] == list(range(12))
    assert [frame.time for frame in seen] == pytest.approx(TIMES, abs=2e-3)
    assert seen[0].image.shape == (302, 322, 3)
    assert all(frame.faces[0]["identity"] == 1 for frame in seen)
    assert all(frame.faces[0]["predicted_emotion"] == "happy" for frame in seen)
    json.dumps(seen[0].faces)
    threads = threading.active_count()
    with predictor.video(str(film)) as frames:
        assert next(frames).number == 0
    assert threading.active_count() <= threads  # who leaves early leaves nothing behind
    with pytest.raises(VideoError, match="cannot be opened"), predictor.video(tmp_path / "none.mp4"):
        pass
    with pytest.raises(VideoError, match="camera 99 cannot be opened"), predictor.video(99):
        pass


def test_the_smoothing_of_a_video_can_be_set(predictor: EmotionPredictor, film: Path) -> None:
    happy = {}
    for smoothing in (0.0, 60.0):
        with predictor.video(film, smoothing=smoothing) as frames:
            happy[smoothing] = [frame.faces[0]["probabilities"]["happy"] for frame in frames]
    assert np.ptp(happy[60.0]) < 1e-6 < np.ptp(happy[0.0])
    assert happy[60.0][0] == pytest.approx(np.mean(happy[0.0]), abs=0.02)


def test_a_part_of_a_video(predictor: EmotionPredictor, film: Path) -> None:
    with predictor.video(film, every_frame=3, start=0.2, end=0.7, search_every=0.0) as frames:
        seen = list(frames)
    assert [frame.number for frame in seen] == [3, 6, 9]
    assert [frame.time for frame in seen] == pytest.approx([0.2, 0.5, 0.64], abs=2e-3)
    assert all(len(frame.faces) == 1 and frame.error is None for frame in seen)
    for wrong in (
        {"every_frame": 0},
        {"every": -1.0},
        {"start": -1.0},
        {"start": 2.0, "end": 1.0},
        {"search_every": -1.0},
    ):
        with pytest.raises(ValueError, match="must be"), predictor.video(film, **wrong):
            pass


def test_a_frame_that_fails_costs_none_of_the_others(
    predictor: EmotionPredictor, film: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from cmaen.inference.sources import video

    convert, calls = video.pixels_of, itertools.count()

    def fickle(*arguments: object) -> np.ndarray:
        if next(calls) == 4:
            raise MemoryError
        return convert(*arguments)

    monkeypatch.setattr(video, "pixels_of", fickle)
    find, searches = predictor.pipeline.detector, itertools.count()

    def failing(image: np.ndarray) -> list[FaceBox]:
        if next(searches) == 1:
            raise RuntimeError("out of luck")
        return find(image)

    broken = EmotionPredictor(detector=failing)
    with broken.video(film, search_every=0) as frames:
        seen = list(frames)
    assert [frame.number for frame in seen] == [number for number in range(12) if number != 4]
    assert "frame 4 of" in caplog.text
    assert [frame.number for frame in seen if frame.error] == [1]
    assert str(seen[1].error).startswith("DetectorError: the detector fails on an image of ")
    assert str(seen[1].error).endswith("RuntimeError: out of luck")


def test_a_webcam_is_watched_and_its_video_kept(
    predictor: EmotionPredictor, film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    av = pytest.importorskip("av")
    capture = cv2.VideoCapture
    monkeypatch.setattr(cv2, "VideoCapture", lambda where: capture(str(film)))
    monkeypatch.chdir(tmp_path)
    predictor.real_time_webcam(display=False)
    assert list(tmp_path.iterdir()) == []
    predictor.real_time_webcam(save_video=True, display=False, smoothing=0, every_frame=1, end=60.0, search_every=0.5)
    predictor.real_time_webcam(0, True, tmp_path / "drawn.mp4", display=False)
    predictor.real_time_webcam(0, True, tmp_path / "hidden.mp4", display=False, anonymise=True)
    shows = {}
    for name in ("output.avi", "drawn.mp4", "hidden.mp4"):
        with av.open(name) as container:
            frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        assert len(frames) >= 1
        shows[name] = any(predictor.pipeline.detect(frame) for frame in frames)
    assert shows == {"output.avi": True, "drawn.mp4": True, "hidden.mp4": False}
    with pytest.raises(VideoError, match="camera 99 cannot be opened"):
        monkeypatch.setattr(cv2, "VideoCapture", capture)
        predictor.real_time_webcam(99, display=False)
