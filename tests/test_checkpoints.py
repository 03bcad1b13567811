"""A checkpoint is the old one or the new one, wherever a kill comes in between."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cmaen.card import CARD, ONNX, SAFETENSORS, Card, read_card, verified
from cmaen.checkpoints import keep_in_card, with_figures, write_checkpoint
from cmaen.errors import CheckpointError, OutputError
from cmaen.folders import changing, remove, settle
from cmaen.history import HISTORY, Epoch, read_history
from cmaen.preprocessing import PreprocessSpec

OLD, NEW = [Epoch("old", 1)], [Epoch("new", 1), Epoch("new", 2)]


class Kill(BaseException):
    """The process ends here: nothing cleans up after it."""


def write(folder: Path, name: str, history: list[Epoch]) -> None:
    card = Card(name, {}, PreprocessSpec())
    write_checkpoint(folder, card, {SAFETENSORS: lambda path: path.write_text(name)}, history=history)


def old(folder: Path) -> None:
    write(folder, "old", OLD)
    (folder / "notes.txt").write_text("the user's")
    (folder / ONNX).write_text("old, exported")
    keep_in_card(folder, lambda card: replace(card, sha256={**card.sha256, ONNX: _sum(folder / ONNX)}))
    verified(folder, "onnx")


def _sum(path: Path) -> str:
    from cmaen.files import sha256

    return sha256(path)


def found(folder: Path) -> str:
    """Which checkpoint is there, whole."""
    card = read_card(folder)
    assert verified(folder, "torch").read_text() == card.name
    assert read_history(folder) == (OLD if card.name == "old" else NEW)
    assert (folder / ONNX).is_file() == (card.name == "old")
    assert (folder / "notes.txt").read_text() == "the user's"
    return card.name


def killed_at(step: int, patch: pytest.MonkeyPatch) -> list[str]:
    """Let the file system die at its so manyth change, and all that come after it."""
    calls: list[str] = []

    def dying(name: str, call: Callable) -> Callable:
        def called(*args: object, **options: object) -> object:
            calls.append(name)
            if len(calls) > step:
                raise Kill
            return call(*args, **options)

        return called

    for name in ("rename", "replace", "unlink", "mkdir", "rmdir", "fsync", "open"):
        patch.setattr(os, name, dying(name, getattr(os, name)))
    patch.setattr(shutil, "rmtree", dying("rmtree", shutil.rmtree))
    return calls


def test_a_kill_at_any_step_leaves_the_old_checkpoint_or_the_new_one(tmp_path: Path) -> None:
    seen = set()
    for step in range(1000):
        folder = tmp_path / str(step)
        old(folder)
        with pytest.MonkeyPatch.context() as patch:
            killed_at(step, patch)
            try:
                write(folder, "new", NEW)
            except Kill:
                ended = False
            else:
                ended = True
        seen.add(found(folder))
        write(folder, "new", NEW)  # a later change is held up by nothing
        assert found(folder) == "new"
        assert {path.name for path in folder.iterdir()} == {CARD, SAFETENSORS, HISTORY, "notes.txt"}
        if ended:
            break
        shutil.rmtree(folder)
    assert seen == {"old", "new"}
    assert step > 10


@pytest.mark.parametrize("name", ["fsync", "open", "replace", "rename"])
def test_a_full_disk_at_any_step_is_named_and_costs_nothing(name: str, tmp_path: Path) -> None:
    for step in range(100):
        folder = tmp_path / str(step)
        old(folder)
        calls = 0
        real = getattr(os, name)

        def full(*args: object, step: int = step, real: Callable = real, **options: object) -> object:
            nonlocal calls
            calls += 1
            if calls == step + 1:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(*args, **options)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, name, full)
            try:
                write(folder, "new", NEW)
            except OutputError as error:
                assert "No space left" in str(error)  # noqa: PT017 - not every step is a write
        found(folder)
        if calls <= step:
            return
        shutil.rmtree(folder)
    raise AssertionError("endless")


def test_a_new_folder_that_fails_is_not_there(tmp_path: Path) -> None:
    def fail(path: Path) -> None:
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        write_checkpoint(tmp_path / "new", Card("a", {}, PreprocessSpec()), {SAFETENSORS: fail})
    assert list(tmp_path.iterdir()) == []


def test_two_processes_do_not_write_one_checkpoint(tmp_path: Path) -> None:
    old(tmp_path)
    with changing(tmp_path), pytest.raises(OutputError, match="another run"):
        keep_in_card(tmp_path, lambda card: with_figures(card, {"a": {}}))
    assert found(tmp_path) == "old"


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_links_and_permissions_stay(tmp_path: Path) -> None:
    store, folder = tmp_path / "store", tmp_path / "checkpoint"
    store.mkdir()
    write(folder, "old", OLD)
    (folder / SAFETENSORS).rename(store / "weights")
    (folder / SAFETENSORS).symlink_to(store / "weights")
    (folder / CARD).chmod(0o600)
    write(folder, "new", NEW)
    assert (folder / SAFETENSORS).is_symlink()
    assert (store / "weights").read_text() == "new"
    assert (folder / CARD).stat().st_mode & 0o777 == 0o600
    read_card(folder)


def test_names_that_leave_the_folder_are_not_removed(tmp_path: Path) -> None:
    (tmp_path / "precious").touch()
    folder = tmp_path / "folder"
    with changing(folder) as draft:
        remove(draft, "../precious", "", ".", "..", str(tmp_path / "precious"))
    (folder / ".cmaen-committed").mkdir(parents=True)
    (folder / ".cmaen-committed" / "gone.json").write_text('["../precious", ".."]')
    settle(folder)
    assert (tmp_path / "precious").exists()
    assert list(folder.iterdir()) == []


def test_a_change_that_cannot_be_finished_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old(tmp_path)
    (tmp_path / ".cmaen-committed").mkdir()
    (tmp_path / ".cmaen-committed" / CARD).write_text("{}")

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(CheckpointError, match="interrupted and cannot be finished: Read-only file system"):
        read_card(tmp_path)
