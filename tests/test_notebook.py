"""The notebooks run to their ends, and are stored with what they put out (``python examples/run_notebooks.py``)."""

from __future__ import annotations

import json
import runpy
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from string import Template
from typing import Any
from unittest.mock import patch

import pytest

from cmaen.checkpoints import Checkpoint
from tests.conftest import EXAMPLES
from tests.test_cli import cmaen

BASH = "%%bash\n"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))
MOST_BYTES = 300_000


def run_here(cell: str, environment: dict[str, str]) -> str:
    """Run a cell of Bash in this process, where each line is ``cmaen`` or ``python`` with a file; return its output."""
    printed = []
    for line in cell.removeprefix(BASH).splitlines():
        program, *arguments = shlex.split(Template(line).substitute(environment))
        arguments = [environment["SHIPPED"] if word == "shipped" else word for word in arguments]
        if program == "cmaen":
            printed.append(cmaen(*arguments))
        else:
            assert program == "python", line
            with patch.object(sys, "argv", arguments):
                runpy.run_path(str(EXAMPLES / arguments[0]), run_name="__main__")
    return "\n".join(printed)


def run(path: Path, *, shipped: Path | None = None, **first: str) -> list[Any]:
    """Run a notebook; return its code cells.

    Args:
        path: The notebook.
        shipped: The checkpoint that stands in for the shipped one. If it is given, this process runs the cells of
            Bash, because it has imported PyTorch already.
        first: ``source``: what the first code cell is instead.
    """
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    notebook = nbformat.read(path, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    cells[0].source = first.get("source", cells[0].source)
    client = nbclient.NotebookClient(notebook, timeout=3000, resources={"metadata": {"path": str(EXAMPLES)}})
    if shipped is None:
        client.execute()
        return cells
    with client.setup_kernel():
        for number, cell in enumerate(notebook.cells):
            if cell.cell_type == "code" and cell.source.startswith(BASH):
                asked = nbformat.v4.new_code_cell("import json, os; print(json.dumps(dict(os.environ)))")
                environment = json.loads(client.execute_cell(asked, number).outputs[0].text)
                text = run_here(cell.source, environment | {"SHIPPED": str(shipped)})
                cell.outputs = [nbformat.v4.new_output("stream", text=text)]
            else:
                client.execute_cell(cell, number)
    return cells


def shown(cells: list[Any], kind: str) -> list[str]:
    """What cells show of a kind, like ``image/png``."""
    outputs = (output for cell in cells for output in cell.outputs)
    return ["".join(output["data"][kind]) for output in outputs if kind in output.get("data", {})]


def write_narrow(folder: Path) -> Path:
    """Write an untrained network with every part of the shipped one, but with few channels, and for small faces."""
    pytest.importorskip("torch")
    from cmaen.models.build import build_network
    from cmaen.models.checkpoint import save_checkpoint
    from cmaen.models.spec import ModelSpec

    card = Checkpoint.open().card
    widths = {"fused_channels": 16, "attention_heads": 2, "pyramid_channels": 8, "hidden": 16}
    spec = ModelSpec.from_card(card.architecture).model_copy(update=widths)
    assert len(card.schemes) == 2
    network = build_network(spec, perceived=card.outputs["perceived"])
    preprocess = replace(card.preprocess, image_size=64)
    save_checkpoint(network, replace(card, architecture=spec.model_dump(), preprocess=preprocess), folder)
    return folder


def test_the_notebook_of_own_faces_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    narrow = write_narrow(tmp_path / "narrow")
    _, *cells = run(EXAMPLES / "own_faces.ipynb", shipped=narrow, source="FACES, EPOCHS = 36, 1")
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
