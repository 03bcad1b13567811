from __future__ import annotations

import io
import time

import pytest

from cmaen.errors import SlowImageError, TruncatedImageError
from cmaen.images import deadline
from cmaen.images.deadline import GuardedFile, time_limit


def test_a_file_is_read_until_its_time_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with time_limit(2):
        file = GuardedFile(io.BytesIO(b"abcdef"), "x.png")
    assert (file.read(2), file.tell(), file.seek(1), file.read()) == (b"ab", 2, 1, b"bcdef")
    now[0] = 2.5
    with pytest.raises(SlowImageError, match="takes longer than 2 seconds"):
        file.read(1)
    unlimited = GuardedFile(io.BytesIO(b"a"), "x.png")
    now[0] = 1e9
    assert unlimited.read() == b"a"


def test_a_head_has_so_many_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadline, "MOST_PIECES", 3)
    file = GuardedFile(io.BytesIO(b"abcdef"), "x.png")
    assert [file.read(1) for _ in range(3)] == [b"a", b"b", b"c"]
    with pytest.raises(TruncatedImageError, match="more than 3"):
        file.read(1)
    file.pieces = None
    assert file.read(1) == b"d"
