from __future__ import annotations

import io
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cmaen import EMOTIONS, EmotionPredictor, annotate
from cmaen.errors import CheckpointError, ConfigError, ImageNotFoundError, NoFaceError
from cmaen.images import read_image
from tests.conftest import EXAMPLES

ASTRONAUT = EXAMPLES / "astronaut.png"


@pytest.fixture(scope="module")
def predictor() -> EmotionPredictor:
    """The shipped weights, with the detector that is always there."""
    return EmotionPredictor(detector="haar")


def test_the_astronaut_is_happy(predictor: EmotionPredictor) -> None:
    result = predictor.predict_single(ASTRONAUT)
    assert (result["status"], result["error"], result["predicted_emotion"]) == ("ok", None, "happy")
    assert result["confidence"] == result["probabilities"]["happy"] > 0.5
    assert list(result["probabilities"]) == list(EMOTIONS)
    assert sum(result["probabilities"].values()) == pytest.approx(1)
    (face,) = result["faces"]
    assert set(face) == {"box", "landmarks", "predicted_emotion", "confidence", "probabilities"}
    assert json.loads(json.dumps(result)) == result


def test_every_kind_of_source_gives_the_same_answer(predictor: EmotionPredictor) -> None:
    sources = [ASTRONAUT, str(ASTRONAUT), ASTRONAUT.read_bytes(), Image.open(ASTRONAUT), read_image(ASTRONAUT)]
    first, *others = predictor.predict_batch(sources)
    for other in others:  # the place in a batch moves the last digits
        assert other["faces"][0]["box"] == first["faces"][0]["box"]
        assert other["probabilities"] == pytest.approx(first["probabilities"], abs=1e-6)


def test_red_and_blue_are_not_mixed_up(predictor: EmotionPredictor) -> None:
    image = read_image(ASTRONAUT)
    bgr = np.ascontiguousarray(image[:, :, ::-1])
    one, other = predictor.predict_batch([image[60:180, 165:285], bgr[60:180, 165:285]], detect=False)
    assert one["probabilities"] != other["probabilities"]


def test_one_bad_image_costs_the_others_nothing(predictor: EmotionPredictor, tmp_path: Path) -> None:
    empty = tmp_path / "empty.png"
    empty.touch()
    blank = np.full((80, 80, 3), 128, np.uint8)
    sources = [ASTRONAUT, empty, blank, tmp_path / "nothing.png", b"text", ASTRONAUT]
    for batch_size in (1, 2, 32):
        results = predictor.predict_batch(sources, batch_size=batch_size)
        assert [result["status"] for result in results] == ["ok", "error", "no_face", "error", "error", "ok"]
        names = [(result["error"] or "").split(":")[0] for result in results]
        assert names == ["", "EmptyImageError", "", "ImageNotFoundError", "UnreadableImageError", ""]
        assert results[0] == results[5]
        assert results[1]["faces"] == []
        assert results[1]["predicted_emotion"] is None


def test_a_crop_is_judged_whole_and_batches_equal_single_images(predictor: EmotionPredictor) -> None:
    rng = np.random.default_rng(0)
    crops = [rng.integers(0, 256, (side, side), dtype=np.uint8) for side in (1, 20, 48, 130)]
    together = predictor.predict_batch(crops, detect=False, batch_size=3)
    for crop, result in zip(crops, together, strict=True):
        assert result["faces"][0]["box"] == [0, 0, *crop.shape]
        alone = predictor.predict_single(crop, detect=False)
        assert list(alone["probabilities"].values()) == pytest.approx(list(result["probabilities"].values()), abs=1e-4)


def test_faces_and_top_k(predictor: EmotionPredictor) -> None:
    (face,) = predictor.predict_faces(ASTRONAUT)
    top = predictor.get_top_k_predictions(ASTRONAUT, k=3)
    assert top[0] == ("happy", face["confidence"])
    assert len(top) == 3
    assert top == sorted(top, key=lambda pair: -pair[1])
    assert predictor.get_top_k_predictions(np.zeros((60, 60, 3), np.uint8)) == []
    with pytest.raises(ValueError, match="1 to 7"):
        predictor.get_top_k_predictions(ASTRONAUT, k=8)
    with pytest.raises(ImageNotFoundError):
        predictor.predict_faces("nothing.png")
    with pytest.raises(TypeError, match="predict_single"):
        predictor.predict_batch(str(ASTRONAUT))
    with pytest.raises(ValueError, match="batch_size"):
        predictor.predict_batch([ASTRONAUT], batch_size=0)


def test_an_iterator_is_read_in_pieces(predictor: EmotionPredictor) -> None:
    taken = []

    def crops() -> object:
        for number in range(1000):
            taken.append(number)
            yield np.full((20, 20), number % 256, np.uint8)

    results = predictor.predict_each(crops(), detect=False, batch_size=4)
    next(results)
    assert len(taken) < 500
    assert len(list(results)) == 999


def test_one_predictor_serves_many_threads(predictor: EmotionPredictor) -> None:
    expected = predictor.predict_single(ASTRONAUT)
    with ThreadPoolExecutor(4) as pool:
        alone = [pool.submit(predictor.predict_single, ASTRONAUT) for _ in range(8)]
        batches = [pool.submit(predictor.predict_batch, [ASTRONAUT, b"text", ASTRONAUT]) for _ in range(4)]
        assert all(future.result() == expected for future in alone)
        for future in batches:
            first, second, third = future.result()
            assert first == third
            assert first["predicted_emotion"] == expected["predicted_emotion"]
            assert second["status"] == "error"


def test_an_answer_is_explained_over_its_face(predictor: EmotionPredictor) -> None:
    pytest.importorskip("captum")
    picture = predictor.explain(ASTRONAUT)
    side = predictor.card.preprocess.image_size
    assert picture.shape == (side, side, 3)
    assert picture.dtype == np.uint8
    with pytest.raises(NoFaceError):
        predictor.explain(np.zeros((60, 60, 3), np.uint8))


def test_nothing_in_nothing_out(predictor: EmotionPredictor) -> None:
    assert predictor.predict_batch([]) == []


def test_checkpoints_and_engines_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is no checkpoint"):
        EmotionPredictor(tmp_path)
    with pytest.raises(ConfigError, match="not an engine"):
        EmotionPredictor(engine="magic")


def test_the_tiny_checkpoint_predicts_too(checkpoint: Path) -> None:
    result = EmotionPredictor(checkpoint, detector="haar").predict_single(np.zeros((48, 48), np.uint8), detect=False)
    assert result["status"] == "ok"


@pytest.mark.parametrize("box", [[10, 10, 50, 50], [-20, -20, 60, 60], [70, 60, 60, 60], [0, 0, 100, 80], [5, 5, 1, 1]])
def test_annotation_draws_on_a_copy_wherever_the_box_lies(box: list[float]) -> None:
    image = np.zeros((80, 100, 3), np.uint8)
    drawn = annotate(image, [{"box": box, "predicted_emotion": "sad", "confidence": 0.5}])
    assert drawn.shape == image.shape
    assert drawn.any()
    assert not image.any()


def test_a_jpeg_in_memory(predictor: EmotionPredictor) -> None:
    buffer = io.BytesIO()
    Image.open(ASTRONAUT).convert("RGB").save(buffer, "JPEG", quality=85)
    assert predictor.predict_single(buffer.getvalue())["predicted_emotion"] == "happy"
