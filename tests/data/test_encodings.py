"""Texts in the encodings that editors, spreadsheets and shells write."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmaen.data.encodings import LONGEST_LINE, detect_encoding, open_file, read_lines
from cmaen.errors import DataError

TEXT = "path,label\nMüller/1.png,fröhlich\n"
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252")


def lines_of(data: bytes) -> list[str]:
    return list(read_lines(lambda: io.BytesIO(data), "list.txt"))


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_text_in_any_usual_encoding_is_read(encoding: str) -> None:
    data = TEXT.encode(encoding)
    assert "".join(lines_of(data)) == TEXT
    if encoding.startswith("utf-16-"):
        bom = {"utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}[encoding]
        assert "".join(lines_of(bom + data)) == TEXT


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_text_that_is_cut_anywhere_keeps_its_whole_lines(encoding: str) -> None:
    data = (TEXT * 3).encode(encoding)
    whole = TEXT.splitlines(keepends=True) * 3
    for length in range(len(data) // 2, len(data)):
        found = lines_of(data[:length])
        assert found[:-1] == whole[: len(found) - 1], length


@given(st.binary(max_size=300))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    assert detect_encoding(io.BytesIO(data)) in {"utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"}
    assert isinstance("".join(lines_of(data)), str)


@given(st.text(st.characters(max_codepoint=0x24F, exclude_categories=["Cc"]), min_size=8, max_size=60))
def test_western_text_is_told_from_its_utf_16(text: str) -> None:
    assert lines_of(text.encode("utf-8")) == [text.removeprefix("\ufeff")]


def test_the_encoding_may_only_show_late() -> None:
    data = b"a,b\n" * 5000 + "Müller\n".encode("cp1252")
    assert lines_of(data)[-1] == "Müller\n"
    assert detect_encoding(io.BytesIO(data), whole=False) == "utf-8-sig"


def test_a_line_without_an_end_is_refused() -> None:
    with pytest.raises(DataError, match=r"list\.txt cannot be read: it has a line of at least"):
        lines_of(b"x" * (LONGEST_LINE + 1))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no named pipes in folders")
def test_a_pipe_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "label.lst")
    with pytest.raises(OSError, match="not a file"):
        open_file(tmp_path / "label.lst")
