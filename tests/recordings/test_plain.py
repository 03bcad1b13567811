"""Names as one plain line: nothing that a format cannot hold, and never two names as one."""

from __future__ import annotations

from xml.etree.ElementTree import Element, fromstring, tostring

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmaen.recordings.plain import is_usable, make_plain, name_plainly
from tests.recordings.made import HOSTILE

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=20)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("Ada", "Ada"),
        (" Ada \t Lovelace\r\n", "Ada Lovelace"),
        ("a\u2028b\x85c\x1cd", "a b c d"),
        ("\x00\x1b[31m", "��[31m"),
        ("\ud83d!", "�!"),
        ("👩🏽‍🚀 <&>", "👩🏽‍🚀 <&>"),
        ("\n", ""),
    ],
)
def test_a_text_becomes_one_line_without_what_xml_cannot_hold(text: str, plain: str) -> None:
    assert make_plain(text) == plain


@given(ANY_TEXT)
def test_a_plain_text_survives_xml_and_utf_8(text: str) -> None:
    plain = make_plain(text)
    assert is_usable(plain)
    assert len(plain.splitlines()) <= 1
    read = fromstring(tostring(Element("x", a=plain), encoding="UTF-8"))
    assert read.get("a") == plain


@given(st.lists(ANY_TEXT | st.sampled_from(HOSTILE), unique=True))
def test_each_name_has_a_plain_one_of_its_own(names: list[str]) -> None:
    plain = name_plainly(names)
    assert list(plain) == names
    assert len(set(plain.values())) == len(names)
    assert all(plain.values())
