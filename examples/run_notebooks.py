"""Run the notebooks of this folder again and keep what they put out, so that they can be read where nothing runs.

python examples/run_notebooks.py [first_look.ipynb …]
"""

import re
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).parent
SECONDS = 3600
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
OF_THIS_RUN = (
    (re.compile(re.escape(tempfile.gettempdir()) + r"/tmp\w+"), "/tmp/example"),
    (re.compile(r", revision \w+(-dirty)?"), ""),
)
"""Names that differ from run to run, and what is kept in their place."""


def main() -> None:
    """Run those that are named, or all."""
    for path in map(Path, sys.argv[1:]) if sys.argv[1:] else sorted(HERE.glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        NotebookClient(notebook, timeout=SECONDS, resources={"metadata": {"path": str(HERE)}}).execute()
        tidy(notebook)
        nbformat.write(notebook, path)
        print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


def tidy(notebook) -> None:
    """Leave out when and in which folder each cell ran and how a terminal would colour it, and join pieces of text."""
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type != "code":
            continue
        outputs = []
        for output in cell.outputs:
            before = outputs[-1] if outputs else None
            if output.output_type == "stream" and before is not None and before.get("name") == output.name:
                before.text += output.text
            else:
                outputs.append(output)
            if output.output_type == "stream":
                outputs[-1].text = COLOURS.sub("", outputs[-1].text)
                for pattern, kept in OF_THIS_RUN:
                    outputs[-1].text = pattern.sub(kept, outputs[-1].text)
        cell.outputs = outputs


if __name__ == "__main__":
    main()
