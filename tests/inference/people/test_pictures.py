from __future__ import annotations

import pytest

from cmaen.inference.people import company
from cmaen.inference.people.embedding import Look
from cmaen.inference.people.pictures import Met, PicturePeople
from tests.inference.people.stand_ins import ADA, BEN, CAT, know, make_circle


def meet(people: PicturePeople, *features: object) -> list[str | None]:
    looks = [None if one is None else Look(one, 0.5) for one in features]
    return [met.name for met in people.meet(looks) if not met.hidden]


def test_people_keep_their_names_from_picture_to_picture() -> None:
    people = PicturePeople(make_circle(known=[know("Cat", CAT)]))
    assert meet(people, ADA, CAT) == ["person 1", "Cat"]
    assert meet(people, BEN) == ["person 2"]
    assert meet(people, CAT, ADA, None) == ["Cat", "person 1", None]
    assert people.settle().labels == {"person 1": "person 1", "person 2": "person 2", "Cat": "Cat"}


def test_two_faces_of_one_picture_are_two_people() -> None:
    people = PicturePeople(make_circle())
    assert len(set(meet(people, ADA, ADA))) == 2
    assert len(set(people.settle().labels.values())) == 2


def test_the_face_that_is_seen_best_is_named_first() -> None:
    people = PicturePeople(make_circle(known=[know("Ada", ADA)]))
    assert [met.name for met in people.meet([Look(ADA, 0.2), Look(ADA, 0.9)])] == ["person 1", "Ada"]


def test_excluded_people_and_those_who_cannot_be_compared_are_left_out_and_counted() -> None:
    people = PicturePeople(make_circle(excluded=[know("Ben", BEN, excluded=True)], recognises=False))
    assert people.meet([Look(ADA, 1.0), Look(BEN, 1.0), None]) == [Met(None, False), Met(None, True), Met(None, True)]
    assert people.meet([]) == []
    names = people.settle()
    assert (names.excluded, names.uncompared, names.labels) == (1, 1, {})


def test_one_person_who_was_given_two_names_gets_one_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two views that are unlike, and a third between them."""
    people = PicturePeople(make_circle())
    people.circle.threshold = 0.5
    one, other = ADA, (0.45 * ADA + 0.893 * BEN).astype("float32")
    assert meet(people, one) == ["person 1"]
    assert meet(people, other) == ["person 2"]
    between = (one + other) / 1.7
    for _ in range(6):
        meet(people, between)
    assert set(people.settle().labels.values()) == {"person 1"}


def test_thousands_of_pictures_take_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(company, "MOST", 10)
    people = PicturePeople(make_circle())
    people._most = 10
    for _ in range(200):
        meet(people, ADA, BEN)
    assert len(people._parts) == 2
    assert people.settle().labels == {"person 1": "person 1", "person 2": "person 2"}


def test_somebody_like_an_excluded_person_is_kept_only_beside_that_person() -> None:
    alike = (0.45 * BEN + 0.893 * ADA).astype("float32")
    people = PicturePeople(make_circle(excluded=[know("Ben", BEN, excluded=True)]))
    assert [met.hidden for met in people.meet([Look(alike, 1.0), Look(BEN, 0.5)])] == [False, True]
    assert [met.hidden for met in people.meet([Look(alike, 1.0), Look(CAT, 0.5)])] == [True, False]
    assert people.settle().excluded == 2
