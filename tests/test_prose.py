"""Docstrings, descriptions of settings, help texts and pages are whole phrases, not fragments of a sentence."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer

import cmaen
from cmaen.cli.verbs import app
from tests.pages import DOCS, TOP, strip_blocks

SOURCES = Path(cmaen.__file__).parent

FRAGMENT = re.compile(
    r"(?:Are|As|At|By|Does|Else|For|From|Goes|Has|In|Into|Is|Must|Of|On|Or|Out of|So|That|To|Which|Whose|With) "
    r"(?!other words|addition|practice|general|example)"
)
"""First words that leave out what the phrase is about: "Of the run.", "That computes."."""

NO_VERB = re.compile(
    r"(?:A|All|An|Both|Each|Every|How|Its|No|None|Nothing|One|That|The|Theirs|These|They|This|Those|What|When|Where|"
    r"Which|Who|Why|With)\b|[^A-Z]|[A-Z][a-z]*[^s]s\b"
)
"""First words of a function's docstring that are no verb in the imperative: "The faces …", "Returns …"."""

ENTRY = re.compile(r"^    (?=\S)[\w*., `]+: (.*)", re.MULTILINE)
SECTION = re.compile(r"^(?:Args|Attributes|Raises|Returns|Yields):\n((?:    .*\n?|\n)+)", re.MULTILINE)

Function = (ast.FunctionDef, ast.AsyncFunctionDef)


class Phrase(NamedTuple):
    """A phrase that begins a docstring or an entry: its line, its text, and whether it says what a function does."""

    line: int
    text: str
    verb: bool = False


def phrases(source: str) -> Iterator[Phrase]:
    """Find every phrase of a module that must stand on its own."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef):
            yield from _attribute_docstrings(node)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text is not None:
                line = node.body[0].lineno
                yield Phrase(line, text, verb=isinstance(node, Function) and not _is_value(node))
                yield from (Phrase(line, entry) for entry in _entries(text))
        if isinstance(node, ast.keyword) and node.arg in ("description", "help"):
            yield from (
                Phrase(part.lineno, part.value)
                for part in [node.value]
                if isinstance(part, ast.Constant) and isinstance(part.value, str)
            )


def refused(source: str) -> list[Phrase]:
    """Return the phrases that are fragments."""
    return [
        phrase
        for phrase in phrases(source)
        if FRAGMENT.match(phrase.text) or (phrase.verb and NO_VERB.match(phrase.text))
    ]


def _attribute_docstrings(node: ast.Module | ast.ClassDef) -> Iterator[Phrase]:
    for before, statement in zip(node.body, node.body[1:], strict=False):
        match before, statement:
            case ast.Assign() | ast.AnnAssign(), ast.Expr(value=ast.Constant(value=str(text))):
                yield Phrase(statement.lineno, text)


def _entries(docstring: str) -> Iterator[str]:
    for section in SECTION.finditer(docstring):
        yield from (entry[1] for entry in ENTRY.finditer(section[1]))


def _is_value(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether a function is read like an attribute, and so is described by a noun."""
    names = {ast.unparse(decorator).split("(")[0].split(".")[-1] for decorator in node.decorator_list}
    return bool(names & {"property", "cached_property", "computed_field"})


MODULES = sorted(path.relative_to(SOURCES).as_posix() for path in SOURCES.rglob("*.py"))


@pytest.mark.parametrize("module", MODULES)
def test_no_phrase_is_a_fragment(module: str) -> None:
    found = refused((SOURCES / module).read_text(encoding="utf-8"))
    assert not found, "\n".join(f"{module}:{phrase.line}: {phrase.text.splitlines()[0]}" for phrase in found)


@pytest.mark.parametrize(
    "source",
    [
        '"""Of the network."""',
        'class A:\n    """That computes."""',
        'KINDS = 1\n"""By the name of the step."""',
        'class A:\n    side: int = 1\n    """In pixels."""',
        'def a():\n    """Return it.\n\n    Args:\n        b: Fine.\n        seed: Of the run.\n    """',
        'def a():\n    """The faces of a folder."""',
        'def a():\n    """Returns the faces of a folder."""',
        'async def a():\n    """``a`` -> b."""',
        'x = Field(1, description="Of all randomness.")',
    ],
)
def test_fragments_are_found(source: str) -> None:
    assert len(refused(source)) == 1


@pytest.mark.parametrize(
    "source",
    [
        '"""The network."""',
        'class A:\n    """Processes faces."""',
        'class A:\n    @property\n    def a(self):\n        """The faces of a folder."""',
        'def a():\n    """Process a folder.\n\n    Args:\n        seed: Random seed of the run.\n    """',
        'def a():\n    """Whether it is a face."""',
        'x = Field(1, description="Random seed.")',
    ],
)
def test_whole_phrases_pass(source: str) -> None:
    assert not refused(source)


OPENING = re.compile(r"(?:At|For|In|On|With) [^,:]+, \w+")
"""The circumstances with which a whole sentence may begin: "For labels of your own, use …"."""

COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]


@pytest.mark.parametrize("verb", sorted(COMMANDS))
def test_no_sentence_of_the_help_is_a_fragment(verb: str) -> None:
    summary = COMMANDS[verb].help.partition("Examples:")[0]
    assert not NO_VERB.match(summary), summary
    texts = [summary, *(one.help for one in COMMANDS[verb].params if getattr(one, "help", None))]
    assert len(texts) > 1
    for text in texts:
        assert text.strip().endswith("."), text
        sentences = [one for one in re.split(r"(?<=\.)\s+", text.strip()) if not OPENING.match(one)]
        assert not [sentence for sentence in sentences if FRAGMENT.match(sentence)]


PAGES = [*TOP, *sorted(DOCS.rglob("*.md"))]
RECORDS = sorted(DOCS.glob("experiments/[0-9]*.md"))

TRANSLATED = re.compile(
    r"\b(?:of before|of then|are believed|manyth|it is said|of theirs to|that computes|in the dark|every so many)\b|"
    r"\b(?:from nothing|what came of it|the (?:generations?|weights) before)\b|, for (?:it|their|there|these|they)\b|"
    r"\b(?:lies?|stands?) (?:alone|at|beside|in)\b|"
    r"\b1 (?:faces|images|people|pictures)\b|[0-9] %|"
    r"(?<!`)\b(?:colorization|recognize|color|behavior)\b(?![`.])"
)
"""Phrases that no writer of English would choose, percentages with a space, and American spelling; in code they are
names."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS.parent).as_posix())
def test_pages_are_plain_british_english(page: Path) -> None:
    text = re.sub(r"`[^`\n]+`", "`code`", strip_blocks(page))
    assert not TRANSLATED.findall(text)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    assert headings
    assert len(headings) == len(set(headings)), "two headings of a page are the same"
    assert not [heading for heading in headings if heading.endswith((".", ":"))]


@pytest.mark.parametrize(
    "phrase",
    [
        *("the weights of before", "it is said to be slower", "1 people", "color"),
        *("trained from nothing", "the generation before", "slower, for they wait", "the file lies in data", "5 %"),
    ],
)
def test_translated_phrases_are_found(phrase: str) -> None:
    assert TRANSLATED.search(phrase)
    assert not TRANSLATED.search("the weights as they were before; 11 people; 5%; colour; `--steps colorization`")


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.name)
def test_a_record_of_an_experiment_has_its_four_parts(record: Path) -> None:
    parts = re.findall(r"^\*\*(\w+)\.\*\* .", record.read_text(encoding="utf-8"), re.MULTILINE)
    assert parts == ["Hypothesis", "Setting", "Result", "Conclusion"]
