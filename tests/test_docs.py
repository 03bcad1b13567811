"""The documentation is true: its Python runs and prints what it says, its commands exist, its links lead somewhere."""

from __future__ import annotations

import io
import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
import typer
from PIL import Image

import cmaen
from cmaen.cli.verbs import app
from tests.conftest import EXAMPLES
from tests.pages import DOCS, ROOT, TOP, Block, list_commands, list_pages, read_blocks, strip_blocks
from tests.test_advice import FOREIGN, OPTIONS, PROJECT, VERBS, tomllib
from tests.test_cli import cmaen as run

if not DOCS.is_dir():
    pytest.skip("the sources are not beside their documentation", allow_module_level=True)

GROUP: Any = typer.main.get_command(app)
PAGES = list_pages()
BLOCKS = [block for page in PAGES for block in read_blocks(page)]
MADE = {
    *("command_line.md", "configuration.md", "contributing.md", "changelog.md", "data_sets.md"),
    *("model_card.md", "model_card_small.md"),
}
"""Pages of the site that are made when it is built; its own check looks into them."""

ELSEWHERE = FOREIGN | {
    *("--strict", "--upgrade", "--publish", "--read-only", "--tmpfs", "--tag", "--hour", "--camera", "--nnodes"),
    *("--nproc-per-node", "--dry-run", "--only-binary", "--python-version", "--platform", "--target", "--runtime"),
    "--all-extras",
}
"""Options of other programs that the pages name."""

NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make what the examples name: a photo, a folder of three, faces with labels, and a checkpoint."""
    folder = tmp_path_factory.mktemp("docs")
    photo = Image.open(EXAMPLES / "astronaut.png").convert("RGB")
    (folder / "examples").mkdir()
    photo.save(folder / "examples" / "astronaut.png")
    photo.save(folder / "photo.jpg", quality=92)
    (folder / "holiday").mkdir()
    photo.save(folder / "holiday" / "beach.jpg")
    photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(folder / "holiday" / "boat.jpg")
    for place in ("team/Eileen/1.jpg", "objectors/somebody.jpg"):
        (folder / place).parent.mkdir(parents=True)
        photo.save(folder / place)
    Image.new("RGB", (320, 240), "grey").save(folder / "holiday" / "wall.jpg")
    shutil.copytree(ROOT / "src" / "cmaen" / "weights" / "cmaen-m", folder / "runs" / "mine" / "best")
    for label in ("happy", "sad"):
        (folder / "my-faces" / "validation" / label).mkdir(parents=True)
        for number in range(3):
            face = photo.crop((170 + number, 50, 280, 190)).convert("L").resize((48, 48))
            face.save(folder / "my-faces" / "validation" / label / f"{label}_{number}.png")
    return folder


@pytest.fixture(scope="module")
def film(sandbox: Path) -> bool:
    """Make the film, if films can be written here."""
    try:
        import av  # noqa: F401
    except ImportError:
        return False
    sys.path.insert(0, str(EXAMPLES))
    try:
        import measure_video  # type: ignore[import-not-found]
    finally:
        sys.path.remove(str(EXAMPLES))
    measure_video.write(sandbox / "interview.mp4", 2, 4)
    return True


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def alike(printed: str, expected: str) -> bool:
    """Whether two texts are the same but for the last digits of their numbers, which depend on the processor."""
    if NUMBER.sub("#", printed).split() != NUMBER.sub("#", expected).split():
        return False
    numbers = zip(NUMBER.findall(printed), NUMBER.findall(expected), strict=True)
    return all(float(one) == pytest.approx(float(other), rel=0.02, abs=0.2) for one, other in numbers)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_example_is_run_or_says_why_not(page: Path) -> None:
    for block in read_blocks(page):
        if block.language == "python":
            compile(block.text, str(block), "exec")
        if block.language in ("python", "bash") and (block.language == "python" or list(list_commands(block))):
            assert block.mark in ("run", "not run", "past"), f"{block} needs <!-- run --> or <!-- not run: why -->"
            assert block.note or block.mark != "not run", f"{block} must say why it is not run"


RUN = sorted({block.page for block in BLOCKS if block.mark == "run"})


@pytest.mark.parametrize("page", RUN, ids=name)
def test_examples_do_what_the_page_says(page: Path, sandbox: Path, film: bool) -> None:
    pytest.importorskip("pandas")
    names: dict[str, Any] = {}
    printed: str | None = None
    ran = 0
    with inside(sandbox):
        for block in read_blocks(page):
            if block.mark == "prints":
                assert printed is None or alike(printed, block.text), f"{block}\n{printed}"
            if block.mark != "run":
                continue
            needs_film = block.note == "video" or "interview.mp4" in block.text
            if needs_film and not film:
                printed = None
                continue
            said = io.StringIO()
            if block.language == "python":
                with redirect_stdout(said):
                    exec(compile(block.text, str(block), "exec"), names)
            else:
                for words in list_commands(block):
                    run(*words)
            printed = said.getvalue()
            ran += 1
    assert ran or not film


def test_differences_of_output_are_seen() -> None:
    assert alike("happy 100% [178.0]\n", "happy 100%   [178.1]")
    assert not alike("happy 100% [178.0]", "sad 100% [178.0]")
    assert not alike("happy 100% [178.0]", "happy 40% [178.0]")
    assert not alike("happy", "happy happy")


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_command_is_understood(page: Path) -> None:
    for block in read_blocks(page):
        if block.language in ("bash", "console") and block.mark != "past":
            for words in list_commands(block):
                parse(words, block)


def parse(words: list[str], block: Block) -> None:
    """Parse a command as the command line does, and its settings as training does."""
    if words and words[0] in ("--version", "--help", "-h"):
        return
    assert words, block
    assert words[0] in VERBS, f"{block}: cmaen {' '.join(words)}"
    try:
        context = GROUP.commands[words[0]].make_context(words[0], words[1:])
    except Exception as error:
        pytest.fail(f"{block}: cmaen {' '.join(words)}: {error}")
    settings, config = context.params.get("settings"), context.params.get("config")
    context.close()
    assert settings or "--set" not in words, f"{block}: the settings are not among {sorted(context.params)}"
    if words[0] in ("train", "ablate") and (settings or config):
        pytest.importorskip("pydantic")
        pytest.importorskip("torch")
        from cmaen.training.config import load_config, parse_overrides

        file = ROOT / (config or "")
        load_config(file if file.is_file() else config, parse_overrides(list(settings or ())))


@pytest.mark.parametrize(
    "words", [["fly"], ["predict"], ["predict", "a.jpg", "--no-such-option"], ["serve", "--port", "70000"]]
)
def test_commands_that_do_not_exist_are_found(words: list[str]) -> None:
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        parse(words, BLOCKS[0])


def test_commands_are_found_wherever_they_stand() -> None:
    text = "$ OMP_NUM_THREADS=1 cmaen train --seed 1 &\nepoch 1\n$ cd x && cmaen test \\\n    --tta  # both\n"
    text += "$ torchrun -m cmaen leaks"
    assert list(list_commands(Block(ROOT, 1, "console", text))) == [
        ["train", "--seed", "1"],
        ["test", "--tta"],
        ["leaks"],
    ]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_options_and_verbs_in_sentences_exist(page: Path) -> None:
    if "experiments" in page.parts or "generation_before" in page.stem:
        return  # they tell of the past
    for code in re.findall(r"`([^`\n]+)`", strip_blocks(page)):
        for option in re.findall(r"(?<![\w-])--[a-z][a-z-]+[a-z]", code):
            assert option in OPTIONS | ELSEWHERE, f"{name(page)}: {option}"
        if said := re.match(r"cmaen ([a-z][a-z-]*)\b(.*)", code):
            assert said[1] in VERBS, f"{name(page)}: {code}"
            known = {option for one in VERBS[said[1]].params for option in (*one.opts, *one.secondary_opts)}
            assert {word for word in said[2].split() if word.startswith("--")} <= known | {"--help"}, (
                f"{name(page)}: {code}"
            )


def test_every_extra_exists_and_is_described() -> None:
    extras = set(tomllib.loads(PROJECT.read_text("utf-8"))["project"]["optional-dependencies"])
    for page in PAGES:
        for named in re.findall(r"(?:cmaen|\.)\[([a-z,]+)\]", page.read_text("utf-8")):
            assert set(named.split(",")) <= extras, f"{name(page)}: {named}"
    table = (DOCS / "index.md").read_text("utf-8").partition("## Extras")[2]
    assert set(re.findall(r"^\| `([a-z]+)` \|", table, re.MULTILINE)) == extras


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(<?([^)\s>]+)>?\)", re.sub(r"`[^`\n]*`", "", strip_blocks(page))):
        path, _, anchor = target.partition("#")
        if re.match(r"https?:", target):
            continue
        found = (page.parent / path).resolve() if path else page
        if found.parent == DOCS and found.name in MADE:
            continue
        assert found.exists(), f"{name(page)}: {target}"
        if anchor and found.suffix == ".md":
            assert anchor in anchors(found), f"{name(page)}: {target}"


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as forges and the site make them."""
    headings = re.findall(r"^#+ (.*?)(?: \{ *#([\w-]+) *\})?$", strip_blocks(page), re.MULTILINE)
    return {given or re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text, given in headings}


@pytest.mark.parametrize("path", sorted((ROOT / "src").rglob("*.py")), ids=lambda path: path.name)
def test_pages_that_docstrings_name_exist(path: Path) -> None:
    for named in re.findall(r"``(docs/[\w./-]+)``", path.read_text("utf-8")):
        assert (ROOT / named).exists(), named


def test_every_public_name_is_described() -> None:
    page = (DOCS / "python.md").read_text("utf-8")
    described = set(re.findall(r"^::: cmaen\.(\w+)$", page, re.MULTILINE))
    assert set(cmaen.__all__) - described == {"__version__", "CmaenError"}  # the latter is among the errors
    assert "::: cmaen.errors" in page


def test_the_readme_is_short_and_says_what_it_must() -> None:
    text = TOP[0].read_text("utf-8")
    assert len(text.splitlines()) <= 130
    first = text.split("\n\n")[1]
    assert "not the paper's" in first
    for needed in ("must not be used", "PublicTest", "docs/law.md", "docs/index.md", "LICENSE"):
        assert needed in text, needed
