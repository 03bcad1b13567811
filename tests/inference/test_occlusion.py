"""Maps by covering the face: where it matters, how it is scaled, and that no PyTorch is needed."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from cmaen import EmotionPredictor
from cmaen.errors import CmaenError, MissingExtraError, NoFaceError, OutputError
from cmaen.images.reader import read_image
from cmaen.inference import explaining
from cmaen.inference.explaining import ExplainedFace, ExplainedPicture, explain_crops
from cmaen.inference.occlusion import GRID, cover, map_occlusions, measure_log_odds, spread_falls
from cmaen.preprocessing import PreprocessSpec
from cmaen.results import Face
from cmaen.types import EMOTIONS, FaceBox
from tests.conftest import EXAMPLES

ASTRONAUT = EXAMPLES / "astronaut.png"
SIDE = 36


class Corner:
    """A classifier that says happy where the upper left quarter is bright, and is never asked for anything else."""

    sharpening = 1.0
    spec = PreprocessSpec(image_size=SIDE, source_size=None)

    def inputs(self, crops: Any) -> np.ndarray:
        return self.spec(crops)

    def probabilities(self, inputs: np.ndarray) -> np.ndarray:
        bright = inputs[:, :, : SIDE // 2, : SIDE // 2].mean(axis=(1, 2, 3))
        happy = 1 / (1 + np.exp(-3 * bright.astype(np.float64)))
        return np.stack([happy if name == "happy" else (1 - happy) / 6 for name in EMOTIONS], axis=1)


def bright_corner() -> np.ndarray:
    crop = np.zeros((SIDE, SIDE, 3), np.uint8)
    crop[: SIDE // 2, : SIDE // 2] = 255
    return crop


@pytest.fixture(scope="module")
def predictor() -> EmotionPredictor:
    return EmotionPredictor(threads=1)


def test_the_map_points_at_what_the_answer_needs() -> None:
    (found,) = map_occlusions([bright_corner()], Corner())
    assert EMOTIONS[found.answer] == "happy"
    assert (found.falls.shape, found.heat.shape, found.heat.dtype) == ((GRID, GRID), (SIDE, SIDE), np.float32)
    assert found.heat.max() == pytest.approx(1)
    assert found.heat.min() >= 0
    assert found.heat[: SIDE // 2, : SIDE // 2].mean() > 10 * found.heat[SIDE // 2 + 4 :, SIDE // 2 + 4 :].mean()
    (row,) = Corner().probabilities(Corner().inputs([bright_corner()]))
    assert 0.5 < found.lowest < row.max() - 0.001


def test_several_faces_have_the_maps_that_each_has_alone() -> None:
    crops = [bright_corner(), bright_corner()[::-1].copy(), np.full((5, 9), 200, np.uint8)]
    together = map_occlusions(crops, Corner())
    for crop, found in zip(crops, together, strict=True):
        (alone,) = map_occlusions([crop], Corner())
        assert np.array_equal(alone.heat, found.heat)
    assert map_occlusions([], Corner()) == []


def test_an_answer_that_depends_on_nothing_has_a_cold_map() -> None:
    (found,) = map_occlusions([np.full((20, 20, 3), 128, np.uint8)], Corner())
    assert found.heat.max() < 0.01
    little = np.zeros((GRID, GRID))
    little[4, 4] = 0.05
    assert 0 < spread_falls(little, 20).max() < 0.3
    assert spread_falls(100 * little, 20).max() == pytest.approx(1)
    assert not spread_falls(-little, 20).any()


def test_the_patch_is_grey_in_its_middle_and_leaves_the_rest() -> None:
    face = np.random.default_rng(0).normal(size=(3, SIDE, SIDE)).astype(np.float32)
    covered = cover(face)
    assert (covered.shape, covered.dtype) == ((GRID**2, 3, SIDE, SIDE), np.float32)
    middle = covered[GRID**2 // 2]
    centre = middle[:, SIDE // 2 - 1 : SIDE // 2 + 1, SIDE // 2 - 1 : SIDE // 2 + 1]
    assert np.allclose(centre, face.mean(axis=(1, 2), keepdims=True), atol=0.15)
    assert np.allclose(middle[:, 0, 0], face[:, 0, 0], atol=1e-4)
    assert np.abs(covered[0][:, 0, 0] - face.mean(axis=(1, 2))).max() < np.abs(face[:, 0, 0]).max()


def test_log_odds_of_certainty_are_finite() -> None:
    odds = measure_log_odds(np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]]), 0)
    assert np.isfinite(odds).all()
    assert odds[2] == 0


def test_every_face_of_a_picture_is_explained(predictor: EmotionPredictor) -> None:
    photo = read_image(ASTRONAUT)[:302, 60:382]
    explained = predictor.explain(np.concatenate([photo, photo[:, ::-1]], axis=1))
    side = predictor.card.preprocess.image_size
    assert (explained.kind, len(explained.faces)) == ("occlusion", 2)
    for one in explained.faces:
        assert one.face.emotion == "happy"
        assert one.heat.shape == (side, side)
        lower, upper = one.heat[side // 2 :, side // 5 : -side // 5], one.heat[: side // 2]
        assert lower.mean() > 1.5 * upper.mean()  # a smile
    sheet = np.asarray(explained.plot())
    assert sheet.shape[1] > 2 * 320
    assert explained._repr_jpeg_().startswith(b"\xff\xd8")
    assert len(repr(explained)) < 80
    whole = predictor.explain(photo, detect=False)
    assert whole.faces[0].crop.shape == photo.shape


def test_a_map_is_saved_or_said_not_to_be(predictor: EmotionPredictor, tmp_path) -> None:
    heat = np.zeros((9, 9), np.float32)
    face = Face((0.2, 0.8), FaceBox(0, 0, 5, 5), classes=("a\nb\x1b", "c" * 90))
    explained = ExplainedPicture((ExplainedFace(face, np.zeros((5, 5, 3), np.uint8), heat),), "emotion_head")
    explained.save(tmp_path / "map.png")
    assert read_image(tmp_path / "map.png").shape[1] >= 320
    with pytest.raises(OutputError, match="not that of an image format"):
        explained.save(tmp_path / "map.docx")
    assert [path.name for path in tmp_path.iterdir()] == ["map.png"]


def test_what_cannot_be_explained_is_said(predictor: EmotionPredictor, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NoFaceError, match="detect=False"):
        predictor.explain(np.zeros((60, 60, 3), np.uint8))
    with pytest.raises(CmaenError, match="does not exist"):
        predictor.explain("nothing.png")
    monkeypatch.setitem(sys.modules, "cmaen.explanation", None)
    with pytest.raises(MissingExtraError, match=r"\[report\]"):
        predictor.explain(ASTRONAUT, kind="gradient")
    assert predictor.explain(ASTRONAUT).faces  # which needs none of it


def test_maps_of_research_are_of_every_face(predictor: EmotionPredictor) -> None:
    pytest.importorskip("captum")
    faces = predictor.predict(ASTRONAUT).faces
    crops = [face.crop for face in faces]
    gradient = explain_crops(crops, faces, predictor.pipeline.classifier, kind="gradient")
    assert gradient.faces[0].lowest is None
    assert gradient.plot().width > 320
    with pytest.raises(CmaenError, match="'occlusion'"):
        explain_crops(crops, faces, predictor.pipeline.classifier, kind="astrology")
    assert explaining.OCCLUSION == "occlusion"


def test_explaining_imports_no_pytorch() -> None:
    code = (
        "import sys, numpy as np; from cmaen import EmotionPredictor; "
        "EmotionPredictor(threads=1).explain(np.full((50, 50, 3), 90, np.uint8), detect=False).plot(); "
        "print('torch' in sys.modules, 'matplotlib' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "False False"
