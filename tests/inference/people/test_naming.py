from __future__ import annotations

from dataclasses import replace

from cmaen.inference.people.naming import Names, rename
from cmaen.results import Result
from cmaen.types import Frame
from tests.inference.records import FACE, FRAMES

OTHER = replace(FACE, probabilities=(0.9, 0.1, 0, 0, 0, 0, 0), identity=2)


def test_final_names_replace_those_of_the_time_being() -> None:
    before = Result(Frame(0, "film", time=0.0), (replace(FACE, identity=1, person="person 7"), OTHER))
    record = before.to_record()
    after = rename(record, Names(tracks={1: "Ada"}))
    assert [face.get("person") for face in after["faces"]] == ["Ada", None]
    assert record == before.to_record(), "the record itself is unchanged"
    expected = replace(before, faces=(replace(FACE, identity=1, person="Ada"), OTHER)).to_record()
    assert after == expected
    assert list(after["faces"][0]) == list(expected["faces"][0]), "in the order in which a face is written"


def test_an_excluded_face_takes_its_answer_with_it() -> None:
    """The answer of a record is that of its largest face, who may be the excluded one."""
    record = Result(Frame(0, "film", time=0.0), (replace(FACE, identity=1), OTHER)).to_record()
    after = rename(record, Names(hidden=frozenset({1}), recognised=False))
    assert after == Result(Frame(0, "film", time=0.0), (OTHER,)).to_record()
    nobody = rename(record, Names(hidden=frozenset({1, 2})))
    assert nobody == Result(Frame(0, "film", time=0.0)).to_record()
    assert "sad" not in str(nobody), "nothing is left of the answer"


def test_pictures_go_by_the_first_name_and_a_record_without_people_stays_as_it_is() -> None:
    record = Result(Frame(0, "a.png"), (replace(FACE, person="person 3"),)).to_record()
    assert rename(record, Names(labels={"person 3": "person 1"}))["faces"][0]["person"] == "person 1"
    assert rename(record, Names())["faces"][0]["person"] == "person 3"
    assert [rename(one.to_record(), Names(recognised=False)) for one in FRAMES] == [one.to_record() for one in FRAMES]
