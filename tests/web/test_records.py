"""The records that the page saves, against those that the package writes."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cmaen.inference.sinks.records import COLUMNS, RecordSink
from cmaen.results import Face, Result
from cmaen.types import EMOTIONS, FaceBox, Frame
from tests.web.node import run_page

LABELS = (*EMOTIONS[:2], "a, label", 'with "quotes"', "=SUM(A1)", "Überraschung")

SCRIPT = """
    import { asCsv, asJson } from './save.js';
    const { records, columns, labels } = given;
    const answer = [await asCsv(records, { columns, labels }).text(), await asJson(records).text()];
"""

# Before Python 3.13 its csv module leaves a carriage return without quotes; the page's own is tested below.
names = st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=12) | st.sampled_from(
    ("", "=1+1", "+1", "-selfie.jpg", "@x", "\tx", "a\nb", 'a"b', "a,b", "'", "’", "x\0y", "\ufeffx", " x ", "NaN")
)
sides = st.floats(0.01, 1e5)
places = st.floats(-1e5, 1e5)
moments = st.none() | st.floats(0, 1e6)


@st.composite
def faces(draw: st.DrawFn) -> Face:
    shares = draw(st.lists(st.floats(0, 1), min_size=len(LABELS), max_size=len(LABELS)))
    point = st.tuples(places, places)
    landmarks = draw(st.none() | st.tuples(point, point, point, point, point))
    box = FaceBox(draw(places), draw(places), draw(sides), draw(sides), landmarks=landmarks)
    identity, person = draw(st.none() | st.integers(1, 10**6)), draw(st.none() | names)
    return Face(tuple(shares), box, identity, LABELS, person=person)


@st.composite
def results(draw: st.DrawFn) -> Result:
    frame = Frame(draw(st.integers(0, 10**6)), draw(names), time=draw(moments))
    error = draw(st.none() | names)
    found = () if error is not None else tuple(draw(st.lists(faces(), max_size=3)))
    return Result(frame, found, error, draw(st.none() | st.sampled_from(("perceived", "fer2013"))))


def alike(one: str, other: str) -> bool:
    """Whether two cells hold the same text, or the same number, of which Python writes five digits."""
    if one == other:
        return True
    try:
        return math.isclose(float(one), float(other), rel_tol=1e-4)
    except ValueError:
        return False


def disarmed(cell: str) -> str:
    """A text as the page writes it: a spreadsheet does not take it for a formula."""
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell


def read_rows(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(results(), min_size=15, max_size=30))
def test_files_are_those_of_the_package(tmp_path_factory: Any, some: list[Result]) -> None:
    """Names of any letters, faces with and without landmarks, errors, and labels that are no words.

    Only texts that a spreadsheet would take for a formula differ: the page puts an apostrophe before them.
    """
    folder: Path = tmp_path_factory.mktemp("records")
    records = []
    for name in ("some.csv", "some.json"):
        sink = RecordSink(folder / name, classes=LABELS)
        for result in some:
            sink.write(result, None)
        sink.finish()
        sink.close()
        records = [result.to_record() for result in some]
    as_csv, as_json = run_page(SCRIPT, records=records, columns=COLUMNS, labels=LABELS)
    assert json.loads(as_json) == json.loads((folder / "some.json").read_text(encoding="utf-8"))
    header, *rows = read_rows(as_csv)
    with (folder / "some.csv").open(encoding="utf-8", newline="") as file:
        expected_header, *expected = list(csv.reader(file))
    assert header == expected_header
    assert len(rows) == len(expected)
    texts = [COLUMNS.index(name) for name in ("path", "error", "person", "predicted_emotion")]
    for row, wanted in zip(rows, expected, strict=True):
        for place in texts:
            wanted[place] = disarmed(wanted[place])
        assert [pair for pair in zip(row, wanted, strict=True) if not alike(*pair)] == []


def test_a_carriage_return_ends_no_row() -> None:
    records = [{"path": name, "status": "no_face", "faces": []} for name in ("a\rb", "\r", "a\r\nb")]
    as_csv, _ = run_page(SCRIPT, records=records, columns=COLUMNS, labels=[])
    assert [row[0] for row in read_rows(as_csv)] == ["path", "a\rb", "'\r", "a\r\nb"]


def test_what_is_noted_of_a_picture_has_a_column_of_its_own_behind_the_others() -> None:
    face = {
        "box": [0, 0, 9, 9],
        "landmarks": [],
        "predicted_emotion": "sad",
        "confidence": 1,
        "probabilities": {"sad": 1},
    }
    records = [
        {"path": "a", "status": "ok", "faces": [face, face]},
        {"path": "b", "status": "ok", "faces": [face], "note": "means nothing"},
    ]
    as_csv, as_json = run_page(SCRIPT, records=records, columns=COLUMNS, labels=["sad"])
    header, *rows = read_rows(as_csv)
    assert header == [*COLUMNS, "sad", "note"]
    assert [row[-1] for row in rows] == ["", "", "means nothing"]
    assert [record.get("note") for record in json.loads(as_json)] == [None, "means nothing"]
    plain, _ = run_page(SCRIPT, records=records[:1], columns=COLUMNS, labels=["sad"])
    assert read_rows(plain)[0] == [*COLUMNS, "sad"], "where nothing is noted the file is as the package writes it"


def test_a_face_that_was_explained_is_saved_without_its_picture() -> None:
    face = {"box": [1, 2, 3, 4], "landmarks": [], "predicted_emotion": "sad", "confidence": 1, "probabilities": {}}
    record = {"path": "x", "status": "ok", "error": None, "scheme": None, "faces": [{**face, "explanation": "data:"}]}
    as_csv, as_json = run_page(SCRIPT, records=[record], columns=COLUMNS, labels=[])
    assert "data:" not in as_csv + as_json
    assert json.loads(as_json)[0]["faces"] == [face]
