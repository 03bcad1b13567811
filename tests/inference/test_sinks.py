from __future__ import annotations

import sys
from pathlib import Path

import pytest

from cmaen.errors import MissingExtraError
from cmaen.inference.registry import load
from cmaen.inference.sinks import SINKS, Needs, open_sink
from cmaen.inference.sinks.records import RecordSink


def test_what_a_format_needs_is_advised_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"cmaen\[scale\]"):
        RecordSink(tmp_path / "results.parquet")
    monkeypatch.setitem(sys.modules, "cmaen.inference.sinks.video", None)
    with pytest.raises(MissingExtraError, match="the sink video needs"):
        open_sink("video", tmp_path / "film.mp4")


@pytest.mark.parametrize("kind", [kind for kind in SINKS if kind != "window"])
def test_every_kind_of_sink_has_its_class(kind: str) -> None:
    if kind == "video":
        pytest.importorskip("av")
    sink = load(SINKS, kind, "a sink")
    assert SINKS[kind].home.endswith(f":{sink.__name__}")
    assert sink.needs in Needs
