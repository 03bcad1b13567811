"""What `cmaen inference` says in a terminal, and how its process ends."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from typer import Exit

from cmaen.cli.inference import inference
from cmaen.cli.results import TableSink
from cmaen.inference.sinks import Needs
from tests.conftest import EXAMPLES
from tests.inference.conftest import RED, plain
from tests.inference.records import read
from tests.test_cli import cmaen

ASTRONAUT = EXAMPLES / "astronaut.png"


def test_a_long_name_is_shown_to_its_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = "x" * 150 + "the-end.png"
    with pytest.raises(Exit):
        inference(image=[str(tmp_path / name)])
    shown = capsys.readouterr().out
    assert "\u2026" not in shown
    assert shown.replace("\n", "").count(name) == 1, "the path is said once"


def test_when_everything_is_an_error_so_is_the_exit_status(tmp_path: Path) -> None:
    assert "does not exist" in cmaen("inference", "--image", tmp_path / "nothing.png", code=1)
    (tmp_path / "a.png").touch()
    assert "is empty (0 bytes)" in cmaen("inference", "--directory", tmp_path, code=1)


def test_an_error_is_one_line_and_exit_status_2(tmp_path: Path) -> None:
    said = cmaen("inference", "--video", tmp_path / "nothing.mp4", code=2)
    assert said.count("\n") == 1
    assert said.startswith("error: ")


def plain_text_world(*arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
    """The command line in a process that knows only ASCII."""
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "COLUMNS": "200"}
    command = [sys.executable, "-m", "cmaen", "inference", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, env=environment)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX locale")
def test_a_terminal_that_knows_only_ascii(tmp_path: Path) -> None:
    image, records, drawn = tmp_path / "ä ö.png", tmp_path / "ü.json", tmp_path / "ß"
    shutil.copy(ASTRONAUT, image)
    done = plain_text_world("--image", image, "--output", records)
    assert done.returncode == 0, done.stderr
    assert rb"\xe4 \xf6.png" in done.stdout
    assert done.stderr == b""
    assert read(records)[0]["path"] == str(image)
    done = plain_text_world("--directory", tmp_path, "--annotated", drawn)
    assert done.returncode == 0, done.stderr
    assert (drawn / "ä ö.png").exists()
    for arguments in (("--directory", tmp_path / "ñ"), ("--image", image, "--output", tmp_path / "ñ.xml")):
        done = plain_text_world(*arguments)
        assert done.returncode == 2
        assert done.stderr.startswith(b"error: ")
        assert b"Traceback" not in done.stderr
        assert done.stderr.isascii()


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX pipes")
def test_a_pipe_that_nobody_reads_is_no_traceback() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "cmaen", "inference", "--image", str(ASTRONAUT)]
    try:
        done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE)
    finally:
        os.close(writing)
    assert done.returncode == 1
    assert done.stderr == b""


def test_names_cannot_steer_the_terminal(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    name = "a\x1b]0;gone\x07\x1b[2J\x9b31m.png"
    (tmp_path / name).write_text("text")
    try:
        Image.fromarray(plain(RED)).save(tmp_path / f"wall{name}")
    except OSError:
        pytest.skip("this system has no such names")
    for arguments in (("--directory", tmp_path), ("--image", tmp_path / name), ("--image", tmp_path / f"no{name}")):
        code = 0 if arguments[0] == "--directory" else 1
        said = cmaen("inference", *arguments, code=code)
        assert not {"\x1b", "\x07", "\x9b"} & set(said)
        assert "\\x1b" in said
    said = cmaen("inference", "--directory", tmp_path / "no\x1b[31m", code=2)
    assert "\x1b" not in said
    target = tmp_path / "there" / "x\x1b[31m.txt"
    said = cmaen("inference", "--image", ASTRONAUT, "--annotated", target, code=2)
    assert "\x1b" not in said


def test_a_table_of_results_keeps_no_pixels() -> None:
    table = TableSink(only_errors=False)
    assert table.needs == Needs.RECORDS
