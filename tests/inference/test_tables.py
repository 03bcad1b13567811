from __future__ import annotations

import sys
from pathlib import Path

import pytest

from cmaen import EMOTIONS, to_arrow, to_pandas
from cmaen.errors import MissingExtraError
from cmaen.inference.sinks.records import COLUMNS, RecordSink
from cmaen.types import FaceBox, FaceEmotion, Frame, Result

SAD = (0.1, 0.0, 0.1, 0.1, 0.1, 0.5, 0.1)
FACE = FaceEmotion(SAD, FaceBox(1, 2, 30, 40))
RESULTS = [
    Result(Frame(0, "two.png"), (FACE, FaceEmotion(SAD[::-1], FaceBox(5, 6, 7, 8)))),
    Result(Frame(1, "none.png")),
    Result(Frame(2, "bad.png"), error="TruncatedImageError: it is cut short"),
    Result(Frame(7, "film.mp4", time=0.28), (FaceEmotion(SAD, FaceBox(1, 2, 30, 40), identity=3),)),
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
    own = FaceEmotion((0.25, 0.75), FaceBox(0, 0, 8, 8), classes=("pain", "no pain"))
    frame = to_pandas([Result(Frame(0, "a"), (own,)).as_dict(), Result(Frame(1)).as_dict()])
    assert list(frame.columns[-2:]) == ["pain", "no pain"]
    assert frame["predicted_emotion"][0] == "no pain"
    assert frame["path"].isna().all()  # which predict_batch does not say
    assert list(to_pandas([]).columns) == ["image", *COLUMNS, *EMOTIONS]
    assert list(to_pandas([], ["one", "two"]).columns[-2:]) == ["one", "two"]
    with pytest.raises(TypeError, match="list"):
        to_pandas(RESULTS[0].as_dict())


@pytest.mark.parametrize(("function", "package"), [(to_pandas, "pandas"), (to_arrow, "pyarrow")])
def test_the_extra_is_named(function, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=r"cmaen\[tables\]"):
        function(RESULTS)
