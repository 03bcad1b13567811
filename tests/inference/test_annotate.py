from __future__ import annotations

import numpy as np
import pytest

from cmaen import annotate
from cmaen.inference.annotate import _said
from cmaen.types import COLOURS, EMOTIONS, FaceBox, FaceEmotion, colour_of


def face(emotion: str, box: tuple[float, float, float, float], identity: int | None = None) -> dict[str, object]:
    probabilities = tuple(0.9 if name == emotion else 0.1 / 6 for name in EMOTIONS)
    return FaceEmotion(probabilities, FaceBox(*box), identity).as_dict()


def near(image: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return (image == colour).all(axis=2)


@pytest.mark.parametrize("emotion", EMOTIONS)
def test_the_box_and_the_label_have_the_emotions_colour(emotion: str) -> None:
    drawn = annotate(np.zeros((200, 300, 3), np.uint8), [face(emotion, (60, 70, 100, 90))])
    box = near(drawn, COLOURS[emotion])
    assert box[70, 70:150].all()
    assert box[160, 70:150].all()
    assert box[80:150, 60].all()
    assert box[80:150, 160].all()
    assert not drawn[80:150, 70:150].any()  # the face itself is not painted over
    label = drawn[40:68, 60:160]
    assert near(label, COLOURS[emotion]).mean() > 0.3
    assert near(label, (255, 255, 255)).any()


def test_every_face_is_drawn_and_one_of_a_video_has_its_number() -> None:
    blank = np.zeros((200, 300, 3), np.uint8)
    faces = [face("sad", (20, 60, 50, 50)), face("happy", (160, 60, 80, 80))]
    drawn = annotate(blank, faces)
    assert near(drawn, COLOURS["sad"]).any()
    assert near(drawn, COLOURS["happy"]).any()
    numbered = annotate(blank, [face("sad", (20, 60, 50, 50), identity=7)])
    assert near(numbered, COLOURS["sad"]).sum() > near(drawn, COLOURS["sad"]).sum()
    assert np.array_equal(annotate(blank, []), blank)


@pytest.mark.parametrize("shape", [(80, 100), (1, 1), (3, 400), (400, 3)])
@pytest.mark.parametrize(
    "box",
    [
        (10, 10, 50, 50),
        (-20, -20, 60, 60),
        (70, 60, 60, 60),
        (0, 0, 100, 80),
        (5, 5, 1, 1),
        (0.4, 0.4, 0.2, 0.2),
        (-900, 20, 2000, 9),
        (5000, 5000, 10, 10),
    ],
)
def test_it_draws_on_a_copy_wherever_the_box_lies(
    box: tuple[float, float, float, float], shape: tuple[int, int]
) -> None:
    image = np.zeros((*shape, 3), np.uint8)
    drawn = annotate(image, [face("sad", box)])
    assert drawn.shape == image.shape
    assert drawn.dtype == np.uint8
    if shape == (80, 100) and box[0] < 100:
        assert drawn.any()
    assert not image.any()


def test_a_large_picture_has_lines_that_can_be_seen() -> None:
    def thickness(side: int) -> int:
        drawn = annotate(np.zeros((side, side, 3), np.uint8), [face("sad", (side / 4, side / 4, side / 2, side / 2))])
        return int(near(drawn[side // 2 : side // 2 + 1, : side // 2], COLOURS["sad"]).sum())

    assert 2 <= thickness(100) < thickness(2400)


def test_an_uncertain_answer_is_drawn_as_the_page_says_it() -> None:
    picture = np.zeros((200, 300, 3), np.uint8)
    probabilities = {"angry": 0.1, "sad": 0.4, "fear": 0.3, "happy": 0.2}
    unsure = {"box": [40, 80, 100, 80], "predicted_emotion": "uncertain", "confidence": 0.4}
    drawn = annotate(picture, [{**unsure, "probabilities": probabilities}])
    assert tuple(drawn[159, 90]) == colour_of("uncertain", EMOTIONS)
    assert _said({**unsure, "probabilities": probabilities}) == "unsure: maybe sad or fear"
    assert _said(unsure) == "uncertain 40%"
    assert _said({**unsure, "probabilities": {"uncertain": 0.4, "sure": 0.3, "both": 0.3}}) == "uncertain 40%"
