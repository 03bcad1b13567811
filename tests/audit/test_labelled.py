"""Tests of reading labelled faces, answers that are there, and tables of groups."""

from __future__ import annotations

import csv
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cmaen.audit.labelled import LabelledAnswers, join_groups, read_labelled
from cmaen.data.splits import Split
from cmaen.errors import CmaenError, DataError
from cmaen.tabulation import COLUMNS as TABLE
from cmaen.types import EMOTIONS

HEAD = ["path", "label", "gender", *EMOTIONS]


def line(path: str, label: str, gender: str, answer: str, confidence: float = 0.7) -> list[str]:
    rest = (1 - confidence) / (len(EMOTIONS) - 1)
    return [path, label, gender, *(f"{confidence if emotion == answer else rest:.4f}" for emotion in EMOTIONS)]


ROWS = [line("a/1.jpg", "happy", "f", "happy"), line("a/2.jpg", "Joy", "m", "sad"), line("b/1.jpg", "sad", "", "sad")]


def write(path: Path, rows: list[list[str]], delimiter: str = ",", encoding: str = "utf-8") -> Path:
    with path.open("w", newline="", encoding=encoding) as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)
    return path


def test_answers_that_are_there_need_no_network(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path / "answers.csv", [HEAD, *ROWS])
    read_labelled(path)
    assert caplog.text == ""
    found = read_labelled(path, checkpoint="there is no such checkpoint")
    assert "checkpoint, split and scheme are not used" in caplog.text
    assert found.names == ("a/1.jpg", "a/2.jpg", "b/1.jpg")
    assert [EMOTIONS[label] for label in found.labels] == ["happy", "happy", "sad"]
    assert [EMOTIONS[answer] for answer in found.answers] == ["happy", "sad", "sad"]
    np.testing.assert_allclose(found.confidences, 0.7, atol=1e-3)
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1)
    assert found.columns["gender"] == ("f", "m", "")
    assert set(found.columns) == {"path", "label", "gender"}


def test_what_cmaen_test_writes_is_read_with_its_groups(tmp_path: Path) -> None:
    rows = [["name", "label", "prediction", *EMOTIONS], *([row[0], row[1], "?", *row[3:]] for row in ROWS)]
    groups = write(tmp_path / "groups.csv", [["file", "gender"], ["a/1.jpg", "f"], ["2.jpg", "m"]])
    found = read_labelled(write(tmp_path / "predictions.csv", rows), groups)
    assert found.columns["gender"] == ("f", "m", "")
    assert list(found.left_out.values()) == [1]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_spreadsheets_are_understood(tmp_path: Path, delimiter: str, encoding: str) -> None:
    rows = [[cell.replace(".", ",") if cell[0] == "0" else cell for cell in row if cell] for row in ROWS[:2]]
    head = ["path", "label", "größe", *EMOTIONS]
    found = read_labelled(write(tmp_path / "answers.csv", [head, *rows], delimiter, encoding))
    assert found.columns["größe"] == ("f", "m")
    np.testing.assert_allclose(found.confidences, 0.7, atol=1e-3)


def test_bad_lines_do_not_cost_the_others(tmp_path: Path) -> None:
    bad = [
        line("5.jpg", "", "f", "sad"),
        line("6.jpg", "bored", "f", "sad"),
        ["7.jpg", "sad", "f", "-1", "0", "0", "0", "0", "0", "0"],
        ["8.jpg", "sad", "f", "x", "0", "0", "0", "0", "0", "0"],
        ["9.jpg", "sad", "f", "nan", "0", "0", "0", "0", "0", "0"],
        ["9.jpg", "sad", "f", "inf", "0", "0", "0", "0", "0", "0"],
        ["9.jpg", "sad", "f", "0", "0", "0", "0", "0", "0", "0"],
        ["cut off"],
    ]
    found = read_labelled(write(tmp_path / "answers.csv", [HEAD, *bad, *ROWS]))
    assert len(found) == 3
    assert found.left_out == {
        "without a label": 2,
        "with another label": 1,
        "with numbers that are no probabilities": 5,
    }
    with pytest.raises(DataError, match="bored"):
        read_labelled(write(tmp_path / "bad.csv", [HEAD, bad[1]]))
    with pytest.raises(DataError, match="3 with numbers that are no probabilities"):
        read_labelled(write(tmp_path / "bad.csv", [HEAD, *bad[2:5]]))


def test_a_line_without_probabilities_is_no_answer(tmp_path: Path) -> None:
    found = read_labelled(write(tmp_path / "answers.csv", [HEAD, *ROWS, ["c.jpg", "fear", "f", *[""] * 7]]))
    assert found.without_answer == 1
    assert found.answers.tolist()[-1] == len(EMOTIONS)
    assert np.isnan(found.confidences[-1])


def test_names_of_labels_are_taken(tmp_path: Path) -> None:
    rows = [[row[0], str(number % 2), *row[2:]] for number, row in enumerate(ROWS)]
    found = read_labelled(write(tmp_path / "answers.csv", [HEAD, *rows]), names={0: "happy", 1: "sad"})
    assert [EMOTIONS[label] for label in found.labels] == ["happy", "sad", "happy"]


def test_any_bytes_are_read_or_refused_by_name(tmp_path: Path) -> None:
    hypothesis = pytest.importorskip("hypothesis")
    path = tmp_path / "answers.csv"
    head = ",".join(HEAD).encode()

    @hypothesis.settings(max_examples=60)
    @hypothesis.given(hypothesis.strategies.binary(max_size=80), hypothesis.strategies.booleans())
    def read(content: bytes, headed: bool) -> None:
        path.write_bytes(head + b"\n" + content if headed else content)
        try:
            found = read_labelled(path)
        except CmaenError:
            return
        assert len(found) == len(found.names) == len(found.columns["label"])

    read()


def test_results_of_cmaen_predict_are_read_once_they_have_labels(tmp_path: Path) -> None:
    columns = [*TABLE, "label", *EMOTIONS]
    rows = [
        [{"path": "a.jpg", "status": "ok", "face": "1", "label": "sad"}.get(column, "") for column in TABLE]
        + ["sad", *(f"{1 / 7:.4f}" for _ in EMOTIONS)],
        [{"path": "b.jpg", "status": "no_face"}.get(column, "") for column in TABLE] + ["fear", *[""] * 7],
    ]
    found = read_labelled(write(tmp_path / "faces.csv", [columns, *rows]))
    assert found.names == ("a.jpg", "b.jpg")
    assert found.without_answer == 1
    assert found.columns["status"] == ("ok", "no_face")


@pytest.mark.parametrize("form", ["utf-8", "utf-16"])
def test_a_table_cut_off_anywhere_is_read_or_refused_by_name(tmp_path: Path, form: str) -> None:
    whole = write(tmp_path / "whole.csv", [HEAD, *ROWS], encoding=form).read_bytes()
    path = tmp_path / "answers.csv"
    for length in range(0, len(whole), 3):
        path.write_bytes(whole[:length])
        try:
            found = read_labelled(path)
        except CmaenError:
            continue
        assert 1 <= len(found) <= 3


def test_a_line_of_groups_belongs_to_the_face_whose_path_ends_like_it(tmp_path: Path) -> None:
    names = ("validation/happy/1.png", "validation/sad/1.png", "validation/sad/2.png", "x/3.png", "x/4.png", "5.png")
    given = LabelledAnswers(EMOTIONS, names, np.zeros(6, int), np.full((6, 7), 1 / 7), {"age": ("1",) * 6})
    rows = [
        ["file", "sex", "age"],
        ["C:\\data\\happy\\1.png", "f", "10"],
        ["sad/1.png", "m", "20"],
        ["2.png", "f", "30"],
        ["y/3.png", "m", "40"],
        ["z/3.png", "f", "50"],
        ["4.png", "m", "60"],
        ["4.png", "f", "60"],
        ["any/5.png", "m", "70"],
    ]
    found = join_groups(given, write(tmp_path / "groups.csv", rows))
    assert found.columns == {"age": ("10", "20", "30", "", "", "70"), "sex": ("f", "m", "f", "", "", "m")}
    assert list(found.left_out.values()) == [2]  # one is not listed, and one twice


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([["sex", "age"], ["f", "1"]], "needs a column of file names"),
        ([["file"], ["1.png"]], "columns of groups"),
        ([["file", "sex"], ["other.png", "f"]], "no line of"),
        ([], "needs a column of file names"),
    ],
)
def test_a_table_of_groups_that_cannot_be_used_is_refused(tmp_path: Path, rows: list[list[str]], said: str) -> None:
    given = LabelledAnswers(EMOTIONS, ("1.png",), np.zeros(1, int), np.full((1, 7), 1 / 7), {})
    with pytest.raises(DataError, match=said):
        join_groups(given, write(tmp_path / "groups.csv", rows))
    with pytest.raises(DataError, match="cannot be read"):
        join_groups(given, tmp_path)


def test_a_network_is_asked_about_a_folder(fer_tree: Path, tmp_path: Path) -> None:
    shutil.copytree(fer_tree / "test", tmp_path / "faces")
    files = sorted((tmp_path / "faces").rglob("*.png"))
    rows = [["file", "sex"], *([file.name, "mf"[number % 2]] for number, file in enumerate(files[1:]))]
    write(tmp_path / "faces" / "groups.csv", rows)
    for file in files:
        file.rename(file.with_name(file.name.replace("PrivateTest_", "face")))
    rows = [[row[0].replace("PrivateTest_", "face"), row[1]] for row in rows]
    write(tmp_path / "faces" / "groups.csv", rows)
    found = read_labelled(tmp_path / "faces")
    assert len(found) == len(files) == 14  # every face, though there is no split
    assert found.columns["sex"].count("") == 1
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1, atol=1e-6)
    assert "fer2013" in found.source
    other = read_labelled(tmp_path / "faces", scheme="perceived")
    assert other.classes == found.classes
    assert not np.allclose(other.probabilities, found.probabilities)


def test_a_table_of_files_brings_its_columns(fer_tree: Path, tmp_path: Path) -> None:
    files = sorted((fer_tree / "train").rglob("*.png"))[:20]
    labels = [file.parent.name for file in files]
    shutil.copy(files[0], tmp_path / "b\\ö.png")
    rows = [["path", "label", "sex"], *([str(file), label, "f"] for file, label in zip(files, labels, strict=True))]
    (tmp_path / "broken.png").write_bytes(b"")
    found = read_labelled(write(tmp_path / "faces.csv", [*rows, ["broken.png", "sad", "m"]]))
    assert found.columns["sex"] == ("f",) * 20
    assert set(found.columns) == {"path", "label", "sex"}
    assert found.left_out == {"unreadable": 1}


@pytest.mark.skipif(sys.platform != "linux", reason="other file systems have no such names")
def test_file_names_that_are_not_utf_8_stay_apart(tmp_path: Path) -> None:
    names = [b"caf\xe9.png", b"caf\xc3\xa9.png"]
    folder = tmp_path / "faces"
    for label in ("happy", "sad"):
        (folder / label).mkdir(parents=True)
        for name in names:
            with (folder / label / os.fsdecode(name)).open("wb") as file:
                Image.fromarray(np.full((48, 48), 90, np.uint8)).save(file, "png")
    write(folder / "groups.csv", [["file", "sex"], ["café.png", "f"]])
    found = read_labelled(folder)
    assert len(found) == len(set(found.names)) == 4
    assert sorted(found.columns["sex"]) == ["", "", "f", "f"]


def test_the_usual_split_of_split_data_is_read(fer_tree: Path) -> None:
    assert all("PublicTest" in name for name in read_labelled(fer_tree).names)
    assert len(read_labelled(fer_tree, split=Split.ALL.folder)) == 13 * 7


@pytest.mark.parametrize("name", ["nowhere", "nowhere.csv"])
def test_what_does_not_exist_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="nowhere"):
        read_labelled(tmp_path / name)
