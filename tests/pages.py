"""The documentation as the tests read it: its pages, their blocks of code with their marks, and the commands in them.

A block of ``python`` or ``bash`` has a mark before it, a comment that no reader sees: ``<!-- run -->`` (the tests run
it; ``<!-- run: video -->`` if they can read videos) or ``<!-- not run: why -->``. A block of ``text`` after it that is
marked ``<!-- prints -->`` is what it prints. A block of ``console`` is what somebody saw; ``<!-- past -->`` marks one
whose commands are those of an earlier revision.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
TOP = (ROOT / "README.md", ROOT / "CONTRIBUTING.md")

FENCE = re.compile(r"^( *)```([\w-]*)")
MARK = re.compile(r"^ *<!-- (run|not run|prints|past)(?:: (.*?))? -->$")


class Block(NamedTuple):
    """A fenced block.

    Attributes:
        page: Path of its page.
        line: Number of the line of its fence, from 1.
        language: Word after the fence; may be empty.
        text: Content, without the indentation of the fence.
        mark: ``run``, ``not run``, ``prints`` or ``past``; empty if there is none.
        note: What the mark says further; may be empty.
    """

    page: Path
    line: int
    language: str
    text: str
    mark: str = ""
    note: str = ""

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def list_pages() -> list[Path]:
    """List all pages: README, CONTRIBUTING and everything in ``docs``."""
    return [*TOP, *sorted(DOCS.rglob("*.md"))]


def read_blocks(page: Path) -> list[Block]:
    """Read the fenced blocks of a page."""
    blocks: list[Block] = []
    lines = page.read_text(encoding="utf-8").splitlines()
    mark: tuple[str, str] = "", ""
    number = 0
    while number < len(lines):
        line = lines[number]
        number += 1
        if found := MARK.match(line):
            mark = found[1], found[2] or ""
        elif fence := FENCE.match(line):
            start, indent = number, len(fence[1])
            while lines[number].strip() != "```":
                number += 1
            content = "\n".join(one[indent:] for one in lines[start:number])
            blocks.append(Block(page, start, fence[2], content, *mark))
            mark = "", ""
            number += 1
        elif line.strip():
            mark = "", ""
    return blocks


def strip_blocks(page: Path) -> str:
    """Return the text of a page without its fenced blocks."""
    return re.sub(r"(?ms)^( *)```.*?^\1```$", "", page.read_text(encoding="utf-8"))


def list_commands(block: Block) -> Iterator[list[str]]:
    """Yield the ``cmaen`` commands of a block as words, without ``cmaen`` itself."""
    lines = block.text.replace("\\\n", " ").splitlines()
    if block.language == "console":
        lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    for line in lines:
        for words in _split(line):
            if words[0] == "cmaen":
                yield words[1:]
            elif "-m" in words and words[words.index("-m") + 1 :][:1] == ["cmaen"]:
                yield words[words.index("-m") + 2 :]


def _split(line: str) -> Iterator[list[str]]:
    """Split a line of the shell into simple commands, without comments and assignments."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, ";"]:
        if set(word) <= set("();<>|&"):
            if words:
                yield words
            words = []
        elif words or not re.match(r"[A-Z_]+=", word):
            words.append(word)
