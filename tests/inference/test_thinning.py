from __future__ import annotations

import numpy as np
from hypothesis import given as given_boxes
from hypothesis import strategies as st

from cmaen.inference.detectors.thinning import thin_out


@given_boxes(st.lists(st.tuples(*[st.integers(0, 30)] * 2, *[st.integers(0, 12)] * 2), max_size=30), st.data())
def test_of_boxes_over_each_other_the_surest_stay(corners: list[tuple[int, ...]], data: st.DataObject) -> None:
    boxes = np.array(corners, float).reshape(-1, 4)
    scores = np.array(data.draw(st.lists(st.sampled_from([0.3, 0.5, 0.9]), min_size=len(boxes), max_size=len(boxes))))
    kept = thin_out(boxes, scores, overlap=0.3)
    expected: list[int] = []
    for one in sorted(range(len(boxes)), key=lambda number: -scores[number]):
        if all(shared(boxes[one], boxes[other]) <= 0.3 for other in expected):
            expected.append(one)
    assert kept.tolist() == expected
    assert thin_out(boxes, scores, overlap=0.3, most=3).tolist() == [
        number for number in expected if number in np.argsort(-scores, kind="stable")[:3]
    ]


def shared(one: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union."""
    sides = np.minimum(one[:2] + one[2:], other[:2] + other[2:]) - np.maximum(one[:2], other[:2])
    inside = np.clip(sides, 0, None).prod()
    union = one[2:].prod() + other[2:].prod() - inside
    return float(inside / union) if union else 0.0
