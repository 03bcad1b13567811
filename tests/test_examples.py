from __future__ import annotations

import subprocess
import sys

from tests.conftest import EXAMPLES


def test_the_five_lines_of_the_readme() -> None:
    command = [sys.executable, EXAMPLES / "predict.py", EXAMPLES / "astronaut.png"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout.startswith("happy")


def test_the_examples_are_python() -> None:
    for path in EXAMPLES.rglob("*.py"):
        compile(path.read_text(), str(path), "exec")
