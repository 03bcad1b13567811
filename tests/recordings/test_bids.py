"""Events of BIDS: a table without quotes that any reader splits alike, and the JSON that describes it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmaen.errors import OutputError
from cmaen.recordings.bids import COLUMNS, write_bids
from cmaen.recordings.episodes import Episode
from cmaen.recordings.recording import Recording
from tests.recordings.made import HOSTILE, LABELS, episode, record

VALIDATOR = os.environ.get("CMAEN_BIDS")
"""Path of bids-validator of npm (npm install bids-validator, node_modules/.bin/bids-validator)."""


def written(path: Path, recording: Recording, episodes: list[Episode]) -> list[list[str]]:
    """Write a table, check what BIDS demands of every table, and return its rows."""
    write_bids(path, recording, episodes)
    content = path.read_bytes().decode("utf-8")
    assert content.endswith("\n")
    assert not set('\r"') & set(content)
    header, *rows = (line.split("\t") for line in content[:-1].split("\n"))
    assert tuple(header) == COLUMNS
    assert all(len(row) == len(COLUMNS) and all(cell == cell.strip() != "" for cell in row) for row in rows)
    described = json.loads(path.with_suffix(".json").read_text("utf-8"))
    assert tuple(described) == COLUMNS
    assert {row[2] for row in rows} <= set(described["trial_type"]["Levels"])
    return rows


def test_an_episode_is_a_row_in_seconds(tmp_path: Path) -> None:
    episodes = [episode("Ada", 1 / 3, 1.2), episode("Bob", 7199.5, 7200.25, "sad", 0.65432)]
    path = tmp_path / "sub-01_task-film_events.tsv"
    assert written(path, record({"Ada": [0], "Bob": [0]}), episodes) == [
        ["0.3333", "0.8667", "happy", "Ada", "0.8000"],
        ["7199.5000", "0.7500", "sad", "Bob", "0.6543"],
    ]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [
        "sub-01_task-film_events.json",
        "sub-01_task-film_events.tsv",
    ]
    levels = json.loads(path.with_suffix(".json").read_text("utf-8"))["trial_type"]["Levels"]
    assert tuple(levels) == LABELS


def test_nobody_is_a_table_too_and_a_missing_number_is_not_left_empty(tmp_path: Path) -> None:
    assert written(tmp_path / "a_events.tsv", record({}), []) == []
    rows = written(tmp_path / "a_events.tsv", record({"Ada": [0]}), [episode("Ada", 1, 1, confidence=float("nan"))])
    assert rows == [["1.0000", "0.0000", "happy", "Ada", "n/a"]]


def test_no_name_breaks_the_table_or_is_read_as_missing(tmp_path: Path) -> None:
    people = {name: [0] for name in HOSTILE}
    path = tmp_path / "a_events.tsv"
    rows = written(path, record(people), [episode(name, 0, 1) for name in people])
    names = [row[3] for row in rows]
    assert len(set(names)) == len(HOSTILE)
    assert names[1] == "Ada 'the' Great"
    assert "person NA" in names
    pandas = pytest.importorskip("pandas")
    assert pandas.read_csv(path, sep="\t", na_values=["n/a"])["person"].tolist() == names


@given(st.lists(st.text(st.characters(exclude_categories=()), max_size=6), unique=True, max_size=6))
def test_any_names_make_a_table(names: list[str]) -> None:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        rows = written(
            Path(folder) / "a_events.tsv",
            record({name: [0] for name in names}),
            [episode(name, 0, 1) for name in names],
        )
    assert len({row[3] for row in rows}) == len(names)


def test_both_files_are_written_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a_events.tsv"
    path.write_text("mine")
    path.with_suffix(".json").write_text("mine too")
    write = Path.write_text

    def fail(self: Path, text: str, **options: str) -> int:
        if text.startswith("onset"):
            raise OSError(28, "No space left on device")
        return write(self, text, **options)

    monkeypatch.setattr(Path, "write_text", fail)
    with pytest.raises(OutputError, match="free some space"):
        write_bids(path, record({}), [])
    assert (path.read_text(), path.with_suffix(".json").read_text()) == ("mine", "mine too")
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.skipif(VALIDATOR is None, reason="CMAEN_BIDS does not name bids-validator (npm install bids-validator)")
def test_the_validator_of_bids_finds_nothing_to_complain_of(tmp_path: Path) -> None:
    folder = tmp_path / "sub-01" / "beh"
    folder.mkdir(parents=True)
    people = {name: [0] for name in HOSTILE}
    write_bids(folder / "sub-01_task-film_events.tsv", record(people), [episode(name, 0, 1) for name in people])
    dataset = {"Name": "Made by code", "BIDSVersion": "1.9.0", "License": "CC0", "Authors": ["One", "Two"]}
    (tmp_path / "dataset_description.json").write_text(json.dumps({**dataset, "DatasetType": "raw"}))
    (tmp_path / "README").write_text(
        "A data set made by a test: the events of one film, of which nothing else exists.\n" * 3
    )
    (tmp_path / "participants.tsv").write_text("participant_id\nsub-01\n")

    def validate() -> dict[str, list[dict[str, object]]]:
        result = subprocess.run([str(VALIDATOR), str(tmp_path), "--json"], capture_output=True, text=True, check=False)
        return json.loads(result.stdout)["issues"]

    assert (validate()["errors"], validate()["warnings"]) == ([], [])
    (folder / "sub-01_task-film_events.json").unlink()
    assert [issue["key"] for issue in validate()["warnings"]] == ["CUSTOM_COLUMN_WITHOUT_DESCRIPTION"]
