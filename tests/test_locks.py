from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from cmaen.errors import OutputError
from cmaen.locks import hold

HOLDER = """
import sys
from pathlib import Path
from cmaen.locks import hold
with hold(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_run_is_refused_until_the_first_is_killed(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(OutputError, match="run is being written by another run"), hold(folder):
        pass
    holder.kill()
    holder.communicate()
    with hold(folder):
        pass
    assert list(folder.iterdir()) == []


def test_one_process_holds_a_folder_once_and_again(tmp_path: Path) -> None:
    with hold(tmp_path), pytest.raises(OutputError, match="another run"), hold(tmp_path):
        pass
    for _ in range(2):
        with pytest.raises(KeyError), hold(tmp_path):
            raise KeyError
    assert list(tmp_path.iterdir()) == []


def test_of_many_threads_one_writes_at_a_time(tmp_path: Path) -> None:
    inside, most, entered = 0, 0, 0
    counting = threading.Lock()

    def work() -> None:
        nonlocal inside, most, entered
        for _ in range(30):
            with suppress(OutputError), hold(tmp_path):
                with counting:
                    inside, entered = inside + 1, entered + 1
                    most = max(most, inside)
                with counting:
                    inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert entered > 0
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_locked_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="file could not be written"), hold(tmp_path / "file"):
        pass
    if os.name != "nt":
        (tmp_path / ".lock").symlink_to("elsewhere")  # nothing is created behind a link
        with pytest.raises(OutputError), hold(tmp_path):
            pass
        assert not (tmp_path / "elsewhere").exists()
