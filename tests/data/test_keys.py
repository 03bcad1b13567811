"""Faces known by their pixels: keys, the order they bring about, and what the package knows of FER2013."""

from __future__ import annotations

import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmaen.data.faces import load_faces
from cmaen.data.fer2013 import KAGGLE_EMOTIONS
from cmaen.data.ferplus import VOTES
from cmaen.data.keys import FER2013_KEYS, Fer2013Keys, face_keys, find_rows, order_like
from cmaen.data.splits import FaceSet, Split

few = st.lists(st.integers(0, 5), max_size=30).map(lambda values: np.array(values, np.uint64))


def write_kaggle(sets: list[FaceSet], path: Path, rng: np.random.Generator) -> Path:
    """Write faces as Kaggle's CSV, the rows of each split in any order."""
    rows = ["emotion,pixels,Usage"]
    for faces in sets:
        for row in rng.permutation(len(faces)):
            emotion = KAGGLE_EMOTIONS.index(faces.classes[faces.labels[row]])
            rows.append(f"{emotion},{' '.join(map(str, faces.images[row].ravel()))},{faces.split.value}")
    path.write_text("\n".join(rows) + "\n")
    return path


def regroup(sets: list[FaceSet], folder: Path, rng: np.random.Generator) -> Path:
    """Write faces as a tree under other names, in other folders."""
    for faces in sets:
        for row, image in enumerate(faces.images):
            place = folder / faces.split.folder / faces.classes[faces.labels[row]] / f"{rng.integers(1 << 40)}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(place), image)
    return folder


def know(sets: list[FaceSet], votes: np.ndarray, folder: Path, patch: pytest.MonkeyPatch) -> Path:
    """Let the package know the faces of training and validation as FER2013, with these votes; return the folder."""
    training, validation = (face_keys(faces.images) for faces in sets)
    folder.mkdir()
    fingerprint = np.array(sets[0].fingerprint())
    np.savez(folder / FER2013_KEYS, training=training, validation=validation, fingerprint=fingerprint)
    np.savez(folder / VOTES, votes=votes)
    for module in ("keys", "ferplus"):
        patch.setattr(f"cmaen.data.{module}.packaged", lambda name: folder / name)
    return folder


def test_a_key_is_a_hash_of_48_grey_pixels() -> None:
    face = np.random.default_rng(0).integers(0, 256, (48, 48), np.uint8)
    expected = np.frombuffer(hashlib.sha256(face.tobytes()).digest()[:8], "<u8")[0]
    assert face_keys(face[None]).tolist() == [expected]
    assert face_keys(np.stack([face] * 3, axis=-1)[None]).tolist() == [expected]  # grey as RGB
    assert face_keys([face[:, ::-1][:, ::-1]]).tolist() == [expected]  # whatever its strides
    assert face_keys(np.repeat(np.repeat(face, 2, axis=0), 2, axis=1)[None]).tolist() == [expected]  # twice as large
    assert face_keys((face ^ 1)[None])[0] != expected
    assert face_keys(face[None, :, ::-1])[0] != expected
    assert face_keys(np.empty((0, 48, 48), np.uint8)).shape == (0,)


def test_csv_tree_and_original_have_the_same_keys(fer_tree: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    faces = load_faces(fer_tree, Split.TRAIN)
    table = load_faces(write_kaggle([faces], tmp_path / "fer2013.csv", rng), Split.VALIDATION).images
    rest = load_faces(tmp_path / "fer2013.csv", Split.TRAIN).images
    tree = load_faces(regroup([faces], tmp_path / "tree", rng) / "train", Split.TRAIN)
    keys = set(face_keys(faces.images).tolist())
    assert set(face_keys(np.concatenate([table, rest])).tolist()) == keys
    assert set(face_keys(tree.images).tolist()) < keys


@given(few, few)
def test_the_first_row_of_a_key_is_found(known: np.ndarray, wanted: np.ndarray) -> None:
    listed = known.tolist()
    assert find_rows(known, wanted).tolist() == [listed.index(key) if key in listed else -1 for key in wanted.tolist()]


@given(few, st.randoms())
def test_faces_stand_as_they_are_known(known: np.ndarray, random: object) -> None:
    labels = np.sort(np.array([random.randrange(3) for _ in known], np.int64))  # type: ignore[attr-defined]
    shuffled = np.array(random.sample(range(len(known)), len(known)), np.int64)  # type: ignore[attr-defined]
    order = order_like(known, known[shuffled], labels[shuffled])
    assert np.array_equal(known[shuffled][order], known)
    assert np.array_equal(labels[shuffled][order], labels)
    assert sorted(order.tolist()) == list(range(len(known)))
    assert order_like(known, known, labels).tolist() == list(range(len(known)))


@given(few, few)
def test_other_faces_stand_at_the_end(known: np.ndarray, keys: np.ndarray) -> None:
    order = order_like(known, keys, np.zeros(len(keys), np.int64))
    assert sorted(order.tolist()) == list(range(len(keys)))
    there = [key in known.tolist() for key in keys[order].tolist()]
    firsts = [position for position, key in enumerate(there) if key][: len(set(keys.tolist()) & set(known.tolist()))]
    assert firsts == list(range(len(firsts)))


def test_what_the_package_knows_of_fer2013() -> None:
    known = Fer2013Keys.read()
    assert (known.training.shape, known.validation.shape) == ((28_709,), (3_589,))
    assert known.training.dtype == known.validation.dtype == np.uint64
    assert len(np.unique(known.training)) == 27_473
    assert np.isin(known.validation, known.training).sum() == 280  # the exact copies that PublicTest has in Training


@pytest.mark.parametrize("name", ["fer2013.npz", "ferplus.npz"])
def test_it_is_small(name: str) -> None:
    from cmaen.data.keys import packaged

    assert packaged(name).stat().st_size < 300_000
