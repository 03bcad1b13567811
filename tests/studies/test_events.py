"""Events: as researchers and spreadsheets write them, and damaged."""

from __future__ import annotations

import codecs
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmaen.errors import EventsError
from cmaen.studies.events import Event, list_levels, list_spans, read_events

PLAIN = 'name,start,end,file,group\ncalm,0,30.5,,\n"film, B",30.5,61,ada.mp4,first\n,,,bob.mp4,second\n'
EXPECTED = (
    Event("calm", 0, 30.5),
    Event("film, B", 30.5, 61, "ada.mp4", "first"),
    Event("", 0, math.inf, "bob.mp4", "second"),
)


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_spreadsheets_write_the_same_events(encoding: str, end: str, tmp_path: Path) -> None:
    semicolons = (
        'Name;START;end;File;Group\ncalm;0;30,5;;\n"film, B";30,5;1:01;ada.mp4;first\n;;;bob.mp4;second\n;;;;\n'
    )
    tabs = semicolons.replace('"', "").replace(";", "\t").replace("1:01", "0:01:01,0")
    for text in (PLAIN, semicolons, tabs):
        found = read_events(write(tmp_path / "events.csv", text.replace("\n", end), encoding))
        assert found.events == EXPECTED
        assert not found.left_out


def test_the_events_of_bids_are_read(tmp_path: Path) -> None:
    path = write(tmp_path / "sub-1_events.tsv", "onset\tduration\ttrial_type\n1.5\t2\tgo\n4\tn/a\trest\n")
    assert read_events(path).events == (Event("go", 1.5, 3.5), Event("rest", 4, math.inf))


def test_a_bad_row_costs_no_other(tmp_path: Path) -> None:
    rows = ["a,0,1", "b,5,5", "c,x,9", "d,-1,9", "e,nan,9", ",0,1", "f,1,2,", "g,inf,9", "h,9,1e999"]
    found = read_events(write(tmp_path / "e.csv", "\n".join(["name,start,end", *rows])))
    assert [event.name for event in found.events] == ["a", "e", "f"]
    assert len(found.left_out) == 6
    assert found.left_out[0].startswith("row 3 ")
    assert "not after its start" in found.left_out[0]
    assert "'x'" in found.left_out[1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "neither a column name"),
        ("start,end\n1,2\n", "this one has start, end"),
        ("name,start,end\n", "no event"),
        ("name,start,end\na,2,1\n", "row 2"),
        ("name\n" + "x" * 200_000, "cannot be read"),
    ],
)
def test_what_is_no_list_of_events_is_refused(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(EventsError, match=said):
        read_events(write(tmp_path / "e.csv", text))


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(EventsError, match="cannot be read"):
            read_events(path)


def test_damage_at_every_length_is_a_named_error_or_fewer_events(tmp_path: Path) -> None:
    path = tmp_path / "e.csv"
    for encoding in ("utf-8", "utf-16"):
        content = PLAIN.encode(encoding)
        for length in range(len(content)):
            path.write_bytes(content[:length])
            try:
                assert len(read_events(path).events) <= len(EXPECTED)
            except EventsError:
                continue


@settings(max_examples=150)
@given(st.binary(max_size=120), st.sampled_from([b"", b"name,start,end\n", b"group\n", codecs.BOM_UTF16_LE]))
def test_any_bytes_are_events_or_a_named_error(
    tmp_path_factory: pytest.TempPathFactory, tail: bytes, head: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any-events.csv"
    path.write_bytes(head + tail)
    try:
        found = read_events(path)
    except EventsError:
        return
    assert all(event.end > event.start >= 0 for event in found.events)
    assert all((event.name or event.group) for event in found.events)


def test_a_file_is_known_by_its_path_its_name_or_its_stem() -> None:
    def known(file: str, *names: str) -> list[bool]:
        return [Event("a", file=file).concerns(name) for name in names]

    assert known("ada.mp4", "ada.mp4", "/home/x/ada.mp4", "C:\\x\\ada.mp4", "bob.mp4") == [True, True, True, False]
    assert known("ada", "ada.mp4", "x/ada.mp4", "adam.mp4") == [True, True, False]
    assert known("x/ada.mp4", "/y/x/ada.mp4", "/y/z/ada.mp4", "ada.mp4") == [True, False, True]
    assert Event("a").concerns("anything")


def test_files_that_no_recording_has_are_told(tmp_path: Path) -> None:
    found = read_events(write(tmp_path / "e.csv", PLAIN))
    assert found.find_unmatched(["/x/ada.mp4"]) == ["bob.mp4"]
    assert found.find_unmatched([]) == ["ada.mp4", "bob.mp4"]
    assert list(list_levels(found.events, "group")) == ["first", "second"]
    assert list(list_levels(found.events, "name")) == ["calm", "film, B"]


def test_no_moment_counts_twice() -> None:
    events = [Event("a", 5, 8), Event("a", 0, 2), Event("a", 1, 3), Event("a", 6, 7), Event("a", 3, 4)]
    assert list_spans(events) == [(0, 4), (5, 8)]
    assert list_spans([]) == []
