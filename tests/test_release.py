"""What a release must pass: its version, its contents, its dependencies and its workflows."""

from __future__ import annotations

import io
import re
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import cmaen

ROOT = Path(__file__).parent.parent
if not (ROOT / "release").is_dir():
    pytest.skip("the sources are not those of the project", allow_module_level=True)

from release.contents import LARGEST_OTHER, check_sdist, check_wheel, list_package, list_unwanted  # noqa: E402
from release.versions import find_differences, read_version  # noqa: E402

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PACKAGE = ROOT / "src" / "cmaen"


def test_the_version_is_the_same_everywhere() -> None:
    assert list(find_differences()) == []
    assert read_version() == cmaen.__version__
    assert list(find_differences(tag=f"v{cmaen.__version__}")) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("CITATION.cff", "version: 1.2.3", "version: 1.2.2"), "CITATION.cff has ['1.2.2']"),
        (("CHANGELOG.md", "## [1.2.3] - 2030-01-02", "## [Unreleased]"), "CHANGELOG.md has ['1.2.2'] as its latest"),
        (("CHANGELOG.md", "2030-01-02", "soon"), "CHANGELOG.md has ['1.2.2'] as its latest"),
    ],
)
def test_another_version_is_named(change: tuple[str, str, str], said: str, tmp_path: Path) -> None:
    (tmp_path / "src/cmaen").mkdir(parents=True)
    (tmp_path / "src/cmaen/__init__.py").write_text('x = 1\n__version__ = "1.2.3"\n')
    (tmp_path / "CITATION.cff").write_text("cff-version: 1.2.0\nversion: 1.2.3\n")
    (tmp_path / "CHANGELOG.md").write_text("## [Unreleased]\n\n## [1.2.3] - 2030-01-02\n\n## [1.2.2] - 2029-01-02\n")
    assert list(find_differences(tmp_path, tag="v1.2.3")) == []
    assert list(find_differences(tmp_path, tag="v1.2.4")) == ["the tag is v1.2.4, the code 1.2.3"]
    name, before, after = change
    (tmp_path / name).write_text((tmp_path / name).read_text().replace(before, after))
    (problem,) = find_differences(tmp_path)
    assert said in problem


def test_the_package_holds_nothing_but_what_it_needs() -> None:
    assert list(list_unwanted(list_package(PACKAGE).items())) == []


@given(st.text(st.characters(exclude_characters="/\0"), min_size=1), st.integers(0, 2_000_000))
def test_other_files_are_found(stem: str, size: int) -> None:
    for name in (f"a/{stem}.pt", f"a/{stem}.ckpt", f"a/{stem}.ipynb", f".{stem}/a.py", f"tests/{stem}.py"):
        assert len(list(list_unwanted([(name, size)]))) == 1
    found = list(list_unwanted([("a/code.py", size)]))
    assert bool(found) == (size > LARGEST_OTHER * 1e6)


def make_wheel(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def test_a_wheel_is_compared_with_the_sources(tmp_path: Path) -> None:
    sources = tmp_path / "sources"
    (sources / "cli" / "__pycache__").mkdir(parents=True)
    for name in ("a.py", "cli/b.py", "cli/__pycache__/b.pyc"):
        (sources / name).write_bytes(b"1")
    good = {"cmaen/a.py": b"1", "cmaen/cli/b.py": b"1", "cmaen-1.dist-info/METADATA": b""}
    assert check_wheel(make_wheel(tmp_path / "good.whl", good), sources) == []
    bad = {**good, "cmaen/last.ckpt": b"1", "tests/test_a.py": b""}
    del bad["cmaen/a.py"]
    assert set(check_wheel(make_wheel(tmp_path / "bad.whl", bad), sources)) == {
        "last.ckpt: files .ckpt do not belong into the wheel",
        "a.py is missing from the wheel",
        "last.ckpt is in the wheel, but not among the sources",
        "tests/test_a.py stands beside the package",
    }


def test_a_source_distribution_has_what_is_needed_to_build_and_test(tmp_path: Path) -> None:
    path = tmp_path / "cmaen-1.tar.gz"
    names = ["pyproject.toml", "LICENSE", "README.md", "src/a.py", "tests/a.py", "docs/a.md", "examples/a.py"]
    with tarfile.open(path, "w:gz") as archive:
        for name in [*names, "runs/best/model.onnx"]:
            archive.addfile(tarfile.TarInfo(f"cmaen-1/{name}"), io.BytesIO())
    assert check_sdist(path) == [
        "CHANGELOG.md is missing from the source distribution",
        "runs/best/model.onnx does not belong into the source distribution",
    ]


def test_the_extra_dev_and_the_dependency_groups_are_alike() -> None:
    groups, extras = PROJECT["dependency-groups"], PROJECT["project"]["optional-dependencies"]
    included = {entry["include-group"] for entry in groups["dev"]}
    assert included == groups.keys() - {"dev"}
    listed = {requirement for group in included for requirement in groups[group]}
    features, tools = extras["dev"][0], set(extras["dev"][1:])
    assert tools == listed
    everything = set(re.findall(r"\w+", features.removeprefix("cmaen")))
    covered = {name for name in extras if name in everything}
    covered |= {inner for name in everything for inner in extras if f"cmaen[{inner}]" in extras[name]}
    assert covered == extras.keys() - {"dev"}


def test_the_lock_belongs_to_the_dependencies_and_names_only_the_public_index() -> None:
    lock = tomllib.loads((ROOT / "uv.lock").read_text("utf-8"))
    (own,) = (package for package in lock["package"] if package["name"] == "cmaen")
    kept = {extra: {one["name"] for one in packages} for extra, packages in own["optional-dependencies"].items()}
    extras = PROJECT["project"]["optional-dependencies"]
    assert kept.keys() == extras.keys(), "run: uv lock"
    for extra, requirements in extras.items():
        names = {re.split(r"[\[<>=;]", one)[0].lower().replace("_", "-") for one in requirements} - {"cmaen"}
        assert names <= kept[extra], f"{extra}: run uv lock"
    sources = {one["source"]["registry"] for one in lock["package"] if "registry" in one["source"]}
    assert sources == {"https://pypi.org/simple"}
    for package in lock["package"]:
        for file in [*package.get("wheels", ()), *filter(None, [package.get("sdist")])]:
            assert file["url"].startswith("https://files.pythonhosted.org/"), package["name"]
            assert file["hash"].startswith("sha256:")


WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_pin_their_actions_and_ask_for_few_rights(path: Path) -> None:
    yaml = pytest.importorskip("yaml")
    text = path.read_text("utf-8")
    workflow = yaml.safe_load(text)
    assert workflow["permissions"] == {"contents": "read"}
    uses = re.findall(r"uses: (\S+)(.*)", text)
    for action, comment in uses:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action), action
        assert re.fullmatch(r"\s+# v\d+\.\d+\.\d+", comment), f"{action} says its version in a comment"
    assert text.count("actions/checkout@") == text.count("persist-credentials: false")
    for name, job in workflow["jobs"].items():
        assert job["timeout-minutes"] <= 120
        rights = job.get("permissions", {})
        assert rights == ({"id-token": "write"} if name == "publish" else {}), name


def test_tests_run_on_every_system_and_python_that_is_promised() -> None:
    yaml = pytest.importorskip("yaml")
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "tests.yml").read_text("utf-8"))["jobs"]
    matrix = jobs["tests"]["strategy"]["matrix"]
    assert {name.split("-")[0] for name in matrix["os"]} == {"ubuntu", "macos", "windows"}
    promised = [one.split(" :: ")[-1] for one in PROJECT["project"]["classifiers"] if " :: 3." in one]
    assert matrix["python"] == promised
