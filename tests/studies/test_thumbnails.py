"""Thumbnails: the right frame, cut where the face is, and nothing where the video is not."""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cmaen.errors import VideoError
from cmaen.recordings.episodes import Episode
from cmaen.studies.people import summarise_recording
from cmaen.studies.report import write_report
from cmaen.studies.thumbnails import SIDE, choose_peaks, cut_peaks, find_video
from tests.studies.films import film
from tests.studies.test_report import read_page

COLOURS = {"h": (220, 40, 40), "s": (40, 40, 220)}
TEXT = "h" * 15 + "s" * 15


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film of ten frames a second that is red while she is happy and blue while she is sad."""
    return write_video(tmp_path_factory.mktemp("films") / "film.mp4", 10)


def write_video(path: Path, rate: int) -> Path:
    av = pytest.importorskip("av")
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for letter in TEXT:
            picture = np.full((64, 96, 3), COLOURS[letter], np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


def test_a_frame_of_another_moment_is_no_thumbnail(tmp_path: Path) -> None:
    slow = write_video(tmp_path / "film.mp4", 1)
    told = film(TEXT)
    assert cut_peaks(summarise_recording(replace(told, times=told.times + 0.3)), slow) == {}


def mean_colour(address: str) -> np.ndarray:
    content = base64.b64decode(address.removeprefix("data:image/jpeg;base64,"))
    picture = Image.open(io.BytesIO(content))
    assert picture.size == (SIDE, SIDE)
    return np.asarray(picture)[40:60, 40:60].mean(axis=(0, 1))


def test_each_peak_shows_its_own_moment(video: Path) -> None:
    found = cut_peaks(summarise_recording(film(TEXT)), video)["Ada"]
    assert [one.episode.emotion for one in found] == ["happy", "sad"]
    for one, colour in zip(found, COLOURS.values(), strict=True):
        assert np.abs(mean_colour(one.address) - colour).max() < 40


def test_the_page_shows_them_only_if_asked(video: Path, tmp_path: Path) -> None:
    recording = replace(film(TEXT), name="/elsewhere/film.mp4")
    write_report([recording], tmp_path / "r.html", thumbnails=True, beside=[video.parent])
    assert read_page(tmp_path / "r.html").tags.count("img") == 2
    write_report([recording], tmp_path / "r.html", beside=[video.parent])
    assert "img" not in read_page(tmp_path / "r.html").tags


def test_faces_without_a_box_or_a_frame_have_none(video: Path) -> None:
    told = film(TEXT)
    ada = told.people["Ada"]
    unknown = replace(told, people={"Ada": replace(ada, boxes=np.full((30, 4), np.nan))})
    assert cut_peaks(summarise_recording(unknown), video) == {}
    later = replace(told, times=told.times + 100)
    assert cut_peaks(summarise_recording(later), video) == {}
    outside = replace(told, people={"Ada": replace(ada, boxes=np.tile([500.0, 500.0, 9.0, 9.0], (30, 1)))})
    assert len(cut_peaks(summarise_recording(outside), video)["Ada"]) == 2


def test_a_broken_video_costs_only_its_thumbnails(tmp_path: Path) -> None:
    pytest.importorskip("av")
    (tmp_path / "film.mp4").write_bytes(b"no film" * 99)
    with pytest.raises(VideoError):
        cut_peaks(summarise_recording(film(TEXT)), tmp_path / "film.mp4")
    write_report([film(TEXT)], tmp_path / "r.html", thumbnails=True, beside=[tmp_path])
    assert "there are no thumbnails" in " ".join(read_page(tmp_path / "r.html").texts)


def test_videos_are_found_by_path_or_beside_the_results(tmp_path: Path) -> None:
    (tmp_path / "film.mp4").touch()
    assert find_video(film("h", str(tmp_path / "film.mp4"))) == tmp_path / "film.mp4"
    assert find_video(film("h", "/x/film.mp4"), tmp_path) == tmp_path / "film.mp4"
    for name in ("", "x\0y", "x" * 5000, "rtsp://camera"):
        assert find_video(film("h", name), tmp_path) is None


def test_each_emotion_has_a_peak_before_any_has_two() -> None:
    heights = [("sad", 0.9), ("sad", 0.8), ("happy", 0.5), ("sad", 0.7), ("fear", 0.4)]
    episodes = [Episode("Ada", name, n, n + 1, n, height, height) for n, (name, height) in enumerate(heights)]
    assert [(one.emotion, one.height) for one in choose_peaks(episodes, 4)] == [
        *(("sad", 0.9), ("sad", 0.8), ("happy", 0.5), ("fear", 0.4))
    ]
    assert choose_peaks([], 3) == []
