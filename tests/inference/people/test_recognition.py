"""Recognition from the pixels to the files, by a pipeline whose people differ in their colours."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cmaen import EmotionPredictor
from cmaen.cli.predict import predict
from cmaen.errors import CmaenError, GalleryError
from cmaen.inference.films import analyse_video
from cmaen.inference.people.films import FilmPeople
from cmaen.inference.people.pictures import PicturePeople
from cmaen.inference.pipeline import FacePipeline
from cmaen.inference.run import Summary, run
from cmaen.inference.sinks import Sink
from cmaen.inference.sinks.people import NOBODY, PeopleSink
from cmaen.inference.sinks.records import RecordSink
from cmaen.inference.sinks.timeline import TimelineSink
from cmaen.types import FaceBox, Frame
from tests.conftest import EXAMPLES
from tests.inference.conftest import write_film
from tests.inference.people.stand_ins import BEN, COLOURS, find_patches, know, make_circle, paint
from tests.inference.records import read
from tests.inference.stand_ins import ByColour, Frames, film_of
from tests.test_cli import cmaen

RED, GREEN, BLUE, YELLOW = COLOURS
LEFT, RIGHT, TINY = FaceBox(10, 20, 40, 40), FaceBox(90, 20, 40, 40), FaceBox(60, 90, 8, 8)
WALL = paint()
SECONDS = {"Ben": 0.8, "person 1": 1.6, "person 2": 0.4}
SCENES = [
    paint((RED, LEFT), (GREEN, RIGHT)),  # two people
    paint((GREEN, LEFT), (RED, RIGHT)),  # a cut: they have changed places
    WALL,
    paint((RED, LEFT)),  # one comes back
    paint((BLUE, RIGHT), (RED, LEFT)),
]


def make_pipeline(people: FilmPeople | PicturePeople | None) -> FacePipeline:
    pipeline = FacePipeline(ByColour(), find_patches, people=people)  # type: ignore[arg-type]
    return pipeline.tune(detect_every=0.0, classify_every=0.0)


def film(frames: int = 10) -> Frames:
    return film_of([scene for scene in SCENES for _ in range(frames)])


def process(people: FilmPeople | PicturePeople, source: Frames, sinks: Sequence[Sink]) -> Summary:
    return run(source, make_pipeline(people), sinks, settle=people.settle)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_every_row_of_a_film_bears_the_final_name(suffix: str, tmp_path: Path) -> None:
    people = FilmPeople(make_circle(known=[know("Ben", BEN)]))
    summary = process(people, film(), [RecordSink(tmp_path / f"rows{suffix}", settle=people.settle)])
    assert summary.people == 3
    found = read(tmp_path / f"rows{suffix}")
    rows = found if suffix == ".csv" else [{**face, "x": face["box"][0], "frame": record["frame"]}
                                           for record in found for face in record["faces"]]  # fmt: skip
    named = {(int(row["frame"]) // 10, float(row["x"])): row.get("person") for row in rows if row.get("x") is not None}
    red, blue = named[0, 10.0], named[4, 90.0]
    assert (named[0, 90.0], named[1, 10.0]) == ("Ben", "Ben")
    assert (named[1, 90.0], named[3, 10.0], named[4, 10.0]) == (red, red, red)
    assert len({red, blue, "Ben"}) == 3
    assert not list(tmp_path.glob("*.part"))


def test_episodes_for_other_tools_bear_the_final_names(tmp_path: Path) -> None:
    people = FilmPeople(make_circle(known=[know("Ben", BEN)]))
    sink = RecordSink(tmp_path / "r.csv", also=(tmp_path / "r.vtt", tmp_path / "r.eaf"), settle=people.settle)
    process(people, film(), [sink])
    for path in sink.paths:
        text = path.read_text(encoding="utf-8")
        assert "Ben" in text, path
        assert "person 1" in text, path


def test_the_table_and_the_timeline_go_by_person(tmp_path: Path) -> None:
    people = FilmPeople(make_circle(known=[know("Ben", BEN)]))
    table = PeopleSink(tmp_path / "people.csv", settle=people.settle)
    timeline = TimelineSink(tmp_path / "people.png", settle=people.settle)
    process(people, film(), [table, timeline])
    with (tmp_path / "people.csv").open(newline="") as file:
        rows = {row["person"]: row for row in csv.DictReader(file)}
    assert {name: float(row["seconds"]) for name, row in rows.items()} == SECONDS
    assert (rows["Ben"]["frames"], rows["Ben"]["first"], rows["Ben"]["last"]) == ("20", "0.0", "0.76")
    assert {lanes.name for lanes in timeline._timeline.summarise()} == set(rows)
    without = PeopleSink(tmp_path / "tracks.csv")
    run(film(), make_pipeline(None), [without])
    assert {row.split(",")[1] for row in (tmp_path / "tracks.csv").read_text().splitlines()[1:]} <= set("123456789")


def test_excluded_people_are_in_no_output(tmp_path: Path) -> None:
    people = FilmPeople(make_circle(excluded=[know("Ben", BEN, excluded=True)], recognises=False))
    drawn: list[np.ndarray] = []

    class Drawn:
        needs = 2

        def write(self, result: object, image: np.ndarray | None) -> None:
            assert image is not None
            drawn.append(image)

        finish = close = lambda self: None

    timeline = TimelineSink(tmp_path / "t.png", settle=people.settle)
    sinks = [RecordSink(tmp_path / "r.csv", settle=people.settle), PeopleSink(settle=people.settle), timeline, Drawn()]
    process(people, film(), sinks)
    rows = read(tmp_path / "r.csv")
    assert {row["person"] for row in rows} == {None}
    assert [float(row["x"]) for row in rows if int(row["frame"]) < 10] == [10.0] * 10
    assert people.settle().excluded == 20
    assert (drawn[0][20:60, 90:130] == GREEN).all(), "nothing is drawn on the face, and beside it no label"
    assert not (drawn[0] == paint((RED, LEFT), (GREEN, RIGHT))).all(), "the other face is drawn"
    assert all(lanes.portrait is None or not (lanes.portrait == GREEN).all(axis=2).any()
               for lanes in timeline._timeline.summarise())  # fmt: skip


def test_a_face_too_small_to_compare_is_a_row_of_its_own(tmp_path: Path) -> None:
    people = FilmPeople(make_circle())
    table = PeopleSink(settle=people.settle)
    process(people, film_of([paint((RED, LEFT), (GREEN, TINY))] * 5), [table])
    assert [person.label for person in table.people.values()] == ["person 1", NOBODY]
    only = FilmPeople(make_circle())
    summary = process(only, film_of([paint((GREEN, TINY))] * 5), [PeopleSink(settle=only.settle)])
    assert summary.people == 0


def test_without_recognition_nothing_is_computed() -> None:
    results = list(make_pipeline(None).results(film()))
    assert all(face.person is None for result in results for face in result.faces)


def test_a_failing_embedder_costs_one_frame_and_no_other() -> None:
    circle = make_circle()
    people, count = FilmPeople(circle), 0
    look = circle.embedder.look

    def fail_once(*arguments: object) -> object:
        nonlocal count
        count += 1
        if count == 2:
            raise RuntimeError("out of memory")
        return look(*arguments)  # type: ignore[arg-type]

    circle.embedder.look = fail_once  # type: ignore[method-assign,assignment]
    results = list(make_pipeline(people).results(film(3)))
    assert [result.error is None for result in results].count(False) == 1
    assert "RuntimeError" in str([result.error for result in results if result.error])


def test_pictures_of_a_run_share_people(tmp_path: Path) -> None:
    people = PicturePeople(make_circle(known=[know("Ben", BEN)]))
    frames = [Frame(number, f"{number}.png", scene) for number, scene in enumerate(SCENES)]
    sink = RecordSink(tmp_path / "r.json", settle=people.settle)
    summary = process(people, Frames([*frames, Frame(5, "bad.png", error="X: broken")], moving=False), [sink])
    assert summary.people == 3
    assert summary.errors == 1
    named = [[face["person"] for face in record["faces"]] for record in read(tmp_path / "r.json")]
    assert named[:4] == [["person 1", "Ben"], ["person 1", "Ben"], [], ["person 1"]]
    assert sorted(named[4]) == ["person 1", "person 2"]


def test_a_video_as_a_value_holds_final_names() -> None:
    people = FilmPeople(make_circle())
    analysed = analyse_video(film(), make_pipeline(people), settle=people.settle)
    assert analysed.people == 3
    assert {face.person for result in analysed.results for face in result.faces} == set(people.settle().tracks.values())


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("team")
    (folder / "Eileen").mkdir()
    Image.open(EXAMPLES / "astronaut.png").convert("RGB").save(folder / "Eileen" / "portrait.png")
    return folder


def write_slides(path: Path) -> Path:
    photo = np.asarray(Image.open(EXAMPLES / "astronaut.png").convert("RGB"))
    wall = np.full((512, 512, 3), (30, 90, 160), np.uint8)
    slides = [photo, photo, wall, np.ascontiguousarray(photo[:, ::-1]), photo, wall, photo]
    return write_film(path, slides, times=[float(second) for second in range(7)])


def test_the_command_names_people_of_videos_and_pictures(team: Path, output: Path) -> None:
    """The tracker alone counts several people, see ``test_slides_of_people_one_a_second``."""
    pytest.importorskip("av")
    slides = write_slides(output / "slides.mp4")
    rows, summary = output / "r.csv", output / "people.csv"
    said = cmaen("inference", "--video", slides, "--output", rows, "--per-person", summary, "--people", team)
    assert "1 person;" in said
    assert "1 person known by 1 photograph" in said
    assert "not stored" in said
    assert [row["person"] for row in read(rows)] == ["Eileen", "Eileen", None, "Eileen", "Eileen", None, "Eileen"]
    assert summary.read_text().splitlines()[1].split(",")[1] == "Eileen"
    said = cmaen("predict", team, "--recognise-people")
    assert "1 image, 1 face, 1 person, 0 errors" in said
    assert "person 1" in said


def test_the_command_leaves_excluded_people_out(team: Path, output: Path) -> None:
    pytest.importorskip("av")
    slides = write_slides(output / "slides.mp4")
    said = cmaen("inference", "--video", slides, "--output", output / "r.json", "--exclude", team)
    assert "left out: 5 faces of excluded people" in said
    records = read(output / "r.json")
    assert {record["status"] for record in records} == {"no_face"}
    assert {record["predicted_emotion"] for record in records} == {None}


def test_options_that_do_not_fit_are_refused(team: Path, output: Path) -> None:
    with pytest.raises(CmaenError, match=r"--resume .*not stored"):
        predict(paths=[str(team)], people=team, resume=True, output=output / "r.json")
    with pytest.raises(GalleryError, match="shows nobody"):
        predict(paths=[str(team)], people=output)
    with pytest.raises(CmaenError, match="--engine ray"):
        predict(paths=[str(team)], recognise_people=True, engine="ray")
    with pytest.raises(CmaenError, match="--explain does not work with --exclude"):
        predict(paths=[str(team / "Eileen" / "portrait.png")], exclude=team, explain=output / "e.png")


def test_python_names_people_and_shares_them_between_videos(
    team: Path, tmp_path: Path, predictor: EmotionPredictor
) -> None:
    pytest.importorskip("av")
    slides = write_slides(tmp_path / "slides.mp4")
    circle = predictor.recognise_people()
    for _ in range(2):
        video = predictor.predict_video(slides, recognise=circle)
        assert (video.people, {face.person for one in video.results for face in one.faces}) == (1, {"person 1"})
    with predictor.video(slides, people=team) as frames:
        assert {face["person"] for frame in frames for face in frame.faces} == {"Eileen"}
    assert predictor.predict_video(slides, exclude=team).people == 0
    with pytest.raises(ValueError, match="already knows"):
        predictor.predict_video(slides, recognise=circle, people=team)
    assert all(face.person is None for one in predictor.predict_video(slides).results for face in one.faces)
