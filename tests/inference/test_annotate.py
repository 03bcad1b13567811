from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from cmaen import EmotionPredictor, annotate
from cmaen.drawing.style import colour_of, describe_answer
from cmaen.errors import ImageNotFoundError, ResultError
from cmaen.images.reader import read_image
from cmaen.inference.frames import AnalysedFrame
from cmaen.results import Face
from cmaen.types import EMOTIONS, FaceBox
from tests.conftest import EXAMPLES

ASTRONAUT = EXAMPLES / "astronaut.png"


@pytest.fixture(scope="module")
def predictor() -> EmotionPredictor:
    return EmotionPredictor(threads=1)


def face(emotion: str, box: tuple[float, float, float, float], identity: int | None = None) -> dict[str, object]:
    probabilities = tuple(0.9 if name == emotion else 0.1 / 6 for name in EMOTIONS)
    return Face(probabilities, FaceBox(*box), identity).to_dict()


def near(image: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return (image == colour).all(axis=2)


@pytest.mark.parametrize("emotion", EMOTIONS)
def test_the_box_and_the_label_have_the_emotions_colour(emotion: str) -> None:
    drawn = annotate(np.zeros((200, 300, 3), np.uint8), [face(emotion, (60, 70, 100, 90))])
    box = near(drawn, colour_of(emotion, EMOTIONS))
    assert box[70, 70:150].all()
    assert box[160, 70:150].all()
    assert box[80:150, 60].all()
    assert box[80:150, 160].all()
    assert not drawn[80:150, 70:150].any()  # the face itself is not painted over
    label = drawn[40:66, 60:160]
    assert near(label, colour_of(emotion, EMOTIONS)).sum() > 15
    assert near(label, (255, 255, 255)).any()


def test_every_face_is_drawn_and_one_of_a_video_has_its_number() -> None:
    blank = np.zeros((200, 300, 3), np.uint8)
    faces = [face("sad", (20, 60, 50, 50)), face("happy", (160, 60, 80, 80))]
    drawn = annotate(blank, faces)
    assert near(drawn, colour_of("sad", EMOTIONS)).any()
    assert near(drawn, colour_of("happy", EMOTIONS)).any()
    alone, numbered = (annotate(blank, [face("sad", (20, 60, 50, 50), identity=one)]) for one in (None, 7))
    assert numbered[:58].any(axis=(0, 2)).sum() > alone[:58].any(axis=(0, 2)).sum() + 5
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
        return int(near(drawn[side // 2 : side // 2 + 1, : side // 2], colour_of("sad", EMOTIONS)).sum())

    assert 2 <= thickness(100) < thickness(2400) < thickness(5000)


def test_an_uncertain_answer_is_drawn_as_the_page_says_it() -> None:
    picture = np.zeros((200, 300, 3), np.uint8)
    probabilities = {"angry": 0.1, "sad": 0.4, "fear": 0.3, "happy": 0.2}
    unsure = {"box": [40, 80, 100, 80], "predicted_emotion": "uncertain", "confidence": 0.4}
    drawn = annotate(picture, [{**unsure, "probabilities": probabilities}])
    edge = drawn[160, 50:130].astype(int).max(axis=1)
    assert (edge > 200).any()  # dashes, light and dark in turn
    assert (edge < 40).any()
    likely = annotate(picture, [{**unsure, "predicted_emotion": "sad", "probabilities": probabilities}])
    assert np.array_equal(likely, drawn)  # below one half without having been asked for
    assert describe_answer({**unsure, "probabilities": probabilities}) == "unsure: maybe sad or fear"
    assert describe_answer({**unsure, "confidence": 0.004}) == "uncertain <1%"
    assert describe_answer(unsure) == "uncertain 40%"
    assert (
        describe_answer({**unsure, "probabilities": {"uncertain": 0.6, "sure": 0.2, "both": 0.2}, "confidence": 0.6})
        == "uncertain 60%"
    )


def test_whatever_the_predictor_takes_and_gives_is_drawn(predictor: EmotionPredictor) -> None:
    pixels = read_image(ASTRONAUT)
    expected = annotate(pixels, predictor.predict_faces(ASTRONAUT))
    assert (expected != pixels).any()
    result = predictor.predict(ASTRONAUT)
    for image in (ASTRONAUT, str(ASTRONAUT), ASTRONAUT.read_bytes(), Image.open(ASTRONAUT), pixels):
        assert np.array_equal(annotate(image, result), expected)
    assert np.array_equal(annotate(pixels[:, :, ::-1], result, channels="bgr"), expected)
    answers = [
        [result],
        result.faces,
        result.faces[0],
        predictor.predict_single(ASTRONAUT),
        predictor.predict_batch([ASTRONAUT]),
        predictor.predict_single(ASTRONAUT)["faces"][0],
        predictor.predict_each([ASTRONAUT]),
        AnalysedFrame(0, 0.0, pixels, predictor.predict_faces(ASTRONAUT)),
    ]
    for answer in answers:
        assert np.array_equal(annotate(ASTRONAUT, answer), expected)
    assert np.array_equal(np.asarray(result.plot()), expected)
    for nothing in ([], predictor.predict(b"text"), predictor.predict_single(np.zeros((60, 60, 3), np.uint8))):
        assert np.array_equal(annotate(ASTRONAUT, nothing), pixels)


def test_what_cannot_be_drawn_is_said(predictor: EmotionPredictor) -> None:
    with pytest.raises(ResultError, match="answers to 2 images"):
        annotate(ASTRONAUT, predictor.predict_batch([ASTRONAUT, ASTRONAUT]))
    with pytest.raises(ResultError, match="get_top_k_predictions"):
        annotate(ASTRONAUT, predictor.get_top_k_predictions(ASTRONAUT))
    with pytest.raises(ImageNotFoundError):
        annotate("nothing.png", [])
    label = {"box": [0, 0, 5, 5], "predicted_emotion": "a label of one's own", "confidence": 0.5}
    for broken in (label, {**label, "box": [0, 0, 5]}, {**label, "box": [float("nan"), 0, 5, 5]}):
        with pytest.raises(ResultError, match="cannot be drawn"):
            annotate(ASTRONAUT, broken)
