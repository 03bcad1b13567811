from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cmaen.data.ferplus import CATEGORIES, find_agreed, majority, perceived_distribution
from cmaen.data.splits import FaceSet, Split
from cmaen.types import CONTEMPT, PERCEIVED_LABELS


def voted(*rows: dict[str, int]) -> FaceSet:
    votes = np.array([[row.get(name, 0) for name in CATEGORIES] for row in rows], np.uint8)
    names = tuple(f"{number}.png" for number in range(len(rows)))
    return FaceSet(Split.TRAIN, np.zeros((len(rows), 4, 4), np.uint8), np.zeros(len(rows), np.int64), names, votes)


def test_the_majority_is_that_of_the_published_protocol() -> None:
    faces = voted(
        {"happiness": 9, "neutral": 1},
        {"contempt": 6, "neutral": 4},
        {"neutral": 5, "sadness": 5},  # a tie: the category that FER+ lists first
        {"unknown": 6, "anger": 4},
        {"NF": 10},
        {"anger": 5, "unknown": 5},  # likewise
        {},
    )
    names = [PERCEIVED_LABELS[index] if index >= 0 else None for index in majority(faces).tolist()]
    assert names == ["happy", CONTEMPT, "neutral", None, None, "angry", None]
    assert find_agreed(faces).tolist() == [True, True, False, False, False, False, False]


@given(st.lists(st.lists(st.integers(0, 10), min_size=10, max_size=10), min_size=1, max_size=20))
def test_a_target_is_a_distribution_or_nothing(rows: list[list[int]]) -> None:
    faces = voted(*(dict(zip(CATEGORIES, row, strict=True)) for row in rows))
    targets, seen = perceived_distribution(faces), majority(faces)
    assert targets.shape == (len(rows), 8)
    assert np.array_equal(targets.sum(axis=1) > 0.5, seen >= 0)
    assert np.allclose(targets.sum(axis=1)[seen >= 0], 1)
    assert np.allclose(targets.max(axis=1)[seen >= 0], targets[seen >= 0, seen[seen >= 0]])
    assert not (find_agreed(faces) & (seen < 0)).any()
