from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from cmaen.errors import DataError
from cmaen.evaluation.photographs import measure_photographs, read_photographs
from tests.conftest import EXAMPLES
from tests.test_cli import cmaen

ASTRONAUT = EXAMPLES / "astronaut.png"


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "lfw").mkdir(parents=True)
    shutil.copy(ASTRONAUT, folder / "lfw" / "a.png")
    (folder / "lfw" / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    (folder / "labels.csv").write_text("file,label\nlfw/a.png,Happiness\nlfw/broken.jpg,neutral\n")
    return folder / "labels.csv"


def test_a_folder_and_its_zip_hold_the_same(listed: Path, tmp_path: Path) -> None:
    archive = Path(shutil.make_archive(str(tmp_path / "photos"), "zip", listed.parent))
    beside, zipped = list(read_photographs(listed)), list(read_photographs(listed, archive))
    assert [(one.name, one.label) for one in beside] == [(one.name, one.label) for one in zipped]
    assert [one.label for one in beside] == ["happy", "neutral"]
    assert zipped[0].content == ASTRONAUT.read_bytes()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name,label\na,happy\n", "needs the columns file and label"),
        ("file,label\nlfw/a.png,happy\nlfw/b.png,sad\n", r"b\.png, listed in .*, does not exist"),
        ("file,label\nlfw/a.png,happy\nlfw/a.png,bored\n", r"other than angry.*bored"),
        ("", "needs the columns"),
    ],
)
def test_bad_lists_are_named(listed: Path, text: str, said: str) -> None:
    listed.write_text(text)
    with pytest.raises(DataError, match=said):
        list(read_photographs(listed))


def test_what_is_no_list_or_no_archive(listed: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read as a CSV"):
        list(read_photographs(tmp_path / "nothing.csv"))
    with pytest.raises(DataError, match="neither a folder nor a zip"):
        list(read_photographs(listed, ASTRONAUT))
    with pytest.raises(DataError, match=r"lfw/a\.png, listed in .*, cannot be read"):
        empty = Path(shutil.make_archive(str(tmp_path / "empty"), "zip", EXAMPLES))
        list(read_photographs(listed, empty))


def test_a_photograph_without_an_answer_is_wrong() -> None:
    labels = ["happy", "happy", "neutral", "sad"]
    found = measure_photographs(labels, ["happy", None, "neutral", "angry"])
    assert (found.count, found.accuracy, found.without_face) == (4, 0.5, 1)
    assert found.recall == {"happy": 0.5, "neutral": 1.0, "sad": 0.0}
    assert found.mean_recall == pytest.approx(0.5)
    assert found.answers["happy"] == {"happy": 1, "no face": 1}
    with pytest.raises(DataError, match="no photographs"):
        measure_photographs([], [])


def test_the_command_measures_through_detection(listed: Path, tmp_path: Path) -> None:
    said = cmaen("test", "--photographs", listed, "--output", tmp_path / "out")
    figures = json.loads((tmp_path / "out" / "metrics.json").read_text())["photographs"]
    assert all(found["count"] == 2 and found["without_face"] == 1 for found in figures.values())
    assert all(found["recall"]["happy"] == 1 for found in figures.values())
    assert "2 photographs, 1 without an answer" in said
