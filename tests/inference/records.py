"""Results of pictures and of a video, and the files that hold them."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest

from cmaen.inference.sinks.records import RecordSink
from cmaen.results import Face, Result
from cmaen.types import FaceBox, Frame

SAD = (0.05, 0.05, 0.1, 0.1, 0.1, 0.5, 0.1)
FACE = Face(SAD, FaceBox(1.04, 2, 30, 40, landmarks=((1, 2), (3, 4), (5, 6), (7, 8), (9, 10))))
PICTURES = [
    Result(Frame(0, "a.png"), (FACE,)),
    Result(Frame(1, 'b, "b"\n.png')),
    Result(Frame(2, "ç.png"), (FACE, FACE)),
    Result(Frame(3, "d.png"), error="EmptyImageError: d.png is empty"),
]
FRAMES = [
    Result(Frame(0, "film.mp4", time=0.0), (replace(FACE, identity=1), replace(FACE, identity=2))),
    Result(Frame(1, "film.mp4", time=1 / 3)),
    Result(Frame(2, "film.mp4", time=2 / 3), (replace(FACE, identity=2),)),
]


def write(sink: RecordSink, results: list[Result]) -> None:
    for result in results:
        sink.write(result, None)


def written(path: Path, results: list[Result], **options: object) -> Path:
    sink = RecordSink(path, **options)
    try:
        write(sink, results)
        sink.finish()
    finally:
        sink.close()
    return path


def read(path: Path) -> list[dict[str, object]]:
    """What a file holds; its rows, with ``None`` where there is nothing, of CSV and Parquet."""
    if path.suffix == ".json":
        return json.loads(path.read_text(encoding="utf-8"))
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    if path.suffix == ".parquet":
        parquet = pytest.importorskip("pyarrow.parquet")
        return parquet.read_table(path).to_pylist()
    with path.open(newline="", encoding="utf-8") as file:
        return [{key: value or None for key, value in row.items()} for row in csv.DictReader(file)]
