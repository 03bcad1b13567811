"""The faces that a network was trained on travel with it, and a damaged list is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmaen.checkpoints import CARD, SEEN, Card, Checkpoint, Documents, SeenFaces
from cmaen.errors import CheckpointError
from cmaen.preprocessing import PreprocessSpec

keys = st.lists(st.integers(0, 2**64 - 1), max_size=20).map(lambda values: np.array(values, np.uint64))


@given(keys, keys)
def test_faces_are_found_and_united(own: np.ndarray, others: np.ndarray) -> None:
    seen = SeenFaces.of(own)
    assert len(seen) == len(set(own.tolist()))
    assert SeenFaces(seen.content) == seen
    assert seen.find(others).tolist() == [key in own.tolist() for key in others.tolist()]
    both = seen.unite(SeenFaces.of(others), None)
    assert set(both.keys.tolist()) == {*own.tolist(), *others.tolist()}
    assert seen.unite(None) == seen


@given(st.binary(max_size=40))
def test_bytes_are_keys_or_refused(content: bytes) -> None:
    whole = len(content) % 8 == 0
    values = np.frombuffer(content, "<u8").tolist() if whole else []
    if whole and sorted(set(values)) == values:
        assert SeenFaces(content).keys.tolist() == values
    else:
        with pytest.raises(ValueError, match=r"whole number|ascending"):
            SeenFaces(content)


def checkpoint(folder: Path, seen: SeenFaces | None) -> Checkpoint:
    return Checkpoint.create(folder, Documents(Card("a", {}, PreprocessSpec()), seen=seen), {})


def test_a_list_that_is_cut_off_anywhere_is_named(tmp_path: Path) -> None:
    seen = SeenFaces.of(np.arange(1, 4, dtype=np.uint64) << np.uint64(9))
    checkpoint(tmp_path, seen)
    assert Checkpoint(tmp_path).documents.seen == seen
    whole = (tmp_path / SEEN).read_bytes()
    for length in range(len(whole)):
        (tmp_path / SEEN).write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match=r"seen\.keys is corrupt"):
            assert Checkpoint(tmp_path).seen
    (tmp_path / SEEN).write_bytes(whole.replace(b"\x02", b"\x03"))
    with pytest.raises(CheckpointError, match=r"seen\.keys is corrupt"):
        assert Checkpoint(tmp_path).seen
    (tmp_path / SEEN).unlink()
    (tmp_path / SEEN).mkdir()
    with pytest.raises(CheckpointError, match="not a file"):
        assert Checkpoint(tmp_path).seen


def test_line_ends_count_in_a_list(tmp_path: Path) -> None:
    seen = SeenFaces.of(np.frombuffer(b"ab\r\ncd\r\n", "<u8"))
    checkpoint(tmp_path, seen)
    assert Checkpoint(tmp_path).seen == seen
    (tmp_path / SEEN).write_bytes(seen.content.replace(b"\r\n", b"\n"))
    with pytest.raises(CheckpointError, match="corrupt"):
        assert Checkpoint(tmp_path).seen


def test_a_checkpoint_may_lack_it(tmp_path: Path) -> None:
    assert checkpoint(tmp_path / "older", None).seen is None
    assert SEEN not in Checkpoint(tmp_path / "older").card.documents
    checkpoint(tmp_path / "a", SeenFaces.of(np.arange(3, dtype=np.uint64)))
    (tmp_path / "a" / SEEN).unlink()  # left out when it was copied
    assert Checkpoint(tmp_path / "a").seen is None
    checkpoint(tmp_path / "a", None)
    assert SEEN not in (tmp_path / "a" / CARD).read_text()


def test_an_unlisted_file_is_not_believed(tmp_path: Path) -> None:
    checkpoint(tmp_path, None)
    (tmp_path / SEEN).write_bytes(b"8 bytes!")
    assert Checkpoint(tmp_path).seen is None


def test_a_changed_document_keeps_it(tmp_path: Path) -> None:
    seen = SeenFaces.of(np.arange(3, dtype=np.uint64))
    assert checkpoint(tmp_path, seen).amend(lambda now: now).seen == seen


def test_the_shipped_weights_have_seen_fer2013s_training() -> None:
    from cmaen.data.keys import Fer2013Keys

    seen, known = Checkpoint.open().seen, Fer2013Keys.read()
    assert seen is not None
    assert seen == SeenFaces.of(known.training)
    assert seen.find(known.validation).sum() == 280
