from __future__ import annotations

import subprocess
import sys

import pytest

import cmaen


def test_the_public_names_are_listed_and_there() -> None:
    assert sorted(cmaen.__all__) == sorted([*cmaen._HOMES, "__version__"])
    assert {"Result", "Face", "FaceBox", "DetectorOptions", "EmotionPredictor", "annotate"} <= set(dir(cmaen))
    assert {"import_module", "TYPE_CHECKING", "_HOMES", "annotations"}.isdisjoint(dir(cmaen))
    assert "__file__" in dir(cmaen)
    with pytest.raises(AttributeError, match="no attribute 'Emotion'"):
        _ = cmaen.Emotion


def test_listing_them_imports_nothing() -> None:
    code = "import sys, cmaen; dir(cmaen); print([name for name in ('numpy', 'cv2', 'torch') if name in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "[]"


def test_a_public_name_needs_no_pytorch() -> None:
    names = [name for name, home in cmaen._HOMES.items() if "models" not in home]
    assert len(names) > 10
    code = (
        f"import sys, cmaen\nfor name in {names}:\n    getattr(cmaen, name)\n"
        "    if 'torch' in sys.modules: sys.exit(f'{name} imports PyTorch')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
