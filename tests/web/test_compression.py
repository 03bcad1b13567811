"""Compressed copies: what they hold, and that they are always the same."""

from __future__ import annotations

import gzip
import importlib.util
import random
import struct
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmaen.web import compression
from cmaen.web.compression import SUFFIXES, compress


@given(st.binary(max_size=200) | st.binary(max_size=8).map(lambda part: part * 500))
def test_copies_hold_the_content_and_are_smaller(content: bytes) -> None:
    copies = dict(compress(content))
    assert set(copies) <= set(SUFFIXES)
    for suffix, copy in copies.items():
        assert len(copy) < len(content)
        if suffix == ".gz":
            assert gzip.decompress(copy) == content


def test_copies_are_the_same_at_any_time(monkeypatch: pytest.MonkeyPatch) -> None:
    content = b"the same " * 100
    copies = dict(compress(content))
    monkeypatch.setattr(time, "time", lambda: 4e9)
    assert dict(compress(content)) == copies
    (seconds,) = struct.unpack("<I", copies[".gz"][4:8])
    assert seconds == 0
    assert copies[".gz"][3] == 0, "no name of a file"


def test_pictures_are_left_as_they_are() -> None:
    assert dict(compress(random.Random(0).randbytes(1000))) == {}
    assert dict(compress(b"")) == {}


def test_brotli_is_used_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Brotli:
        @staticmethod
        def compress(content: bytes, quality: int, lgwin: int) -> bytes:
            asked.append((len(content), quality))
            return content[: len(content) // 4]

    monkeypatch.setattr(compression, "brotli", Brotli)
    for size in (1000, 3_000_000):
        assert dict(compress(bytes(size)))[".br"] == bytes(size // 4)
    assert asked == [(1000, 11), (3_000_000, 9)], "of large files its best takes minutes"
    monkeypatch.setattr(compression, "brotli", None)
    assert set(dict(compress(bytes(1000)))) == {".gz"}


@pytest.mark.skipif(importlib.util.find_spec("brotli") is None, reason="the optional package brotli is not installed")
def test_brotli_itself() -> None:
    import brotli

    content = b"the same " * 100
    assert brotli.decompress(dict(compress(content))[".br"]) == content
