"""``cmaen report`` and its inputs: what programs and spreadsheets write, videos, and what cannot be used."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cmaen.types import EMOTIONS
from tests.conftest import EXAMPLES
from tests.test_cli import cmaen


def write_results(path: Path, video: str, *, person: str = "Ada", mark: str = ",", point: str = ".") -> Path:
    """Ten seconds of a person who is happy, then sad."""
    head = [
        "path",
        "frame",
        "time",
        "status",
        "face",
        "identity",
        "person",
        "predicted_emotion",
        "confidence",
        *EMOTIONS,
    ]
    lines = [mark.join(head)]
    for frame in range(100):
        emotion = "happy" if frame < 50 else "sad"
        shares = [0.7 if name == emotion else 0.05 for name in EMOTIONS]
        numbers = [f"{value:g}".replace(".", point) for value in (0.7, *shares)]
        time = f"{frame / 10:g}".replace(".", point)
        lines.append(mark.join([video, str(frame), time, "ok", "1", "1", person, emotion, *numbers]))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def read_shares(page: Path) -> list[dict[str, float]]:
    values = json.loads(page.with_suffix(".json").read_text("utf-8"))
    return [
        {share["emotion"]: share["share"] for share in person["shares"] if share["share"]}
        for recording in values["recordings"]
        for person in recording["people"]
    ]


def test_results_of_any_program_make_a_report(tmp_path: Path) -> None:
    plain = write_results(tmp_path / "a.csv", "a.mp4")
    spreadsheet = write_results(tmp_path / "b.csv", "b.mp4", mark=";", point=",")
    spreadsheet.write_bytes(spreadsheet.read_text("utf-8").encode("utf-16"))
    page = tmp_path / "study.html"
    said = cmaen("report", plain, spreadsheet, "--output", page)
    assert "study.html" in said
    assert "study-episodes.csv" in said
    assert read_shares(page) == [pytest.approx({"happy": 0.5, "sad": 0.5})] * 2


def test_events_and_what_counts_as_a_person_reach_the_report(tmp_path: Path) -> None:
    paths = [write_results(tmp_path / f"{n}.csv", f"{n}.mp4", person="" if n else "person 1") for n in range(7)]
    events = tmp_path / "events.csv"
    events.write_text("name;start;end\ncalm;0;5,0\nfilm;0:05;10\n")
    for unit, people in (("name", 7), ("number", 1), ("recording", 7)):
        cmaen("report", *paths, "--events", events, "--unit", unit, "--output", tmp_path / "r.html")
        values = json.loads((tmp_path / "r.json").read_text("utf-8"))["comparison"]
        assert values["people"] == people
        (factor,) = values["factors"]
        happy = next(one for one in factor["differences"] if one["emotion"] == "happy")
        assert happy["difference"] == pytest.approx(-1)
        assert happy["p_value"] == (2 / 2**7 if people == 7 else None)


def test_one_bad_source_costs_no_other_and_is_told(tmp_path: Path) -> None:
    good = write_results(tmp_path / "a.csv", "a.mp4")
    (tmp_path / "b.csv").write_text("path,predicted_emotion\nb.png,happy\n")
    (tmp_path / "c.txt").write_text("nothing")
    page = tmp_path / "r.html"
    bad = ["b.csv", "c.txt", "none.csv", "none.mp4"]
    said = cmaen("report", good, *(tmp_path / name for name in bad), "--output", page)
    assert "4 sources left out" in said
    text = page.read_text("utf-8")
    for name in bad:
        assert name in said
        assert name in text
    assert len(read_shares(page)) == 1
    said = cmaen("report", tmp_path / "none.csv", tmp_path / "c.txt", "--output", tmp_path / "x.html", code=2)
    assert "none.csv" in said
    assert not (tmp_path / "x.html").exists()


@pytest.mark.parametrize("name", ["r.json", "r-shares.csv"])
def test_an_input_is_never_replaced(name: str, tmp_path: Path) -> None:
    given = write_results(tmp_path / name, "a.mp4")
    before = given.read_bytes()
    for command in (("report", given), ("report", write_results(tmp_path / "a.csv", "a.mp4"), "--events", given)):
        said = cmaen(*command, "--output", tmp_path / "r.html", code=2)
        assert "one of the inputs" in said
    assert given.read_bytes() == before


def test_what_is_no_page_or_no_list_of_events_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    given = write_results(tmp_path / "a.csv", "a.mp4")
    assert "written as .html" in cmaen("report", given, "--output", tmp_path / "r.txt", code=2)
    (tmp_path / "e.csv").write_text("a,b\n1,2\n")
    said = cmaen("report", given, "--events", tmp_path / "e.csv", "--output", tmp_path / "r.html", code=2)
    assert "neither a column name" in said
    assert "matches" in cmaen("report", tmp_path / "*.xyz", "--output", tmp_path / "r.html", code=2)


def test_patterns_are_expanded_where_no_shell_does(tmp_path: Path) -> None:
    for name in "ab":
        write_results(tmp_path / f"{name}.csv", f"{name}.mp4")
    cmaen("report", tmp_path / "*.csv", "--output", tmp_path / "r.html")
    assert len(read_shares(tmp_path / "r.html")) == 2


def test_a_video_is_analysed_first(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    cv2 = pytest.importorskip("cv2")
    portrait = cv2.cvtColor(cv2.imread(str(EXAMPLES / "astronaut.png")), cv2.COLOR_BGR2RGB)[:300, 60:380]
    with av.open(str(tmp_path / "ada.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=5)
        stream.width, stream.height, stream.pix_fmt = 320, 300, "yuv420p"
        for number in range(12):
            picture = portrait if number < 10 else np.full_like(portrait, 90)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")))
        container.mux(stream.encode())
    (tmp_path / "team").mkdir()
    cv2.imwrite(str(tmp_path / "team" / "Ada.png"), cv2.cvtColor(portrait, cv2.COLOR_RGB2BGR))
    options = ("--people", tmp_path / "team", "--thumbnails", "--output", tmp_path / "r.html")
    cmaen("report", tmp_path / "ada.mp4", *options)
    recording = json.loads((tmp_path / "r.json").read_text("utf-8"))["recordings"][0]
    assert recording["recording"].endswith("ada.mp4")
    assert recording["without_a_face"] == pytest.approx(0.4)
    (person,) = recording["people"]
    assert person["person"] == "Ada"
    assert person["seconds"] == pytest.approx(2)
    assert max(person["shares"], key=lambda share: share["share"])["emotion"] == "happy"
    assert "data:image/jpeg" in (tmp_path / "r.html").read_text("utf-8")
