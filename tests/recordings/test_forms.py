"""Forms by their endings: where files go, several videos, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmaen.errors import OutputError
from cmaen.naming import Names
from cmaen.recordings.forms import FORMS, check_form, check_source, find_form, list_files, place_beside, write_episodes
from tests.recordings.made import record


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("film.eaf", ".eaf"),
        ("Film.EAF", ".eaf"),
        ("sub-01_task-film_events.tsv", "_events.tsv"),
        ("film.vtt", ".vtt"),
        ("events.tsv", None),
        ("_events.tsv", None),
        (".eaf", None),
        ("film.tsv", None),
        ("film_events.csv", None),
        ("film.csv", None),
    ],
)
def test_the_ending_tells_the_form(name: str, form: str | None) -> None:
    assert find_form(Path(name)) == form
    assert find_form(Path("x.eaf") / name) == form


def test_a_table_of_events_has_a_second_file() -> None:
    assert list_files(Path("a/x_events.tsv")) == (Path("a/x_events.tsv"), Path("a/x_events.json"))
    assert list_files(Path("x.eaf")) == (Path("x.eaf"),)
    assert list_files(Path("x_events.json")) == (Path("x_events.json"),)


@pytest.mark.parametrize("ending", FORMS)
def test_one_recording_takes_the_path_and_several_a_file_each(ending: str, tmp_path: Path) -> None:
    path = tmp_path / "new" / f"x{ending}"
    first, second, third = (record({"Ada": range(40)}, name=name) for name in ("a.mp4", "b/a.mp4", "c.mp4"))
    assert write_episodes(path, [first]) == {path: 1}
    counts = write_episodes(path, [first, second, third], shortest=0)
    assert list(counts.values()) == [1, 1, 1]
    assert all(place.parent == path.parent and find_form(place) == ending for place in counts)
    names = [place.name for place in counts]
    assert (names[0], names[2]) == (f"x-a{ending}", f"x-c{ending}")
    assert names[1].startswith("x-a-")
    files = {file.name for place in (path, *counts) for file in list_files(place)}
    assert {entry.name for entry in path.parent.iterdir()} == files


def test_episodes_that_are_too_short_are_left_out(tmp_path: Path) -> None:
    recording = record({"Ada": range(10), "Bob": range(30)})
    assert write_episodes(tmp_path / "x.vtt", [recording]) == {tmp_path / "x.vtt": 1}
    assert write_episodes(tmp_path / "x.vtt", [recording], shortest=0.3) == {tmp_path / "x.vtt": 2}


@given(st.lists(st.text(max_size=8), unique=True, max_size=6), st.sampled_from(list(FORMS)))
def test_no_two_videos_share_a_file(videos: list[str], ending: str) -> None:
    names = Names()
    places = [place_beside(Path(f"x{ending}"), video, names, video) for video in videos]
    assert len({str(place).casefold() for place in places}) == len(videos)
    assert all(find_form(place) == ending and place.name.startswith("x-") for place in places)


def test_what_cannot_be_written_is_said_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"episodes are written as \.eaf, _events\.tsv, \.vtt"):
        check_form(tmp_path / "film.srt")
    (tmp_path / "a_events.json").mkdir()
    with pytest.raises(OutputError, match=r"a_events\.json cannot be written"):
        check_form(tmp_path / "a_events.tsv")
    check_form(tmp_path / "new" / "film.eaf")


def test_a_source_is_never_replaced(tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    film.touch()
    (tmp_path / "link.eaf").symlink_to(film)
    (tmp_path / "a_events.json").touch()
    for path, source in (("link.eaf", film), ("a_events.tsv", tmp_path / "a_events.json")):
        with pytest.raises(OutputError, match=r"would replace .* from which it is made"):
            check_source(tmp_path / path, source)
    check_source(tmp_path / "film.eaf", film)
    check_source(tmp_path / "film.eaf", Path("rtsp://camera\0"))
