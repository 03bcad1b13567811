"""Plug-ins: found by name, imported when they are used, and unable to harm anybody else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmaen.errors import ConfigError, DetectorError, OutputError, PluginError
from cmaen.inference.detectors import build_detector
from cmaen.inference.detectors.base import DETECTORS as BUILT_IN
from cmaen.inference.sinks import SINKS as BUILT_IN_SINKS
from cmaen.inference.sinks import open_sink
from cmaen.plugins import BACKBONES, DETECTORS, GROUPS, SINKS, Plugin, find_plugins
from tests.conftest import EXAMPLES
from tests.test_cli import cmaen

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")

EXAMPLE = EXAMPLES / "plugin"


def install(place: Path, package: str, entries: dict[str, dict[str, str]], **modules: str) -> None:
    """Write a package as an installer leaves it: its metadata with the entry points by group, and its modules."""
    metadata = place / f"{package.replace('-', '_')}-1.2.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n")
    lines = [
        f"[{group}]\n" + "".join(f"{name} = {home}\n" for name, home in of.items()) for group, of in entries.items()
    ]
    (metadata / "entry_points.txt").write_text("\n".join(lines))
    for name, text in modules.items():
        (place / f"{name}.py").write_text(text)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of installed packages."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    return folder


@pytest.fixture
def example(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install the package of ``examples/plugin``, whose entry points are those of its ``pyproject.toml``."""
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text("utf-8"))["project"]
    install(place, project["name"], project["entry-points"])
    monkeypatch.syspath_prepend(EXAMPLE / "src")
    return place


def test_the_example_gives_a_detector_and_a_sink(example: Path, tmp_path: Path) -> None:
    (face,) = build_detector("portrait")(np.zeros((100, 60, 3), np.uint8))
    assert (face.x, face.y, face.width, face.height) == (15, 35, 30, 30)
    diary = tmp_path / "diary.txt"
    said = cmaen("predict", EXAMPLES / "astronaut.png", "--detector", "portrait", "--sink", f"diary={diary}")
    assert "1 image, 1 face" in said
    assert diary.read_text("utf-8").startswith(f"{EXAMPLES / 'astronaut.png'}: ")
    with pytest.raises(OutputError, match="the sink diary needs a file"):
        open_sink("diary")


def test_the_example_gives_a_backbone(example: Path) -> None:
    torch = pytest.importorskip("torch")
    from cmaen.models.backbones import require_backbone
    from cmaen.models.build import build_network, check_buildable
    from cmaen.models.spec import ModelSpec

    spec = ModelSpec.from_card(ModelSpec(trunk="pooled", side=None, pyramid_channels=None).describe())
    check_buildable(spec, 64)
    assert build_network(spec).eval()(torch.zeros(1, 3, 64, 64)).logits.shape == (1, 7)
    with pytest.raises(ConfigError, match="no published weights"):
        build_network(spec, trunk_weights="IMAGENET")
    with pytest.raises(ConfigError, match=r"choose from ecnn, .*, pooled and timm/NAME"):
        require_backbone("nowhere")


def test_one_that_cannot_be_imported_is_named_and_costs_nobody_else(place: Path) -> None:
    install(
        place, "good", {DETECTORS: {"blind": "good_eyes:Blind"}}, good_eyes="def Blind(*_, **__): return lambda _: []"
    )
    homes = {
        "gone": "no_such_module:A",
        "torn": "torn:A",
        "empty": "hollow:A",
        "exits": "exits:A",
        "text": "hollow:text",
    }
    homes |= {"odd": "not a place"}
    modules = {"torn": "1 +", "hollow": "text = 'a'", "exits": "import sys; sys.exit(3)"}
    install(place, "bad-one", {DETECTORS: homes}, **modules)
    for name in homes:
        with pytest.raises(PluginError, match=rf"the detector '{name}' of the package bad-one 1\.2 cannot be "):
            build_detector(name)
    assert build_detector("blind")(np.zeros((9, 9, 3), np.uint8)) == []
    with pytest.raises(DetectorError, match=r"'eyes' is not a face detector; choose from \['blind', 'centerface', "):
        build_detector("eyes")


def test_one_that_fails_when_it_is_built_is_named(place: Path) -> None:
    code = "class Picky:\n    def __init__(self, path): raise KeyError('eye')"
    install(place, "picky", {DETECTORS: {"picky": "picky:Picky"}, SINKS: {"picky": "picky:Picky"}}, picky=code)
    with pytest.raises(PluginError, match=r"the detector 'picky' of the package picky 1\.2 fails: TypeError"):
        build_detector("picky")
    with pytest.raises(PluginError, match=r"the sink 'picky' of the package picky 1\.2 fails: KeyError: 'eye'"):
        open_sink("picky", "x")


@pytest.mark.parametrize("name", [*BUILT_IN, *BUILT_IN_SINKS])
def test_a_built_in_name_cannot_be_taken(place: Path, name: str) -> None:
    group, table = (DETECTORS, BUILT_IN) if name in BUILT_IN else (SINKS, BUILT_IN_SINKS)
    install(place, "thief", {group: {name: "thief:Thief"}}, thief="raise SystemExit('imported')")
    (plugin,) = find_plugins(group, table).values()
    assert plugin.problem is not None
    assert "CMAEN itself has one of this name" in plugin.problem
    assert "thief" not in sys.modules
    if name == "yunet":
        assert type(build_detector(name)).__module__ == "cmaen.inference.detectors.yunet"
    assert "thief" not in sys.modules


def test_the_pathway_that_is_no_backbone_cannot_be_taken_either(place: Path) -> None:
    pytest.importorskip("torch")
    from cmaen.models.backbones import build_backbone

    install(
        place, "thief", {BACKBONES: {"ecnn": "thief:Thief", "wrong": "thief:wrong"}}, thief="def wrong(_): return 1"
    )
    with pytest.raises(PluginError, match="CMAEN itself has one of this name"):
        build_backbone("ecnn")
    with pytest.raises(PluginError, match=r"the backbone 'wrong' .* it is a int instead of a Backbone"):
        build_backbone("wrong")


def test_a_name_of_two_packages_is_neither_of_them(place: Path) -> None:
    for package in ("one", "two"):
        install(place, package, {DETECTORS: {"eyes": f"{package}:Eyes"}}, **{package: "class Eyes: pass"})
    with pytest.raises(PluginError, match=r"package one 1\.2 cannot be used: two 1\.2 has one of the same name"):
        build_detector("eyes")


def test_damaged_metadata_costs_nobody_else(place: Path) -> None:
    install(place, "good", {SINKS: {"fine": "good:Fine"}})
    for number, content in enumerate([b"\xff\xfe[", b"[cmaen.sinks]\nno equals sign", b"[", b"\x00" * 40]):
        folder = place / f"bad{number}-1.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_bytes(b"\xff\x00")
        (folder / "entry_points.txt").write_bytes(content)
    (place / "empty-1.dist-info").mkdir()
    assert "fine" in find_plugins(SINKS, ())


def test_a_second_copy_further_down_the_path_is_not_a_second_package(place: Path, tmp_path: Path) -> None:
    for folder, package in ((place, "my-eyes"), (tmp_path / "old", "My_Eyes")):
        install(folder, package, {DETECTORS: {"eyes": "my_eyes:Eyes"}}, my_eyes="Eyes = dict")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [*sys.path, str(tmp_path / "old")])
        assert find_plugins(DETECTORS, ())["eyes"].problem is None


@given(name=st.text(min_size=1, max_size=8))
def test_whatever_a_name_is_it_says_what_it_is(name: str) -> None:
    said = str(Plugin(SINKS, name, f"{name}:{name}", f"{name} 1"))
    assert said.startswith("the sink ")
    with pytest.raises(PluginError):
        Plugin(SINKS, name, f"no_such_package_{len(name)}:{name}", "a 1").load()


@pytest.mark.parametrize("name", ["a:b", "timm/resnet18", "../x", "two words", "-v"])
def test_a_name_that_could_not_be_asked_for_is_refused(place: Path, name: str) -> None:
    install(place, "odd", {DETECTORS: {name: "odd:Odd"}})
    (plugin,) = find_plugins(DETECTORS, ()).values()
    assert "its name may contain only letters" in str(plugin.problem)


def test_a_sink_of_the_package_itself_has_an_option_of_its_own() -> None:
    said = cmaen("predict", EXAMPLES / "astronaut.png", "--sink", "chart=x.png", code=2)
    assert "'chart' is built in" in said
    said = cmaen("predict", EXAMPLES / "astronaut.png", "--sink", "fax=x", code=2)
    assert "'fax' is not a sink; choose from" in said


def test_a_built_in_name_looks_for_no_plugins() -> None:
    code = (
        "import cmaen.plugins as p\n"
        "def distributions(): raise AssertionError\n"
        "p.distributions = distributions\n"
        "from cmaen.inference.detectors import build_detector\n"
        "build_detector('yunet')"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stderr == ""
    assert set(GROUPS) == {DETECTORS, BACKBONES, SINKS}
