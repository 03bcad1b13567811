"""Videos whose run was interrupted: what is recorded stays, and what follows is what an unbroken run gives."""

from __future__ import annotations

import json
from collections.abc import Generator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cmaen.errors import OutputError
from cmaen.inference.pipeline import FacePipeline
from cmaen.inference.resuming import ChapterSink, Numbers, ResumedPipeline, find_start
from cmaen.inference.sinks.records import RecordSink
from cmaen.inference.tuning import Tuning
from cmaen.results import Face, Result
from cmaen.types import FaceBox, Frame
from tests.inference.records import read
from tests.inference.stand_ins import ByColour, Frames

RATE, SECONDS = 2, 135  # two full minutes, and as few frames as show what happens between searches and answers
BACKGROUND = np.random.default_rng(0).integers(60, 120, (96, 160, 3), dtype=np.uint8)
LOOKS = np.random.default_rng(1).integers(0, 255, (3, 28, 28, 3), dtype=np.uint8)


def place_of(person: int, time: float) -> tuple[int, int] | None:
    """Where a person is: moving slowly, and out of the picture from time to time."""
    if (time + 17 * person) % 40 < 6:
        return None
    return round(8 + 50 * person + 4 * np.sin(time / 5 + person)), round(34 + 20 * np.sin(time / 9 + 2 * person))


def picture_of(number: int) -> np.ndarray:
    image = BACKGROUND.copy()
    rng = np.random.default_rng(number)
    for person in range(3):
        if (place := place_of(person, number / RATE)) is not None:
            x, y = place
            look = LOOKS[person].astype(int) + rng.integers(-6, 7, (28, 28, 3))
            image[y : y + 28, x : x + 28] = np.clip(look, 0, 255)
    image[0, 0] = (number % 256, number // 256, 0)
    return image


class Sees:
    """A detector that knows where everybody is, and trembles."""

    def __call__(self, image: np.ndarray) -> list[FaceBox]:
        number = int(image[0, 0, 0]) + 256 * int(image[0, 0, 1])
        rng = np.random.default_rng(number)
        places = [place_of(person, number / RATE) for person in range(3)]
        return [FaceBox(x + rng.uniform(-1, 1), y + rng.uniform(-1, 1), 28, 28) for x, y in filter(None, places)]


class Fine(ByColour):
    """A classifier whose answers depend on every pixel of the crop."""

    def probabilities(self, inputs: np.ndarray) -> np.ndarray:
        sums = inputs[:, :, 0, 0].astype(np.float64)  # [N, 3]
        logits = np.concatenate([np.sin(sums), np.cos(2 * sums), sums[:, :1] / 60], axis=1)  # [N, 7]
        return np.asarray(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)).reshape(-1, 7)


PIPELINE = FacePipeline(Fine(), Sees(), Tuning(smoothing=4, detect_every=1.75, classify_every=0.75))
FILM = [Frame(number, "film", picture_of(number), number / RATE) for number in range(RATE * SECONDS)]


@pytest.fixture(scope="module")
def whole() -> list[Result]:
    return list(PIPELINE.results(Frames(FILM)))


def test_the_film_of_these_tests_is_hard_enough(whole: list[Result]) -> None:
    counts = {len(result.faces) for result in whole}
    assert counts == {2, 3}
    assert max(face.identity or 0 for result in whole for face in result.faces) > 5
    assert all(result.error is None for result in whole)


@pytest.fixture(scope="module")
def recorded(whole: list[Result]) -> list[dict[str, Any]]:
    return [result.to_record() for result in whole]


@pytest.mark.parametrize("count", [1, 12, 119, 120, 121, 124, 125, 132, 180, 239, 244, 245, 269, 270])
def test_what_follows_is_what_an_unbroken_run_gives(
    count: int, whole: list[Result], recorded: list[dict[str, Any]]
) -> None:
    records = recorded[:count]
    since = find_start(whole[count - 1].time or 0.0, PIPELINE.tuning.smoothing)
    source = Frames([frame for frame in FILM if (frame.time or 0.0) >= since])
    resumed = list(ResumedPipeline(PIPELINE, lambda: records, since).results(source))
    assert [result.frame.index for result in resumed] == list(range(len(FILM)))
    assert [result.to_record() for result in resumed] == recorded


@pytest.mark.parametrize(("last", "smoothing", "expected"), [
    (0.0, 0.8, 0), (59.9, 0.8, 0), (60.2, 0.8, 0), (60.5, 0.8, 55), (125.0, 0.8, 115), (125.0, 20.0, 55),
])  # fmt: skip
def test_a_video_is_read_again_from_a_full_minute(last: float, smoothing: float, expected: float) -> None:
    assert find_start(last, smoothing) == expected


def face(identity: int | None, x: float) -> Face:
    return Face((1.0, 0, 0, 0, 0, 0, 0), FaceBox(x, 0, 10, 10), identity)


def test_numbers_go_on_from_those_of_the_interrupted_run() -> None:
    numbers = Numbers(highest=7)
    numbers.learn([face(1, 0), face(2, 100), face(3, 300)], [face(5, 101), face(4, 1)])
    assert [numbers.renumber(face(number, 0)).identity for number in (1, 2, 3, 4, 3)] == [4, 5, 8, 9, 8]
    numbers.learn([face(1, 0)], [face(6, 1)])  # the interrupted run took it for somebody else from then on
    assert numbers.renumber(face(1, 0)).identity == 6
    assert numbers.renumber(face(None, 0)).identity is None
    numbers.learn([face(None, 0), face(10, 0)], [face(None, 0)])
    assert numbers.renumber(face(10, 0)).identity == 10


class Counting:
    """A pipeline whose answers are the numbers of the frames."""

    def __init__(self, most: int | None = None) -> None:
        self.most = most

    def results(self, source: Frames, *, keep_images: bool = False) -> Generator[Result, None, None]:
        for pending in source:
            frame = replace(pending(), image=None)
            yield Result(frame, (face(1, float(frame.index)),))


FEW = [Frame(number, name, None, number / 5) for name in ("a.mp4", "b.mp4") for number in range(6)]


def write_table(path: Path, *, resume: bool, stop: int | None = None) -> None:
    """Two videos in one table; a run may be stopped before one of its records."""
    table = RecordSink(path, resume=resume)
    written = 0
    try:
        for name in ("a.mp4", "b.mp4"):
            if name in table.ended:
                continue
            begun = table.begun.get(name)
            chapter = ChapterSink(table, begun.records if begun else 0)
            since = find_start(begun.time, 0.0) if begun else 0.0
            source = Frames([frame for frame in FEW if frame.name == name])
            for result in ResumedPipeline(Counting(), partial(table.read_begun, name), since).results(source):  # type: ignore[arg-type]
                if written == stop:
                    return
                chapter.write(result, None)
                written += 1
            table.end(name)
        table.finish()
    finally:
        table.close()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_a_part_that_is_cut_off_anywhere_is_continued(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    write_table(folder / "whole.jsonl", resume=False)
    write_table(folder / "r.jsonl", resume=False, stop=data.draw(st.integers(1, 11)))
    part = folder / "r.jsonl.part"
    content = part.read_bytes()
    part.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    write_table(folder / "r.jsonl", resume=True, stop=data.draw(st.one_of(st.none(), st.integers(0, 5))))
    if part.exists():
        write_table(folder / "r.jsonl", resume=True)
    assert (folder / "r.jsonl").read_text() == (folder / "whole.jsonl").read_text()


@pytest.mark.parametrize("suffix", [".json", ".csv"])
def test_the_marks_of_complete_videos_are_no_rows(suffix: str, tmp_path: Path) -> None:
    write_table(tmp_path / f"r{suffix}", resume=False)
    assert len(read(tmp_path / f"r{suffix}")) == 12


def test_a_table_that_another_version_has_begun_is_refused(tmp_path: Path) -> None:
    for line in ('{"finished": ["a"]}', '{"path": "a", "time": 1.0, "faces": []}\n3', '{"time": 1}'):
        (tmp_path / "r.json.part").write_text('{"settings": {}}\n' + line + "\n")
        with pytest.raises(OutputError, match="another version"):
            RecordSink(tmp_path / "r.json", resume=True)


def test_a_chapter_that_failed_is_not_written(tmp_path: Path) -> None:
    table = RecordSink(tmp_path / "r.jsonl")
    chapter = ChapterSink(table, recorded=1)
    for number in range(2):
        chapter.write(Result(Frame(number, "a", time=float(number))), None)
    assert not chapter.is_written
    chapter.finish()
    chapter.close()
    assert chapter.is_written
    table.finish()
    assert [json.loads(line)["frame"] for line in (tmp_path / "r.jsonl").read_text().splitlines()] == [1]
