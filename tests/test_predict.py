"""``cmaen predict``: several things at once, what one that fails costs, and where results go."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cmaen.cli.inference import inference
from cmaen.cli.plan import Plan
from cmaen.cli.predict import PredictOptions, predict
from cmaen.cli.results import TableSink, explain
from cmaen.cli.targets import Target
from cmaen.errors import CmaenError
from cmaen.inference.sinks import SINKS
from cmaen.results import Face, Result
from cmaen.types import EMOTIONS, FaceBox, Frame
from tests.conftest import EXAMPLES
from tests.inference.conftest import film as film
from tests.test_cli import cmaen

ASTRONAUT = EXAMPLES / "astronaut.png"


@pytest.fixture
def things(tmp_path: Path, film: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a picture, a wall and no picture; a picture; two films of one name; and a broken film."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    shutil.copy(ASTRONAUT, "photos/face.png")
    Image.fromarray(np.full((48, 64, 3), 90, np.uint8)).save("photos/wall.png")
    Path("photos/text.jpg").write_text("text")
    shutil.copy(ASTRONAUT, "alone.png")
    for folder in ("one", "two"):
        Path(folder).mkdir()
        shutil.copy(film, f"{folder}/film.mp4")
    Path("broken.mp4").write_bytes(b"\0\0\0\x18ftypisom" + bytes(40))
    return tmp_path


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_everything_at_once_and_what_fails_costs_the_others_nothing(things: Path) -> None:
    pytest.importorskip("av")
    said = cmaen(
        "predict", "photos", "alone.png", "nowhere.png", "one/film.mp4", "broken.mp4", "two/film.mp4", "photos/*.zip",
        "--output", "r.csv", "--per-person", "people.csv", "--annotated", "drawn", code=1,
    )  # fmt: skip
    rows = read_rows(things / "r.csv")
    stills = rows[:5]
    assert [row["path"] for row in stills] == [
        *(str(Path("photos", name)) for name in ("face.png", "text.jpg", "wall.png")), "alone.png", "nowhere.png",
    ]  # fmt: skip
    assert [row["status"] for row in stills] == ["ok", "error", "no_face", "ok", "error"]
    assert sorted(path.as_posix() for path in Path("drawn").rglob("*.png")) == [
        "drawn/alone.png",
        "drawn/photos/face.png",
    ]
    assert [row["path"] for row in rows[5:]] == ["one/film.mp4"] * 12 + ["two/film.mp4"] * 12
    assert len(list(things.glob("people-film*.csv"))) == 2
    assert "2 sources left out" in said
    assert "broken.mp4 cannot be opened as a video" in said
    assert "matches photos/*.zip" in said
    assert "5 images, 2 faces, 2 errors" in said
    assert "happy 2" in said
    assert "wrote r.csv (29 rows)" in said
    assert said.count("1 person;") == 2
    assert not list(things.glob("*.part"))


def test_one_picture_and_one_film_go_where_they_are_sent(things: Path) -> None:
    said = cmaen("predict", "alone.png", "--output", "r.jsonl", "--annotated", "drawn.png")
    assert "wrote r.jsonl (1 record), drawn.png" in said
    assert json.loads((things / "r.jsonl").read_text())["predicted_emotion"] == "happy"
    pytest.importorskip("av")
    said = cmaen("predict", "one/film.mp4", "--output", "f.csv", "--save-video", "f.mp4", "--per-person", "p.csv")
    assert "wrote f.csv (12 rows), f.mp4, p.csv" in said
    (person,) = read_rows(things / "p.csv")
    assert (person["path"], person["person"], person["frames"], person["emotion"]) == (
        "one/film.mp4", "1", "12", "happy",
    )  # fmt: skip
    assert float(person["seconds"]) == pytest.approx(1.1, abs=0.02)
    assert float(person["happy_share"]) == 1
    assert 0 <= float(person["happy_peak_time"]) <= 1


def test_a_single_thing_that_fails_is_one_line(things: Path) -> None:
    for path, reason in {
        "broken.mp4": "cannot be opened as a video",
        "https://example.org/a.jpg": "download it first",
        "empty": "contains no images",
        "photos/*.gif": "matches",
    }.items():
        (things / "empty").mkdir(exist_ok=True)
        said = cmaen("predict", path, code=2)
        assert reason in said
        assert said.startswith("error: ")
        assert said.count("\n") == 1
    assert "nowhere.png does not exist" in cmaen("predict", "nowhere.png", code=1)
    assert "2 sources left out" in cmaen("predict", "broken.mp4", "empty", code=1)


def test_a_result_that_cannot_be_written_is_no_success(things: Path) -> None:
    pytest.importorskip("av")
    said = cmaen("predict", "alone.png", "one/film.mp4", "--output", "r.csv", "--save-video", "v.foo", code=1)
    assert "1 source left out" in said
    assert "v.foo" in said
    assert len(read_rows(things / "r.csv")) == 1


def test_ctrl_c_over_one_video_ends_all(things: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("av")
    from cmaen.inference.run import _Sinks

    write = _Sinks.write

    def interrupted(self: _Sinks, result: Result) -> None:
        write(self, result)
        raise KeyboardInterrupt

    monkeypatch.setattr(_Sinks, "write", interrupted)
    said = cmaen("predict", "one/film.mp4", "two/film.mp4", "--output", "r.csv", code=1)
    assert "--resume continues them" in said
    assert [path.name for path in things.glob("r*")] == ["r.csv.part"]
    cmaen("predict", "one/film.mp4", "--output", "one.csv")
    assert len(read_rows(things / "one.csv")) == 1, "a single video ends with what there is"
    monkeypatch.setattr(_Sinks, "write", write)
    said = cmaen("predict", "one/film.mp4", "two/film.mp4", "--output", "r.csv", "--resume")
    assert "one/film.mp4 is resumed after 0.0 s" in said
    assert [row["path"] for row in read_rows(things / "r.csv")] == ["one/film.mp4"] * 12 + ["two/film.mp4"] * 12


def test_pictures_of_one_name_are_drawn_in_two_places(things: Path) -> None:
    predict(paths=["alone.png", "../" + things.name + "/photos/face.png"], annotated=Path("drawn"))
    assert sorted(path.as_posix() for path in Path("drawn").rglob("*.png")) == [
        "drawn/alone.png",
        "drawn/photos/face.png",
    ]
    predict(paths=["photos/face.png", "photos/wall.png"], annotated=Path("flat"))
    assert [path.as_posix() for path in Path("flat").rglob("*.png")] == ["flat/face.png"]


def test_a_run_over_pictures_and_folders_is_resumed(things: Path) -> None:
    everything = ["photos", "alone.png"]
    predict(paths=everything, output=Path("whole.jsonl"))
    lines = (things / "whole.jsonl").read_text().splitlines(keepends=True)
    with pytest.raises(SystemExit), pytest.MonkeyPatch.context() as patch:
        patch.setattr("cmaen.inference.run._Sinks.finish", lambda _: (_ for _ in ()).throw(SystemExit))
        predict(paths=everything, output=Path("r.jsonl"))
    part = things / "r.jsonl.part"
    part.write_text("".join(part.read_text().splitlines(keepends=True)[:2]))
    said = cmaen("predict", *everything, "--output", "r.jsonl", "--resume")
    assert "3 images" in said
    assert sorted((things / "r.jsonl").read_text().splitlines(keepends=True)) == sorted(lines)


@pytest.mark.parametrize(
    ("targets", "options", "problem"),
    [
        (["video"], {"chart": Path("c.png")}, "--annotated and --chart are for pictures"),
        (["video"], {"annotated": Path("c")}, "--annotated and --chart are for pictures"),
        (["picture"], {"save_video": Path("v.mp4")}, "are for videos, and there is none"),
        (["folder"], {"per_person": Path("p.csv")}, "are for videos, and there is none"),
        (["picture"], {"every": 3.0}, "are for videos, and there is none"),
        (["picture", "picture"], {"explain": Path("m.png")}, "--explain takes exactly one picture"),
        (["video"], {"explain": Path("m.png")}, "--explain takes exactly one picture"),
        (
            ["video"],
            {"resume": True, "output": Path("r.csv"), "save_video": Path("v.mp4")},
            "it cannot continue a stream",
        ),
        (["picture", "video"], {"resume": True, "output": Path("r.csv")}, None),
        (["folder"], {"resume": True}, "--resume needs an --output"),
        (["video"], {"every": 1.0, "every_frame": 2}, "choose one of --every"),
        (["video"], {"every": float("inf")}, "--every must be a number of seconds"),
        (["video"], {"start": 3.0, "end": 2.0}, "--end must be later than --start"),
        (["video"], {"start": float("inf")}, "--start must be a number of seconds"),
        (["video"], {"end": float("nan")}, "--end must be later than --start"),
        (["address"], {"annotated": Path("c")}, "draws pictures on this machine only"),
        (["folder"], {"engine": "ray"}, "--engine ray works with cmaen inference"),
        (["video"], {"output": Path("x.csv"), "per_person": Path("x.csv")}, "two options would write to x.csv"),
        (["picture"], {"output": Path("x.eaf")}, "x.eaf is for the episodes of a video, and there is none"),
        (["folder"], {"output": [Path("x.csv"), Path("x.vtt")]}, "x.vtt is for the episodes of a video, and there is"),
        (["picture", "video"], {"output": Path("x.vtt")}, "add --output faces.csv for the pictures"),
        (["picture", "video"], {"output": [Path("x.vtt"), Path("x.csv")]}, None),
        (["picture", "video"], {"chart": Path("c.png"), "save_video": Path("v.mp4")}, None),
    ],
)
def test_options_that_do_not_fit_what_was_found(
    targets: list[str], options: dict[str, object], problem: str | None
) -> None:
    found = [Target(kind, f"x{number}") for number, kind in enumerate(targets)]  # type: ignore[arg-type]
    said = Plan(PredictOptions(paths=[], **options), found).find_problem()  # type: ignore[arg-type]
    assert said is None if problem is None else problem in str(said)


def test_outputs_of_several_videos_never_collide() -> None:
    wanted = {
        "output": [Path("out/r.csv"), Path("out/r.eaf"), Path("out/r_events.tsv"), Path("out/r.json")],
        "save_video": Path("out/r.mp4"),
        "timeline": Path("t.png"),
        "per_person": Path("out/r-a.csv"),
    }
    videos = ["a.mp4", "x/a.mp4", "x/A.mkv", "rtsp://cam/a", "rtsp://cam", "r.mp4", "con.mp4"]
    targets = [Target("picture", "p.png"), *(Target("video", video) for video in videos)]
    jobs = [job for _, job in Plan(PredictOptions(paths=[], **wanted), targets).list_jobs()]  # type: ignore[arg-type]
    assert all(job.shares and job.places.output is None and not job.places.also for job in jobs)
    places = [path for job in jobs for path in job.places.list_given()]
    assert len(places) == 3 * len(videos)
    assert len({str(path).casefold() for path in places}) == len(places)
    again = [job for _, job in Plan(PredictOptions(paths=[], **wanted), targets).list_jobs()]  # type: ignore[arg-type]
    assert [job.places for job in again] == [job.places for job in jobs]


def test_a_video_among_pictures_keeps_the_name_of_its_episodes(things: Path) -> None:
    pytest.importorskip("av")
    outputs = ("--output", "r.vtt", "--output", "r.csv", "--output", "r.jsonl")
    said = cmaen("predict", "alone.png", "nowhere.png", "one/film.mp4", *outputs)
    assert "r.csv (14 rows)" in said
    assert sorted(path.name for path in things.glob("r.*")) == ["r.csv", "r.jsonl", "r.vtt"]
    assert "happy" in Path("r.vtt").read_text()
    cmaen("predict", "alone.png", "one/film.mp4", "two/film.mp4", *outputs)
    assert len(list(things.glob("r-*.vtt"))) == 2
    assert "add --output faces.csv" in cmaen("predict", "alone.png", "one/film.mp4", "--output", "r.vtt", code=2)


@pytest.mark.skipif("chart" not in SINKS, reason="there is no such sink yet")
def test_a_chart_of_a_folder(things: Path) -> None:
    said = cmaen("predict", "photos", "--chart", "emotions.png")
    assert "emotions.png" in said
    assert Image.open("emotions.png").size > (100, 100)


def face(*shares: float) -> Face:
    rest = (1 - sum(shares)) / (len(EMOTIONS) - len(shares))
    return Face((*shares, *(rest for _ in range(len(EMOTIONS) - len(shares)))), FaceBox(0, 0, 10, 10))


def test_an_unsure_answer_is_shown_with_two_emotions_and_counted_apart(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    table = TableSink(only_errors=False)
    table.write(Result(Frame(0, "a.jpg"), (face(0.9), face(0.4, 0.3))), None)
    table.write(Result(Frame(1, "b.jpg"), error="UnreadableImageError: b.jpg is not an image"), None)
    table.write(Result(Frame(2, "c.jpg"), error="SomeError: too slow"), None)
    table.finish()
    assert table.sum_up() == "angry 1 · unsure 1"
    shown = capsys.readouterr().out
    assert "unsure: maybe angry or disgust" in shown
    assert "\nb.jpg is not an image\nc.jpg: too slow\n" in shown
    assert "Error" not in shown


def test_errors_are_english() -> None:
    assert explain("a.jpg", "EmptyImageError: a.jpg is empty") == "a.jpg is empty"
    assert explain("a.jpg", "is no class: at all") == "a.jpg: is no class: at all"


def test_a_folder_of_videos_says_how_they_are_given(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"\0" * 20)
    with pytest.raises(CmaenError, match="give its videos to cmaen predict"):
        inference(directory=str(tmp_path))
