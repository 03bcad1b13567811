from __future__ import annotations

import numpy as np
import pytest

from cmaen.inference.people import company
from cmaen.inference.people.films import FilmPeople
from cmaen.inference.people.naming import Names
from cmaen.types import FaceBox
from tests.inference.people.stand_ins import (
    ADA,
    BEN,
    CAT,
    COLOURS,
    find_patches,
    know,
    make_circle,
    paint,
    track,
)

RED, GREEN, BLUE, YELLOW = COLOURS
LEFT, RIGHT = FaceBox(10, 20, 40, 40), FaceBox(90, 20, 40, 40)
TINY = FaceBox(60, 90, 8, 8)


def watch(people: FilmPeople, time: float, *seen: tuple[int, tuple[int, int, int], FaceBox], fresh: bool = False):
    """Show a frame with the tracks of some colours; return their numbers and names, of those that are not hidden."""
    image = paint(*((colour, face) for _, colour, face in seen))
    tracks = [track(number, face, fresh=fresh) for number, _, face in seen]
    people.follow(image, tracks, time)
    return [people.name(one) for one in people.show(tracks)]


def test_somebody_who_leaves_and_comes_back_is_one_person() -> None:
    people = FilmPeople(make_circle())
    watch(people, 0.0, (1, RED, LEFT), (2, GREEN, RIGHT))
    watch(people, 5.0, (3, GREEN, LEFT))
    watch(people, 9.0, (4, RED, RIGHT))
    names = people.settle()
    assert names.tracks[1] == names.tracks[4] == "person 1"
    assert names.tracks[2] == names.tracks[3] == "person 2"
    assert names is people.settle(), "the answer is final"


def test_two_in_one_frame_are_two_even_if_they_look_the_same() -> None:
    people = FilmPeople(make_circle(known=[know("Ada", ADA)]))
    assert watch(people, 0.0, (1, RED, LEFT), (2, RED, RIGHT)) == [(1, "Ada"), (2, "person 1")]
    assert sorted(people.settle().tracks.values()) == ["Ada", "person 1"]


def test_photographs_give_names_and_others_are_numbered() -> None:
    people = FilmPeople(make_circle(known=[know("Ada", ADA, ADA), know("Cat", CAT)]))
    assert watch(people, 0.0, (1, RED, LEFT), (2, GREEN, RIGHT)) == [(1, "Ada"), (2, "person 1")]
    assert people.settle().tracks == {1: "Ada", 2: "person 1"}


def test_a_person_whose_name_is_a_number_is_not_taken_for_another() -> None:
    people = FilmPeople(make_circle(known=[know("Person 1", CAT), know("person 2", BEN)]))
    watch(people, 0.0, (1, RED, LEFT), (2, GREEN, RIGHT))
    assert people.settle().tracks == {1: "person 3", 2: "person 2"}


def test_a_track_that_passes_to_somebody_else_becomes_two() -> None:
    """A cut to another face in the same place, which the tracker takes for the first one."""
    people = FilmPeople(make_circle())
    watch(people, 0.0, (1, RED, LEFT))
    for step in range(6):
        assert watch(people, 1.0 + step, (1, GREEN, LEFT), fresh=step == 0) == [(2, "person 2")]
    assert people.settle().tracks == {1: "person 1", 2: "person 2"}
    blurred = FilmPeople(make_circle())
    watch(blurred, 0.0, (1, RED, LEFT))
    assert watch(blurred, 1.0, (1, GREEN, FaceBox(10, 20, 12, 12)), fresh=True)[0][0] == 1, "too small to tell that"


def test_a_face_that_is_too_small_has_no_name_and_costs_nobody_else_theirs() -> None:
    people = FilmPeople(make_circle())
    assert watch(people, 0.0, (1, RED, LEFT), (2, GREEN, TINY)) == [(1, "person 1"), (2, None)]
    names = people.settle()
    assert names.tracks == {1: "person 1"}
    assert not names.hidden


def test_excluded_people_are_left_out_at_once_and_counted() -> None:
    people = FilmPeople(make_circle(excluded=[know("Ben", BEN, excluded=True)], recognises=False))
    for step in range(3):
        assert watch(people, step, (1, RED, LEFT), (2, GREEN, RIGHT), (3, BLUE, TINY)) == [(1, None)]
    names = people.settle()
    assert names.hidden == {2, 3}
    assert (names.excluded, names.uncompared) == (3, 3), "what cannot be compared may be Ben"
    assert not names.recognised
    assert names.tracks == {}


def test_somebody_found_to_be_excluded_later_disappears_from_what_was_seen_before() -> None:
    """The first look is somebody's, and the second shows that it is Ben, who is then gone from the whole track."""
    people = FilmPeople(make_circle(excluded=[know("Ben", BEN, excluded=True)]))
    assert watch(people, 0.0, (1, RED, LEFT)) == [(1, "person 1")]
    mixed = (0.9 * ADA + 0.4 * BEN).astype(np.float32)
    COLOURS[(9, 9, 9)] = mixed
    try:
        assert watch(people, 1.0, (1, (9, 9, 9), LEFT)) == []
    finally:
        del COLOURS[(9, 9, 9)]
    assert people.settle().hidden == {1}


def test_somebody_like_an_excluded_person_is_kept_beside_that_person_in_any_order() -> None:
    COLOURS[(9, 9, 9)] = (0.45 * BEN + 0.893 * ADA).astype(np.float32)
    try:
        for seen in ([(1, (9, 9, 9), LEFT), (2, GREEN, RIGHT)], [(2, GREEN, RIGHT), (1, (9, 9, 9), LEFT)]):
            people = FilmPeople(make_circle(excluded=[know("Ben", BEN, excluded=True)]))
            assert len(watch(people, 0.0, *seen, fresh=True)) == 1
            assert len(people.settle().hidden) == 1
    finally:
        del COLOURS[(9, 9, 9)]


def test_an_excluded_person_who_turns_away_stays_excluded_and_costs_nothing() -> None:
    """As long as the track goes on, it is the same person, whatever the face looks like."""
    circle = make_circle(excluded=[know("Ben", BEN, excluded=True)])
    people = FilmPeople(circle)
    assert watch(people, 0.0, (1, GREEN, LEFT), fresh=True) == []
    for step in range(1, 100):
        assert watch(people, step / 5, (1, RED, LEFT)) == []
    assert circle.embedder.looked == 1
    assert people.settle().excluded == 100


def test_somebody_in_both_folders_is_excluded() -> None:
    people = FilmPeople(make_circle(known=[know("Ben", BEN)], excluded=[know("B.", BEN, excluded=True)]))
    assert watch(people, 0.0, (1, GREEN, LEFT)) == []
    assert people.settle().hidden == {1}


def test_films_of_one_run_share_people_and_forget_them_on_request() -> None:
    circle = make_circle()
    first, second = FilmPeople(circle), FilmPeople(circle)
    watch(first, 0.0, (1, RED, LEFT))
    watch(first, 4.0, (2, GREEN, LEFT))
    assert first.settle().tracks == {1: "person 1", 2: "person 2"}
    watch(second, 0.0, (1, GREEN, LEFT))
    watch(second, 4.0, (2, BLUE, LEFT))
    assert second.settle().tracks == {1: "person 2", 2: "person 3"}
    circle.forget()
    third = FilmPeople(circle)
    watch(third, 0.0, (1, GREEN, LEFT))
    assert third.settle().tracks == {1: "person 4"}, "a number is never given twice"
    assert len(circle.met) == 1


def test_a_track_is_not_compared_in_every_frame() -> None:
    circle = make_circle()
    people = FilmPeople(circle)
    for step in range(250):
        watch(people, step / 25, (1, RED, LEFT))
    assert 2 <= circle.embedder.looked <= 25


def test_memory_stays_bounded_in_a_long_film_of_many_short_tracks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(company, "MOST", 20)
    people = FilmPeople(make_circle())
    people._most = 20
    colours = [RED, GREEN, BLUE]
    for step in range(300):
        watch(people, 20.0 * step, (step, colours[step % 3], LEFT))
    assert len(people._parts) <= 24
    names = people.settle()
    assert sorted(set(names.tracks.values())) == ["person 1", "person 2", "person 3"]
    assert [names.tracks[number] for number in range(1, 301)] == [f"person {1 + step % 3}" for step in range(300)]


def test_what_comes_after_the_end_changes_nothing() -> None:
    people = FilmPeople(make_circle())
    assert people.settle() == Names()
    watch(people, 0.0, (1, RED, LEFT))
    assert people.settle() == Names()


def test_patches_are_found_where_they_are() -> None:
    assert find_patches(paint((RED, LEFT), (YELLOW, RIGHT))) == [LEFT, RIGHT]
