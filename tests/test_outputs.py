"""The output folders of all verbs: each verb writes its own alone, and never takes its own results as inputs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image

from cmaen.locks import hold
from tests.conftest import EXAMPLES
from tests.test_cli import cmaen

OUT, PICTURES, TREE, CHECKPOINT = "OUT", "PICTURES", "TREE", "CHECKPOINT"
VERBS = {
    "crop": ("crop", "--input-dir", PICTURES, "--output-dir", OUT),
    "draw": ("inference", "--directory", PICTURES, "--annotated", OUT),
    "enhance": ("enhance", "--input-dir", PICTURES, "--output-dir", OUT, "--steps", "colorization"),
    "balance": ("balance", "--input-dir", TREE, "--output-dir", OUT, "--target", "10"),
    "report": ("test", "--data", TREE, "--checkpoint", CHECKPOINT, "--output", OUT),
    "page": ("page", "--output", OUT),
    "train": ("train", "--data", TREE, "--output", OUT),
    "ablate": ("ablate", "--config", "paper", "--data", TREE, "--output", OUT),
    "average": ("average", "--checkpoint", CHECKPOINT, "--output", OUT),
    "export": ("export", "--checkpoint", CHECKPOINT, "--output", OUT),
}


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    face = Image.open(EXAMPLES / "astronaut.png").convert("RGB").crop((120, 0, 380, 260))
    for name in ("a.png", "b.jpg"):
        face.save(folder / name)
    return folder


@pytest.mark.parametrize("verb", VERBS)
def test_no_verb_writes_into_a_folder_that_another_run_writes(
    verb: str, pictures: Path, fer_tree: Path, checkpoint: Path, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    out = tmp_path / "out"
    places = {OUT: out, PICTURES: pictures, TREE: fer_tree, CHECKPOINT: checkpoint}
    with hold(out):
        said = cmaen(*(places.get(str(word), word) for word in VERBS[verb]), code=2)
        assert "is being written by another run" in said
        assert [path.name for path in out.iterdir()] == [".lock"]


@pytest.mark.parametrize("verb", ["crop", "draw", "enhance"])
def test_a_second_run_into_a_folder_below_sees_what_the_first_saw(
    verb: str, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("spandrel")
    monkeypatch.chdir(pictures)
    (pictures / "link").symlink_to(pictures / "below" / "results", target_is_directory=True)
    places = {OUT: "below/results", PICTURES: "."}
    seen = []
    for _ in range(2):
        said = cmaen(*(places.get(str(word), word) for word in VERBS[verb]))
        assert "2 images" in said
        assert "results to (" in said
        assert not list(pictures.rglob(".lock"))
        seen.append(sorted(path for path in pictures.rglob("*") if path.is_file()))
    assert seen[0] == seen[1]
    assert len(seen[0]) > 3, "there are results"


def test_a_report_in_the_folder_of_the_data_is_no_data(
    fer_tree: Path, checkpoint: Path, tmp_path: Path, quick_report: None
) -> None:
    pytest.importorskip("matplotlib")
    data = tmp_path / "data"
    shutil.copytree(fer_tree, data)
    for _ in range(2):
        said = cmaen("test", "--data", data, "--checkpoint", checkpoint, "--output", data / "report")
        assert "classes left out" not in said
        assert "21 faces" in said
        assert (data / "report" / "pictures").is_dir()
