"""``cmaen audit`` on the command line."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from cmaen.types import EMOTIONS
from tests.audit.simulated import alternate, simulate
from tests.test_cli import cmaen


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    """Write answers that are worse for b, in a CSV with semicolons."""
    given = simulate(alternate(200, 200), less={"b": 0.3}, other=np.tile(["x", "y"], 200).tolist())
    path = tmp_path / "answers.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(["path", "label", "sex", "other", *EMOTIONS])
        for place, name in enumerate(given.names):
            label, row = EMOTIONS[given.labels[place]], given.probabilities[place]
            columns = [given.columns[column][place] for column in ("group", "other")]
            writer.writerow([name, label, *columns, *(f"{value:.5f}" for value in row)])
    return path


def test_the_terminal_the_page_and_the_file_say_the_same(answers: Path, tmp_path: Path) -> None:
    said = cmaen(
        *("audit", answers, "--group", "sex", "--group", "other", "--output", tmp_path / "out", "--permutations", 999)
    )
    assert "400 faces, the answers in answers.csv" in said
    assert "b (sex): " in said
    assert "gap between groups was found" in said or "gaps between groups were found" in said
    page = (tmp_path / "out" / "audit.html").read_text("utf-8")
    assert "b (sex): " in page
    values = json.loads((tmp_path / "out" / "audit.json").read_text("utf-8"))
    assert [column["column"] for column in values["columns"]] == ["sex", "other"]


def test_a_json_file_alone_is_written_on_request(answers: Path, tmp_path: Path) -> None:
    target = tmp_path / "found.json"
    said = cmaen(
        *("audit", answers, "--group", "sex", "--group", "other", "--intersections", "--within", "label"),
        *("--permutations", 999, "--output", target, "--seed", 2),
    )
    assert "wrote" in said
    values = json.loads(target.read_text("utf-8"))
    assert (values["seed"], values["within"], len(values["columns"])) == (2, ["label"], 3)
    assert list(tmp_path.glob("*.html")) == []


def test_a_folder_is_audited_by_the_shipped_network(fer_tree: Path, tmp_path: Path) -> None:
    files = sorted(fer_tree.rglob("*.png"))
    groups = tmp_path / "groups.csv"
    groups.write_text("file,sex\n" + "".join(f"{file.name},{'mf'[place % 2]}\n" for place, file in enumerate(files)))
    said = cmaen("audit", fer_tree, "--split", "all", "--groups", groups, "--group", "sex", "--permutations", 399)
    assert "91 faces" in said
    assert "scheme fer2013" in said


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        ([], "--group gender"),
        (["--group", "gender"], "no column 'gender'; there are path, label, sex, other"),
        (["--group", "sex", "--person", "who"], "no column 'who'"),
        (["--group", "sex", "--groups", "nowhere.csv"], "nowhere.csv"),
        (["--group", "sex", "--permutations", "5"], "99"),
    ],
)
def test_what_is_wrong_is_said(answers: Path, options: list[str], advice: str) -> None:
    assert advice in " ".join(cmaen("audit", answers, *options, code=2).split())


def test_names_of_groups_are_text_and_no_markup(answers: Path) -> None:
    text = answers.read_text("utf-8").replace(";a;", ";[red]a[/red];").replace(";b;", ";[/];")
    answers.write_text(text, "utf-8")
    said = cmaen("audit", answers, "--group", "sex", "--permutations", 399)
    assert "[red]a[/red]" in said
    assert "[/] (sex): " in said


def test_a_file_is_no_folder(answers: Path) -> None:
    said = cmaen("audit", answers, "--group", "sex", "--output", answers, code=2)
    assert "neither a folder nor a .json file" in " ".join(said.split())
    assert answers.read_text("utf-8").startswith("path;label")
