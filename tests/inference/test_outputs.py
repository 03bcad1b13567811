from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cmaen.errors import OutputError
from cmaen.inference.outputs import CSV_COLUMNS, FORMATS, ResultFile
from cmaen.types import EMOTIONS


def result(name: str, faces: int = 1) -> dict[str, object]:
    face = {
        "box": [1.0, 2.0, 30.0, 40.0],
        "landmarks": None,
        "predicted_emotion": "sad",
        "confidence": 0.4,
        "probabilities": dict.fromkeys(EMOTIONS, 0.1),
    }
    return {"path": name, "status": "ok" if faces else "no_face", "error": None, "faces": [face] * faces}


RESULTS = [result("a.png"), result("b.png", 0), result("ç.png", 2)]


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_holds_the_same(suffix: str, tmp_path: Path) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    path = tmp_path / f"results{suffix}"
    with ResultFile(path) as file:
        for one in RESULTS:
            file.write(one)
        assert not path.exists()  # nothing stands there before it is whole
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    if suffix == ".json":
        assert json.loads(path.read_text()) == RESULTS
    elif suffix == ".jsonl":
        assert [json.loads(line) for line in path.read_text().splitlines()] == RESULTS
    else:
        if suffix == ".csv":
            rows = list(csv.DictReader(path.open()))
        else:
            import pyarrow.parquet

            rows = pyarrow.parquet.read_table(path).to_pylist()
        assert tuple(rows[0]) == CSV_COLUMNS
        assert [row["path"] for row in rows] == ["a.png", "b.png", "ç.png", "ç.png"]
        assert [str(row["face"] or 0) for row in rows] == ["0", "0", "0", "1"]
        assert float(rows[0]["height"]) == 40


def test_no_results_are_a_file_too(tmp_path: Path) -> None:
    with ResultFile(tmp_path / "none.json"):
        pass
    assert json.loads((tmp_path / "none.json").read_text()) == []


def test_a_stopped_run_goes_on_where_its_last_whole_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    with pytest.raises(KeyboardInterrupt), ResultFile(path) as file:
        file.write(RESULTS[0])
        raise KeyboardInterrupt
    part = tmp_path / "results.json.part"
    part.write_bytes(part.read_bytes() + b'{"path": "b.p')  # a kill in mid-write
    with pytest.raises(OutputError, match="--resume"):
        ResultFile(path)
    with ResultFile(path, resume=True) as file:
        assert "a.png" in file
        assert "b.png" not in file
        for one in RESULTS[1:]:
            file.write(one)
    assert json.loads(path.read_text()) == RESULTS
    assert not part.exists()


def test_what_cannot_be_written_is_said_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="can be written as"):
        ResultFile(tmp_path / "results.txt")
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(OutputError, match="cannot be written"):
        ResultFile(tmp_path / "folder.json")
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be made"):
        ResultFile(tmp_path / "file" / "results.json")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_keeps_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    with pytest.raises(OutputError, match="No space left"), ResultFile(path) as file:
        file.write(RESULTS[0])
        file._file = Path("/dev/full").open("w")  # noqa: SIM115 - ResultFile closes it
        file.write(RESULTS[1])
    with ResultFile(path, resume=True) as file:
        assert "a.png" in file
        assert "b.png" not in file


def test_a_killed_command_loses_nothing_and_writes_nothing_twice(tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    rng = np.random.default_rng(0)
    for number in range(300):
        Image.fromarray(rng.integers(0, 256, (48, 48), dtype=np.uint8)).save(pictures / f"{number:03}.png")
    output = tmp_path / "results.csv"
    command = [sys.executable, "-m", "cmaen", "inference", "--directory", str(pictures), "--no-detect"]
    command += ["--batch-size", "4", "--output", str(output)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    part = tmp_path / "results.csv.part"
    deadline = time.monotonic() + 60
    while (not part.exists() or part.stat().st_size == 0) and time.monotonic() < deadline:
        time.sleep(0.001)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not output.exists(), "it was killed too late to prove anything"
    done = len(part.read_bytes().splitlines())
    said = subprocess.run([*command, "--resume"], check=True, capture_output=True, text=True).stdout
    assert int(said.split(" image")[0].split()[-1]) <= 300 - done + 1
    assert [row["path"] for row in csv.DictReader(output.open())] == [str(path) for path in sorted(pictures.iterdir())]
