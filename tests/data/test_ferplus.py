from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmaen.data.faces import load_faces
from cmaen.data.ferplus import (
    CATEGORIES,
    NONE,
    VOTES,
    count_voted,
    find_agreed,
    join_votes,
    label_distribution,
    majority,
    perceived_distribution,
    with_votes,
)
from cmaen.data.keys import face_keys
from cmaen.data.splits import FaceSet, Split
from cmaen.errors import DataError
from cmaen.types import CONTEMPT, PERCEIVED_LABELS
from tests.data.test_keys import know, regroup, write_kaggle


def voted(*rows: dict[str, int]) -> FaceSet:
    votes = np.array([[row.get(name, 0) for name in CATEGORIES] for row in rows], np.uint8)
    names = tuple(f"{number}.png" for number in range(len(rows)))
    return FaceSet(Split.TRAIN, np.zeros((len(rows), 4, 4), np.uint8), np.zeros(len(rows), np.int64), names, votes)


def test_the_majority_is_that_of_the_published_protocol() -> None:
    faces = voted(
        {"happiness": 9, "neutral": 1},
        {"contempt": 6, "neutral": 4},
        {"neutral": 5, "sadness": 5},  # a tie: the category that FER+ lists first
        {"unknown": 6, "anger": 4},
        {"NF": 10},
        {"anger": 5, "unknown": 5},  # likewise
        {},
    )
    names = [PERCEIVED_LABELS[index] if index >= 0 else None for index in majority(faces).tolist()]
    assert names == ["happy", CONTEMPT, "neutral", None, None, "angry", None]
    assert find_agreed(faces).tolist() == [True, True, False, False, False, False, False]


@given(st.lists(st.lists(st.integers(0, 10), min_size=10, max_size=10), min_size=1, max_size=20))
def test_a_target_is_a_distribution_or_nothing(rows: list[list[int]]) -> None:
    faces = voted(*(dict(zip(CATEGORIES, row, strict=True)) for row in rows))
    targets, seen = perceived_distribution(faces), majority(faces)
    assert targets.shape == (len(rows), 8)
    assert np.array_equal(targets.sum(axis=1) > 0.5, seen >= 0)
    assert np.allclose(targets.sum(axis=1)[seen >= 0], 1)
    assert np.allclose(targets.max(axis=1)[seen >= 0], targets[seen >= 0, seen[seen >= 0]])
    assert not (find_agreed(faces) & (seen < 0)).any()


@pytest.fixture
def known(fer_tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FaceSet:
    """Let the package know the drawn faces as FER2013, with votes that tell each face from the others."""
    sets = [load_faces(fer_tree, split) for split in (Split.TRAIN, Split.VALIDATION)]
    votes = np.zeros((sum(map(len, sets)), len(CATEGORIES)), np.uint8)
    votes[:, 0], votes[:, 1], votes[:, 2] = 100, np.arange(len(votes)), np.arange(len(votes))[::-1]
    votes[0] = 0
    know(sets, votes, tmp_path / "package", monkeypatch)
    return replace(sets[0], votes=votes[: len(sets[0])])


def test_votes_are_joined_by_pixels_in_any_form(known: FaceSet, fer_tree: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    plain = replace(known, votes=None)
    validation = load_faces(fer_tree, Split.VALIDATION)
    table = write_kaggle([plain, validation], tmp_path / "fer2013.csv", rng)
    tree = regroup([plain, validation], tmp_path / "tree", rng)
    expected = dict(zip(face_keys(known.images).tolist(), known.votes.tolist(), strict=True))
    for path in (table, tree, fer_tree):
        joined = with_votes(load_faces(path, Split.TRAIN))
        assert joined.votes is not None
        assert dict(zip(face_keys(joined.images).tolist(), joined.votes.tolist(), strict=True)) == expected
        assert count_voted(joined) == len(known) - 1
        assert with_votes(load_faces(path, Split.TRAIN), NONE).votes is None
        assert with_votes(load_faces(path, Split.TRAIN), None).votes is None
        assert count_voted(with_votes(load_faces(path, Split.VALIDATION))) == len(validation)
    told = [label_distribution(with_votes(load_faces(path, Split.TRAIN))) for path in (table, tree, fer_tree)]
    keys = [face_keys(load_faces(path, Split.TRAIN).images) for path in (table, tree, fer_tree)]
    first, *others = [rows[np.argsort(key)] for rows, key in zip(told, keys, strict=True)]
    assert all(np.array_equal(first, other) for other in others)


def test_foreign_faces_get_no_votes_by_chance(known: FaceSet) -> None:
    rng = np.random.default_rng(0)
    plain = replace(known, votes=None)
    foreign = plain.with_images(rng.integers(0, 256, known.images.shape, np.uint8))
    assert with_votes(foreign) is foreign
    some = foreign.images.copy()
    some[3] = known.images[3]
    mixed = with_votes(plain.with_images(some))  # one of 56 is more than one in a hundred
    assert mixed.votes is not None
    assert np.flatnonzero(mixed.votes.any(axis=1)).tolist() == [3]
    many = plain.select(np.tile(np.arange(len(plain)), 10))
    many = replace(many, names=tuple(map(str, range(len(many)))))
    images = rng.integers(0, 256, many.images.shape, np.uint8)
    images[3] = known.images[3]
    assert with_votes(many.with_images(images)).votes is None  # one of 560 is not
    others = replace(plain, classes=("a", "b", "c", "d", "e", "f", "g"))
    assert with_votes(others) is others
    assert with_votes(plain.select(np.zeros(0, np.int64))).votes is None


def test_blank_pictures_are_no_proof(known: FaceSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cmaen.data import keys

    blank = known.with_images(np.zeros_like(known.images))
    monkeypatch.setattr(
        keys.Fer2013Keys, "read", lambda: keys.Fer2013Keys(face_keys(blank.images), face_keys(known.images[:21]), "")
    )
    assert with_votes(replace(blank, votes=None)).votes is None


def published(votes: np.ndarray, path: Path, *, blank: int, complete: bool = True) -> Path:
    """Write votes as FER+ does: in the order of Kaggle's rows, with one row that takes neither name nor number."""
    rows, number = [f"Usage,Image name,{','.join(CATEGORIES)}"], 0
    for row, counts in enumerate(votes.tolist()):
        name = "" if row == blank else f"fer{number if complete else row:07d}.png"
        number += row != blank
        if complete or row != blank:
            rows.append(",".join(["Training", name, *map(str, counts)]))
    path.write_text("\n".join(rows) + "\n")
    return path


def test_the_published_file_follows_the_rows_and_not_its_names(fer_tree: Path, tmp_path: Path) -> None:
    plain = load_faces(fer_tree, Split.TRAIN)
    table = load_faces(
        write_kaggle(
            [plain, load_faces(fer_tree, Split.VALIDATION)], tmp_path / "fer2013.csv", np.random.default_rng(0)
        ),
        Split.TRAIN,
    )
    votes = np.zeros((len(table), len(CATEGORIES)), np.uint8)
    votes[:, 0] = 1 + np.arange(len(votes))
    joined = join_votes(table, published(votes, tmp_path / "fer2013new.csv", blank=4))
    assert joined.votes is not None
    assert joined.votes[:, 0].tolist() == [1, 2, 3, 4, 0, *range(6, len(votes) + 1)]
    with pytest.raises(DataError, match="lacks rows"):
        join_votes(table, published(votes, tmp_path / "fer2013new.csv", blank=4, complete=False))
    named = replace(table, names=tuple(f"train/{name}" for name in table.names))  # as FER+'s own script names files
    assert join_votes(named, tmp_path / "fer2013new.csv").votes is not None


def test_the_published_file_fits_a_tree_through_pixels(known: FaceSet, tmp_path: Path) -> None:
    with np.load(tmp_path / "package" / VOTES) as kept:
        everybody = kept["votes"]
    path = published(np.random.default_rng(0).permutation(everybody), tmp_path / "fer2013new.csv", blank=4)
    faces = replace(known, votes=None)
    joined = join_votes(faces, path)
    assert np.array_equal(joined.votes, known.votes)
    with pytest.raises(DataError, match="no row"):
        join_votes(faces, published(everybody[::-1] // 2, path, blank=4))


def test_the_last_part_of_a_name_will_do(fer_tree: Path, tmp_path: Path) -> None:
    faces = load_faces(fer_tree, Split.TRAIN)
    path = tmp_path / "votes.csv"
    rows = [f"other/{name.rpartition('/')[2]},{row},0,0,0,0,0,0,0,0,1" for row, name in enumerate(faces.names)]
    path.write_text("\n".join([f"file,{','.join(CATEGORIES)}", *rows, "other/a/Training_0.png,9,9,9,9,9,9,9,9,9,9"]))
    joined = join_votes(faces, path)
    assert joined.votes is not None
    assert not joined.votes[0].any()  # two rows claim that name
    assert joined.votes[1:, 0].tolist() == list(range(1, len(faces)))
