"""All advice in the code can be followed: the extras, verbs, options and Python that it names exist."""

from __future__ import annotations

import ast
import re
import shlex
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import pytest
import typer

import cmaen
from cmaen.cli.verbs import app
from cmaen.errors import MissingExtraError

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")

SOURCES = Path(cmaen.__file__).parent
PROJECT = SOURCES.parent.parent / "pyproject.toml"
VERBS: dict[str, click.Command] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
OPTIONS = {"--version", "--help"} | {
    option for verb in VERBS.values() for one in verb.params for option in (*one.opts, *one.secondary_opts)
}
FOREIGN = {"--force-reinstall", "--no-deps", "--cpus"}
"""Options of pip and of docker."""


@pytest.fixture(scope="module")
def extras() -> set[str]:
    if not PROJECT.is_file():
        pytest.skip("the sources are not beside their pyproject.toml")
    return set(tomllib.loads(PROJECT.read_text("utf-8"))["project"]["optional-dependencies"])


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


@cache
def texts() -> list[tuple[str, str]]:
    """The texts of the code that a user may read, each with its place; placeholders become ``X``."""
    return [found for path in sorted(SOURCES.rglob("*.py")) for found in texts_of(path)]


def texts_of(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the texts of a module."""
    module = path.relative_to(SOURCES)
    tree = parsed(path)
    nodes = list(ast.walk(tree))
    inner = {id(part) for node in nodes if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in nodes:
        place = f"{module}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.JoinedStr):
            yield place, "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inner:
            yield place, node.value


def test_every_option_that_a_text_names_is_an_option() -> None:
    for place, text in texts():
        for option in re.findall(r"(?<!var\()(?<![\w-])--[a-z][a-z-]+[a-z]", text):
            alone = text.startswith(option) and " " not in text  # an argument for another program
            assert alone or option in OPTIONS | FOREIGN, f"{place}: {option}"


def test_every_command_that_a_text_gives_has_its_verb_and_its_options() -> None:
    found = 0
    for place, text in texts():
        for command in re.findall(r"(?:^|[\s:;(`])cmaen ((?:[a-z][a-z-]+)(?: [^\s;,:)`\"]+)*)", text):
            verb, *words = shlex.split(command.replace("'", ""))
            options = [word.partition("=")[0] for word in words if word.startswith("--")]
            if verb not in VERBS and not options:
                continue  # "cmaen was trained", a sentence
            assert verb in VERBS, f"{place}: cmaen {command}"
            known = {"--help", *(option for one in VERBS[verb].params for option in one.opts)}
            assert set(options) <= known, f"{place}: cmaen {command}"
            found += bool(options)
    assert found >= 4


def test_every_extra_is_one(extras: set[str]) -> None:
    for place, text in texts():
        for extra in re.findall(r"(?:cmaen|\.)\[([a-z,]+)\]", text):
            assert set(extra.split(",")) <= extras, f"{place}: {extra}"
    for path in SOURCES.rglob("*.py"):
        for node in ast.walk(parsed(path)):
            name = getattr(getattr(node, "func", None), "id", "")
            if name in ("MissingExtraError", "extra", "installing", "Entry"):
                arguments = node.args  # type: ignore[attr-defined]
                last = arguments[-1] if name != "Entry" else arguments[1] if len(arguments) > 1 else None
                if isinstance(last, ast.Constant):
                    assert last.value in extras, f"{path}:{node.lineno}"  # type: ignore[attr-defined]


def test_extras_are_installed_from_an_index_and_in_a_clone(extras: set[str]) -> None:
    for extra in extras:
        said = str(MissingExtraError("this", extra))
        assert f'pip install "cmaen[{extra}]"' in said  # double quotes work in every shell
        assert f'pip install ".[{extra}]"' in said


def test_pip_is_asked_for_what_it_understands() -> None:
    for place, text in texts():
        for command in re.findall(r"pip (?:un)?install [^;`]*", text):
            words = command.replace(",", " ").split()
            assert command.count('"') % 2 == 0, f"{place}: {command}"
            assert all(word in {"-y", "-U", *FOREIGN} for word in words if word.startswith("-")), f"{place}: {command}"


def test_the_version_is_one_number_everywhere() -> None:
    from importlib.metadata import distribution

    from tests.test_cli import cmaen as run

    assert re.fullmatch(r"\d+\.\d+\.\d+\w*", cmaen.__version__)
    installed = distribution("cmaen")
    source = installed.read_text("direct_url.json")
    if source is None or PROJECT.parent.as_uri() in source:  # not that of other sources, found by PYTHONPATH
        assert installed.version == cmaen.__version__, 'the installed metadata are old: pip install -e ".[dev]"'
    assert run("--version").strip() == f"cmaen {cmaen.__version__}"
    assert "--version" in run("--help")
