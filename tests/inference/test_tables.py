from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cmaen import EMOTIONS, EmotionPredictor, annotate, to_arrow, to_pandas
from cmaen.errors import MissingExtraError, ResultError
from cmaen.images.reader import read_image
from cmaen.inference.frames import AnalysedFrame
from cmaen.inference.sinks.records import COLUMNS, RecordSink
from cmaen.results import Answer, Face, Result
from cmaen.types import FaceBox, Frame
from tests.conftest import EXAMPLES

ASTRONAUT = EXAMPLES / "astronaut.png"
SAD = (0.1, 0.0, 0.1, 0.1, 0.1, 0.5, 0.1)
FACE = Face(SAD, FaceBox(1, 2, 30, 40))
RESULTS = [
    Result(Frame(0, "two.png"), (FACE, Face(SAD[::-1], FaceBox(5, 6, 7, 8)))),
    Result(Frame(1, "none.png")),
    Result(Frame(2, "bad.png"), error="TruncatedImageError: it is cut short"),
    Result(Frame(7, "film.mp4", time=0.28), (Face(SAD, FaceBox(1, 2, 30, 40), identity=3),)),
]


def test_arrow_has_the_rows_of_parquet(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    table = to_arrow(RESULTS)
    assert table.column("image").to_pylist() == [0, 0, 1, 2, 3]
    sink = RecordSink(tmp_path / "results.parquet")
    for result in RESULTS:
        sink.write(result, None)
    sink.finish()
    assert table.drop_columns("image").equals(parquet.read_table(tmp_path / "results.parquet"))


def test_pandas_has_the_same() -> None:
    pandas = pytest.importorskip("pandas")
    frame = to_pandas(RESULTS)
    assert list(frame.columns) == ["image", *COLUMNS, *EMOTIONS]
    assert list(frame["predicted_emotion"][[0, 1, 4]]) == ["sad", "disgust", "sad"]
    assert frame["confidence"][0] == frame["sad"][0] == 0.5
    assert (frame["identity"][4], frame["frame"][4], frame["image"].dtype) == (3, 7, "Int64")
    assert frame["happy"].dtype == "float64"
    assert pandas.isna(frame.loc[2, ["error", "face", "x", "sad"]]).all()
    assert frame["error"][3].startswith("TruncatedImageError")


def test_plain_dicts_other_labels_and_none_at_all() -> None:
    pytest.importorskip("pandas")
    own = Face((0.25, 0.75), FaceBox(0, 0, 8, 8), classes=("pain", "no pain"))
    frame = to_pandas([Result(Frame(0, "a"), (own,)).to_dict(), Result(Frame(1)).to_dict()])
    assert list(frame.columns[-2:]) == ["pain", "no pain"]
    assert frame["predicted_emotion"][0] == "no pain"
    assert frame["path"][0] == "a"
    assert frame["path"].isna()[1]  # of a picture in memory
    assert list(to_pandas([]).columns) == ["image", *COLUMNS, *EMOTIONS]
    assert list(to_pandas([], ["one", "two"]).columns[-2:]) == ["one", "two"]


def test_whatever_the_predictor_gives_has_its_rows_and_its_path() -> None:
    pytest.importorskip("pandas")
    predictor = EmotionPredictor(threads=1)
    (face,) = predictor.predict_faces(ASTRONAUT)
    result = predictor.predict(ASTRONAUT)
    one_row = [
        result,
        [result],
        result.faces,
        result.faces[0],
        result.to_dict(),
        result.to_record(),
        predictor.predict_single(ASTRONAUT),
        predictor.predict_batch([ASTRONAUT]),
        predictor.predict_each([ASTRONAUT]),
        [face],
        face,
        dict(face),
        AnalysedFrame(3, 0.12, read_image(ASTRONAUT), [dict(face)]),
    ]
    for answers in one_row:
        frame = to_pandas(answers)
        assert len(frame) == 1
        assert frame["happy"][0] == pytest.approx(face["probabilities"]["happy"], abs=1e-4)
        assert (frame["image"][0], frame["face"][0], frame["status"][0]) == (0, 1, "ok")
    for answers in (one_row[0], *one_row[4:8], one_row[9]):
        assert to_pandas(answers)["path"][0] == str(ASTRONAUT)
    assert to_pandas(one_row[-1])["frame"][0] == 3


def test_faces_of_one_picture_stand_together() -> None:
    pytest.importorskip("pandas")
    one, two = (Answer(FACE.to_dict(), path) for path in ("one.png", "two.png"))
    frame = to_pandas([one, one, two, RESULTS[1], one])
    assert list(frame["image"]) == [0, 0, 1, 2, 3]
    assert list(frame["face"][[0, 1, 2, 4]]) == [1, 2, 1, 1]
    assert list(frame["path"]) == ["one.png", "one.png", "two.png", "none.png", "one.png"]
    assert list(to_pandas([FACE, FACE])["image"]) == [0, 0]


NONSENSE: list[Any] = [
    None,
    3,
    "photo.jpg",
    b"photo",
    FaceBox(0, 0, 1, 1),
    [FaceBox(0, 0, 1, 1)],
    [None],
    [RESULTS[0], "photo.jpg"],
    [("happy", 0.9)],
    {},
    {"box": [0, 0, 1, 1]},
    {"faces": 3},
    {"faces": "faces"},
    {"faces": [3]},
    {"faces": [{"box": [0, 0, 1, 1]}]},
    np.zeros((3, 3)),
]


@pytest.mark.parametrize("number", range(len(NONSENSE)))
def test_what_is_no_result_is_named(number: int) -> None:
    pytest.importorskip("pandas")
    for take in (to_pandas, lambda answers: annotate(np.zeros((9, 9, 3), np.uint8), answers)):
        with pytest.raises(ResultError) as caught:
            take(NONSENSE[number])
        assert isinstance(caught.value, TypeError)
        assert "; pass " in str(caught.value)


@pytest.mark.parametrize(("function", "package"), [(to_pandas, "pandas"), (to_arrow, "pyarrow")])
def test_the_extra_is_named(function, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=r"cmaen\[tables\]"):
        function(RESULTS)
