"""The documented dicts to the letter: their keys in order, their types, and the shipped weights' answers."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from cmaen import EMOTIONS, EmotionPredictor
from tests.conftest import EXAMPLES

ASTRONAUT = EXAMPLES / "astronaut.png"
KEYS = ["status", "error", "scheme", "predicted_emotion", "confidence", "probabilities", "faces"]
OF_FACE = ["box", "landmarks", "predicted_emotion", "confidence", "probabilities"]
NOTHING = {"predicted_emotion": None, "confidence": None, "probabilities": None, "faces": []}
HAPPY = {
    "angry": 0.000133,
    "disgust": 0.000489,
    "fear": 0.0003,
    "happy": 0.992715,
    "neutral": 0.0052,
    "sad": 0.00019,
    "surprise": 0.000974,
}
BOX = [178.0, 62.6, 90.4, 113.9]


@pytest.fixture(scope="module")
def predictor() -> EmotionPredictor:
    return EmotionPredictor(threads=1)


def check_face(face: dict[str, Any], box: list[float]) -> None:
    assert list(face) == OF_FACE
    assert face["box"] == pytest.approx(box, abs=3)
    assert all(isinstance(value, float) for value in face["box"])
    assert list(face["probabilities"]) == list(EMOTIONS)
    assert all(isinstance(value, float) for value in face["probabilities"].values())


def test_predict_single_and_predict_batch(predictor: EmotionPredictor) -> None:
    images = [ASTRONAUT, np.zeros((60, 60, 3), np.uint8), b"text", "nothing.png"]
    answers = predictor.predict_batch(images)
    assert predictor.predict_single(ASTRONAUT) == answers[0]
    assert json.loads(json.dumps(answers)) == answers
    for answer in answers:
        assert isinstance(answer, dict)
        assert list(answer) == KEYS
        assert repr(answer) == repr(dict(answer))
    found, without, text, missing = answers
    face = found["faces"][0]
    check_face(face, BOX)
    assert type(face) is dict
    assert len(face["landmarks"]) == 5
    assert (found["status"], found["error"], found["scheme"]) == ("ok", None, "perceived")
    assert found["probabilities"] == face["probabilities"] == pytest.approx(HAPPY, abs=5e-3)
    assert found["predicted_emotion"] == face["predicted_emotion"] == "happy"
    assert found["confidence"] == face["confidence"] == pytest.approx(0.999885, abs=1e-3)
    assert without == {"status": "no_face", "error": None, "scheme": "perceived", **NOTHING}
    assert (text["status"], missing["status"]) == ("error", "error")
    assert text["error"].startswith("UnreadableImageError: the image data is not an image in a known format (")
    assert missing["error"] == "ImageNotFoundError: nothing.png does not exist; check the path"


def test_a_crop_and_another_scheme(predictor: EmotionPredictor) -> None:
    crop = np.random.default_rng(0).integers(0, 256, (60, 50, 3), dtype=np.uint8)
    answer = predictor.predict_single(crop, detect=False)
    check_face(answer["faces"][0], [0, 0, 50, 60])
    assert answer["faces"][0]["landmarks"] == []
    assert predictor.under("fer2013").predict_single(ASTRONAUT)["scheme"] == "fer2013"
    eight = predictor.under("perceived", contempt=True).predict_single(ASTRONAUT)
    assert list(eight["probabilities"]) == [*EMOTIONS, "contempt"]


def test_predict_faces_and_get_top_k_predictions(predictor: EmotionPredictor) -> None:
    (face,) = predictor.predict_faces(ASTRONAUT)
    check_face(face, BOX)
    assert json.loads(json.dumps(face)) == face
    one, two = predictor.predict_faces(ASTRONAUT, [(2.0, 3.0, 40.0, 50.0), (170, 60, 100, 120)])
    check_face(one, [2, 3, 40, 50])
    check_face(two, [170, 60, 100, 120])
    top = predictor.get_top_k_predictions(ASTRONAUT, 7)
    assert [name for name, _ in top[:3]] == ["happy", "neutral", "surprise"]
    assert dict(top) == face["probabilities"]
    assert all(type(pair) is tuple and type(pair[1]) is float for pair in top)
