from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cmaen import EmotionPredictor
from cmaen.errors import OutputError
from cmaen.inference.sinks.crops import CropSink
from cmaen.preprocessing import CropSpec
from cmaen.results import Result
from cmaen.types import FaceBox, Frame
from tests.conftest import EXAMPLES
from tests.inference.records import FACE
from tests.test_cli import cmaen


def test_faces_are_cut_out_as_prediction_does(tmp_path: Path) -> None:
    photos, faces = tmp_path / "photos", tmp_path / "faces"
    (photos / "happy").mkdir(parents=True)
    shutil.copy(EXAMPLES / "astronaut.png", photos / "happy" / "one.png")
    with Image.open(EXAMPLES / "astronaut.png") as photo:
        pair = Image.new("RGB", (2 * photo.width, photo.height))
        pair.paste(photo.resize((photo.width // 2, photo.height // 2)), (0, 0))
        pair.paste(photo, (photo.width, 0))
        pair.save(photos / "happy" / "two.jpg")
        Image.new("RGB", (90, 90)).save(photos / "nobody.png")
    (photos / "broken.png").write_bytes(b"nothing")
    said = cmaen("crop", "--input-dir", photos, "--output-dir", faces)
    assert "broken.png" in said
    written = sorted(path.relative_to(faces).as_posix() for path in faces.rglob("*") if path.is_file())
    assert written == ["happy/one.png", "happy/two.png"]
    crop = np.asarray(Image.open(faces / "happy" / "one.png"))
    predictor = EmotionPredictor()
    whole = predictor.predict_single(str(EXAMPLES / "astronaut.png"))
    assert predictor.predict_single(crop, detect=False)["probabilities"] == pytest.approx(whole["probabilities"])
    cmaen("crop", "--input-dir", photos, "--output-dir", faces, "--every", "--detector-side", 1000)
    assert (faces / "happy" / "two-1.png").is_file()


@pytest.mark.parametrize("every", [False, True])
def test_every_face_gets_a_file_of_its_own(every: bool, tmp_path: Path) -> None:
    photos, pixels = tmp_path / "photos", np.zeros((40, 40, 3), np.uint8)
    names = ("a.jpg", "a.png", "a.webp", "A.JPG", "a-1.png", "sub/a", "sub/a.b.c", "sub/a.b", "caf\\xe9.png", "x" * 250)
    sink = CropSink(tmp_path / "faces", root=photos, spec=CropSpec(), every=every)
    faces = (replace(FACE, box=FaceBox(5, 5, 20, 20)),) * 2
    for index, name in enumerate(names):
        sink.write(Result(Frame(index, str(photos / name), pixels), faces), None)
    sink.finish()
    sink.close()
    written = [path.relative_to(tmp_path / "faces") for path in (tmp_path / "faces").rglob("*") if path.is_file()]
    assert len({str(path).lower() for path in written}) == len(names) * (2 if every else 1)
    assert {"a.png", "sub/a.png", "sub/a.b.png"} <= {path.as_posix() for path in written}


def test_photographs_are_never_written_over(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="choose another folder"):
        CropSink(tmp_path, root=tmp_path / ".", spec=CropSpec())
