from __future__ import annotations

import json
import os

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cmaen.escaping import printable

pytestmark = pytest.mark.skipif(os.sep == "\\", reason="every name is text on Windows")

PIECES = (b"a", b"\\", b"x", b"x\xe9", b"xe9", b"\xe9", "é".encode(), b"/", b"\\xe9", b"\xff")
NAMES = st.lists(st.sampled_from(PIECES), max_size=6).map(b"".join)


@given(st.sets(NAMES, max_size=40))
@example({b"caf\xe9.png", b"caf\\xe9.png", b"caf\\\\xe9.png", b"caf\\\xe9.png"})
def test_two_paths_never_have_one_text(names: set[bytes]) -> None:
    texts = {printable(os.fsdecode(name)) for name in names}
    assert len(texts) == len(names)
    assert json.loads(json.dumps(sorted(texts))) == sorted(texts)
    for text in texts:
        text.encode()


def test_a_path_is_as_it_was_where_nothing_is_to_be_escaped() -> None:
    for name in ("a/é.png", "a\\b.png", "C:\\xyz", "\\x7f", "日本/語.png", ""):
        assert printable(name) == name
    assert printable("\ud800.png") == "\\ud800.png"


def test_the_parts_of_a_path_are_escaped_each_on_its_own() -> None:
    path = os.fsdecode(b"a\\b/caf\xe9/c.png")
    assert printable(path) == "/".join(map(printable, path.split("/"))) == "a\\b/caf\\xe9/c.png"
