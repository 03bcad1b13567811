"""Counts, filters and orders of many pictures."""

from __future__ import annotations

from typing import Any

from tests.web.node import run_page

LABELS = ["angry", "happy", "unsure"]

SCRIPT = """
    import { countGroups, groupsOf, ORDERS, sortItems } from './tally.js';
    const { results, labels } = given;
    const items = results.map((result, index) => ({ result, index }));
    const look = { labels, unsureBelow: 0.5 };
    const answer = {
        groups: countGroups(results, labels, 0.5),
        of: results.map((result) => [...groupsOf(result, 0.5)]),
        orders: Object.fromEntries(
            Object.keys(ORDERS).map((order) => [order, sortItems(items, order, look).map(({ index }) => index)]),
        ),
    };
"""


def face(label: str, confidence: float) -> dict[str, Any]:
    rest = (1 - confidence) / (len(LABELS) - 1)
    shares = {name: confidence if name == label else rest for name in LABELS}
    return {"predicted_emotion": label, "confidence": confidence, "probabilities": shares}


def result(*faces: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"status": "ok" if faces else "no_face", "faces": list(faces), **more}


def test_faces_and_pictures_are_counted_and_what_means_nothing_is_not() -> None:
    results = [
        result(face("happy", 0.9), face("happy", 0.8), face("angry", 0.4)),
        result(face("happy", 0.6)),
        result(),
        result(face("angry", 0.9), note="No face was found here"),
        {"status": "error", "error": "gone", "faces": []},
        result(face("unsure", 0.9)),  # a label of the user's own
        None,  # is waited for
    ]
    answer = run_page(SCRIPT, results=results, labels=LABELS)
    told = [(each["label"], each["emotion"], each["faces"], each["pictures"]) for each in answer["groups"]]
    assert told == [
        ("happy", "happy", 3, 2),
        ("unsure", "unsure", 1, 1),
        ("unsure", None, 1, 1),
        ("without a face", None, 0, 2),
        ("unreadable", None, 0, 1),
    ]
    keys = [each["key"] for each in answer["groups"]]
    assert len(set(keys)) == len(keys)
    assert sorted(answer["of"][0]) == sorted([keys[0], keys[2]]), "in every group of its faces"
    assert answer["of"][2] == answer["of"][3] == [keys[3]]
    assert answer["of"][6] == []


def test_orders_put_faces_first_and_keep_what_is_alike() -> None:
    results = [
        result(),
        result(face("happy", 0.7)),
        result(face("angry", 0.4)),
        result(face("angry", 0.8)),
        None,
        result(face("happy", 0.7)),
        result(face("happy", 0.9), face("angry", 0.99)),
    ]
    orders = run_page(SCRIPT, results=results, labels=LABELS)["orders"]
    assert orders == {
        "added": [0, 1, 2, 3, 4, 5, 6],
        "surest": [6, 3, 1, 5, 2, 0, 4],
        "unsurest": [2, 1, 5, 3, 6, 0, 4],
        "emotion": [3, 6, 1, 5, 2, 0, 4],
    }
