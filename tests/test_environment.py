"""``cmaen info``: complete where it matters, silent about the user, and of use when the installation is broken."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import cmaen as package
from cmaen import environment, plugins
from cmaen.environment import collect_environment
from tests.conftest import change_card
from tests.test_cli import cmaen
from tests.test_plugins import install


def test_what_a_report_needs_is_there() -> None:
    found = json.loads(cmaen("info", "--json"))
    assert found["version"] == package.__version__
    assert found["python"].startswith(
        f"{sys.implementation.name.capitalize().replace('Cpy', 'CPy')} {sys.version.split()[0]}"
    )
    assert 1 <= found["usable_cores"] <= found["cores"]
    assert found["engines"]["onnx"] == metadata.version("onnxruntime")
    assert "CPUExecutionProvider" in found["providers"]
    assert found["packages"]["numpy"] == metadata.version("numpy")
    assert "dev" not in found["extras"]
    assert found["models"] == ["cmaen-m", "cmaen-s"]
    assert found["problems"] == []


def test_the_text_says_the_same() -> None:
    said = cmaen("info")
    found = collect_environment()
    for value in (found.version, found.processor, found.engines["onnx"], *found.packages, *found.models):
        assert str(value) in said


class Distribution:
    """Metadata of a package that was installed without most of what it could use."""

    def __init__(self, requires: list[str], extras: list[str]) -> None:
        self.requires = requires
        self.metadata = self
        self._extras = extras

    def get_all(self, key: str) -> list[str]:
        return self._extras

    def read_text(self, name: str) -> str | None:
        return None


def test_missing_packages_are_named_by_extra_with_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    requires = ["numpy>=2", "no-such-core; python_version < '4'", "pytest ; extra == 'video'"]
    requires += ["no_such.one[fast]>=3,<4 ; python_version < '4' and extra == 'tables'", 'no-such-dev; extra == "dev"']
    own, found_otherwise = Distribution([*requires, ""], ["video", "tables", "dev"]), metadata.distribution
    monkeypatch.setattr(metadata, "distribution", lambda name: own if name == "cmaen" else found_otherwise(name))
    found = collect_environment()
    assert found.packages == {"no-such-core": None, "numpy": metadata.version("numpy")}
    assert {name: extra.missing for name, extra in found.extras.items()} == {"tables": ("no_such.one",), "video": ()}
    said = cmaen("info")
    assert "tables: no_such.one\n" in said
    assert 'pip install "cmaen[tables]"' in said
    assert "no-such-core missing" in said
    assert "no-such-dev" not in said


def test_a_source_that_was_never_installed_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
    def distribution(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", distribution)
    found = collect_environment()
    assert (found.installed, found.packages, found.problems) == ("not installed", {}, ())


def test_nothing_personal_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checkpoint: Path) -> None:
    home = tmp_path / "jane.doe"
    cached = home / ".cache" / "cmaen" / "checkpoints"
    for name in ("a" * 64, "b" * 64):
        (cached / name).mkdir(parents=True)
    for file in checkpoint.iterdir():
        (cached / ("a" * 64) / file.name).write_bytes(file.read_bytes())
    change_card(cached / ("a" * 64), name="mine")
    monkeypatch.setattr(Path, "home", lambda: home)
    monkeypatch.setenv("CMAEN_CACHE", str(home / ".cache" / "cmaen"))
    monkeypatch.setenv("CMAEN_API_KEY", "hunter2")
    monkeypatch.setattr(environment, "name_processor", lambda: (home / "x").read_text())
    for said in (cmaen("info"), cmaen("info", "--json")):
        assert "jane" not in said
        assert "hunter2" not in said
        assert "CMAEN_API_KEY" in said
        assert str(Path("~", ".cache", "cmaen")) in said.replace("\\\\", "\\")
    found = collect_environment()
    assert found.cached["a" * 12] == "mine"
    assert found.cached["b" * 12].startswith("cannot be read: CheckpointError: ~")
    (problem,) = found.problems
    assert problem.startswith("processor: FileNotFoundError")


@given(before=st.sampled_from(["", "a ", "'", "("]), after=st.sampled_from(["", "/x", "\\x", "'", ": no"]))
def test_the_home_folder_becomes_a_tilde(before: str, after: str) -> None:
    home = str(Path.home())
    assert environment._hide_home({"a": (f"{before}{home}{after}", 1)}) == {"a": (f"{before}~{after}", 1)}
    assert environment._hide_home(f"{home}less/x") == f"{home}less/x"


def test_plugins_are_listed_with_their_problems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    install(tmp_path, "some-eyes", {plugins.DETECTORS: {"eyes": "a:B", "yunet": "a:B"}, plugins.SINKS: {"fax": "a:B"}})
    found = collect_environment()
    assert [line.split(":")[0] for line in found.plugins] == [
        "the detector 'eyes' of the package some-eyes 1.2",
        "the detector 'yunet' of the package some-eyes 1.2",
        "the sink 'fax' of the package some-eyes 1.2",
    ]
    assert "CMAEN itself has one of this name" in found.plugins[1]
    assert "the sink 'fax'" in cmaen("info")


@pytest.mark.parametrize("broken", ["cv2", "numpy", "onnxruntime"])
def test_a_broken_installation_can_be_described(broken: str, tmp_path: Path) -> None:
    (tmp_path / f"{broken}.py").write_text("raise ImportError('a library is missing')")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); sys.argv[0] = 'cmaen'; from cmaen.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code, "info"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "a library is missing" in done.stdout
    assert package.__version__ in done.stdout
