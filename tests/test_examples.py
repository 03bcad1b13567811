from __future__ import annotations

import importlib
import runpy
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cmaen import EmotionPredictor
from cmaen.data.ferplus import CATEGORIES
from cmaen.data.splits import FaceSet
from cmaen.types import FaceBox
from tests.conftest import EXAMPLES

Say = Callable[..., str]


@pytest.fixture
def run_example(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Say:
    """Run a script as a user does, but in this process, which has imported what it needs; return what it prints."""

    def run(name: str, *arguments: str | Path) -> str:
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        return capsys.readouterr().out

    return run


def test_the_five_lines_of_the_readme() -> None:
    command = [sys.executable, EXAMPLES / "predict.py", EXAMPLES / "astronaut.png"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout.startswith("happy")


def test_a_video_is_made_and_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("av")
    monkeypatch.syspath_prepend(EXAMPLES)
    measure_video = importlib.import_module("measure_video")
    measure_video.write(tmp_path / "in.mp4", 2, 5)
    pipeline = EmotionPredictor().pipeline
    for drawn in (True, False):
        seen, speed = measure_video.whole(tmp_path / "in.mp4", pipeline, tmp_path, drawn=drawn)
        assert (seen.frames, seen.people, seen.errors) == (10, 3, 0)
        assert speed > 0
    assert (tmp_path / "out.mp4").stat().st_size > 1000


def test_faces_of_a_made_up_film_are_found_and_recognised_where_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a count of 0 in the anonymised film means something."""
    pytest.importorskip("av")
    monkeypatch.syspath_prepend(EXAMPLES)
    measured = importlib.import_module("measure_anonymise")
    for name, value in {"SCENE": 1, "AT_ONCE": 1}.items():
        monkeypatch.setattr(measured, name, value)
    detector = measured.build_detector()
    people = measured.find_people([np.asarray(Image.open(EXAMPLES / "astronaut.png").convert("RGB"))], detector, 1)
    film = list(measured.make_film(people, np.random.default_rng(2), 3))[::5]
    truths = measured.write(tmp_path / "film.mp4", film)
    counts = measured.judge(tmp_path / "film.mp4", truths, detector, measured.Recogniser(people))
    assert counts["frames"] == 15
    assert counts["faces"] >= 4
    assert counts["named"] == counts["faces"]
    assert min(counts["found"], counts["recognised"]) >= counts["faces"] / 2


def test_what_a_detectors_crops_are_worth_is_printed(tmp_path: Path, run_example: Say) -> None:
    face = Image.open(EXAMPLES / "astronaut.png").convert("L").crop((160, 50, 290, 190)).resize((48, 48))
    folder = tmp_path / "validation" / "happy"
    folder.mkdir(parents=True)
    for number in range(3):
        face.save(folder / f"PublicTest_{number}.png")
    said = run_example("measure_alignment.py", tmp_path, "yunet")
    assert "up to  0 degrees: yunet      finds 3, 100.0% right of 3" in said
    assert "up to 30 degrees: yunet" in said


def test_the_examples_are_python() -> None:
    for path in EXAMPLES.rglob("*.py"):
        compile(path.read_text(), str(path), "exec")


def test_how_often_a_doubt_is_named_is_printed(tmp_path: Path, run_example: Say) -> None:
    (tmp_path / "labels.csv").write_text("file,label\nlfw/one.png,happy\nlfw/two.png,sad\n")
    with zipfile.ZipFile(tmp_path / "faces.zip", "w") as archive:
        for name in ("one.png", "two.png"):
            archive.write(EXAMPLES / "astronaut.png", f"deep/{name}")
    said = run_example("measure_doubts.py", tmp_path / "labels.csv", tmp_path / "faces.zip").splitlines()
    assert said[0].startswith("1 faces that are answered right")
    rows = {line[:13].strip(): line[13:] for line in said[1:]}
    assert "100" not in rows["as they are"]
    for name, doubt in (("blur", "blurred"), ("low light", "dark"), ("24 pixels", "small")):
        assert f"{doubt} 100.0%" in rows[name]


def test_identities_are_counted_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)
    measure = importlib.import_module("measure_identities")
    left, right = FaceBox(90, 90, 20, 20), FaceBox(490, 90, 20, 20)
    truth = [{0: np.array([100, 100]), 1: np.array([500, 100])}] * 4
    found = [[(left, "a"), (right, "b")], [(left, "a")], [(left, "c"), (right, "b")], [(left, "c"), (right, "a")]]
    switches, wrong, faces = measure.count_switches(found, truth)
    assert (switches, wrong, faces) == (2, 1, 7)
    like = np.full((5, 5), -0.2)
    np.fill_diagonal(like, [0.9, 0.9, 0.9, 0.9, 0.1])
    matches, misses = measure.rate(like, np.ones(5, int))
    level = round((0.36 + 1) / 2 * measure.LEVELS)
    assert (matches[level], misses[level]) == pytest.approx((0, 0.2))
    assert (matches[0], misses[0]) == (1, 0)
    portrait = np.full((250, 250, 3), 90, np.uint8)
    for kind in measure.KINDS.values():
        image, places = next(measure.film([[portrait]] * 3, kind, np.random.default_rng(0)))
        assert image.shape == (measure.HEIGHT, measure.WIDTH, 3)
        assert 1 <= len(places) <= 3


def test_peers_are_asked_for_the_same_faces(
    fer_tree: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)
    measure_peers = importlib.import_module("measure_peers")
    monkeypatch.setitem(measure_peers.SYSTEMS, "fer", lambda faces: ["happy"] * len(faces))
    monkeypatch.setattr(sys, "argv", ["measure_peers.py", str(fer_tree), "--system", "fer", "--system", "cmaen"])
    measure_peers.main()
    assert "fer: accuracy 14.3%, macro-F1 3.6%, mean recall 0.143 on 21 faces" in capsys.readouterr().out
    assert measure_peers.named(np.eye(7)[[6, 4]]) == ["neutral", "sad"]
    with pytest.raises(SystemExit, match="no_such_peer is not installed"):
        measure_peers.folder("no_such_peer")


def as_labelled(faces: FaceSet, _: object) -> FaceSet:
    """Let ten annotators see what the label says."""
    votes = np.zeros((len(faces), len(CATEGORIES)), np.uint8)
    columns = [CATEGORIES.index(name) for name in ("anger", "disgust", "fear", "happiness", "neutral", "sadness")]
    votes[range(len(faces)), np.array([*columns, CATEGORIES.index("surprise")])[faces.labels]] = 10
    return replace(faces, votes=votes)


def test_confidences_of_blurred_faces_are_printed(
    fer_tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)
    measure = importlib.import_module("measure_clarity")
    monkeypatch.setattr(measure, "with_votes", as_labelled)
    monkeypatch.setattr(measure, "SEVERITIES", (4,))
    shutil.copy(EXAMPLES / "astronaut.png", tmp_path)
    (tmp_path / "list.csv").write_text("file,label\nastronaut.png,happy\n")
    monkeypatch.setattr(sys, "argv", ["", *map(str, (fer_tree, tmp_path / "list.csv", tmp_path))])
    measure.main()
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines if ":" in line] == ["FER2013", "photographs"]
    assert lines[0].startswith("FER2013: 21 faces")
    clear, blurred, *_ = (line.split("  ") for line in lines[5:])
    assert clear[-2] == clear[-1]
    assert float(blurred[-2].partition("%")[0]) > float(blurred[-1].partition("%")[0])


def test_a_partner_is_compared_with_its_trunk(
    fer_tree: Path,
    checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)
    measure = importlib.import_module("measure_partners")
    monkeypatch.setattr(measure, "with_votes", as_labelled)
    monkeypatch.setattr(measure, "KEPT", tmp_path / "kept")
    shutil.copy(EXAMPLES / "astronaut.png", tmp_path)
    Image.new("RGB", (90, 90)).save(tmp_path / "nobody.png")
    (tmp_path / "list.csv").write_text("file,label\nastronaut.png,happy\nnobody.png,happy\n")
    monkeypatch.setattr(
        sys,
        "argv",
        ["", *map(str, (fer_tree, tmp_path / "list.csv", tmp_path, checkpoint, checkpoint, "sface=installed"))],
    )
    monkeypatch.setattr(measure, "PIXELS", 64)
    measure.main()
    learnt, *rows = capsys.readouterr().out.splitlines()
    assert "measured on 7 faces and 2 photographs, 1 without a face" in learnt
    assert len(rows) == 9
    assert rows[6].startswith("sface=installed, alone")
    for row in rows[2:6]:  # the partner is the trunk itself
        assert row.count("(+0.00, +0.00 to +0.00)") == 3, row
    assert len(list((tmp_path / "kept").iterdir())) == 2
    monkeypatch.setattr(sys, "argv", [*sys.argv, "--validation"])
    with pytest.raises(SystemExit):
        measure.main()
    assert "needs faces to learn from" in capsys.readouterr().err
    sys.argv.remove("sface=installed")
    measure.main()
    learnt, *rows = capsys.readouterr().out.splitlines()
    assert "0 faces to learn from; measured on 21 faces" in learnt
    assert len(rows) == 3
    labels, truth = np.eye(8)[[3, 7, 4]], np.array([3, -1, 3])
    assert measure.hits(labels, truth).tolist() == [True, False]
