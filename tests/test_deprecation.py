"""Whatever is kept for older callers says when it will be removed, at the line that uses it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import cmaen
from cmaen import Checkpoint
from cmaen.checkpoints.hub import OTHER_NAMES
from cmaen.deprecation import CmaenDeprecationWarning, warn_deprecated
from tests.conftest import EXAMPLES
from tests.test_cli import cmaen_process

SOURCES = Path(cmaen.__file__).parent


@pytest.mark.parametrize("name", OTHER_NAMES)
def test_a_former_name_works_and_warns_where_it_is_used(name: str) -> None:
    with pytest.warns(
        CmaenDeprecationWarning, match=r"'shipped' .* will be removed in CMAEN 0\.4; use 'cmaen-m'"
    ) as all_:
        assert Checkpoint.open(name).is_shipped
    (warning,) = all_
    assert Path(warning.filename) == Path(__file__)
    assert "Checkpoint.open(name)" in Path(__file__).read_text("utf-8").splitlines()[warning.lineno - 1]


def test_todays_names_do_not_warn() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in (None, "cmaen-m"):
            Checkpoint.open(name)


def test_it_is_an_ordinary_deprecation_that_python_hides_in_libraries() -> None:
    assert issubclass(CmaenDeprecationWarning, DeprecationWarning)
    for name, shown in (("__main__", True), ("library", False)):
        code = f"import cmaen; exec(\"cmaen.Checkpoint.open('shipped')\", {{'cmaen': cmaen, '__name__': {name!r}}})"
        said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stderr
        assert ("CmaenDeprecationWarning" in said) == shown


def test_a_command_shows_it_as_one_line() -> None:
    said = cmaen_process("predict", EXAMPLES / "astronaut.png", "--checkpoint", "shipped")
    lines = [line for line in said.splitlines() if "deprecated" in line]
    assert len(lines) == 1
    assert lines[0].startswith("warning: the name 'shipped'")


def test_nothing_outlives_the_version_of_its_removal() -> None:
    now = tuple(map(int, re.findall(r"\d+", cmaen.__version__)[:2]))
    found = 0
    for path in SOURCES.rglob("*.py"):
        if "warn_deprecated" not in (text := path.read_text("utf-8")):
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "warn_deprecated":
                (removal,) = (ast.literal_eval(word.value) for word in node.keywords if word.arg == "removal")
                assert tuple(map(int, removal.split("."))) > now, f"{path}:{node.lineno} should be gone in {removal}"
                found += 1
    assert found


def test_there_is_one_mechanism() -> None:
    uses = [path.name for path in SOURCES.rglob("*.py") if "DeprecationWarning" in path.read_text("utf-8")]
    assert sorted(uses) == ["__init__.py", "deprecation.py"]  # the former shows it on the command line


def test_a_caller_deep_inside_the_package_is_not_blamed() -> None:
    inner = compile("def call(): warn('it', 'that', removal='9')\n", str(SOURCES / "deep.py"), "exec")
    names = {"warn": warn_deprecated}
    exec(inner, names)
    with pytest.warns(CmaenDeprecationWarning) as all_:
        names["call"]()  # type: ignore[operator]
    assert [Path(one.filename).name for one in all_] == [Path(__file__).name]
