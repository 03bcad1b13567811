"""What a path of ``cmaen predict`` is, by its content and by its name."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from cmaen.cli.targets import Refusal, Target, find_targets, is_still
from tests.conftest import EXAMPLES

MP4 = b"\0\0\0\x18ftypisom" + bytes(40)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A picture, one without a suffix, one called a video, a video called a picture, a text, and a folder."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(EXAMPLES / "astronaut.png", "a.png")
    for name in ("nameless", "wrong.mp4"):
        shutil.copy("a.png", name)
    Path("film.mp4").write_bytes(MP4)
    Path("film.jpg").write_bytes(MP4)
    Path("talk.mpg").write_bytes(b"\0" * 40)
    Path("notes.txt").write_text("text")
    Path("broken.jpg").write_text("text")
    Path(".hidden.png").write_bytes(b"")
    Path("below").mkdir()
    shutil.copy("a.png", "below/b.png")
    return tmp_path


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("a.png", "picture"),
        ("nameless", "picture"),
        ("wrong.mp4", "picture"),
        ("broken.jpg", "picture"),
        ("missing.jpg", "picture"),
        ("missing", "picture"),
        ("film.mp4", "video"),
        ("film.jpg", "video"),
        ("talk.mpg", "video"),
        ("missing.mov", "video"),
        ("below", "folder"),
        ("rtsp://camera/live", "video"),
        ("https://example.org/film.mp4", "video"),
        ("https://example.org/live.m3u8?key=1", "video"),
        ("s3://bucket/faces", "address"),
    ],
)
def test_each_is_found_out(path: str, kind: str, folder: Path) -> None:
    assert find_targets([path]) == ([Target(kind, path)], [])


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("notes.txt", "neither a picture nor a video"),
        ("https://example.org/a.jpg", "download it first"),
        ("s3://bucket/a.jpg", "name its folder"),
        ("s3://bucket/a.mp4", "copy it to this machine"),
        ("0", "cmaen inference --real-time --camera-index 0"),
        ("*.nothing", "no picture, folder or video matches"),
        ("*.txt", "no picture, folder or video matches"),
        ("http://[::1", "not a valid address"),
    ],
)
def test_what_cannot_be_looked_at_says_what_to_do(path: str, reason: str, folder: Path) -> None:
    (refusal,) = find_targets([path]).refusals
    assert reason in refusal.reason
    assert path in refusal.reason


def test_patterns_are_expanded_and_nothing_is_taken_twice(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    found = find_targets(["*", "a.png", "./a.png"])
    names = [target.where for target in found.targets]
    assert names[:-1] == sorted(
        ["a.png", "below", "broken.jpg", "film.jpg", "film.mp4", "nameless", "talk.mpg", "wrong.mp4"]
    )
    assert found.refusals == []
    assert "1 other file (.txt)" in caplog.text
    deep = find_targets(["**/b.png"])
    assert [Path(target.where) for target in deep.targets] == [Path("below/b.png")]


def test_the_videos_of_a_folder_are_targets_of_their_own(folder: Path) -> None:
    for name in ("films/a.mp4", "films/more/b.MOV", "films/.hidden.mp4", "films/more/c"):
        Path(name).parent.mkdir(exist_ok=True, parents=True)
        Path(name).write_bytes(MP4)
    Path("films/notes.txt").write_text("text")
    films = [Target("video", str(Path("films", name)), "films") for name in ("a.mp4", "more/b.MOV", "more/c")]
    assert find_targets(["films"]).targets == films
    mixed = find_targets(["."]).targets
    assert mixed[0] == Target("folder", ".")
    assert {Path(target.where) for target in mixed[1:]} == {
        *(Path(film.where) for film in films), Path("film.mp4"), Path("talk.mpg"),
    }  # fmt: skip
    assert find_targets(["films/a.mp4", "films", "films/more"]).targets == [Target("video", "films/a.mp4"), *films[1:]]


def test_an_address_of_this_machine_is_its_file(folder: Path) -> None:
    ((target,), refusals) = find_targets([(folder / "a.png").as_uri()])
    assert (target.kind, Path(target.where), refusals) == ("picture", folder / "a.png", [])


def test_a_file_called_like_a_pattern_is_itself(folder: Path) -> None:
    name = "a[1].png"
    shutil.copy("a.png", name)
    assert find_targets([name]).targets == [Target("picture", name)]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no named pipes among its files")
def test_a_pipe_holds_nothing_up(folder: Path) -> None:
    os.mkfifo("pipe.png")
    (refusal,) = find_targets(["pipe.png"]).refusals
    assert "device or a pipe" in refusal.reason


def test_a_moving_picture_may_be_played(tmp_path: Path) -> None:
    frames = [Image.fromarray(np.full((8, 8, 3), value, np.uint8)) for value in (0, 250)]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    frames[0].save(tmp_path / "still.gif")
    (tmp_path / "broken.gif").write_bytes(b"GIF89a")
    assert not is_still(str(tmp_path / "moving.gif"))
    assert is_still(str(tmp_path / "still.gif"))
    assert is_still(str(tmp_path / "broken.gif"))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(paths=st.lists(st.text(max_size=30), min_size=1, max_size=3))
def test_any_text_is_a_target_or_says_why_not(
    paths: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = find_targets([f"x{path}" for path in paths])
    assert found.targets or found.refusals
    assert all(isinstance(refusal, Refusal) and refusal.reason for refusal in found.refusals)
