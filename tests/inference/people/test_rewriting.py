from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmaen.inference.people.rewriting import open_batches, read_fields

_TEXT = b"\x0a\x03abc"
MESSAGE = _TEXT + b"\x10\x96\x01" + b"\x19" + bytes(8) + b"\x25" + bytes(4)


def test_fields_are_read_in_their_order_and_lose_nothing() -> None:
    fields = list(read_fields(MESSAGE))
    assert [field.number for field in fields] == [1, 2, 3, 4]
    assert fields[0].content == b"abc"
    assert b"".join(field.whole for field in fields) == MESSAGE


def test_a_message_that_ends_early_is_refused_wherever_it_ends() -> None:
    whole = 0
    for end in range(1, len(MESSAGE)):
        try:
            list(read_fields(MESSAGE[:end]))
        except ValueError:
            continue
        whole += 1
    assert whole == 3, "only between two fields"


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    try:
        found = b"".join(field.whole for field in read_fields(content))
        open_batches(content, "data")
    except ValueError:
        return
    assert found == content


def test_only_the_picture_stays_an_input() -> None:
    shape = b"\x0a\x02\x08\x01\x0a\x02\x08\x03"
    picture, weight = b"\x0a\x04data" + shape, b"\x0a\x06weight" + shape
    parts = ((11, picture), (11, weight), (13, weight), (12, b"\x0a\x02y1" + shape))
    graph = b"".join(bytes([number << 3 | 2, len(content)]) + content for number, content in parts)
    (opened,) = read_fields(open_batches(b"\x3a" + bytes([len(graph)]) + graph, "data"))
    inner = list(read_fields(opened.content))
    assert [field.number for field in inner] == [11, 12]
    assert all(b"\x0a\x02\x12\x00\x0a\x02\x08\x03" in field.content for field in inner), "any number, of three planes"


@pytest.mark.parametrize("content", [b"\x0f\x01", b"\xff" * 20, b"\x0a\xff\xff\xff\xff\x0f"])
def test_what_is_no_message_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="byte"):
        list(read_fields(content))
