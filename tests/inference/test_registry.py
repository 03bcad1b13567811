from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import cmaen.inference
from cmaen.errors import CmaenError, DetectorError, MissingExtraError
from cmaen.inference.detectors import DETECTORS, build_detector
from cmaen.inference.registry import Entry, load
from cmaen.inference.sinks import SINKS, open_sink
from cmaen.inference.sources import SOURCES, open_source

TABLES = {"sources": SOURCES, "detectors": DETECTORS, "sinks": SINKS}
ENTRIES = [(room, kind) for room, table in TABLES.items() for kind in table]
ROOMS = Path(cmaen.inference.__file__).parent


@pytest.mark.parametrize(("room", "kind"), ENTRIES)
def test_every_entry_is_where_its_table_says(room: str, kind: str) -> None:
    module, _, name = TABLES[room][kind].home.partition(":")
    assert module.startswith(f"cmaen.inference.{room}.")
    path = ROOMS / room / f"{module.rpartition('.')[2]}.py"
    assert name in {node.name for node in ast.parse(path.read_text("utf-8")).body if isinstance(node, ast.ClassDef)}


@pytest.mark.parametrize("room", TABLES)
def test_children_import_from_the_base_and_never_from_what_loads_them(room: str) -> None:
    for path in (ROOMS / room).glob("*.py"):
        if path.name == "__init__.py":
            continue
        imported = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.ImportFrom)]
        assert f"cmaen.inference.{room}" not in {node.module for node in imported}, path


@pytest.mark.parametrize("room", TABLES)
def test_a_table_is_read_without_what_its_entries_need(room: str) -> None:
    code = (
        f"import sys, cmaen.inference.{room}; print({{'av', 'matplotlib', 'onnxruntime', 'fsspec'}} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "set()"


def test_what_is_not_there_is_named_with_what_is() -> None:
    with pytest.raises(DetectorError, match=r"'eyes' is not a face detector; choose from \['centerface', 'yunet'\]"):
        build_detector("eyes")
    with pytest.raises(CmaenError, match=r"'fax' is not a source; choose from \['address', 'camera', "):
        open_source("fax", "x")
    with pytest.raises(CmaenError, match=r"'fax' is not a sink; choose from \['chart', 'crops', "):
        open_sink("fax", "x")


def test_what_is_not_installed_is_advised_and_a_fault_of_our_own_is_not_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "needs_more.py").write_text("import no_such_package\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(MissingExtraError, match=r"the sink odd needs .*cmaen\[video\]"):
        load({"odd": Entry("needs_more:Odd", "video")}, "odd", "a sink")
    with pytest.raises(MissingExtraError, match=r"reading tea leaves needs "):
        load({"odd": Entry("needs_more:Odd", "video", "reading tea leaves")}, "odd", "a sink")
    with pytest.raises(ModuleNotFoundError, match="no_such_package"):
        load({"odd": Entry("needs_more:Odd")}, "odd", "a sink")
