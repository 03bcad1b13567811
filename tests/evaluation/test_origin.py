from __future__ import annotations

import os
import sys
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmaen.data.splits import FaceSet, Split
from cmaen.evaluation.origin import OFFICIAL, Origin, abbreviate_home, describe_command, describe_split, link_file


def some(count: int, name: str, *, split: Split = Split.VALIDATION, **more: object) -> FaceSet:
    names = tuple(name.format(number) for number in range(count))
    return FaceSet(split, np.zeros((count, 1, 1), np.uint8), np.arange(count) % 2, names, **more)  # type: ignore[arg-type]


def test_a_split_of_fer2013_is_called_so_only_where_it_is_one() -> None:
    whole = some(OFFICIAL[Split.VALIDATION], "PublicTest_{}.png")
    assert describe_split(whole) == "FER2013's PublicTest, 3,589 faces"
    part = describe_split(some(16, "PublicTest_{}.png"))
    assert part.startswith("validation, 16 faces named like FER2013's PublicTest")
    assert describe_split(some(16, "happy/{}.png")) == "validation, 16 faces"
    assert describe_split(some(1, "happy/{}.png", split=Split.TEST)) == "test, 1 face"
    own = some(OFFICIAL[Split.VALIDATION], "PublicTest_{}.png", classes=("calm", "upset"))
    assert own.title == "validation"
    assert describe_split(own) == "validation, 3,589 faces"
    unreadable = some(OFFICIAL[Split.VALIDATION] - 1, "PublicTest_{}.png", unreadable=("one",))
    assert describe_split(unreadable).startswith("FER2013's PublicTest")


def test_the_home_directory_is_not_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    home = str(tmp_path / "somebody")
    monkeypatch.setenv("USERPROFILE" if sys.platform == "win32" else "HOME", home)
    assert abbreviate_home(f"{home}{os.sep}faces") == f"~{os.sep}faces"
    assert abbreviate_home(home) == "~"
    assert abbreviate_home(f"{home}-not{os.sep}faces") == f"{home}-not{os.sep}faces"
    assert abbreviate_home("faces") == "faces"
    said = describe_command(["cmaen", "test", "--data", f"{home}{os.sep}my faces"])
    assert "somebody" not in said
    if sys.platform != "win32":
        assert said == "cmaen test --data ~/'my faces'"


def test_where_figures_come_from() -> None:
    faces = some(3, "happy/{}.png")
    found = Origin.of(faces, data=Path("faces.zip"), checkpoint="mine", engine="onnx", command=["cmaen", "test"])
    assert (found.data, found.command, found.split) == ("faces.zip", "cmaen test", "validation, 3 faces")
    assert faces.fingerprint().startswith(found.fingerprint)
    assert found.date.endswith(" UTC")
    assert found.to_dict()["version"]
    bare = Origin.of(faces, data=None, checkpoint="mine", engine="onnx")
    assert (bare.data, bare.command) == (None, None)


def test_a_face_is_linked_where_it_has_a_file(tmp_path: Path) -> None:
    data, report = tmp_path / "my faces", tmp_path / "out" / "report"
    file = data / "validation" / "happy" / "a #1%.png"
    file.parent.mkdir(parents=True)
    file.touch()
    address = link_file("validation/happy/a #1%.png", data, report)
    assert address == "../../my%20faces/validation/happy/a%20%231%25.png"
    table = data / "faces.csv"
    table.touch()
    assert link_file("validation/happy/a #1%.png (row 3)", table, report) == address
    assert link_file("validation/happy/other.png", data, report) is None
    assert link_file("validation/happy", data, report) is None
    assert link_file("validation/happy/a #1%.png", None, report) is None
    assert link_file("in/a/zip.png", tmp_path / "faces.zip", report) is None


def test_a_link_does_not_tell_a_home_directory_that_nobody_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    home = tmp_path / "somebody"
    monkeypatch.setenv("USERPROFILE" if sys.platform == "win32" else "HOME", str(home))
    (home / "faces" / "sad").mkdir(parents=True)
    (home / "faces" / "sad" / "1.png").touch()
    monkeypatch.chdir(home)
    assert link_file("sad/1.png", Path("faces"), tmp_path / "elsewhere") is None
    assert link_file("sad/1.png", Path("faces"), Path("report")) == "../faces/sad/1.png"
    assert link_file("sad/1.png", home / "faces", tmp_path / "elsewhere") == "../somebody/faces/sad/1.png"


@given(st.text(min_size=1))
def test_no_name_breaks_a_page_or_leads_out_of_the_files(name: str) -> None:
    address = link_file(name, Path(__file__).parent, Path("report"))
    if address is not None:
        assert not set(address) & set("<>\"' :")
        assert Path("report", unquote(address)).resolve().is_file() or not Path("report").is_dir()
