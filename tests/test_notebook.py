from __future__ import annotations

from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

from tests.conftest import EXAMPLES  # noqa: E402


def test_the_notebook_runs_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    notebook = nbformat.read(EXAMPLES / "own_faces.ipynb", as_version=4)
    given, *cells = (cell for cell in notebook.cells if cell.cell_type == "code")
    given.source = "FACES, EPOCHS = 90, 1"
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(EXAMPLES)}}).execute()
    said = " ".join("".join(output.get("text", "") for cell in cells for output in cell.outputs).split())
    assert "labels negative, neutral, positive in place of" in said
    assert "best checkpoint: " in said
    assert "accuracy" in said
    assert "Traceback" not in said
    pictures = [output for cell in cells for output in cell.outputs if "image/png" in output.get("data", {})]
    assert len(pictures) == 3
