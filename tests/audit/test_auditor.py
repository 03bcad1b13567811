"""Tests of the audit: what it must find, what it must not find, and what it must not judge."""

from __future__ import annotations

import json

import numpy as np
import pytest

from cmaen.audit.auditor import MOST_GROUPS, audit
from cmaen.audit.findings import Audit, GapTest
from cmaen.audit.labelled import LabelledAnswers
from cmaen.audit.words import describe_column, describe_left_out, judge
from cmaen.errors import DataError
from cmaen.types import EMOTIONS
from tests.audit.simulated import FEAR, SAD, alternate, answered, simulate

PERMUTATIONS = 399


def run(answers: LabelledAnswers, *by: str, permutations: int = PERMUTATIONS, **more: object) -> Audit:
    return audit(answers, by or ("group",), permutations=permutations, **more)  # type: ignore[arg-type]


def pick(found: Audit, kind: str, label: str | None = None, column: int = 0) -> GapTest:
    (test,) = [test for test in found.columns[column].tests if (test.kind, test.label) == (kind, label)]
    return test


def test_a_bias_that_was_put_in_is_found_and_described() -> None:
    found = run(simulate(alternate(400, 400), less={"b": 0.2}))
    column, test = found.findings[0]
    assert (column, test.kind, test.group) == ("group", "accuracy", "b")
    assert test.value < test.others
    assert test.gap == pytest.approx(-0.2, abs=0.07)
    assert test.interval.low < -0.2 < test.interval.high < 0
    assert "b (group): " in judge(found).findings[0]


def test_without_a_bias_nothing_is_found_more_often_than_stated() -> None:
    """Of 40 audits, at most five may find anything: at a rate of 5 %, more happen once in a hundred times."""
    alarms = sum(
        bool(run(simulate(alternate(120, 60, 30), seed=seed), permutations=339, seed=seed).findings)
        for seed in range(40)
    )
    assert alarms <= 5


def test_p_values_of_single_comparisons_hold_their_level() -> None:
    tests = [
        test
        for seed in range(25)
        for test in run(simulate(alternate(90, 60), seed=seed), permutations=99, seed=seed).columns[0].tests
    ]
    assert len(tests) > 200
    assert np.mean([test.p <= 0.05 for test in tests]) < 0.08
    assert np.mean([test.p <= 0.5 for test in tests]) == pytest.approx(0.5, abs=0.12)


def test_other_labels_are_no_gap() -> None:
    """The first group has mostly labels that are hard for everybody."""
    rng = np.random.default_rng(0)
    labels = np.where(np.arange(800) < 400, rng.choice([0, 1, 2], 800, p=[0.6, 0.3, 0.1]), rng.choice([0, 1, 2], 800))
    answers = np.where(rng.random(800) < np.array([0.4, 0.6, 0.9])[labels], labels, 5)
    given = answered(labels, answers, np.array([0.4, 0.6, 0.9])[labels], group=alternate(400, 400))
    found = run(given)
    first, second = (group.figures for group in found.columns[0].groups)
    assert first is not None
    assert second is not None
    assert first.accuracy.value < second.accuracy.value - 0.1
    assert first.expected_accuracy == pytest.approx(first.accuracy.value, abs=0.05)
    assert abs(pick(found, "accuracy").gap) < 0.05
    assert not found.findings


def test_a_source_is_no_gap_within_which_there_is_none() -> None:
    rng = np.random.default_rng(0)
    source = rng.random(900) < np.where(np.arange(900) < 450, 0.8, 0.2)
    given = simulate(alternate(450, 450), ease=np.where(source, -0.35, 0.2), source=np.where(source, "film", "studio"))
    assert pick(run(given), "accuracy").is_finding
    found = run(given, within=["source"])
    assert not pick(found, "accuracy").is_finding
    assert "source" in json.dumps(found.to_dict())


def test_faces_of_one_person_are_not_many_people() -> None:
    """A few people who are easier or harder make gaps between groups that a count of faces would call real."""
    alarms = dict.fromkeys((True, False), 0)
    for seed in range(8):
        rng = np.random.default_rng(100 + seed)
        person = np.arange(480) // 40
        given = simulate(
            alternate(240, 240), seed=seed, ease=rng.normal(0, 0.25, 12)[person], person=tuple(map(str, person))
        )
        for told in alarms:
            alarms[told] += pick(run(given, person="person" if told else None), "accuracy").p <= 0.05
    assert alarms[True] <= 1
    assert alarms[False] >= 3
    column = run(given, person="person").columns[0]
    assert column.design == "people"
    assert [group.people for group in column.groups] == [6, 6]


def test_people_seen_twice_are_compared_with_themselves() -> None:
    person = np.repeat(np.arange(100), 6)
    groups = ["ab"[number % 2] for number in range(600)]
    labels = person % len(EMOTIONS)
    ease = np.random.default_rng(0).normal(0, 0.2, 100)[person]
    given = simulate(groups, less={"b": 0.2}, labels=labels, ease=ease, person=tuple(map(str, person)))
    found = run(given, person="person")
    assert found.columns[0].design == "within people"
    assert pick(found, "accuracy").is_finding


def test_a_mistake_of_one_kind_is_found_by_its_name() -> None:
    rng = np.random.default_rng(0)
    labels, groups = rng.integers(0, 7, 1400), np.array(alternate(700, 700))
    wrong = rng.random(1400) < 0.4
    taken = np.where((groups == "b") & (labels == SAD), FEAR, (labels + rng.integers(1, 7, 1400)) % 7)
    found = run(answered(labels, np.where(wrong, taken, labels), np.full(1400, 0.6), group=groups))
    assert {(test.kind, test.label, test.answer, test.group) for _, test in found.findings} == {
        ("errors", "sad", "fear", "b")
    }
    assert "of the sad faces are taken for fear" in judge(found).findings[0]


def test_confidences_that_hold_in_one_group_only_are_found() -> None:
    given = simulate(alternate(400, 400))
    values = given.probabilities.copy()
    values[400:] = values[400:] ** 4 / (values[400:] ** 4).sum(axis=1, keepdims=True)  # surer, and no better
    found = run(LabelledAnswers(EMOTIONS, given.names, given.labels, values, given.columns))
    assert [(test.kind, test.group) for _, test in found.findings] == [("calibration", "b")]
    assert "confidences are off by" in judge(found).findings[0]


def test_faces_without_an_answer_count_as_wrong() -> None:
    given = simulate(alternate(300, 300))
    values = given.probabilities.copy()
    silent = (np.arange(600) >= 300) & (np.random.default_rng(0).random(600) < 0.5)
    values[silent] = np.nan
    found = run(LabelledAnswers(EMOTIONS, given.names, given.labels, values, given.columns))
    assert pick(found, "accuracy").group == "b"
    assert any(test.answer == LabelledAnswers.NOTHING for _, test in found.findings)
    assert any("get no answer" in sentence for sentence in judge(found).findings)
    assert describe_left_out(found) == [f"{silent.sum()} faces have no answer, which counts as a wrong one."]
    json.dumps(found.to_dict(), allow_nan=False)


def test_a_group_that_never_gets_an_answer_is_described_all_the_same() -> None:
    given = simulate(alternate(100, 40))
    values = given.probabilities.copy()
    values[100:] = np.nan
    found = run(LabelledAnswers(EMOTIONS, given.names, given.labels, values, given.columns))
    silent = found.columns[0].groups[1].figures
    assert silent is not None
    assert (silent.accuracy.value, silent.confidence, silent.calibration_error) == (0.0, None, None)
    json.dumps(found.to_dict(), allow_nan=False)


def test_the_smallest_groups_are_named_and_not_judged() -> None:
    found = run(simulate(alternate(100, 29, 100, 1)))
    column = found.columns[0]
    assert [group.name for group in column.judged] == ["a", "c"]
    assert {test.group for test in column.tests} <= {"a", "c"}
    (said,) = [line for line in describe_column(column) if "Too small" in line]
    assert "b (29)" in said
    assert "d (1)" in said
    few = run(
        simulate(alternate(100, 100), person=["1"] * 100 + [str(number % 20) for number in range(100)]), person="person"
    )
    assert [group.name for group in few.columns[0].judged] == ["b"]
    assert few.columns[0].tests == ()


def test_a_label_with_few_faces_is_not_judged_and_one_that_nobody_has_is_left_out() -> None:
    labels = np.random.default_rng(0).integers(0, 3, 300)
    labels[:4] = 5
    found = run(simulate(alternate(150, 150), labels=labels))
    assert {test.label for test in found.columns[0].tests} == {None, *EMOTIONS[:3]}
    notes = " ".join(found.columns[0].notes)
    assert f"{EMOTIONS[5]} is not compared" in notes
    assert EMOTIONS[6] not in notes
    assert EMOTIONS[6] not in json.dumps(found.to_dict()["columns"][0]["groups"])


def test_a_column_with_one_value_has_nothing_to_compare() -> None:
    given = simulate(["x"] * 100, other=alternate(50, 50))
    found = run(given, "group", "other")
    assert found.columns[0].tests == ()
    assert "the same one, x" in found.columns[0].notes[0]
    assert found.columns[1].tests
    alone = run(given)
    assert judge(alone).summary == "Nothing could be compared."
    assert "the same one" in judge(alone).limits[0]


def test_five_hundred_values_are_not_compared() -> None:
    small = run(simulate([str(number % 500) for number in range(1000)]))
    assert small.columns[0].judged == ()
    assert "too small" in small.columns[0].notes[0]
    (said,) = [line for line in describe_column(small.columns[0]) if "Too small" in line]
    assert len(said) < 500
    large = run(simulate([str(number % (MOST_GROUPS + 1)) for number in range(30 * (MOST_GROUPS + 1))]))
    assert large.columns[0].tests == ()
    assert "too many" in large.columns[0].notes[0]


def test_empty_cells_belong_to_no_group() -> None:
    given = simulate([*alternate(50, 50), *[""] * 20], less={"": 0.6})
    found = run(given)
    assert found.columns[0].without_value == 20
    assert sum(group.faces for group in found.columns[0].groups) == 100
    assert not pick(found, "accuracy").is_finding
    with pytest.raises(DataError, match="no face has a value"):
        run(simulate([""] * 40))


def test_groups_are_sorted_by_their_numbers() -> None:
    given = simulate([name for name in ("9-17", "100+", "18-29", "unknown") for _ in range(30)])
    assert [group.name for group in run(given, permutations=99).columns[0].groups] == [
        "9-17",
        "18-29",
        "100+",
        "unknown",
    ]


def test_groups_that_differ_in_case_only_are_noticed() -> None:
    given = simulate([name for name in ("Female", "female ", "male") for _ in range(40)])
    assert any("case or spaces only: Female, female" in note for note in run(given, permutations=99).columns[0].notes)


def test_a_gap_may_hide_in_an_intersection() -> None:
    first, second = np.tile(["f", "m"], 600), np.repeat(["old", "young"], 600)
    ease = np.where((first == "f") == (second == "old"), -0.2, 0.2)
    given = simulate(first.tolist(), ease=ease, age=second.tolist())
    found = run(given, "group", "age", intersections=True, permutations=999)
    assert [column.column for column in found.columns] == ["group", "age", "group × age"]
    assert [bool(column.findings) for column in found.columns] == [False, False, True]
    assert len(run(given, "group", "age").columns) == 2


def test_a_gap_of_the_detectable_size_is_found_in_about_four_of_five_cases() -> None:
    size = pick(run(simulate(alternate(300, 300))), "accuracy").detectable
    found = sum(
        pick(run(simulate(alternate(300, 300), seed=seed, less={"b": size}), seed=seed), "accuracy").is_finding
        for seed in range(20)
    )
    assert 11 <= found <= 20


def test_more_comparisons_need_smaller_p_values() -> None:
    given = simulate(alternate(200, 200), less={"b": 0.12}, other=np.tile(["x", "y"], 200).tolist())
    alone, together = (pick(run(given, *by), "accuracy") for by in (("group",), ("group", "other")))
    assert alone.p == together.p
    assert alone.p_adjusted <= together.p_adjusted
    assert alone.detectable < together.detectable


def test_too_few_permutations_are_said_to_find_nothing() -> None:
    found = run(simulate(alternate(200, 200), less={"b": 0.4}), permutations=99)
    assert not found.findings
    assert "permutations are too few" in judge(found).limits[0]


def test_the_same_seed_gives_the_same_audit() -> None:
    given = simulate(alternate(60, 60))
    assert run(given, seed=3).to_dict() == run(given, seed=3).to_dict()
    assert run(given, seed=3).columns[0].tests != run(given, seed=4).columns[0].tests


def test_no_name_of_a_face_or_person_is_kept() -> None:
    found = run(simulate(alternate(60, 60), person=["Ada Lovelace"] * 60 + ["Grace Hopper"] * 60), person="person")
    text = json.dumps(found.to_dict())
    assert "Ada" not in text
    assert ".png" not in text


@pytest.mark.parametrize(
    ("by", "more", "said"),
    [
        (["sex"], {}, "there is no column 'sex'; there are group"),
        ([], {}, "no column of groups is named"),
        (["group"], {"person": "who"}, "there is no column 'who'"),
        (["group"], {"within": ["where"]}, "there is no column 'where'"),
        (["group"], {"person": "group"}, "cannot name both"),
    ],
)
def test_what_is_not_there_is_named(by: list[str], more: dict[str, object], said: str) -> None:
    with pytest.raises(DataError, match=said):
        audit(simulate(alternate(30, 30)), by, **more)  # type: ignore[arg-type]


def test_no_faces_are_no_audit() -> None:
    nothing = LabelledAnswers(EMOTIONS, (), np.empty(0, int), np.empty((0, 7)), {"group": ()})
    with pytest.raises(DataError, match="no labelled faces"):
        run(nothing)
    with pytest.raises(DataError, match="differ in number"):
        LabelledAnswers(EMOTIONS, ("a",), np.empty(0, int), np.empty((0, 7)), {})
