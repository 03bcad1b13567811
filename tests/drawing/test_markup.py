from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmaen.drawing.markup import MOST, write_facts, write_table
from cmaen.results import Answer, Answers, Face, Result
from cmaen.types import EMOTIONS, FaceBox, Frame

SAD = tuple(0.94 if name == "sad" else 0.003 if name == "fear" else 0.0114 for name in EMOTIONS)
FACE = Face(SAD, FaceBox(30, 40, 60, 50), doubts=("blurred",))


class Reader(HTMLParser):
    """The rows of a table, as text; what is not of a table is remembered."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.tags: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data


def test_a_face_has_a_row_with_its_probabilities() -> None:
    result = Result(Frame(0, "photos/one.png"), (FACE,))
    heads, row = Reader(result._repr_html_()).rows
    assert heads == ["picture", "face", "answer", *EMOTIONS]
    assert row[:2] == ["one.png", "1"]
    assert row[2].startswith("● sad")
    assert row[2].endswith("(blurred)")
    assert (row[3 + EMOTIONS.index("sad")], row[3 + EMOTIONS.index("fear")]) == ("94%", "<1%")
    assert Reader(result.to_dict()._repr_html_()).rows == [heads, row]


def test_pictures_without_a_face_and_with_none_at_all_are_told() -> None:
    answers = Answers(
        [Result(Frame(0, "a.png")).to_dict(), Result(Frame(1, "b.png", error="x"), error="BadError: cut").to_dict()]
    )
    _, none, bad = Reader(answers._repr_html_()).rows
    assert none == ["a.png", "", "no face"]
    assert bad == ["b.png", "", "BadError: cut"]
    assert "picture" in Answers()._repr_html_()


def test_many_rows_are_counted() -> None:
    answers = Answers([Answer(FACE.to_dict(), f"{number}.png") for number in range(MOST + 5)])
    assert len(Reader(answers._repr_html_()).rows) == 1 + MOST
    assert "and 5 more" in answers._repr_html_()


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=50), st.text(min_size=1, max_size=50), st.text(max_size=50))
def test_names_and_errors_are_text(name: str, label: str, error: str) -> None:
    hostile = f"<script>{label}</script>\"'&"
    face = Face((0.7, 0.3), FaceBox(0, 0, 5, 5), classes=(hostile, "other"))
    records = [
        Result(Frame(0, f"<img src=x>{name}"), (face,)).to_record(),
        Result(Frame(0, name, error=error), error=f"<b>{error}").to_record(),
    ]
    read = Reader(write_table(records))
    assert read.tags <= {"table", "thead", "tbody", "tr", "td", "th", "span", "p"}
    assert len(read.rows) == 3


def test_answers_are_a_list_and_become_a_data_frame() -> None:
    pytest.importorskip("pandas")
    two = Result(Frame(0, "two.png"), (FACE, FACE)).to_dict()
    answers = Answers([two, Result(Frame(1, "none.png")).to_dict()])
    assert answers == [dict(two), dict(answers[1])]
    assert isinstance(answers, list)
    frame = answers.to_pandas()
    assert list(frame["path"]) == ["two.png", "two.png", "none.png"]
    assert list(frame["image"]) == [0, 0, 1]
    faces = Answers([Answer(FACE.to_dict(), path) for path in ("one.png", "one.png", "two.png")])
    assert list(faces.to_pandas()["image"]) == [0, 0, 1]
    assert list(faces.to_pandas()["face"]) == [1, 2, 1]
    assert list(Answers([FACE.to_dict()]).to_pandas()["status"]) == ["ok"]
    assert list(two.to_pandas()["face"]) == [1, 2]
    assert list(Result(Frame(0, "two.png"), (FACE,)).to_pandas()["path"]) == ["two.png"]


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=200), max_size=4), st.text(max_size=60))
def test_facts_are_rows_whatever_they_say(facts: dict[str, str], title: str) -> None:
    read = Reader(write_facts(title, facts))
    assert [len(row) for row in read.rows] == [2] * len(facts)
    assert read.tags <= {"b", "table", "tbody", "tr", "th", "td"}
