"""The notebooks run to their ends, and are stored with what they put out (``python examples/run_notebooks.py``)."""

from __future__ import annotations

import json
import os
import runpy
import shlex
import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from tests.conftest import EXAMPLES
from tests.test_cli import cmaen

ROOT = Path(__file__).parents[1]
IN_THIS_PROCESS = f"""
import sys
sys.path.append({str(ROOT)!r})
from tests.test_notebook import run_commands_here
run_commands_here()
"""
"""What makes a notebook run its commands in its own process: PyTorch is imported once instead of by each of them."""
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))
MOST_BYTES = 300_000


def run_commands_here() -> None:
    """In a notebook: run the cells of Bash in this process, where each line is ``cmaen`` or ``python`` with a file."""
    from IPython import get_ipython

    def bash(_: str, cell: str) -> None:
        for line in cell.strip().splitlines():
            program, *arguments = shlex.split(os.path.expandvars(line))
            if program == "cmaen":
                print(cmaen(*arguments))
            else:
                assert program == "python", line
                with patch.object(sys, "argv", arguments):
                    runpy.run_path(arguments[0], run_name="__main__")

    get_ipython().register_magic_function(bash, "cell")


def run(path: Path, **first: str) -> list[Any]:
    """The code cells of a notebook that was run, the first of which may be another."""
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    notebook = nbformat.read(path, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    cells[0].source = first.get("source", cells[0].source)
    nbclient.NotebookClient(notebook, timeout=3000, resources={"metadata": {"path": str(EXAMPLES)}}).execute()
    return cells


def shown(cells: list[Any], kind: str) -> list[str]:
    """What cells show of a kind, like ``image/png``."""
    outputs = (output for cell in cells for output in cell.outputs)
    return ["".join(output["data"][kind]) for output in outputs if kind in output.get("data", {})]


def test_the_notebook_of_own_faces_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    _, *cells = run(EXAMPLES / "own_faces.ipynb", source=f"FACES, EPOCHS = 36, 1{IN_THIS_PROCESS}")
    printed = " ".join(said(cells).split())
    assert "labels negative, neutral, positive in place of" in printed
    assert "best checkpoint: " in printed
    assert "accuracy" in printed
    assert "Traceback" not in printed
    assert len(shown(cells, "image/jpeg")) == 3


def test_the_first_look_runs_and_shows_itself() -> None:
    pytest.importorskip("pandas")
    cells = run(EXAMPLES / "first_look.ipynb")
    assert len(shown(cells, "image/png")) == 2  # the photograph and the face
    assert len(shown(cells, "image/jpeg")) == 1  # the map
    _predictor, table, frame = shown(cells, "text/html")
    for word in ("dark", "blurred", "small"):
        assert f"({word})" in table
    assert "predicted_emotion" in frame


def said(cells: list[Any]) -> str:
    """Return what cells print."""
    return "".join(output.get("text", "") for cell in cells for output in cell.outputs)


def test_photos_become_a_chart_and_features() -> None:
    pytest.importorskip("pandas")
    cells = run(EXAMPLES / "photos.ipynb")
    assert "5 images, 4 faces, 0 errors" in said(cells)
    assert len(shown(cells, "image/png")) == 1  # the chart
    assert "no_face" in shown(cells, "text/html")[0]
    assert "of 60 are right" in said(cells)


def test_an_interview_becomes_a_row_for_each_person() -> None:
    pytest.importorskip("pandas")
    pytest.importorskip("av")
    cells = run(EXAMPLES / "interview.ipynb", source="SECONDS, RATE = 3, 5")
    assert "AnalysedVideo(15 frames, 2.8 s, people: 3)" in said(cells)
    assert len(shown(cells, "image/png")) == 2  # the timeline and the least sure moment
    assert shown(cells, "text/html")[-1].count("<tr>") >= 3


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_stored_with_their_outputs(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert sum(bool(cell["outputs"]) for cell in cells) >= len(cells) / 2
    assert any("data" in output for output in outputs)
    assert not any(output["output_type"] == "error" for output in outputs)
    assert len(text) < MOST_BYTES
    for leak in (str(Path.home()), str(EXAMPLES.parent), "/home/", "/Users/", "\\u001b["):
        assert leak not in text


def test_there_are_notebooks() -> None:
    assert {"own_faces", "first_look", "photos", "interview"} <= {path.stem for path in NOTEBOOKS}
