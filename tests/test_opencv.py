from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cmaen import opencv
from cmaen.errors import BrokenInstallationError

BROKEN = {
    "nothing is left of it": "",
    "half of it is left": "INTER_AREA = 3",
    "a library is missing": "raise ImportError('libGL.so.1: cannot open shared object file')",
    "another NumPy": "raise AttributeError('_ARRAY_API not found')",
}


def run(folder: Path, code: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(folder), *filter(None, sys.path)])
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}
    )


@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.parametrize("name", ["EmotionPredictor", "annotate", "read_image"])
def test_a_damaged_opencv_is_named_and_not_the_name_that_was_asked_for(kind: str, name: str, tmp_path: Path) -> None:
    (tmp_path / "cv2").mkdir()
    (tmp_path / "cv2" / "__init__.py").write_text(BROKEN[kind])
    said = run(tmp_path, f"from cmaen import {name}").stderr
    assert "BrokenInstallationError: OpenCV does not work here" in said
    assert "pip install --force-reinstall" in said
    assert "cannot import name" not in said


def test_the_command_line_says_it_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "cv2").mkdir()
    (tmp_path / "cv2" / "__init__.py").write_text("")
    code = "import sys; sys.argv = ['cmaen', 'inference', '--image', 'x.png']; from cmaen.cli import main; main()"
    result = run(tmp_path, code)
    assert result.returncode == 2
    assert result.stderr.startswith("error: OpenCV does not work here")
    assert result.stderr.count("\n") == 1


def test_two_packages_of_it_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = {"opencv-python": "4.9.0", "opencv-python-headless": "4.14.0"}

    def version(name: str) -> str:
        if name not in versions:
            raise importlib.metadata.PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr(opencv, "version", version)
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(BrokenInstallationError, match=r"opencv-python 4\.9\.0 and .*overwrite .*pip uninstall -y open"):
        opencv.check_opencv()
