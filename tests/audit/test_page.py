"""Tests of the page and the words of an audit."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from cmaen.audit.auditor import audit
from cmaen.audit.findings import Audit, GapTest
from cmaen.audit.page import JSON, PAGE, describe_origin, write_audit, write_page
from cmaen.audit.words import describe_finding, judge, name_test, write_p
from cmaen.errors import OutputError
from cmaen.evaluation.intervals import Interval
from tests.audit.simulated import alternate, simulate

EVIL = '<script>alert("1")</script>\x1b[31m\u202e&amp;'

TAGS = {
    *("html", "head", "meta", "title", "style", "body", "div", "header", "h1", "h2", "p", "ul", "li", "dl", "dt", "dd"),
    *("nav", "b", "ol", "a", "main", "table", "caption", "thead", "tbody", "tr", "th", "td", "small", "svg", "rect"),
    *("details", "summary"),
}


class Reader(HTMLParser):
    """Collects tags, links, and the texts of the page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.text = ""
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value or "" for name, value in attributes if name in ("src", "href")]
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    assert reader.open == []
    return reader


@pytest.fixture(scope="module")
def found() -> Audit:
    names = [EVIL, "b", "tiny"]
    groups = [names["abc".index(letter)] for letter in alternate(300, 300, 3)]
    given = simulate(groups, less={"b": 0.25}, **{f"age{EVIL}": np.tile(["1", "2", "3"], 201).tolist()})
    return audit(given, ["group", f"age{EVIL}"], permutations=999)


def test_the_page_stands_alone_and_escapes_what_it_is_given(found: Audit) -> None:
    page = write_page(found, describe_origin(Path(f"{EVIL}.csv"), ["cmaen", "audit", EVIL]))
    reader = read(page)
    assert "script" not in reader.tags
    assert all(link.startswith("#") for link in reader.links)
    for link in reader.links:
        assert f'id="{link[1:]}"' in page
    assert '<script>alert("1")</script>\\x1b[31m\\u202e&amp;' in reader.text
    assert "\x1b" not in page
    assert "\u202e" not in page
    assert "url(" not in page
    assert "@import" not in page


def test_the_page_says_what_was_found_and_what_was_not_judged(found: Audit) -> None:
    text = read(write_page(found)).text
    for sentence in judge(found).sentences:
        assert " ".join(sentence.split())[:30] in " ".join(text.split())
    assert "Too small to be judged (fewer than 30 faces): tiny (3)." in text
    assert "The groups of faces with the same label were permuted 999 times." in text
    assert text.count("◆") >= len(found.findings)
    assert re.search(r"All \d+ p-values are corrected together", text)


def test_nothing_is_marked_where_nothing_is_found() -> None:
    page = write_page(audit(simulate(alternate(60, 60)), ["group"], permutations=499))
    assert "◆" not in page
    assert "no gap between groups was found" in page


def test_names_of_any_characters_are_text(monkeypatch: pytest.MonkeyPatch) -> None:
    hypothesis = pytest.importorskip("hypothesis")
    monkeypatch.setattr("cmaen.audit.gaps.DRAWS", 10)
    text = hypothesis.strategies.text(min_size=1, max_size=30)

    @hypothesis.settings(max_examples=25)
    @hypothesis.given(text, text, text)
    def write(first: str, second: str, column: str) -> None:
        groups = [first, second] * 30
        given = simulate(["x"] * 60, **{f"{column}.": groups})
        found = audit(given, [f"{column}."], permutations=99)
        reader = read(write_page(found))
        assert reader.tags <= TAGS
        write_page(found).encode()
        json.dumps(found.to_dict()).encode()
        for sentence in judge(found).sentences:
            assert sentence

    write()


@pytest.mark.parametrize("groups", [["x"] * 50, alternate(5, 5), [str(number % 60) for number in range(1800)]])
def test_a_page_without_a_comparison_can_be_read(groups: list[str]) -> None:
    text = read(write_page(audit(simulate(groups), ["group"], permutations=99))).text
    assert "Nothing could be compared." in text


def test_the_files_hold_the_same(found: Audit, tmp_path: Path) -> None:
    place = write_audit(found, tmp_path / "new", data=Path("faces.csv"), command=["cmaen", "audit"])
    assert place == tmp_path / "new" / PAGE
    values = json.loads((tmp_path / "new" / JSON).read_text("utf-8"))
    assert values["origin"]["command"] == "cmaen audit"
    assert values["faces"] == 603
    assert values["tests"] == len([test for column in values["columns"] for test in column["tests"]])
    assert any(test["is_finding"] for test in values["columns"][0]["tests"])
    assert values["columns"][0]["groups"][2]["figures"] is None
    (tmp_path / "file").touch()
    with pytest.raises(OutputError):
        write_audit(found, tmp_path / "file")


TEST = GapTest("recall", "fear", None, "old", 0.4, 0.6, -0.2, Interval(-0.3, -0.1), 0.0001, 0.05, 1, p_adjusted=0.0004)


def test_findings_are_told_in_words() -> None:
    said = describe_finding("age", TEST)
    assert said == (
        "old (age): 40% of the fear faces are recognised, against 60% in all other groups: 20 points fewer "
        "(95% interval 10 to 30, corrected p < 0.001)."
    )
    wide = replace(TEST, interval=Interval(-0.3, 0.02), p_adjusted=0.04)
    assert "95% interval -2 to 30, corrected p = 0.040" in describe_finding("age", wide)
    more = replace(TEST, kind="errors", answer="sad", gap=0.2, interval=Interval(0.1, 0.3))
    assert "faces are taken for sad" in describe_finding("age", more)
    assert "20 points more (95% interval 10 to 30" in describe_finding("age", more)
    assert name_test(more) == "fear, taken for sad"
    assert [write_p(value) for value in (0.0001, 0.0123, 0.456)] == ["< 0.001", "0.012", "0.46"]
