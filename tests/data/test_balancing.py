from __future__ import annotations

import json
import shutil
import tracemalloc
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch")
pytest.importorskip("sklearn")

from cmaen.data import balancing
from cmaen.data.balance import WEIGHTED, balance_folder
from cmaen.data.balancing import METHODS, Features, balance, sheet
from cmaen.data.faces import Look, load_faces, look_at
from cmaen.data.splits import FaceSet, Split
from cmaen.data.stored import ImageFile, StoredImages
from cmaen.data.tree import STATS, enhancement_of
from cmaen.errors import ConfigError, DataError, OutputError, SplitError
from cmaen.types import EMOTIONS
from tests.test_cli import cmaen

COUNTS = (9, 4, 12, 20, 11, 6, 7)


def faces(counts: tuple[int, ...] = COUNTS, split: Split = Split.TRAIN) -> FaceSet:
    """Make faces whose grey level is about 30 times the index of their emotion, each with its own pattern."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(len(EMOTIONS)), counts)
    images = 30 * labels[:, None, None] + rng.integers(0, 70, (len(labels), 12, 12))
    return FaceSet(split, images.astype(np.uint8), labels, tuple(f"f{number}.jpg" for number in range(len(labels))))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("target", [1, 10, 25])
def test_every_emotion_has_as_many_faces(method: str, target: int) -> None:
    before = faces()
    balanced = balance(before, target=target, method=method, seed=1)
    assert set(balanced.faces.counts().values()) == {target}
    assert balanced.before == before.counts()
    originals = {
        name: (image.tobytes(), label)
        for name, image, label in zip(before.names, before.images, before.labels, strict=True)
    }
    kept = balanced.faces.select(~balanced.synthetic)
    assert all(
        originals[name] == (image.tobytes(), label)
        for name, image, label in zip(kept.names, kept.images, kept.labels, strict=True)
    )
    assert len(set(balanced.faces.names)) == len(balanced.faces)
    assert balanced.stats()["synthetic"] == {
        name: max(0, target - count) for name, count in zip(EMOTIONS, COUNTS, strict=True)
    }
    again = balance(before, target=target, method=method, seed=1)
    assert again.faces.fingerprint() == balanced.faces.fingerprint()
    if target > 1:
        assert balance(before, target=target, method=method, seed=2).faces.fingerprint() != again.faces.fingerprint()


@pytest.fixture
def unlike(monkeypatch: pytest.MonkeyPatch) -> None:
    """Interpolate between any faces, also between patterns that have nothing in common."""
    monkeypatch.setattr(balancing, "MIN_LIKENESS", -2)


def test_a_made_face_lies_between_two_of_its_own_emotion(unlike: None) -> None:
    before = faces()
    balanced = balance(before, target=30, method="borderline-smote", seed=0)
    made = balanced.faces.select(balanced.synthetic)
    for image, label in zip(made.images, made.labels, strict=True):
        own = before.images[before.labels == label].astype(float).reshape(-1, 144)
        errors = []
        for first in own:
            ways = own - first
            lengths = (ways**2).sum(axis=1)
            share = ((image.reshape(-1) - first) @ ways.T / np.maximum(lengths, 1e-9)).clip(0, 1)
            errors.append(np.abs(first + share[:, None] * ways - image.reshape(-1)).max(axis=1).min())
        assert min(errors) < 1  # to within rounding


def test_what_is_made_does_not_wrap_around(unlike: None) -> None:
    counts = (20, 3, 3, 3, 3, 3, 3)
    extreme = faces(counts)
    checkered = np.where(np.random.default_rng(1).random(extreme.images.shape) < 0.5, 0, 255).astype(np.uint8)
    made = balance(extreme.with_images(checkered), target=40, method="borderline-smote", seed=0)
    new = made.faces.images[made.synthetic]
    own = checkered[extreme.labels == 1].astype(int)
    disgust = new[made.faces.labels[made.synthetic] == 1].astype(int)
    same = (own == own[0]).all(axis=0)  # where all agree, the result must agree too
    assert (disgust[:, same] == own[0][same]).all()


def test_only_training_is_balanced_and_only_with_what_there_is() -> None:
    with pytest.raises(SplitError, match="balancing"):
        balance(faces(split=Split.VALIDATION), target=5, method="augment", seed=0)
    with pytest.raises(ConfigError, match="borderline-smote"):
        balance(faces(), target=5, method="smoke", seed=0)
    with pytest.raises(ConfigError, match="at least 1 face"):
        balance(faces(), target=0, method="augment", seed=0)
    with pytest.raises(DataError, match="no faces of disgust"):
        balance(faces((3, 0, 3, 3, 3, 3, 3)), target=5, method="augment", seed=0)
    with pytest.raises(DataError, match="disgust has a single face"):
        balance(faces((3, 1, 3, 3, 3, 3, 3)), target=5, method="borderline-smote", seed=0)


def test_the_sheet_shows_made_faces_alone() -> None:
    page = sheet(balance(faces(), target=10, method="augment", seed=0), columns=5)
    assert page.shape == (7 * 12, 5 * 12)
    row = page[3 * 12 : 4 * 12]  # happy has more than enough faces
    assert not row.any()
    assert page[12:24, :60].any()


@pytest.mark.parametrize("method", METHODS)
def test_made_faces_take_no_more_memory_than_a_block_of_them(method: str) -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(7), 40)
    images = rng.integers(0, 256, (280, 64, 64, 3), np.uint8)
    large = FaceSet(Split.TRAIN, images, labels, tuple(f"{number}.png" for number in range(280)))
    tracemalloc.start()
    balanced = balance(large, target=400, method=method, seed=0)
    count = sum(len(block) for block in balanced.blocks())
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == len(balanced) == 2800
    assert most < images.nbytes * 10  # keeping all in float32 as well would take 50 times


@pytest.mark.parametrize("method", METHODS)
def test_the_blocks_are_the_whole(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = balance(faces(), target=25, method=method, seed=3)
    assert np.array_equal(whole.made.block(1), whole.faces.images[len(whole.kept) :][64:128])
    with_votes = replace(faces(), votes=np.ones((69, 10), np.uint8))
    votes = balance(with_votes, target=12, method=method, seed=3).faces.votes
    assert votes is not None
    assert len(votes) == 7 * 12
    assert (votes.sum(axis=1) == 0).any()


@pytest.mark.parametrize("method", METHODS)
def test_a_csv_with_folders_for_each_person_loses_no_face(method: str, tmp_path: Path) -> None:
    rows, rng = ["path;label;split"], np.random.default_rng(0)
    for person in range(4):
        for number, emotion in enumerate(EMOTIONS):
            path = tmp_path / f"person{person}" / f"{number % 3}.{('png', 'bmp')[number % 2]}"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (30, 40, 3), np.uint8)).save(path)
            rows.append(f"person{person}\\{path.name};{emotion};{'train' if person < 3 else 'Testing'}")
    (tmp_path / "faces.csv").write_text("\n".join(rows))
    text = cmaen(
        *("balance", "--input-dir", tmp_path / "faces.csv", "--output-dir", tmp_path / "b"),
        *("--method", method, "--target", 5, "--colour", "--network", "pixels"),
    )
    assert "35 faces" in text
    assert len(list((tmp_path / "b" / "test").rglob("*.png"))) == 7
    assert len(list((tmp_path / "b" / "train").rglob("*.png"))) == 35


@pytest.mark.parametrize("method", METHODS)
def test_the_command_writes_a_tree_to_train_on(
    method: str, fer_tree: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    how = ("--method", method, "--target", 9, "--network", "pixels")
    text = cmaen("balance", "--input-dir", fer_tree, "--output-dir", tmp_path / "b", *how)
    assert "63 faces" in text
    assert set(load_faces(tmp_path / "b", Split.TRAIN).counts().values()) == {9}
    before, after = (load_faces(path, Split.VALIDATION) for path in (fer_tree, tmp_path / "b"))
    assert np.array_equal(before.images, after.images)
    assert "left out" not in caplog.text
    assert json.loads((tmp_path / "b" / "dataset_stats.json").read_text())["after"]["disgust"] == 9
    assert {path.name for path in (tmp_path / "b").iterdir()} == {
        "balance.svg", "dataset_stats.json", "synthetic.png", "test", "train", "validation",
    }  # fmt: skip
    with_something = cmaen("balance", "--input-dir", fer_tree, "--output-dir", tmp_path / "b", code=2)
    assert "is not empty" in with_something
    refused = cmaen("balance", "--input-dir", fer_tree, "--output-dir", tmp_path / "c", "--split", "validation", code=2)
    assert "only train may be used for balancing" in refused


def test_weights_need_no_new_faces(fer_tree: Path, tmp_path: Path) -> None:
    text = cmaen("balance", "--input-dir", fer_tree, "--output-dir", tmp_path / "w", "--method", "weighted")
    assert "augment.weighted=true" in text
    assert json.loads((tmp_path / "w" / "dataset_stats.json").read_text())["weights"]["happy"] == pytest.approx(1)


def test_a_balanced_folder_says_what_was_done(fer_tree: Path, tmp_path: Path) -> None:
    done = balance_folder(tmp_path / "even", fer_tree, method="augment", target=9)
    assert set(done.after.values()) == {9}
    assert set(done.synthetic.values()) == {1}
    assert json.loads((tmp_path / "even" / STATS).read_text()) == json.loads(json.dumps(done.to_dict()))
    assert len(load_faces(tmp_path / "even", Split.TRAIN)) == 63
    assert len(load_faces(tmp_path / "even", Split.VALIDATION)) == 21
    weighted = balance_folder(tmp_path / "weighted", fer_tree, method=WEIGHTED)
    assert (weighted.target, set(weighted.weights.values())) == (None, {1.0})
    with pytest.raises(OutputError, match="not empty"):
        balance_folder(tmp_path / "even", fer_tree)


def like_faces() -> FaceSet:
    """Make faces of which those of one emotion come in pairs that are almost the same, and disgust's are all unlike."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(7), 6)
    images = rng.integers(0, 256, (42, 20, 20, 3))
    for pair in range(0, 42, 2):
        if labels[pair] != 1:
            images[pair + 1] = images[pair] * 0.9 + rng.integers(0, 20, (20, 20, 3))
    return FaceSet(Split.TRAIN, images.clip(0, 255).astype(np.uint8), labels, tuple(map(str, range(42))))


def test_only_faces_that_are_alike_are_interpolated_and_others_are_altered() -> None:
    before = like_faces()
    balanced = balance(before, target=30, method="borderline-smote", seed=0)
    stats = balanced.stats()
    assert stats["altered"].pop("disgust") == stats["synthetic"]["disgust"] == 24
    assert not any(stats["altered"].values())
    made = balanced.faces.select(balanced.synthetic)
    for image, label in zip(made.images, made.labels, strict=True):
        own = before.images[before.labels == label].astype(float)
        lies = [
            ((np.minimum(a, b) - 1 < image) & (image < np.maximum(a, b) + 1)).all()
            for a, b in zip(own[::2], own[1::2], strict=True)
        ]
        assert any(lies) == (label != 1)
    assert balance(before, target=30, method="augment", seed=0).stats()["altered"]["happy"] == 24


def test_neighbours_are_searched_among_given_features() -> None:
    asked = []

    def tell_places(images: Sequence[np.ndarray]) -> np.ndarray:
        asked.extend(images)
        return np.array([[image.mean(), len(asked)] for image in images], np.float32)

    before = like_faces()
    features = Features("a network", tell_places)
    balanced = balance(before, target=12, method="borderline-smote", seed=0, features=features)
    assert len(asked) == 42
    assert set(balanced.faces.counts().values()) == {12}
    other = balance(before, target=12, method="borderline-smote", seed=0)
    assert other.faces.fingerprint() != balanced.faces.fingerprint()


@pytest.mark.parametrize("method", METHODS)
def test_faces_in_a_file_are_balanced_as_in_memory(method: str, tmp_path: Path) -> None:
    plain = like_faces()
    (tmp_path / "images").write_bytes(plain.images.tobytes())
    stored = plain.with_images(StoredImages([ImageFile(tmp_path / "images", plain.images.shape)]))
    one, other = (balance(faces, target=9, method=method, seed=0) for faces in (plain, stored))
    assert isinstance(other.kept.images, StoredImages)
    assert one.faces.fingerprint() == other.faces.fingerprint()
    assert np.array_equal(sheet(one), sheet(other))


@pytest.fixture
def enhanced(tmp_path: Path) -> Path:
    """Write a folder as ``cmaen enhance`` does: three coloured faces of 64 pixels of each emotion, and a manifest."""
    rng = np.random.default_rng(0)
    for emotion in EMOTIONS:
        for split, number in (("train", 0), ("train", 1), ("train", 2), ("validation", 3)):
            path = tmp_path / "enhanced" / split / emotion / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (64, 64, 3), np.uint8)).save(path)
    manifest = {"chain": ["super-resolution 12", "colorization 34"], "images": 28, "sources": {"train/sad/0.png": "5"}}
    (tmp_path / "enhanced" / "manifest.json").write_text(json.dumps(manifest))
    return tmp_path / "enhanced"


def test_colour_stays_where_there_is_colour_and_the_manifest_tells_the_truth(
    enhanced: Path, fer_tree: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kept = balance_folder(tmp_path / "kept", enhanced, method="augment", target=4)
    assert (kept.colour, kept.side) == (True, 64)
    assert load_faces(tmp_path / "kept", Split.TRAIN, colour=True).images.shape == (28, 64, 64, 3)
    assert load_faces(tmp_path / "kept", Split.VALIDATION, colour=True).images.shape == (7, 64, 64, 3)
    assert enhancement_of(tmp_path / "kept") == ("super-resolution 12", "colorization 34")
    assert "sources" not in json.loads((tmp_path / "kept" / "manifest.json").read_text())
    shutil.make_archive(str(tmp_path / "zipped"), "zip", enhanced)
    balance_folder(tmp_path / "of_a_zip", tmp_path / "zipped.zip", method="augment", target=4)
    assert enhancement_of(tmp_path / "of_a_zip") == ("super-resolution 12", "colorization 34")
    assert "dropped" not in caplog.text
    text = cmaen(
        *("balance", "--input-dir", enhanced, "--output-dir", tmp_path / "grey", "--grey"),
        *("--target", 4, "--network", "pixels"),
    )
    assert "have colour, which is dropped" in text
    assert "no longer names colorization" in text
    assert enhancement_of(tmp_path / "grey") == ("super-resolution 12",)
    assert load_faces(tmp_path / "grey", Split.TRAIN).images.shape == (28, 64, 64)
    assert not look_at(tmp_path / "grey").colour
    plain = balance_folder(tmp_path / "plain", fer_tree, target=9)
    assert (plain.colour, plain.side, plain.neighbours) == (False, 48, "pixels")
    assert not (tmp_path / "plain" / "manifest.json").exists()
    with Image.open(next((tmp_path / "plain" / "train").rglob("*.png"))) as written:
        assert written.mode == "L"


@pytest.mark.parametrize("grey", ["train", "validation"])
def test_a_split_without_colour_costs_the_other_nothing(grey: str, enhanced: Path, tmp_path: Path) -> None:
    for path in (enhanced / grey).rglob("*.png"):
        with Image.open(path) as picture:
            picture.convert("L").save(path)
    done = balance_folder(tmp_path / "kept", enhanced, method="augment", target=4)
    assert done.colour == (grey != "train")
    assert load_faces(tmp_path / "kept", Split.VALIDATION).images.shape == (7, 64, 64)
    assert ("colorization 34" in enhancement_of(tmp_path / "kept")) == done.colour
    with pytest.raises(DataError, match="no colour"):
        balance_folder(tmp_path / "other", fer_like(tmp_path), method="augment", target=4, colour=True)


def fer_like(folder: Path) -> Path:
    """Write two grey faces of each emotion."""
    for number in range(14):
        path = folder / "grey" / "train" / EMOTIONS[number % 7] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((48, 48), 9 * number, np.uint8)).save(path)
    return folder / "grey"


def test_faces_of_several_sizes_keep_a_side_that_suits_them(
    enhanced: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Image.fromarray(np.full((90, 80, 3), 7, np.uint8)).save(enhanced / "train" / "sad" / "0.png")
    done = balance_folder(tmp_path / "kept", enhanced, method="augment", target=4)
    assert done.side == 64
    assert "differ in size and become squares of 64 pixels" in caplog.text


def test_a_look_tells_colour_and_side(enhanced: Path, fer_tree: Path, tmp_path: Path) -> None:
    assert look_at(enhanced) == Look(True, 64, True)
    assert look_at(fer_tree) == Look(False, 48, True)
    (tmp_path / "none" / "sad").mkdir(parents=True)
    assert look_at(tmp_path / "none") is None
    (tmp_path / "none" / "sad" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert look_at(tmp_path / "none") is None
    (tmp_path / "kaggle.csv").write_text("emotion,pixels,Usage\n")
    assert look_at(tmp_path / "kaggle.csv") == Look(False, 48, True)


def test_the_command_searches_neighbours_with_a_network(fer_tree: Path, tmp_path: Path) -> None:
    cmaen("balance", "--input-dir", fer_tree, "--output-dir", tmp_path / "b", "--target", 9)
    assert json.loads((tmp_path / "b" / STATS).read_text())["neighbours"] == "cmaen-m"
