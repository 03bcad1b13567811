"""The files of the page."""

from __future__ import annotations

from pathlib import Path

from cmaen.web.files import PAGE, read_page


def test_every_file_of_the_page_is_given_away() -> None:
    there = {path.relative_to(PAGE).as_posix() for path in PAGE.rglob("*") if path.is_file()}
    page = read_page()
    assert set(page) == there
    assert {"index.html", "main.js", "style.css", "icon.svg", "example.jpg"} <= there
    assert page["index.html"].media_type == "text/html; charset=utf-8"
    assert page["main.js"].media_type == "text/javascript; charset=utf-8"


def test_others_are_not_and_what_changes_has_another_name(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "a folder.js").mkdir()
    for name in ("one.js", "parts/two.js", "copy.js", "secret.key", "notes.txt", ".js", "no-suffix", "UPPER.JS"):
        (tmp_path / name).write_text("same")
    before = read_page(tmp_path)
    assert list(before) == ["copy.js", "one.js", "parts/two.js"]
    assert before["one.js"] == before["copy.js"]
    (tmp_path / "one.js").write_text("other")
    assert before["one.js"].content == b"same", "read once"
    assert read_page(tmp_path)["one.js"].etag != before["one.js"].etag


def test_a_page_that_is_not_there_has_no_files(tmp_path: Path) -> None:
    assert read_page(tmp_path / "nowhere") == {}
