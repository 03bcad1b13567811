"""The site is built without a warning, asks no other host for anything, and its hooks make what they should."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.browser import chromium
from tests.pages import DOCS, ROOT

pytest.importorskip("material", reason='the site needs the extra docs: pip install ".[docs]"')
pytest.importorskip("mkdocstrings", reason='the site needs the extra docs: pip install ".[docs]"')
if not (ROOT / "mkdocs.yml").is_file():
    pytest.skip("the sources are not beside their documentation", allow_module_level=True)


SOURCES = ROOT / "src" / "cmaen"


def hook(name: str, folder: str = "hooks") -> ModuleType:
    """Import a hook, which is no module of the package."""
    import importlib.util

    spec = importlib.util.spec_from_file_location(name, DOCS / folder / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site, strictly."""
    folder = tmp_path_factory.mktemp("site") / "built"
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT / "src")},
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr, done.stderr
    return folder


def test_nothing_is_fetched_from_another_host(site: Path) -> None:
    fetched = re.compile(
        r"<(?:script|link|img|iframe|source|video)\b[^>]*?\b(?:src|href)=[\"']?((?:https?:)?//[^\"'\s>]+)"
    )
    pages = list(site.rglob("*.html"))
    assert len(pages) > 80
    for page in pages:
        assert not fetched.findall(page.read_text("utf-8")), page
    for style in site.rglob("*.css"):
        assert not re.findall(r"(?:@import|url\()\s*[\"']?(?:https?:)?//", style.read_text("utf-8")), style


def test_every_page_can_be_found_by_the_search(site: Path) -> None:
    found = {
        entry["location"].partition("#")[0]
        for entry in json.loads((site / "search/search_index.json").read_text())["docs"]
    }
    for page in ("", "photos/", "command_line/", "contributing/", "model_card/", "figures/speed/", "law/"):
        assert page in found, page
    records = {place for place in found if re.match(r"experiments/\d", place)}
    assert len(records) == len(list((DOCS / "experiments").glob("[0-9]*.md")))
    record = next(site.glob("experiments/055*/index.html")).read_text("utf-8")
    assert "<strong>finding</strong>. Cost: 18 epochs in 68 minutes" in record


def test_a_browser_searches_and_asks_nobody_else(site: Path) -> None:
    handler = partial(SimpleHTTPRequestHandler, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server, chromium() as browser:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/"
        asked: list[str] = []
        phone = browser.new_page(viewport={"width": 390, "height": 844})
        phone.on("request", lambda request: asked.append(request.url))
        for name in ("", "photos/", "network/", "python/", "figures/accuracy/"):
            phone.goto(address + name)
            assert phone.evaluate("document.documentElement.scrollWidth") == 390, name
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.on("request", lambda request: asked.append(request.url))
        page.goto(address)
        page.click(".md-search__input")
        page.keyboard.type("calibrate", delay=20)
        page.wait_for_selector(".md-search-result__item", timeout=60_000)
        assert "Evaluate and calibrate" in page.inner_text(".md-search-result__list")
        server.shutdown()
    assert [url for url in asked if not url.startswith(address)] == []


def test_no_source_of_the_hooks_is_published(site: Path) -> None:
    assert not list(site.rglob("*.py"))
    assert (site / "assets/icon.svg").is_file()


def test_the_reference_names_every_verb_and_option() -> None:
    import typer

    from cmaen.cli.verbs import app

    page = hook("command_line").describe_command_line()
    group: Any = typer.main.get_command(app)
    sections = dict(re.findall(r"^### cmaen ([a-z-]+) .*?$\n(.*?)(?=^##|\Z)", page, re.MULTILINE | re.DOTALL))
    assert set(sections) == set(group.commands)
    for verb, command in group.commands.items():
        for one in command.params:
            if one.name != "help" and not one.hidden and one.help:
                for option in one.opts if one.opts[0].startswith("-") else ():
                    assert f"`{option}`" in sections[verb], f"{verb} {option}"
    serve = sections["serve"]
    assert "| `--port` | integer, 1 to 65535 | Port to listen on. (default `8000`) |" in serve
    assert "environment variable `CMAEN_API_KEY`" in serve
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 4 for row in rows), "each row has three cells"


def test_the_reference_names_every_key_of_a_configuration() -> None:
    pytest.importorskip("pydantic")
    pytest.importorskip("torch")
    from dataclasses import fields

    from cmaen.preprocessing import PreprocessSpec
    from cmaen.training.config import Config

    configuration = hook("configuration")
    keys = {key.name: key for section in configuration.SECTIONS for key in configuration.list_keys(SOURCES, section)}
    expected: set[str] = set()
    for name, field in Config.model_fields.items():
        inner = getattr(field.annotation, "model_fields", None)
        if field.annotation is PreprocessSpec:
            inner = [one.name for one in fields(PreprocessSpec)]
        expected |= {f"{name}.{key}" for key in inner} if inner is not None else {name}
    assert set(keys) == expected
    assert (keys["model.side"].default, keys["model.scales"].default) == ("ecnn", "[1, 2, 4]")
    assert (keys["data.limit"].default, keys["licence"].default) == ("null", '""')
    assert (keys["data.votes"].default, keys["preprocess.mean"].default) == ("auto", "[0.485, 0.456, 0.406]")
    assert keys["loss.vote_weight"].text.endswith("(at least 0, at most 1)")
    assert keys["preprocess.std"].text == keys["preprocess.mean"].text
    page = configuration.describe_configuration(SOURCES)
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 4 for row in page.splitlines() if row.startswith("| `"))


def test_a_key_without_a_description_is_named(tmp_path: Path) -> None:
    (tmp_path / "losses.py").write_text("class LossSpec:\n    focal: float = 1.0\n")
    with pytest.raises(ValueError, match=r"loss\.focal"):
        hook("configuration").list_keys(tmp_path, "loss")
    (tmp_path / "losses.py").write_text("")
    with pytest.raises(ValueError, match="LossSpec"):
        hook("configuration").list_keys(tmp_path, "loss")


def test_links_of_included_files_lead_to_pages(tmp_path: Path) -> None:
    (tmp_path / "docs" / "figures").mkdir(parents=True)
    rewrite = hook("included").rewrite_links
    for text, expected in {
        "[a](docs/law.md#b)": "[a](law.md#b)",
        "[a](docs/figures)": "[a](figures/index.md)",
        "[a](CONTRIBUTING.md#c)": "[a](contributing.md#c)",
        "[a](https://example.org/docs/x)": "[a](https://example.org/docs/x)",
        "[a](#here)": "[a](#here)",
        "[the code](src/x.py)": "the code (`src/x.py`)",
        "[`src/x.py`](src/x.py)": "`src/x.py`",
    }.items():
        assert rewrite(text, "", tmp_path) == expected
    assert rewrite("[a](../../../../docs/law.md)", "src/cmaen/weights/cmaen-m", tmp_path) == "[a](law.md)"


def test_records_become_a_table_and_a_bad_one_is_named(tmp_path: Path) -> None:
    records = hook("records")
    read = records.read_records(DOCS / "experiments")
    assert [one.name[:3] for one in read] == [f"{number:03}" for number in range(1, len(read) + 1)]
    assert len(records.write_table(read).splitlines()) == len(read) + 2
    good = "---\ntitle: a | b\noutcome: kept\ncost: ''\n---\n"
    (tmp_path / "001-a.md").write_text(good)
    assert "| 001 | [a \\| b](001-a.md) | kept |  |" in records.write_table(records.read_records(tmp_path))
    for name, text in {
        "002-b.md": good.replace("kept", "liked"),
        "003-b.md": good,
        "002-B.md": good,
        "002-c.md": "no front matter",
    }.items():
        bad = tmp_path / name
        bad.write_text(text)
        with pytest.raises(ValueError, match=re.escape(name)):
            records.read_records(tmp_path)
        bad.unlink()


def test_roles_become_links(site: Path) -> None:
    rewrite = hook("roles").rewrite_roles
    link = '<autoref optional identifier="{}"><code>{}</code></autoref>'.format
    found = rewrite("See :class:`~cmaen.results.Face` and ``x``, `y`.", "cmaen")
    assert found == f"See {link('cmaen.results.Face', 'Face')} and `x`, `y`."
    assert rewrite(":meth:`predict`", "cmaen.A") == link("cmaen.A.predict", "predict")
    page = (site / "python/index.html").read_text("utf-8")
    assert "autoref optional" not in page
    assert ":class:" not in page
    assert re.search(
        r"<a class=\"[^\"]*autorefs[^>]*href=\"#[\w.]*predict_single\"[^>]*><code>predict_single</code></a>", page
    )


def test_the_diagrams_are_what_the_script_draws() -> None:
    for name, content in hook("draw", "diagrams").draw_all().items():
        assert (DOCS / "diagrams" / name).read_text("utf-8") == content, "run python docs/diagrams/draw.py"
