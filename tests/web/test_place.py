"""Where the page puts the names of faces: over nothing, in the picture, and as long as there is room."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cmaen.types import EMOTIONS
from cmaen.web.settings import describe_drawing
from tests.web.node import run_page

SCRIPT = """
    import { measureLine, measureText, placeTags } from './place.js';
    const measure = (text, size) => 0.6 * size * text.length;
    const answer = given.scenes.map(({ width, height, boxes, scale }) => {
        const faces = boxes.map(([x, y, w, h], index) => {
            const number = boxes.length > 1 ? String(index + 1) : '';
            const tags = ['happy 98%', 'happy', 'h'].map((text) => `${number} ${text}`.trim());
            return { box: { x, y, width: w, height: h }, tags, number };
        });
        const options = { width, height, rules: given.rules, measure, scale };
        const longer = Math.max(width, height);
        return {
            tags: placeTags(faces, options),
            lines: boxes.map(([, , w]) => measureLine(w, { longer, rules: given.rules, scale })),
            sizes: boxes.map(([, , w]) => measureText(w, options)),
        };
    });
"""

RULES = describe_drawing(EMOTIONS)
Box = tuple[float, float, float, float]
SLACK = 1e-6


@st.composite
def scenes(draw: st.DrawFn) -> dict[str, Any]:
    """A picture and its faces, crowded, at its edges, within each other and beyond it."""
    width, height = draw(st.sampled_from(((320, 80), (320, 240), (800, 550), (60, 900), (11600, 7975))))
    side = st.floats(0.01, 0.6).map(lambda share: share * min(width, height))
    place = st.floats(-0.2, 1.1)
    boxes = draw(
        st.lists(
            st.tuples(place.map(lambda v: v * width), place.map(lambda v: v * height), side, side),
            min_size=1,
            max_size=40,
        )
    )
    return {"width": width, "height": height, "boxes": boxes, "scale": draw(st.sampled_from((1, 2, 3)))}


def overlap(one: Box, other: Box) -> bool:
    return all(one[i] + SLACK < other[i] + other[i + 2] and other[i] + SLACK < one[i] + one[i + 2] for i in (0, 1))


def area_of(tag: dict[str, Any]) -> Box:
    return tag["x"], tag["y"], tag["width"], tag["height"]


@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(scenes(), min_size=25, max_size=40))
def test_a_name_covers_neither_a_face_nor_another_name(some: list[dict[str, Any]]) -> None:
    for scene, answer in zip(some, run_page(SCRIPT, rules=RULES, scenes=some), strict=True):
        tags = answer["tags"]
        assert len(tags) == len(scene["boxes"])
        for index, tag in enumerate(tags):
            if tag is None:
                continue
            area = area_of(tag)
            assert area[0] >= -SLACK
            assert area[0] + area[2] <= scene["width"] + SLACK
            assert area[1] >= -SLACK
            assert area[1] + area[3] <= scene["height"] + SLACK
            for other, box in enumerate(scene["boxes"]):
                if other != index:
                    assert not overlap(area, box)
                elif overlap(area, box):  # in its own face it lies in the lower part
                    bottom = min(box[1] + box[3], scene["height"])
                    assert area[1] + area[3] <= bottom + SLACK
                    assert area[3] <= 0.6 * box[3] + SLACK
            assert not any(overlap(area, area_of(other)) for other in tags[:index] if other)
            if len(tags) > 1:
                assert tag["text"].split()[0] == str(index + 1), "the number is that of the card and the table"


def place(width: int, height: int, *boxes: Box, scale: int = 1) -> dict[str, Any]:
    answer: dict[str, Any] = run_page(
        SCRIPT, rules=RULES, scenes=[{"width": width, "height": height, "boxes": boxes, "scale": scale}]
    )[0]
    return answer


def test_one_face_with_room_has_its_whole_name_above() -> None:
    (tag,) = place(800, 600, (350, 250, 90, 110))["tags"]
    assert (tag["kind"], tag["text"]) == ("tag", "happy 98%")
    assert tag["y"] + tag["height"] < 250


def test_a_face_that_fills_the_picture_has_its_name_inside() -> None:
    (tag,) = place(300, 300, (0, 0, 300, 300))["tags"]
    assert tag["text"] == "happy 98%"
    assert tag["y"] > 200


def test_a_crowd_has_dots_with_numbers_and_nobody_is_left_out() -> None:
    boxes = [(20 + 34.0 * (i % 20), 20 + 34.0 * (i // 20), 24.0, 30.0) for i in range(160)]
    tags = place(720, 320, *boxes)["tags"]
    assert {tag and tag["kind"] for tag in tags} <= {"dot", "tag", None}
    assert sum(tag is not None for tag in tags) > 0.9 * len(tags)
    assert any(tag and tag["kind"] == "dot" for tag in tags)


def test_words_come_before_letters_and_letters_before_dots() -> None:
    """In ever narrower rows of many faces the names become shorter, one step after the other."""
    kinds = []
    for gap in (90, 60, 22, 3):
        boxes = [(10 + (48 + gap) * i, 0.0, 48.0, 50.0) for i in range(8)]
        tag = place(round(20 + 8 * (48 + gap)), 50, *boxes)["tags"][3]
        kinds.append((tag["kind"], tag["text"]))
    assert kinds[0] == ("tag", "4 happy")
    assert kinds[-1][0] == "dot"
    lengths = [len(text) for _, text in kinds]
    assert lengths == sorted(lengths, reverse=True)


@pytest.mark.parametrize(
    ("width", "height", "face", "line", "text"),
    [
        (320, 240, 20, 1, 11),
        (800, 600, 100, 2.5, 12),
        (11600, 7975, 60, 1.5, 129),  # of 92 megapixels: the smallest that one can read when all of it is seen
        (11600, 7975, 4000, 11600 / 320, 451),
    ],
)
def test_lines_and_text_go_with_the_face_and_stay_legible(
    width: int, height: int, face: float, line: float, text: int
) -> None:
    answer = place(width, height, (10, 10, face, face))
    assert answer["lines"] == pytest.approx([line])
    assert answer["sizes"] == pytest.approx([text], abs=text / 11)
