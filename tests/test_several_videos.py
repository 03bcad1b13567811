"""Several videos and folders of them: one table or a file each, nothing overwritten, and interrupted runs continued."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from typing import Any

import pytest

from cmaen.errors import CmaenError, OutputError
from cmaen.inference.people.embedding import FaceEmbedder
from cmaen.inference.sinks.records import RecordSink
from tests.conftest import EXAMPLES
from tests.inference.conftest import TIMES, picture, write_film
from tests.test_cli import cmaen

pytest.importorskip("av")


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve small frames in which one face moves."""
    pictures = [picture(step)[:300:2, :320:2] for step in range(len(TIMES))]
    return write_film(tmp_path_factory.mktemp("small") / "film.mp4", pictures, times=TIMES)


@pytest.fixture
def study(tmp_path: Path, film: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two films of one name in two folders below one, which also has a picture; and a broken film."""
    monkeypatch.chdir(tmp_path)
    for folder in ("all/one", "all/two"):
        Path(folder).mkdir(parents=True)
        shutil.copy(film, f"{folder}/film.mp4")
    shutil.copy(EXAMPLES / "astronaut.png", "all/face.png")
    Path("broken.mp4").write_bytes(b"\0\0\0\x18ftypisom" + bytes(40))
    return tmp_path


def read_rows(path: Path | str) -> list[dict[str, str]]:
    with Path(path).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def stop_after(count: int, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Kill the run, in effect, before it writes one more line than this."""
    append = RecordSink._append

    def limited(self: RecordSink, line: dict[str, Any]) -> None:
        nonlocal count
        if not count:
            raise SystemExit(9)
        count -= 1
        append(self, line)

    monkeypatch.setattr(RecordSink, "_append", limited)
    return monkeypatch


@pytest.fixture(scope="module")
def unbroken(film: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The records and the people of a run over the film that nothing stops."""
    folder = tmp_path_factory.mktemp("unbroken")
    cmaen("inference", "--video", film, "--output", folder / "r.jsonl", "--per-person", folder / "people.csv")
    return folder


@pytest.mark.parametrize("count", [1, 6, 11])
def test_a_killed_video_is_continued_with_the_rows_of_an_unbroken_run(
    count: int, study: Path, film: Path, unbroken: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ("--per-person", "people.csv", "--timeline", "lanes.png")
    with monkeypatch.context() as patch:
        stop_after(count, patch)
        cmaen("inference", "--video", film, "--output", "r.jsonl", *options, code=9)
    assert "add --resume" in cmaen("inference", "--video", film, "--output", "r.jsonl", code=2)
    said = cmaen("inference", "--video", film, "--output", "r.jsonl", "--resume", "--every", 0.5, code=2)
    assert "r.jsonl.part cannot be resumed: frames was" in said
    said = cmaen("inference", "--video", film, "--output", "r.jsonl", "--resume", *options)
    assert "is resumed after" in said
    assert "12 frames (1.0 s), 12 faces, 1 person" in said
    assert "wrote r.jsonl (12 records)" in said
    assert Path("r.jsonl").read_text() == (unbroken / "r.jsonl").read_text()
    assert read_rows("people.csv") == read_rows(unbroken / "people.csv")
    assert Path("lanes.png").stat().st_size > 5000
    assert not list(study.glob("*.part"))


def test_a_table_of_several_videos_is_continued_where_it_stopped(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cmaen("predict", "all", "--output", "whole.csv")
    assert [row["path"] for row in read_rows("whole.csv")] == [
        str(Path("all/face.png")), *[str(Path("all/one/film.mp4"))] * 12, *[str(Path("all/two/film.mp4"))] * 12
    ]  # fmt: skip
    for count in (1, 3, 13, 14, 20, 26):
        with monkeypatch.context() as patch:
            stop_after(count, patch)
            cmaen("predict", "all", "--output", "r.csv", code=9)
        said = cmaen("predict", "all", "--output", "r.csv", "--resume")
        assert ("video skipped" in said) == (count >= 14), count
        assert Path("r.csv").read_text() == Path("whole.csv").read_text(), count


def test_a_folder_of_results_has_a_file_for_each_video(study: Path) -> None:
    said = cmaen("predict", "all", "broken.mp4", "--output", "out", code=1)
    assert "1 source left out" in said
    assert "broken.mp4" in said
    assert sorted(path.relative_to("out").as_posix() for path in Path("out").rglob("*.*")) == [
        "one/film.csv", "pictures.csv", "two/film.csv",
    ]  # fmt: skip
    assert [len(read_rows(path)) for path in ("out/one/film.csv", "out/two/film.csv")] == [12, 12]
    assert [row["status"] for row in read_rows("out/pictures.csv")] == ["ok"]
    cmaen("predict", "all/one/film.mp4", "--output", "out2/")
    assert [path.name for path in Path("out2").iterdir()] == ["film.csv"]


def test_no_results_are_overwritten_by_those_of_a_video_of_the_same_name(study: Path) -> None:
    cmaen("predict", "all/one/film.mp4", "all/two/film.mp4", "--output", "out")
    found = {read_rows(path)[0]["path"]: path for path in Path("out").iterdir()}
    assert set(found) == {"all/one/film.mp4", "all/two/film.mp4"}
    before = {path: path.read_text() for path in found.values()}
    cmaen("predict", "all/two/film.mp4", "--output", "out")
    assert {path: path.read_text() for path in Path("out").iterdir()} == before
    Path("mine").mkdir()
    Path("mine/film.csv").write_text("name,grade\nme,1\n")
    Path("mine/pictures.csv").write_text("")
    cmaen("predict", "all/one/film.mp4", "--output", "mine")
    assert Path("mine/film.csv").read_text() == "name,grade\nme,1\n"
    assert len(list(Path("mine").iterdir())) == 3


def test_a_folder_of_results_is_continued_by_video(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    videos = ("all/one/film.mp4", "broken.mp4", "all/two/film.mp4")
    cmaen("predict", *videos, "--output", "whole", code=1)
    with monkeypatch.context() as patch:
        stop_after(17, patch)
        cmaen("predict", *videos, "--output", "out", code=9)
    assert len(list(Path("out").glob("*.part"))) == 1
    first = Path("out/film.csv").stat().st_mtime_ns
    said = cmaen("predict", *videos, "--output", "out", "--resume", code=1)
    assert "1 video skipped: the results are complete" in said
    assert "all/two/film.mp4 is resumed after" in said
    assert Path("out/film.csv").stat().st_mtime_ns == first
    assert {path.name: path.read_text() for path in Path("out").iterdir()} == {
        path.name: path.read_text() for path in Path("whole").iterdir()
    }
    assert "2 videos skipped" in cmaen("predict", *videos, "--output", "out", "--resume", code=1)
    assert "1 video skipped" in cmaen("predict", videos[0], "--output", "out", "--resume")


def test_what_another_output_costs_is_not_the_table(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cmaen.inference.sinks.people import PeopleSink

    def fail(_: PeopleSink) -> None:
        raise OutputError("the disk is full")

    monkeypatch.setattr(PeopleSink, "finish", fail)
    said = cmaen("predict", "all/one/film.mp4", "all/two/film.mp4", "--output", "r.csv", code=1)
    assert "the disk is full" in said
    said = cmaen("predict", "all/one/film.mp4", "all/two/film.mp4", "--output", "out", code=1)
    assert sorted(len(read_rows(path)) for path in Path("out").iterdir()) == [12, 12]


def test_a_table_that_cannot_be_written_is_not_complete(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    append = RecordSink._append

    def fail(self: RecordSink, line: dict[str, Any]) -> None:
        if line.get("frame") == 7:
            raise OutputError("the disk is full")
        append(self, line)

    with monkeypatch.context() as patch:
        patch.setattr(RecordSink, "_append", fail)
        cmaen("predict", "all/one/film.mp4", "all/two/film.mp4", "--output", "out", code=1)
    assert sorted(path.suffix for path in Path("out").iterdir()) == [".part", ".part"]
    cmaen("predict", "all/one/film.mp4", "all/two/film.mp4", "--output", "out", "--resume")
    assert sorted(len(read_rows(path)) for path in Path("out").iterdir()) == [12, 12]


def test_people_of_a_shared_table_have_the_same_names_in_all_videos(study: Path) -> None:
    try:
        FaceEmbedder()
    except CmaenError as error:
        pytest.skip(str(error))
    cmaen("predict", "all", "--recognise-people", "--output", "r.csv")
    rows = read_rows("r.csv")
    assert len(rows) == 25
    assert {row["person"] for row in rows} == {"person 1"}
    said = cmaen("predict", "all", "--exclude", "all", "--output", "r.csv", "--resume", code=2)
    assert "one without the people of --exclude" in said
