"""The one style of drawing: what stands on tags, in which order it is shortened, and what it costs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ImageDraw

from cmaen.drawing import style
from cmaen.drawing.style import STYLE, colour_of, colour_of_hex, draw_faces, is_unsure
from cmaen.types import EMOTIONS, UNCERTAIN, Image


def face(
    emotion: str, box: tuple[float, ...], confidence: float = 0.9, classes: tuple[str, ...] = EMOTIONS, **more: Any
) -> dict[str, Any]:
    rest = (1 - confidence) / max(1, len(classes) - 1)
    shares = {name: confidence if name == emotion else rest for name in classes}
    return {"box": list(box), "predicted_emotion": emotion, "confidence": confidence, "probabilities": shares, **more}


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """All that is written onto tags, dots and legends, in its order."""
    texts: list[str] = []
    plate, dot = style.paint_plate, style.paint_dot

    def remember_plate(segments: Any, size: int) -> Any:
        texts.append(" | ".join(segment.text for segment in segments))
        return plate(segments, size)

    def remember_dot(text: str, *others: Any, **more: Any) -> Any:
        texts.append(f"({text})")
        return dot(text, *others, **more)

    monkeypatch.setattr(style, "paint_plate", remember_plate)
    monkeypatch.setattr(style, "paint_dot", remember_dot)
    return texts


def blank(width: int = 640, height: int = 480) -> Image:
    return np.full((height, width, 3), 90, np.uint8)


def test_one_face_has_no_number_several_have_and_those_of_a_video_have_their_identity(written: list[str]) -> None:
    one, other = face("happy", (100, 100, 120, 150), 0.983), face("sad", (400, 100, 90, 100), 0.7)
    draw_faces(blank(), [one])
    assert written == ["happy 98%"]
    draw_faces(blank(), [one, other])
    assert written[1:] == ["1 happy 98%", "2 sad 70%"]
    draw_faces(blank(), [{**one, "identity": 14}])
    assert written[3:] == ["14 happy 98%"]


def test_tags_are_shortened_where_there_is_less_room(written: list[str]) -> None:
    """Rows of faces whose width alone is smaller and smaller: words and number, words, letters, dots."""
    for side in (110, 55, 36, 12):
        faces = [face("surprise", (30 + n * (side + 30), 200, side, side), 0.97) for n in range(8)]
        draw_faces(blank(1300), faces)
    assert written[:8] == [f"{n} surprise 97%" for n in range(1, 9)]
    assert written[8:16] == [f"{n} surprise" for n in range(1, 9)]
    assert sorted(written[16:25]) == sorted(["surprise 8", *(f"{n} su" for n in range(1, 9))])
    assert sorted(written[25:]) == sorted(["surprise 8", *(f"({n})" for n in range(1, 9))])


def test_a_legend_has_several_rows_in_a_narrow_picture(written: list[str]) -> None:
    faces = [face(EMOTIONS[n % 7], (20 + 40 * (n % 7), 20 + 60 * (n // 7), 14, 14)) for n in range(14)]
    drawn = draw_faces(blank(320, 240), faces)
    legend = [text for text in written if text[0] not in "(0123456789"]
    assert len(legend) > 1
    assert sorted(" | ".join(legend).split(" | ")) == sorted(f"{name} 2" for name in EMOTIONS)
    assert (drawn[180:] != 90).any()


def test_an_unsure_answer_is_short_too(written: list[str]) -> None:
    unsure = face("sad", (200, 150, 60, 70), 0.4, ("sad", "neutral", "happy"))
    unsure["probabilities"].update(neutral=0.35, happy=0.25)
    draw_faces(blank(), [unsure])
    assert written == ["unsure: maybe sad or neutral"]
    draw_faces(blank(1100), [{**unsure, "box": [20 + 150 * n, 150, 60, 70]} for n in range(7)])
    assert written[1:] == [f"{n} sad?" for n in range(1, 8)]


@pytest.mark.parametrize(
    ("emotion", "confidence", "classes", "unsure"),
    [
        ("sad", 0.49, EMOTIONS, True),
        ("sad", 0.5, EMOTIONS, False),
        (UNCERTAIN, 0.8, EMOTIONS, True),
        (UNCERTAIN, 0.8, (UNCERTAIN, "sure"), False),
    ],
)
def test_when_an_answer_is_unsure(emotion: str, confidence: float, classes: tuple[str, ...], unsure: bool) -> None:
    answer = {**face(emotion, (0, 0, 9, 9), confidence, classes), "predicted_emotion": emotion}
    if emotion not in classes:
        answer["probabilities"] = dict.fromkeys(classes, 1 / len(classes))
    assert is_unsure(answer) is unsure


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.text(max_size=60), min_size=2, max_size=12, unique=True),
    st.sampled_from([(1, 1), (320, 240), (500, 40)]),
    st.integers(1, 12),
    st.floats(0.05, 1.0),
)
def test_labels_of_any_text_are_drawn_in_any_picture(
    classes: list[str], size: tuple[int, int], count: int, confidence: float
) -> None:
    faces = [
        face(classes[n % len(classes)], (n * 30, 5, 28, 30), confidence, tuple(classes), identity=n)
        for n in range(count)
    ]
    image = blank(*size)
    drawn = draw_faces(image, faces, ticker=True)
    assert drawn.shape == image.shape
    assert (image == 90).all()


def test_a_dashed_outline_is_seen_on_any_ground() -> None:
    for ground in (0, 90, 128, 211, 255):
        image = np.full((300, 300, 3), ground, np.uint8)
        drawn = draw_faces(image, [face("sad", (80, 100, 120, 120), 0.3)])
        edge = drawn[220, 90:190].astype(int).mean(axis=1)
        assert (np.abs(edge - ground) > 60).any(), ground
        assert (drawn == colour_of_hex(STYLE.unsure)).all(axis=2).sum() > 100


def test_faces_are_not_painted_over_by_tags_or_the_legend() -> None:
    rng = np.random.default_rng(5)
    image = blank(900, 700)
    faces = []
    for row in range(8):
        for column in range(10):
            x, y = 15 + 88 * column + rng.integers(0, 30), 10 + 86 * row + rng.integers(0, 30)
            side = int(rng.integers(20, 50))
            faces.append(face(EMOTIONS[(row + column) % 7], (x, y, side, side), rng.uniform(0.3, 1)))
    drawn = draw_faces(image, faces)
    for one in faces:
        x, y, side, _ = map(int, one["box"])
        upper = drawn[y + 5 : y + int(0.4 * side), x + 5 : x + side - 5]
        assert (upper == 90).all()  # the last choice, inside its own lower edge, leaves the eyes


def test_a_ticker_tells_the_probabilities_of_four_people_and_covers_nobody() -> None:
    image = blank(1280, 720)
    faces = [face("happy", (100 + 200 * n, 100, 120, 140), 0.8, identity=n + 1) for n in range(6)]
    plain, drawn = draw_faces(image, faces), draw_faces(image, faces, ticker=True)
    changed = (plain != drawn).any(axis=2)
    assert not changed[:620].any()
    columns = changed.any(axis=0)
    assert np.count_nonzero(np.diff(columns.astype(int)) == 1) == 4
    assert ((drawn[620:] == colour_of("happy", EMOTIONS)).all(axis=2)).sum() < 20  # seen through a little
    low = [face("happy", (20, 500, 180, 215), 0.8, identity=1)]
    assert np.array_equal(draw_faces(image, low), draw_faces(image, low, ticker=True))  # nothing over a face
    small = blank(320, 240)
    assert np.array_equal(draw_faces(small, faces[:1]), draw_faces(small, faces[:1], ticker=True))
    many = tuple(map(str, range(30)))
    assert np.array_equal(
        draw_faces(image, [face("3", (100, 100, 90, 90), classes=many)]),
        draw_faces(image, [face("3", (100, 100, 90, 90), classes=many)], ticker=True),
    )


def test_letters_are_painted_once_however_often_the_faces_move(monkeypatch: pytest.MonkeyPatch) -> None:
    image, painted = blank(1280, 720), []
    text = ImageDraw.ImageDraw.text
    monkeypatch.setattr(
        ImageDraw.ImageDraw, "text", lambda self, *args, **options: painted.append(args) or text(self, *args, **options)
    )
    faces = [face(EMOTIONS[n], (100 + 300 * n, 200, 150, 180), 0.8125, identity=n + 71) for n in range(3)]
    draw_faces(image, faces, ticker=True)
    assert painted
    painted.clear()
    for _ in range(30):
        for one in faces:
            one["box"][0] += 1
        draw_faces(image, faces, ticker=True)
    assert not painted
