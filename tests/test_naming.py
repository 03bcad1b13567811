from __future__ import annotations

import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cmaen.naming import Names, make_unique, safe_name

HOSTILE = (
    "a",
    "A",
    "a.png",
    "A.PNG",
    "a.jpg",
    "a-1",
    "ä.png",
    "a\u0308.png",
    "ﬁ.png",
    "fi.png",
    "ß",
    "SS",
    "ss",
    "con",
)
HOSTILE += (
    "CON.png",
    "nul.",
    "com1.jpg",
    ".",
    "..",
    "",
    " ",
    "...",
    "a.",
    "a ",
    "a:b",
    "a_b",
    "a/b",
    "a\\b",
    "\0",
    "\x1f",
)
HOSTILE += ("x" * 300, "x" * 300 + ".png", "x" * 251 + ".jpg", "é" * 150, ".hidden", "._a", "\udcff.png", "\\xff.png")
HOSTILE += ("a.png.jpg", "a..png", "." + "y" * 260, "LPT9", "lpt9.tar.gz", "CON .txt", "COM¹")
PARTS = st.one_of(st.text(max_size=12), st.sampled_from(HOSTILE))
IDENTITIES = st.lists(st.lists(PARTS, max_size=4).map(tuple), max_size=12, unique=True)


def key(path: Path) -> str:
    """Return the key by which Windows and macOS distinguish files."""
    return unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", str(path)).casefold())


@settings(deadline=None)
@given(IDENTITIES)
@example([("a.jpg",), ("a.png",), ("A.png",), ("a.png", "b"), ("a.png", "B")])
@example([("a.png", "b"), ("a.png",)])
def test_no_two_identities_share_a_place_on_any_file_system(identities: list[tuple[str, ...]]) -> None:
    names = Names()
    places = [names.place(identity, repr(identity)) for identity in identities]
    keys = [key(place) for place in places]
    assert len(set(keys)) == len(keys)
    folders = {key(parent) for place in places for parent in place.parents} - {"."}
    assert not folders & set(keys)  # a file is not a folder
    for place, identity in zip(places, identities, strict=True):
        assert not place.is_absolute()
        assert len(place.parts) == max(1, len(identity))
        for part in place.parts:
            assert part == part.rstrip(". ")
            assert not part.startswith(".")
            assert not set(part) & set('<>:"/\\|?*')
            assert min(part) > "\x1f"
            assert len(part.encode()) <= 200
            assert part.split(".")[0].strip().lower() not in ("con", "nul", "prn", "aux", "com1", "lpt9")
    assert [names.place(identity, repr(identity)) for identity in identities] == places  # the same result every time


@given(st.text("abcXYZ019-_ äé", min_size=1, max_size=20).filter(lambda text: text == text.strip()))
def test_a_name_that_all_systems_take_stays_as_it_is(name: str) -> None:
    assert safe_name(f"{name}.png") == f"{name}.png"
    assert Names().place(["a", f"{name}.png"], "1").as_posix() == f"a/{name}.png"


def test_the_order_of_names_that_do_not_meet_changes_nothing() -> None:
    wanted = [["b", "x.png"], ["a", "x.png"], ["x.png"]]
    for order in (wanted, wanted[::-1]):
        names = Names()
        assert [list(names.place(parts, "/".join(parts)).parts) for parts in order] == order


def test_the_digits_of_a_taken_name_go_before_the_suffix() -> None:
    names = Names()
    first, second = (names.place(["a.png"], identity) for identity in ("a.jpg", "a.webp"))
    assert str(first) == "a.png"
    assert second.suffix == ".png"
    assert second.stem.startswith("a-")


@given(st.lists(st.sampled_from(["a", "b", "a (2)", "a (3)", "a (2) (2)", ""]), max_size=12))
def test_names_are_made_unique_and_those_that_are_stay(names: list[str]) -> None:
    unique = make_unique(names)
    assert len(set(unique)) == len(names)
    assert set(names) <= set(unique)
    assert all(new == old for old, new in zip(names, unique, strict=True) if names.count(old) == 1)


def test_names_that_are_alike_become_longer() -> None:
    assert make_unique(["a/x", "a/x", "b"], ["1/a/x", "2/a/x", "1/b"]) == ["1/a/x", "2/a/x", "b"]
    assert make_unique(["a/x", "a/x", "1/a/x"], ["1/a/x", "2/a/x", "0/1/a/x"]) == ["1/a/x", "2/a/x", "1/a/x (2)"]


@pytest.mark.parametrize("name", ["", ".", "..", "/", "\0"])
def test_what_is_no_name_becomes_one(name: str) -> None:
    assert safe_name(name).strip("_") == ""


def test_digits_stand_before_an_ending_that_is_longer_than_a_suffix() -> None:
    names = Names()
    places = [names.place(("x_events.tsv",), identity, ending="_events.tsv").name for identity in "abc"]
    assert places[0] == "x_events.tsv"
    assert len(set(places)) == 3
    assert all(re.fullmatch(r"x-[0-9a-f]{8}_events\.tsv", place) for place in places[1:])
    assert safe_name("x.tsv", "-1", suffix="_events.tsv") == "x-1.tsv"
