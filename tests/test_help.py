"""The help: every verb has a panel, three examples that its own parser takes, and options that say what they do."""

from __future__ import annotations

import shlex
import sys
from typing import Any

import pytest
import typer

from cmaen.cli.console import check_share
from cmaen.cli.panels import EXAMPLES, OWN, RESEARCH, USE, name_of
from cmaen.cli.verbs import VERBS, app
from tests.conftest import EXAMPLES as PHOTOGRAPHS
from tests.test_cli import cmaen

GROUP: Any = typer.main.get_command(app)
NAMES = sorted(GROUP.commands)


def test_every_verb_stands_in_a_panel() -> None:
    said = cmaen("-h")
    places = [said.index(f"─ {panel} ─") for panel in (USE, OWN, RESEARCH)]
    assert places == sorted(places)
    assert said.index(" predict ") < said.index(" finetune ") < said.index(" leaks ")
    assert {name_of(verb) for verbs in VERBS.values() for verb in verbs} == set(NAMES) == set(EXAMPLES)


@pytest.mark.parametrize("name", NAMES)
def test_three_examples_stand_at_the_head_and_are_understood(name: str) -> None:
    head = cmaen(name, "-h").partition("╭")[0]
    assert len(EXAMPLES[name]) == 3
    own = [example for example in EXAMPLES[name] if f"cmaen {name}" in example]
    assert own
    for example in EXAMPLES[name]:
        assert example in head
    for example in own:
        words = shlex.split(example)
        context = GROUP.commands[name].make_context(name, words[words.index(name) + 1 :])
        context.close()


@pytest.mark.parametrize("name", NAMES)
def test_every_option_says_what_it_does(name: str) -> None:
    for one in GROUP.commands[name].params:
        if getattr(one, "hidden", False) or one.name == "help":
            continue
        assert one.help, one.name
        assert one.help.endswith("."), one.help
        assert one.help[0].isupper() or one.help.split()[0].islower(), one.help


@pytest.mark.parametrize(
    ("given", "advice"), [("50", "50% is 0.5"), ("98.6", "98.6% is 0.986"), ("-1", ""), ("nan", "")]
)
def test_a_percentage_is_advised_of(given: str, advice: str) -> None:
    for option in ("--uncertain-below", "--min-score"):
        said = " ".join(cmaen("predict", "x.jpg", option, given, code=2).split())
        assert "is not between 0 and 1" in said
        assert advice in said
        assert ("%" in said) == bool(advice)
    assert check_share(None) is None
    assert check_share(1) == 1


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (["photo one.jpg"], "cmaen predict 'photo one.jpg'" if sys.platform != "win32" else "cmaen predict"),
        (["--image", "{film}"], "use --video"),
        (["--video", "{photo}"], "use --image"),
    ],
)
def test_the_wrong_option_names_the_right_one(arguments: list[str], advice: str, tmp_path: Any) -> None:
    (tmp_path / "film.jpg").write_bytes(b"\0\0\0\x18ftypisom" + bytes(40))
    (tmp_path / "photo.mp4").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    places = {"film": tmp_path / "film.jpg", "photo": tmp_path / "photo.mp4"}
    said = cmaen("inference", *(word.format(**places) for word in arguments), code=2)
    assert advice in said
    assert "cmaen predict" in said
    assert said.count("\n") == 1


def test_an_address_is_not_fetched() -> None:
    said = cmaen("inference", "--image", "https://example.org/a.jpg", code=2)
    assert "--image takes a file, and https://example.org/a.jpg is an address: download it first" in said
    image = (PHOTOGRAPHS / "astronaut.png").resolve()
    assert "1 image, 1 face, 0 errors" in cmaen("inference", "--image", image.as_uri())
