"""Configurations that come with the package: names, purposes, and how a file is told from a name."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("pydantic")

from cmaen.cli.panels import CATALOGUES
from cmaen.errors import ConfigError
from cmaen.training.catalogue import Kind, find_configuration, list_configurations
from cmaen.training.config import load_config, load_enhancer_config, read_variants
from tests.test_cli import cmaen

READERS = {
    Kind.RUN: lambda where: load_config(where, {"data.votes": "votes.csv"}),
    Kind.ENHANCER: lambda where: load_enhancer_config(where, {}),
    Kind.VARIANTS: read_variants,
}


@pytest.mark.parametrize("kind", Kind)
def test_every_name_is_a_valid_configuration_with_a_purpose_of_one_line(kind: Kind) -> None:
    purposes = list_configurations(kind)
    assert purposes
    for name, purpose in purposes.items():
        assert READERS[kind](name)
        assert purpose[0].isupper()
        assert len(name) + len(purpose) <= 70, "a line of a terminal"


@pytest.mark.parametrize("verb", CATALOGUES)
def test_the_help_lists_them(verb: str) -> None:
    head = cmaen(verb, "-h").partition("╭")[0]
    for name, purpose in list_configurations(CATALOGUES[verb][0]).items():
        line = next(line for line in head.splitlines() if line.startswith(f"   {name} "))
        assert line.split(maxsplit=1)[1].strip() == purpose


def test_a_file_needs_an_ending_or_a_slash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for place in ("paper", "paper.yaml", "paper.YML", "own"):
        Path(place).write_text("seed: 7\n")
    assert load_config("paper", {}).seed == 42
    for file in ("paper.yaml", "paper.YML", "./paper", f".{os.sep}paper", str(tmp_path / "own"), Path("paper")):
        assert load_config(file, {}).seed == 7
    with pytest.raises(ConfigError, match="for the file of that name write") as caught:
        load_config("own", {})
    assert load_config(str(caught.value).partition(" write ")[2].partition(";")[0], {}).seed == 7


@pytest.mark.parametrize(
    "given", ["", " paper", "Paper", "papers", "colorization", "enhancement", "..", "~", "a" * 999]
)
def test_an_unknown_name_is_refused_with_the_list(given: str) -> None:
    with pytest.raises(ConfigError, match="is not a configuration that comes with cmaen") as caught:
        load_config(given, {})
    assert ", ".join(list_configurations(Kind.RUN)) in str(caught.value)


@pytest.mark.parametrize("given", ["configs/paper.yaml", "paper.yaml", "paper.yml", "nowhere/paper"])
def test_a_file_of_before_is_told_its_name(given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"the configuration that comes with cmaen is named paper$"):
        load_config(given, {})


@given(st.text(max_size=40))
def test_any_text_is_a_name_or_a_file_or_refused(text: str) -> None:
    try:
        found = find_configuration(text, Kind.RUN)
    except ConfigError:
        return
    assert text in list_configurations(Kind.RUN) or found == Path(text)


@pytest.mark.parametrize("given", ["\0/x", "a\0.yaml", "d" * 300 + "/paper", "./", "no/such/file"])
def test_an_impossible_file_cannot_be_read(given: str) -> None:
    with pytest.raises(ConfigError, match=r"cannot be read|does not exist"):
        load_config(given, {})


def test_a_configuration_without_a_purpose_is_still_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "empty.yaml").touch()
    shutil.copy(find_configuration("paper", Kind.RUN), tmp_path / "recipes" / "mine.yaml")
    monkeypatch.setattr("cmaen.training.catalogue._FOLDER", tmp_path)
    assert list(list_configurations(Kind.RUN)) == ["empty", "mine"]
    assert not list_configurations(Kind.VARIANTS), "a folder that is missing"


def test_a_file_that_was_cut_is_a_configuration_or_named(tmp_path: Path) -> None:
    whole = find_configuration("colorization", Kind.ENHANCER).read_bytes()
    file = tmp_path / "cut.yaml"
    for length in range(len(whole)):
        file.write_bytes(whole[:length] + b"\xff" * (length % 2))
        with pytest.raises(ConfigError, match=r"cut\.yaml") if length % 2 else suppress(ConfigError):
            load_enhancer_config(file, {})
