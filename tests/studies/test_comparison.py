"""Comparisons between stimuli and groups: people, not frames, and nothing significant without correction."""

from __future__ import annotations

import numpy as np
import pytest

from cmaen.recordings.recording import Recording
from cmaen.studies.comparison import Comparison, Contrast, compare, name_person
from cmaen.studies.events import Event, Events
from cmaen.studies.words import explain_comparison, judge, tell_findings
from cmaen.types import EMOTIONS
from tests.studies.films import film

TWO = Events((Event("calm", 0, 5), Event("film", 5, 10)))


def watch(calm: int, moved: int, name: str = "film.mp4", person: str = "Ada") -> Recording:
    """A person who is happy for tenths of the calm five seconds and of the next five."""
    text = "h" * 5 * calm + "n" * 5 * (10 - calm) + "h" * 5 * moved + "n" * 5 * (10 - moved)
    return film({person: text}, name)


def find(comparison: Comparison, emotion: str = "happy") -> Contrast:
    (found,) = (one for one in comparison.contrasts if one.emotion == emotion)
    return found


def test_the_same_people_are_compared_with_themselves() -> None:
    moved = [3, 5, 4, 6, 3, 4, 5, 9]
    found = compare([watch(2, more, f"{place}.mp4", f"P{place}") for place, more in enumerate(moved)], TWO)
    test = find(found)
    assert test.paired
    assert test.people == (8, 8)
    assert test.difference == pytest.approx(np.mean(moved) / 10 - 0.2)
    assert test.p_value == 2 / 2**8
    assert test.adjusted == pytest.approx(2 * 2 / 2**8), "of the two emotions in which people differ"
    assert test.is_significant
    assert find(found, "sad").p_value is None
    assert not find(found, "sad").is_significant
    assert test.interval is not None
    assert test.interval.low < test.difference < test.interval.high
    means = {(mean.level, mean.emotion): mean for mean in found.factors[0].means}
    assert means["calm", "happy"].mean == pytest.approx(0.2)
    assert means["calm", "happy"].interval is None, "all were the same"
    assert means["film", "happy"].people == 8
    fewer = compare([watch(2, more, f"{place}.mp4", f"P{place}") for place, more in enumerate(moved[:6])], TWO)
    assert find(fewer).p_value == 2 / 2**6
    assert find(fewer).adjusted == pytest.approx(4 / 2**6)
    assert "smallest p-value" in judge(fewer)
    assert not list(tell_findings(fewer))


def test_what_is_planted_is_found_and_told() -> None:
    rng = np.random.default_rng(0)
    recordings = [watch(int(rng.integers(0, 4)), int(rng.integers(5, 9)), f"{n}.mp4", f"P{n}") for n in range(12)]
    found = compare(recordings, TWO)
    assert find(found).is_significant
    assert find(found, "neutral").is_significant
    assert not find(found, "sad").is_significant
    assert "are significant" in judge(found)
    told = list(tell_findings(found))
    assert len(told) == 2
    assert any(sentence.startswith("happy: ") and "more in “film”" in sentence for sentence in told)


def test_fewer_than_six_people_are_not_tested() -> None:
    found = compare([watch(0, 9, f"{place}.mp4", f"P{place}") for place in range(5)], TWO)
    assert len(found.contrasts) == 7
    assert not found.tests
    assert find(found).p_value is find(found).adjusted is None
    assert find(found).difference == pytest.approx(0.9)
    assert "at least 6 people" in judge(found)
    assert not find(found).is_significant


def test_different_people_are_exchanged_between_groups() -> None:
    groups = Events(
        tuple(Event("", file=f"{place}.mp4", group="first" if place < 4 else "second") for place in range(8))
    )
    found = compare([watch(1 if n < 4 else 8, 1 if n < 4 else 8, f"{n}.mp4", f"P{n}") for n in range(8)], groups)
    (factor,) = found.factors
    assert factor.name == "group"
    assert factor.levels == ("first", "second")
    test = find(found)
    assert not test.paired
    assert test.people == (4, 4)
    assert test.p_value == pytest.approx(2 / 70)
    assert any("exchanging people" in sentence for sentence in explain_comparison(found))


def test_all_tests_of_all_factors_are_corrected_together() -> None:
    events = Events((*TWO.events, *(Event("", file=f"{n}.mp4", group="ab"[n % 2]) for n in range(12))))
    found = compare([watch(2, 2 + n % 5, f"{n}.mp4", f"P{n}") for n in range(12)], events)
    assert [factor.name for factor in found.factors] == ["stimulus", "group"]
    assert len(found.contrasts) == 14
    assert len(found.tests) == 4
    smallest = min(found.tests, key=lambda one: one.p_value or 0)
    assert smallest.adjusted == pytest.approx(min(1, 4 * (smallest.p_value or 0)))
    assert all((one.adjusted or 0) >= (one.p_value or 0) for one in found.tests)


def test_frames_and_length_do_not_count_people_do() -> None:
    """A person who is recorded ten times as finely and as long counts once."""
    often = film({"Ada": "h" * 4000}, "ada.mp4", step=0.01)
    seldom = film({"Bob": "n" * 40}, "bob.mp4", step=0.1)
    (factor,) = compare([often, seldom]).factors
    assert factor.name == "recordings"
    assert {mean.emotion: mean.mean for mean in factor.means}["happy"] == pytest.approx(0.5)
    assert not factor.contrasts
    assert compare([often]).factors == (), "one recording is no comparison"


@pytest.mark.parametrize(("unit", "people"), [("name", 3), ("number", 2), ("recording", 2)])
def test_names_are_the_same_person_everywhere_and_numbers_are_not(unit: str, people: int) -> None:
    recordings = [film({"Ada": "h" * 30, "person 1": "s" * 30}, name) for name in ("a.mp4", "b.mp4")]
    found = compare(recordings, unit=unit)  # type: ignore[arg-type]
    assert found.people == people
    assert found.numbered == (2 if unit == "name" else 0)


def test_names_that_are_like_numbers_are_told_apart() -> None:
    assert name_person("a.mp4", "person 12", "name") == "person 12 of a.mp4"
    assert name_person("a.mp4", "person", "name") == "person of a.mp4"
    for name in ("Person X", "person 1b", "persona", "12"):
        assert name_person("a.mp4", name, "name") == name


def test_who_was_seen_too_shortly_is_left_out_and_told() -> None:
    recordings = [watch(2, 5, f"{place}.mp4", f"P{place}") for place in range(7)]
    recordings.append(film({"late": " " * 48 + "h" * 52}, "late.mp4"))
    recordings.append(film({"gone": "h" * 40}, "gone.mp4"))
    found = compare(recordings, TWO)
    assert find(found).people == (7, 7)
    told = " ".join(found.factors[0].left_out)
    assert "1 person seen for less than 1 s" in told
    assert "2 people seen in only one" in told
    assert {mean.level: mean.people for mean in found.factors[0].means} == {"calm": 8, "film": 8}


def test_events_after_the_end_and_recordings_without_faces_are_no_fault() -> None:
    later = Events((*TWO.events, Event("later", 100, 200)))
    found = compare([watch(2, 5), film({}, "empty.mp4"), film({"Bob": ""}, "bob.mp4")], later)
    assert "“later”: nobody was seen" in " ".join(found.factors[0].left_out)
    assert found.people == 2
    assert compare([film({}, "empty.mp4")]).factors == ()
    assert compare([], TWO).people == 0


def test_emotions_that_a_recording_lacks_are_not_compared() -> None:
    other = watch(2, 5, "b.mp4", "Bob")
    fewer = Recording("c.mp4", EMOTIONS[1:], other.times, other.people)
    assert compare([watch(2, 5), fewer], TWO).labels == EMOTIONS[1:]


def test_rounding_does_not_decide_on_a_sign() -> None:
    """Each is happy for a third of both parts, at times whose sums are not exact."""
    events = Events((Event("a", 0, 3), Event("b", 3, 6)))
    people = [film({f"P{n}": ("h" * 10 + "n" * 20) * 2}, f"{n}.mp4", step=0.1 + 1e-17) for n in range(8)]
    found = compare(people, events)
    assert find(found).smallest == 1
    assert find(found).p_value is None
    assert "Nobody differs" in judge(found)


def test_a_report_without_effects_rarely_finds_one() -> None:
    """The chance that anything in a report is called significant is 5 % at most, over all its tests."""
    rng = np.random.default_rng(3)
    found = []
    for _ in range(60):
        people = []
        for person in range(10):
            text = "".join(letter * 10 for letter in rng.choice(list("adfhnsu"), 40))
            people.append(film({f"P{person}": text}, f"{person}.mp4", step=0.05))
        comparison = compare(people, Events((Event("a", 0, 10), Event("b", 10, 20))))
        assert 4 <= len(comparison.tests) <= 7
        found.append(any(one.is_significant for one in comparison.tests))
    assert np.mean(found) <= 0.12
