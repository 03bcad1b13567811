"""Videos as the predictor gives them: as a whole, and their frames, each of which shows and tabulates itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("av")
pytest.importorskip("pandas")

from cmaen import EmotionPredictor
from cmaen.errors import MissingExtraError, VideoError
from cmaen.images.reader import read_image
from cmaen.inference.frames import AnalysedFrame
from tests.conftest import EXAMPLES
from tests.inference.films import write

ASTRONAUT = EXAMPLES / "astronaut.png"


@pytest.fixture(scope="module")
def predictor() -> EmotionPredictor:
    return EmotionPredictor(threads=1)


def test_a_video_as_a_whole_shows_and_tabulates_itself(predictor: EmotionPredictor, tmp_path: Path) -> None:
    photo = read_image(ASTRONAUT)[:302, 60:382]
    write(tmp_path / "film.mp4", [photo] * 6, rate=10)
    try:
        film = predictor.predict_video(tmp_path / "film.mp4", smoothing=0)
    except MissingExtraError:
        pytest.skip("what draws the lanes is not installed")
    recording = film.to_recording()
    assert recording.times.tolist() == [result.to_record()["time"] for result in film.results]
    assert sum(map(len, recording.people.values())) == sum(len(result.faces) for result in film.results) > 0
    assert repr(film).startswith("AnalysedVideo(6 frames, 0.5 s")
    assert film.people == 1
    assert all(result.image is None for result in film.results)
    assert list(film.to_pandas()["frame"]) == list(range(6))
    assert film._repr_png_().startswith(b"\x89PNG")
    assert film.plot().width > 300
    assert len(predictor.predict_video(tmp_path / "film.mp4", every_frame=2).results) == 3
    assert len(predictor.predict_video(tmp_path / "film.mp4", every=0.2).results) == 3
    with pytest.warns(FutureWarning, match="use every_frame=2"):
        assert len(predictor.predict_video(tmp_path / "film.mp4", every=2).results) == 1
    with pytest.raises(VideoError, match="film"):
        predictor.predict_video(tmp_path / "no film.mp4")


def test_a_frame_shows_and_tabulates_itself(predictor: EmotionPredictor) -> None:
    photo = read_image(ASTRONAUT)
    frame = AnalysedFrame(3, 0.12, photo, predictor.predict_faces(ASTRONAUT))
    assert frame._repr_png_().startswith(b"\x89PNG")
    assert (np.asarray(frame.plot()) != photo).any()
    assert list(frame.to_pandas()["frame"]) == [3]
