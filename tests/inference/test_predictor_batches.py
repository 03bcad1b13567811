"""The predictor over many pictures, of which one costs the others nothing."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cmaen import EmotionPredictor
from cmaen.errors import CheckpointError, CmaenError
from tests.conftest import EXAMPLES
from tests.inference.conftest import RED, plain
from tests.test_several import SINGLE

ASTRONAUT = EXAMPLES / "astronaut.png"


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
        for result in results[1:5]:
            assert result["faces"] == []
            assert {result[key] for key in ("predicted_emotion", "confidence", "probabilities")} == {None}


def test_a_crop_is_judged_whole_and_batches_equal_single_images(predictor: EmotionPredictor) -> None:
    rng = np.random.default_rng(0)
    crops = [rng.integers(0, 256, (side, side), dtype=np.uint8) for side in (1, 20, 48, 130)]
    together = predictor.predict_batch(crops, detect=False, batch_size=3)
    for crop, result in zip(crops, together, strict=True):
        assert result["faces"][0]["box"] == [0, 0, *crop.shape]
        alone = predictor.predict_single(crop, detect=False)
        assert list(alone["probabilities"].values()) == pytest.approx(list(result["probabilities"].values()), abs=1e-4)


def test_results_can_be_taken_one_by_one(predictor: EmotionPredictor) -> None:
    with_face, without = predictor.predict_each([ASTRONAUT, plain(RED)])
    assert with_face.frame.name == str(ASTRONAUT)
    assert with_face.faces[0].emotion == "happy"
    assert with_face.to_dict() == predictor.predict_single(ASTRONAUT)
    assert (without.status, without.faces) == ("no_face", ())


def test_an_iterator_is_read_in_pieces(predictor: EmotionPredictor) -> None:
    taken = []

    def crops() -> Iterator[np.ndarray]:
        for number in range(100):
            taken.append(number)
            yield np.full((20, 20), number, np.uint8)

    results = predictor.predict_each(crops(), detect=False, batch_size=4)
    next(results)
    assert len(taken) < 50
    assert len(list(results)) == 99


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


def test_nothing_in_nothing_out(predictor: EmotionPredictor) -> None:
    assert predictor.predict_batch([]) == []


def test_features_without_a_face_are_nan_and_no_row_is_lost(predictor: EmotionPredictor, tmp_path: Path) -> None:
    images = [ASTRONAUT, np.zeros((60, 60, 3), np.uint8), tmp_path / "missing.png", ASTRONAUT]
    features = predictor.embed(images, batch_size=2)
    assert features.dtype == np.float32
    assert np.isnan(features).all(axis=1).tolist() == [False, True, True, False]
    assert np.array_equal(features[0], features[3])
    assert predictor.embed([]).shape == (0, features.shape[1])
    assert np.isfinite(predictor.embed(images[:2], detect=False)).all()
    with pytest.raises(TypeError, match="takes a list"):
        predictor.embed(ASTRONAUT)


def test_features_that_a_file_does_not_give(predictor: EmotionPredictor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predictor.pipeline.classifier._engine, "_outputs", ["logits"])
    with pytest.raises(CheckpointError, match=r"model\.onnx has no output features; .*run cmaen export again"):
        predictor.embed([ASTRONAUT])


@pytest.mark.parametrize("kind", SINGLE)
def test_one_image_where_a_list_is_meant_is_refused_and_never_iterated(kind: str, predictor: EmotionPredictor) -> None:
    for method in (predictor.predict_batch, predictor.predict_each, predictor.embed):
        with pytest.raises(TypeError, match="list of images, not a single"):
            method(SINGLE[kind], detect=False)


def test_a_picture_of_pillow_that_decodes_late_costs_none_of_the_others(predictor: EmotionPredictor) -> None:
    data = ASTRONAUT.read_bytes()
    late = Image.open(io.BytesIO(data[: len(data) // 2]))
    results = predictor.predict_batch([ASTRONAUT, late, io.BytesIO(data), bytearray(data)])
    assert [result["status"] for result in results] == ["ok", "error", "ok", "ok"]
    assert results[1]["error"].startswith("TruncatedImageError: the PIL image is cut short")


def test_pictures_that_cannot_even_say_their_names_cost_none_of_the_others(predictor: EmotionPredictor) -> None:
    class Odd:
        def __fspath__(self) -> str:
            raise RuntimeError("odd")

    face = np.zeros((48, 48), np.uint8)
    answers = predictor.predict_batch([face, Odd(), "\ud800.png", face], detect=False)
    assert [answer["status"] for answer in answers] == ["ok", "error", "error", "ok"]
    assert "odd" in answers[1]["error"]


def test_what_was_found_before_an_iterator_fails_is_given(predictor: EmotionPredictor) -> None:
    def pictures() -> Iterator[np.ndarray]:
        yield np.zeros((48, 48), np.uint8)
        yield np.zeros((48, 48), np.uint8)
        raise RuntimeError("the disk is gone")

    results = predictor.predict_each(pictures(), detect=False)
    assert [next(results).status, next(results).status] == ["ok", "ok"]
    with pytest.raises(RuntimeError, match="the disk is gone"):
        next(results)


def test_a_folder_is_all_of_its_images(predictor: EmotionPredictor, tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    for name in ("b.png", "below/a.png"):
        shutil.copy(ASTRONAUT, tmp_path / name)
    (tmp_path / "notes.txt").write_text("text")
    for folder in (tmp_path, str(tmp_path)):
        answers = predictor.predict_batch(folder)
        assert [Path(answer.path).name for answer in answers] == ["b.png", "a.png"]
        assert [result.status for result in predictor.predict_each(folder)] == ["ok", "ok"]
    assert predictor.embed(tmp_path).shape[0] == 2
    (tmp_path / "empty").mkdir()
    with pytest.raises(CmaenError, match="contains no images"):
        predictor.predict_batch(tmp_path / "empty")
    for nothing in ("", "no such folder", str(tmp_path / "b.png"), "x" * 5000, "a\0b"):
        with pytest.raises(TypeError, match="or the path of a folder"):
            predictor.predict_batch(nothing)
