from __future__ import annotations

import base64
import io
import json
import multiprocessing
import pickle
import shutil
import threading
from concurrent.futures import ProcessPoolExecutor
from copy import copy as shallow_copy
from copy import deepcopy
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from cmaen import EMOTIONS, EmotionPredictor
from cmaen.checkpoints import Checkpoint
from cmaen.errors import (
    CheckpointError,
    CmaenError,
    ConfigError,
    DetectorError,
    EnhancementError,
    ImageNotFoundError,
    ImageTooLargeError,
)
from cmaen.images.reader import read_image
from cmaen.inference.detectors import DetectorOptions
from cmaen.types import FaceBox
from tests.conftest import EXAMPLES, change_card
from tests.inference.conftest import RED, plain

ASTRONAUT = EXAMPLES / "astronaut.png"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the shipped checkpoint."""
    return Path(shutil.copytree(Checkpoint.open().folder, tmp_path / "copy"))


def test_the_astronaut_is_happy(predictor: EmotionPredictor) -> None:
    result = predictor.predict_single(ASTRONAUT)
    assert (result["status"], result["error"], result["predicted_emotion"]) == ("ok", None, "happy")
    assert result["confidence"] >= result["probabilities"]["happy"] > 0.5
    assert list(result["probabilities"]) == list(EMOTIONS)
    assert sum(result["probabilities"].values()) == pytest.approx(1)
    (face,) = result["faces"]
    assert set(face) == {"box", "landmarks", "predicted_emotion", "confidence", "probabilities"}
    assert len(face["landmarks"]) == 5
    assert json.loads(json.dumps(result)) == result


def test_every_kind_of_source_gives_the_same_answer(predictor: EmotionPredictor) -> None:
    sources = [ASTRONAUT, str(ASTRONAUT), ASTRONAUT.read_bytes(), Image.open(ASTRONAUT), read_image(ASTRONAUT)]
    first, *others = predictor.predict_batch(sources)
    for other in others:  # the place in a batch moves the last digits
        assert other["faces"][0]["box"] == first["faces"][0]["box"]
        assert other["probabilities"] == pytest.approx(first["probabilities"], abs=1e-4)


def test_faces_in_boxes_of_ones_own(predictor: EmotionPredictor) -> None:
    (found,) = predictor.pipeline.detect(read_image(ASTRONAUT))
    (expected,) = predictor.predict_faces(ASTRONAUT)
    elsewhere = (2.0, 3.0, 40.0, 50.0)
    faces = predictor.predict_faces(ASTRONAUT, [elsewhere, found, np.array([170, 60, 100, 120])])
    assert [face["box"] for face in faces] == [[2, 3, 40, 50], expected["box"], [170, 60, 100, 120]]
    assert faces[1]["landmarks"] == expected["landmarks"]
    assert faces[1]["probabilities"] == pytest.approx(expected["probabilities"], abs=1e-4)
    assert faces[2]["predicted_emotion"] == "happy"
    assert faces[2]["landmarks"] == []
    assert predictor.predict_faces(ASTRONAUT, []) == []
    assert len(predictor.predict_faces(ASTRONAUT, [(-20, -20, 60, 60)])) == 1  # a face that is cut off
    for box in ((600, 0, 10, 10), (0, 512, 10, 10), (-10, 0, 10, 10), FaceBox(0, -20, 10, 10)):
        with pytest.raises(ValueError, match="box 1 lies outside the image of 512 x 512 pixels"):
            predictor.predict_faces(ASTRONAUT, [elsewhere, box])
    for box in ((1, 2, 3), (0, 0, 0, 10), (0, 0, float("nan"), 10), "face", 3):
        with pytest.raises(ValueError, match="box 0 is not x, y, width, height"):
            predictor.predict_faces(ASTRONAUT, [box])


def test_arrays_as_opencv_reads_them(predictor: EmotionPredictor) -> None:
    swapped = EmotionPredictor(channels="bgr", threads=1)
    bgr = np.ascontiguousarray(read_image(ASTRONAUT)[:, :, ::-1])
    expected = predictor.predict_single(ASTRONAUT)["probabilities"]
    assert swapped.predict_single(bgr)["probabilities"] == pytest.approx(expected, abs=1e-4)
    assert swapped.predict_single(ASTRONAUT)["probabilities"] == pytest.approx(expected, abs=1e-4)
    assert swapped.predict_faces(bgr)[0]["probabilities"] == pytest.approx(expected, abs=1e-4)
    assert np.allclose(swapped.embed([bgr]), predictor.embed([ASTRONAUT]), atol=1e-4)
    with pytest.raises(ValueError, match=r"one of \['rgb', 'bgr'\]"):
        EmotionPredictor(channels="gbr")


def test_below_a_confidence_the_answer_is_uncertain(predictor: EmotionPredictor) -> None:
    expected = predictor.predict_single(ASTRONAUT)
    unsure = EmotionPredictor(threshold=1.0, threads=1).predict_single(ASTRONAUT)
    assert unsure["predicted_emotion"] == unsure["faces"][0]["predicted_emotion"] == "uncertain"
    assert unsure["probabilities"] == pytest.approx(expected["probabilities"], abs=1e-4)
    assert unsure["confidence"] == pytest.approx(expected["confidence"], abs=1e-4)
    sure = EmotionPredictor(threshold=0.5, threads=1)
    assert sure.predict_single(ASTRONAUT)["predicted_emotion"] == "happy"
    assert sure.get_top_k_predictions(ASTRONAUT, 1)[0][0] == "happy"
    for threshold in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="confidence from 0 to 1"):
            EmotionPredictor(threshold=threshold)


def test_a_jpeg_in_memory(predictor: EmotionPredictor) -> None:
    buffer = io.BytesIO()
    Image.open(ASTRONAUT).convert("RGB").save(buffer, "JPEG", quality=85)
    assert predictor.predict_single(buffer.getvalue())["predicted_emotion"] == "happy"


def test_colours_count_as_they_do_in_grey_and_red_is_not_blue(predictor: EmotionPredictor) -> None:
    face = read_image(ASTRONAUT)[60:180, 165:285, 1]
    coloured = np.stack([face, np.full_like(face, 100), face[::-1]], axis=2)  # a face in red, upside down in blue
    grey = np.asarray(Image.fromarray(coloured).convert("L"))
    swapped = np.ascontiguousarray(coloured[:, :, ::-1])
    right, expected, wrong = (
        np.array(list(predictor.predict_single(image, detect=False)["probabilities"].values()))
        for image in (coloured, grey, swapped)
    )
    assert np.abs(right - expected).max() < 0.02
    assert np.abs(wrong - expected).max() > 0.3


def test_a_result_of_predict_keeps_its_pixels_and_no_other_does(predictor: EmotionPredictor) -> None:
    array = read_image(ASTRONAUT)
    result = predictor.predict(array)
    assert (result.status, result.size, result.scheme, result.time) == ("ok", (512, 512), "perceived", None)
    assert result.to_dict() == predictor.predict_single(ASTRONAUT)
    (face,) = result.faces
    assert face.crop is not None
    assert face.crop.shape[0] == face.crop.shape[1] > 100
    assert result._repr_png_()
    assert face._repr_png_()
    assert "<td" in predictor._repr_html_()
    for text in (predictor.card.name, predictor.scheme, predictor.spec.detector, predictor.labels[0]):
        assert text in predictor._repr_html_()
    before = result.image.copy()
    array[:] = 0
    assert np.array_equal(result.image, before)
    for other in predictor.predict_each([ASTRONAUT, before]):
        assert (other.image, other.size, other.faces[0].crop) == (None, (512, 512), None)
    crop = predictor.predict(before[60:180, 165:285], detect=False)
    assert np.array_equal(crop.faces[0].crop, crop.image)
    broken = predictor.predict(b"text")
    assert (broken.status, broken.image, broken.size, broken.faces) == ("error", None, None, ())
    assert predictor.predict(plain(RED)).status == "no_face"


def test_faces_and_top_k(predictor: EmotionPredictor) -> None:
    (face,) = predictor.predict_faces(ASTRONAUT)
    top = predictor.get_top_k_predictions(ASTRONAUT, k=3)
    assert top[0] == ("happy", face["probabilities"]["happy"])
    assert len(top) == 3
    assert top == sorted(top, key=lambda pair: -pair[1])
    assert len(predictor.get_top_k_predictions(ASTRONAUT, k=7, detect=False)) == 7
    blank = np.zeros((60, 60, 3), np.uint8)
    assert predictor.get_top_k_predictions(blank) == []
    assert predictor.predict_faces(blank) == []


def test_what_is_asked_wrongly_is_said(predictor: EmotionPredictor) -> None:
    for k in (0, 8):
        with pytest.raises(ValueError, match="1 to 7"):
            predictor.get_top_k_predictions(ASTRONAUT, k=k)
    for ask in (predictor.predict_faces, predictor.get_top_k_predictions, predictor.explain):
        with pytest.raises(ImageNotFoundError):
            ask("nothing.png")
    with pytest.raises(ValueError, match="max_pixels"):
        EmotionPredictor(max_pixels=0)
    with pytest.raises(ValueError, match="batch_size"):
        predictor.predict_batch([ASTRONAUT], batch_size=0)


def test_a_detector_of_ones_own(predictor: EmotionPredictor) -> None:
    box = FaceBox(165, 60, 120, 120)
    mine = EmotionPredictor(detector=lambda image: [box])
    (face,) = mine.predict_faces(ASTRONAUT)
    assert face["box"] == [165, 60, 120, 120]

    def fails(image: np.ndarray) -> list[FaceBox]:
        raise cv2.error("odd")

    failing = EmotionPredictor(detector=fails)
    assert failing.predict_single(ASTRONAUT)["status"] == "error"
    with pytest.raises(CmaenError, match="odd"):
        failing.predict_faces(ASTRONAUT)
    assert failing.predict_single(ASTRONAUT, detect=False)["status"] == "ok"


def test_the_options_of_a_named_detector_and_the_workers_are_handed_on() -> None:
    strict = EmotionPredictor(options=DetectorOptions(min_face=400), threads=1, workers=3)
    assert strict.pipeline.workers == 3
    assert strict.predict_single(ASTRONAUT)["status"] == "no_face"


def test_a_checkpoint_is_named_by_its_folder_or_by_a_file_in_it(copy: Path, predictor: EmotionPredictor) -> None:
    card = Checkpoint.open(copy).card
    change_card(copy, name="mine", schemes=card.with_temperature(predictor.scheme, 100.0).schemes)
    for checkpoint in (copy, str(copy), copy / "model.onnx"):
        mine = EmotionPredictor(checkpoint)
        assert mine.card.name == "mine"
        assert mine.predict_single(ASTRONAUT)["confidence"] < 0.2 < predictor.predict_single(ASTRONAUT)["confidence"]


def test_checkpoints_engines_and_detectors_that_are_not_there(tmp_path: Path, copy: Path) -> None:
    with pytest.raises(CheckpointError, match="is not a checkpoint"):
        EmotionPredictor(tmp_path)
    with pytest.raises(ConfigError, match="not an engine"):
        EmotionPredictor(engine="magic")
    with pytest.raises(DetectorError, match="not a face detector"):
        EmotionPredictor(detector="eyes")
    change_card(copy, enhancement=("gfpgan",))
    with pytest.raises(EnhancementError, match="without the checksum of its weights"):
        EmotionPredictor(copy)


def test_one_box_where_a_list_is_meant_is_refused(predictor: EmotionPredictor) -> None:
    for box in ((1, 2, 3, 4), [1.0, 2.0, 3.0, 4.0], np.array([1, 2, 3, 4]), FaceBox(1, 2, 3, 4)):
        with pytest.raises(TypeError, match="list of boxes"):
            predictor.predict_faces(ASTRONAUT, box)
    four = [(1, 2, 30, 40)] * 4
    assert len(predictor.predict_faces(ASTRONAUT, four)) == 4


def test_text_that_is_a_picture_is_read_and_never_repeated(predictor: EmotionPredictor) -> None:
    text = base64.b64encode(ASTRONAUT.read_bytes()).decode()
    for image in (text, f"data:image/png;base64,{text}"):
        (result,) = predictor.predict_each([image])
        assert (result.status, result.frame.name) == ("ok", "")
    broken = predictor.predict_single(f"data:image/png;base64,{text[: len(text) // 2]}")
    assert broken["status"] == "error"
    assert len(broken["error"]) < 300
    assert "is an address" in predictor.predict_single("https://example.org/face.jpg")["error"]


def test_the_limit_of_pixels_can_be_set() -> None:
    small = EmotionPredictor(max_pixels=512 * 512 - 1, threads=1)
    assert "over the limit of 262,143" in small.predict_single(ASTRONAUT)["error"]
    with pytest.raises(ImageTooLargeError):
        small.predict_faces(ASTRONAUT)


def test_a_predictor_travels_to_another_process_and_answers_the_same() -> None:
    mine = EmotionPredictor(threshold=0.9999, scheme="fer2013", threads=1, options=DetectorOptions(min_face=20))
    for again in (pickle.loads(pickle.dumps(mine)), deepcopy(mine)):
        assert again.pipeline.classifier is not mine.pipeline.classifier
        assert (again.scheme, again.labels) == (mine.scheme, mine.labels)
        assert again.predict_single(ASTRONAUT) == mine.predict_single(ASTRONAUT)
    assert pickle.loads(pickle.dumps(EmotionPredictor(threads=1).under("fer2013"))).scheme == "fer2013"
    assert shallow_copy(mine).pipeline is mine.pipeline
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert pool.submit(mine.predict_single, str(ASTRONAUT)).result()["predicted_emotion"] == "uncertain"


def test_one_image_starts_one_or_two_threads_whatever_the_cores() -> None:
    seen: list[int] = []
    before = threading.active_count()

    def detector(image: np.ndarray) -> list[FaceBox]:
        seen.append(threading.active_count() - before)
        return [FaceBox(165, 60, 120, 120)]

    EmotionPredictor(detector=detector, workers=64, threads=1).predict_single(ASTRONAUT)
    assert seen[0] <= 2
