from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cmaen.inference.people.linking import THRESHOLD, link
from tests.inference.people.stand_ins import ADA, BEN, CAT


def test_alike_units_are_linked_and_unlike_ones_are_not() -> None:
    means = np.stack([ADA, BEN, 0.9 * ADA, CAT, 0.8 * BEN])
    assert link(means, np.ones(5)) == [0, 1, 0, 3, 1]
    assert link(means[:0], np.ones(0)) == []
    assert link(means[:1], np.ones(1)) == [0]


def test_two_units_that_were_seen_together_stay_apart_whatever_they_look_like() -> None:
    assert link(np.stack([ADA, ADA, ADA]), np.ones(3), [(0, 1)]) in ([0, 1, 0], [0, 1, 1])


def test_a_chain_of_faces_in_between_does_not_link_two_people() -> None:
    """Each is similar to the next, but the ends are not alike; the average over the pairs decides."""
    angles = np.radians(np.linspace(0, 180, 7))
    means = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    groups = link(means, np.ones(7), threshold=0.6)
    assert groups[0] != groups[-1]
    assert len(set(groups)) < 7


def test_many_faces_weigh_more_than_one() -> None:
    between = (ADA + BEN) / 2
    assert link(np.stack([ADA, BEN, between]), np.array([1.0, 1, 1]), threshold=0.5)[2] in (0, 1)
    heavy = link(np.stack([ADA, (3 * ADA + BEN) / 4, BEN]), np.array([1.0, 8, 1]), threshold=0.3)
    assert heavy[0] == heavy[1]
    assert heavy[2] == 2


def test_the_two_most_similar_groups_are_linked_first() -> None:
    """Against a search of all pairs in every step, which is too slow for thousands of tracks."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        means = rng.normal(size=(12, 4)) * (1, 1, 0.3, 0.3)
        means /= np.linalg.norm(means, axis=1, keepdims=True)
        apart = {(0, 1), (2, 5)}
        groups = [{index} for index in range(12)]
        while True:
            pairs = [
                ((means[list(one)] @ means[list(other)].T).mean(), place, there)
                for (place, one), (there, other) in itertools.combinations(enumerate(groups), 2)
                if not any((a in one and b in other) or (b in one and a in other) for a, b in apart)
            ]
            like, place, there = max(pairs, default=(-1.0, 0, 0))
            if like < 0.4:
                break
            groups[place] |= groups.pop(there)
        owners = {index: min(group) for group in groups for index in group}
        assert link(means, np.ones(12), apart, threshold=0.4) == [owners[index] for index in range(12)]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_nobody_is_linked_against_the_rules(data: st.DataObject) -> None:
    count = data.draw(st.integers(0, 8))
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    means = rng.normal(size=(count, 3))
    means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1) if count else 1
    pairs = list(itertools.combinations(range(count), 2))
    apart = data.draw(st.lists(st.sampled_from(pairs), max_size=10)) if pairs else []
    groups = link(means, np.ones(count), apart)
    assert all(groups[one] != groups[other] for one, other in apart)
    assert all(groups[owner] == owner <= index for index, owner in enumerate(groups))
    members = [np.flatnonzero(np.array(groups) == owner) for owner in sorted(set(groups))]
    for one, other in itertools.combinations(members, 2):
        if not any((min(a, b), max(a, b)) in set(apart) for a in one for b in other):
            assert (means[one] @ means[other].T).mean() < THRESHOLD + 1e-9, "these two are alike and were not linked"
