from __future__ import annotations

import base64
import tracemalloc
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmaen.images.encoded import decode_base64, unescape


@given(st.text(alphabet="%0aAfFgZé+ ", max_size=20))
def test_escapes_are_read_as_in_addresses(text: str) -> None:
    assert unescape(text) == unquote_to_bytes(text)


def test_escapes_take_little_memory_and_odd_letters_are_no_failure() -> None:
    text = "%41" * 1_000_000
    tracemalloc.start()
    try:
        assert unescape(text) == b"A" * 1_000_000
        assert tracemalloc.get_traced_memory()[1] < 12 * len(text)
    finally:
        tracemalloc.stop()
    assert unescape("\ud800%41").endswith(b"A")


@given(st.binary(max_size=40), st.booleans(), st.booleans(), st.integers(1, 12))
def test_base64_in_all_its_ways(content: bytes, safe: bool, padded: bool, width: int) -> None:
    text = (base64.urlsafe_b64encode if safe else base64.b64encode)(content).decode()
    text = text if padded else text.rstrip("=")
    assert decode_base64("\r\n".join(text[start : start + width] for start in range(0, len(text), width))) == content


@pytest.mark.parametrize("text", ["A", "AA=A", "AAAé", "AA\0A", "AA!A", "\ud800"])
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"base64|ASCII|padding|ascii"):
        decode_base64(text)
