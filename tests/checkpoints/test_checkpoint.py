"""A checkpoint is either the old one or the new one, wherever a kill interrupts a change."""

from __future__ import annotations

import errno
import itertools
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cmaen.checkpoints import (
    CARD,
    FILES,
    HISTORY,
    METRICS,
    ONNX,
    PROVENANCE,
    SAFETENSORS,
    SEEN,
    Card,
    Checkpoint,
    Documents,
    Epoch,
    Figures,
    Measured,
    Metrics,
    Provenance,
    SeenFaces,
)
from cmaen.checkpoints.checkpoint import write_documents
from cmaen.checkpoints.staging import remove, settle, stage
from cmaen.errors import CheckpointError, OutputError
from cmaen.preprocessing import PreprocessSpec
from cmaen.types import FER2013


class Kill(BaseException):
    """A process that ends here: nothing cleans up after it."""


def documents(number: int) -> Documents:
    """Return documents that all contain the number of their checkpoint."""
    return Documents(
        Card(f"{number}", {}, PreprocessSpec()),
        Provenance(seed=number),
        Metrics().add(f"split {number}", "torch", Measured("fp32", {FER2013: Figures(0.5)})),
        tuple(Epoch("a", epoch) for epoch in range(1, number + 2)),
        SeenFaces.of(np.arange(number + 3, dtype=np.uint64)),
    )


def write(folder: Path, number: int) -> None:
    """Write new weights, without anything of the old ones."""
    Checkpoint.create(folder, documents(number), {SAFETENSORS: lambda path: path.write_text(f"{number}")})


def export(folder: Path) -> None:
    """Write the file of an engine, with its figures, beside the weights."""
    with Checkpoint.stage(folder) as draft:
        now = Checkpoint(folder).documents
        (draft / ONNX).write_text(f"{now.card.name} exported")
        metrics = now.metrics.add(f"split {now.card.name}", "onnx", Measured("int8", {FER2013: Figures(0.4)}))
        card = replace(now.card, precision={"onnx": "int8"})
        write_documents(draft, replace(now, card=card, metrics=metrics), weights=(ONNX,), kept=now.card.sha256)


def calibrate(folder: Path) -> None:
    """Write another temperature, and its fit in the metrics."""
    Checkpoint(folder).amend(
        lambda now: replace(
            now,
            card=now.card.with_temperature(FER2013, 2.0),
            metrics=now.metrics.add("temperature", "torch", Measured("fp32", {FER2013: Figures(0.3)})),
        )
    )


def found(folder: Path) -> str:
    """Return which checkpoint is there: all documents and weights files must belong to it."""
    checkpoint = Checkpoint(folder)
    card, number = checkpoint.card, int(checkpoint.card.name)
    assert checkpoint.provenance == Provenance(seed=number)
    assert len(checkpoint.history) == number + 1
    assert checkpoint.seen == documents(number).seen
    assert checkpoint.weights("torch").read_text() == f"{number}"
    engines = set(checkpoint.metrics.splits[f"split {number}"])
    assert engines == ({"torch", "onnx"} if card.precision else {"torch"})
    assert checkpoint.has("onnx") == bool(card.precision)
    if card.precision:
        assert checkpoint.weights("onnx").read_text() == f"{number} exported"
    calibrated = card.schemes[FER2013].temperature == 2.0
    assert ("temperature" in checkpoint.metrics.splits) == calibrated
    assert (folder / "notes.txt").read_text() == "the user's"
    return f"{number}{', exported' if card.precision else ''}{', calibrated' if calibrated else ''}"


def prepare(folder: Path) -> None:
    write(folder, 0)
    (folder / "notes.txt").write_text("the user's")
    export(folder)


def killed_at(step: int, patch: pytest.MonkeyPatch) -> list[str]:
    """Make the file system fail at its n-th change, and at all later ones."""
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


CHANGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "new weights": (lambda folder: write(folder, 1), "1"),
    "an export": (export, "0, exported"),
    "temperatures": (calibrate, "0, exported, calibrated"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_kill_at_any_step_leaves_the_old_checkpoint_or_the_new_one(change: str, tmp_path: Path) -> None:
    make, after = CHANGES[change]
    seen = set()
    prepare(tmp_path / "before")
    for step in range(1000):
        folder = Path(shutil.copytree(tmp_path / "before", tmp_path / str(step)))
        with pytest.MonkeyPatch.context() as patch:
            killed_at(step, patch)
            try:
                make(folder)
            except Kill:
                ended = False
            else:
                ended = True
        seen.add(found(folder))
        make(folder)  # nothing blocks a later change
        assert found(folder) == after
        left = {path.name for path in folder.iterdir()} - {ONNX}
        assert left == {CARD, PROVENANCE, METRICS, SAFETENSORS, HISTORY, SEEN, "notes.txt"}
        if ended:
            break
        shutil.rmtree(folder)
    assert seen == {"0, exported", after}
    assert step > 10


@pytest.mark.parametrize("name", ["fsync", "open", "replace", "rename"])
def test_a_full_disk_at_any_step_is_named_and_costs_nothing(name: str, tmp_path: Path) -> None:
    prepare(tmp_path / "before")
    for step in range(100):
        folder = Path(shutil.copytree(tmp_path / "before", tmp_path / str(step)))
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
                write(folder, 1)
            except OutputError as error:
                assert "No space left" in str(error)  # noqa: PT017 - not every step is a write
        found(folder)
        if calls <= step:
            return
        shutil.rmtree(folder)
    raise AssertionError("endless")


KILLED = """
import os, sys, time
from pathlib import Path
from tests.checkpoints.test_checkpoint import calibrate, export, write
folder = Path(sys.argv[1])
print("begun", flush=True)
for line in sys.stdin:  # one child for each line: it changes the checkpoint until it is killed
    child = os.fork()
    if not child:
        number, changes = int(line), (write, lambda folder, _: export(folder), lambda folder, _: calibrate(folder))
        began = time.perf_counter()
        changes[number % 3](folder, number % 5)
        print(os.getpid(), time.perf_counter() - began, flush=True)
        while True:
            number += 1
            changes[number % 3](folder, number % 5)
    os.waitpid(child, 0)
    print("dead", flush=True)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no fork")
def test_a_process_that_is_killed_at_any_moment_leaves_a_whole_checkpoint(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    prepare(folder)
    rng, seen, broken_off = random.Random(0), set(), 0
    command = [sys.executable, "-c", KILLED, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        for number in itertools.count():
            if number >= 50 and len(seen) > 4 and broken_off:  # some of them in the middle of a change
                break
            assert number < 3000, "no kill came in the middle of a change"
            process.stdin.write(f"{number}\n")
            process.stdin.flush()
            child, seconds = process.stdout.readline().split()
            time.sleep(rng.uniform(0, 4 * float(seconds)))  # a few changes more
            os.kill(int(child), 9)
            assert process.stdout.readline() == "dead\n"
            broken_off += any(path.name.startswith(".cmaen-committed") for path in folder.iterdir())
            seen.add(found(folder))
        process.stdin.close()
    write(folder, 1)
    assert found(folder) == "1"
    assert {path.name for path in folder.iterdir()} == {
        CARD,
        PROVENANCE,
        METRICS,
        SAFETENSORS,
        HISTORY,
        SEEN,
        "notes.txt",
    }


def test_who_reads_while_another_writes_sees_one_checkpoint(tmp_path: Path) -> None:
    prepare(tmp_path)
    ended = threading.Event()

    def change() -> None:
        for number in range(8):
            write(tmp_path, number % 3)
            export(tmp_path)
            calibrate(tmp_path)
        ended.set()

    writer = threading.Thread(target=change)
    writer.start()
    looks = 0
    while not ended.is_set():
        try:
            found_now = Checkpoint(tmp_path)
            number = int(found_now.card.name)
            assert found_now.provenance == Provenance(seed=number)
            assert f"split {number}" in found_now.metrics.splits
            assert found_now.weights("torch").read_text() in (f"{number}", f"{(number + 1) % 3}")  # read a moment later
        except CheckpointError as error:
            assert "has changed since it was opened" in str(error)  # noqa: PT017 - it may or may not
        looks += 1
    writer.join()
    assert looks > 3
    (tmp_path / "notes.txt").write_text("the user's")
    found(tmp_path)


def test_what_has_changed_since_it_was_opened_is_not_mixed(tmp_path: Path) -> None:
    prepare(tmp_path)
    before = Checkpoint(tmp_path)
    assert before.card.name == "0"
    write(tmp_path, 1)
    for use in (lambda: before.weights("torch"), lambda: before.metrics, lambda: before.provenance):
        with pytest.raises(CheckpointError, match="has changed since it was opened; open it again"):
            use()
    assert Checkpoint(tmp_path).weights("torch").read_text() == "1"


def test_a_new_folder_that_fails_is_not_there(tmp_path: Path) -> None:
    def fail(path: Path) -> None:
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        Checkpoint.create(tmp_path / "new", documents(0), {SAFETENSORS: fail})
    assert list(tmp_path.iterdir()) == []


def test_two_processes_do_not_write_one_checkpoint(tmp_path: Path) -> None:
    prepare(tmp_path)
    with stage(tmp_path), pytest.raises(OutputError, match="another run"):
        calibrate(tmp_path)
    assert found(tmp_path) == "0, exported"


def test_who_reads_waits_for_who_moves(tmp_path: Path) -> None:
    """The reader does not move files itself, as they could belong to the next change."""
    from cmaen.locks import hold

    prepare(tmp_path)
    committed = tmp_path / ".cmaen-committed"
    committed.mkdir()
    (committed / "gone.json").write_text(f'["{ONNX}"]')
    seen = []
    with hold(tmp_path):
        reader = threading.Thread(target=lambda: seen.append(Checkpoint(tmp_path).card.name))
        reader.start()
        time.sleep(0.1)
        assert (seen, (tmp_path / ONNX).exists()) == ([], True)
        shutil.rmtree(committed)
    reader.join()
    assert (seen, (tmp_path / ONNX).exists()) == (["0"], True)


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_links_and_permissions_stay(tmp_path: Path) -> None:
    store, folder = tmp_path / "store", tmp_path / "checkpoint"
    store.mkdir()
    prepare(folder)
    (folder / SAFETENSORS).rename(store / "weights")
    (folder / SAFETENSORS).symlink_to(store / "weights")
    (folder / CARD).chmod(0o600)
    write(folder, 1)
    assert (folder / SAFETENSORS).is_symlink()
    assert (store / "weights").read_text() == "1"
    assert (folder / CARD).stat().st_mode & 0o777 == 0o600
    assert found(folder) == "1"


def test_names_that_leave_the_folder_are_not_removed(tmp_path: Path) -> None:
    (tmp_path / "precious").touch()
    folder = tmp_path / "folder"
    with stage(folder) as draft:
        remove(draft, "../precious", "", ".", "..", str(tmp_path / "precious"))
    (folder / ".cmaen-committed").mkdir(parents=True)
    (folder / ".cmaen-committed" / "gone.json").write_text('["../precious", ".."]')
    settle(folder)
    assert (tmp_path / "precious").exists()
    assert list(folder.iterdir()) == []


def test_a_change_that_cannot_be_finished_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(tmp_path)
    (tmp_path / ".cmaen-committed").mkdir()
    (tmp_path / ".cmaen-committed" / CARD).write_text("{}")

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(CheckpointError, match="interrupted and cannot be finished: Read-only file system"):
        assert Checkpoint.open(tmp_path).card


def test_every_engine_has_its_files_looked_at(tmp_path: Path) -> None:
    names = [name for engine in FILES.values() for name in engine]
    Checkpoint.create(tmp_path, documents(0), {name: lambda path: path.write_text("weights") for name in names})
    for engine, files in FILES.items():
        assert Checkpoint(tmp_path).has(engine)
        assert Checkpoint(tmp_path).size_of(engine) == 7 * len(files)
        for name in files:
            (tmp_path / name).write_text("Weights")
            with pytest.raises(CheckpointError, match="corrupt or belongs to another checkpoint"):
                Checkpoint(tmp_path).weights(engine)
            (tmp_path / name).unlink()
            assert not Checkpoint(tmp_path).has(engine)
            with pytest.raises(CheckpointError, match=f"no readable {name}"):
                Checkpoint(tmp_path).weights(engine)
            (tmp_path / name).mkdir()
            with pytest.raises(CheckpointError, match="not a file"):
                Checkpoint(tmp_path).weights(engine)
            (tmp_path / name).rmdir()
            (tmp_path / name).write_text("weights")
