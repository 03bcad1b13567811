from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmaen.data.drawing import draw_validation
from cmaen.data.keys import face_keys
from cmaen.data.leakage import find_copies
from cmaen.data.splits import FaceSet, Split
from cmaen.data.stored import ImageFile, StoredImages, join_images, split_blocks
from cmaen.errors import DataError


def write(path: Path, images: np.ndarray) -> ImageFile:
    path.write_bytes(images.tobytes())
    return ImageFile(path, images.shape)


def some_images(count: int, channels: int = 0) -> np.ndarray:
    shape = (count, 6, 5, channels) if channels else (count, 6, 5)
    return np.random.default_rng(count).integers(0, 256, shape, np.uint8)


INDICES = st.one_of(
    st.integers(-9, 8),
    st.slices(9),
    st.lists(st.integers(-9, 8), max_size=12).map(lambda rows: np.array(rows, np.int64)),
    st.lists(st.booleans(), min_size=9, max_size=9).map(lambda keep: np.array(keep, bool)),
)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[np.ndarray, StoredImages]:
    """Nine images as an array, and in two files and an array."""
    images = some_images(9, 3)
    folder = tmp_path_factory.mktemp("stored")
    parts = [write(folder / "a", images[:4]), images[4:6], write(folder / "b", images[6:])]
    return images, StoredImages(parts)


@given(index=INDICES, other=INDICES)
def test_an_index_gives_what_an_array_gives(
    index: object, other: object, both: tuple[np.ndarray, StoredImages]
) -> None:
    images, stored = both
    assert np.array_equal(stored[index], images[index])
    assert isinstance(stored[index], np.ndarray)
    if isinstance(index, np.ndarray):
        taken = stored.take(index)
        assert isinstance(taken, StoredImages)
        assert np.array_equal(taken, images[index])
        again = np.arange(len(taken))[::-1]
        assert np.array_equal(taken.take(again)[:], images[index][::-1])


def test_it_is_used_like_an_array(both: tuple[np.ndarray, StoredImages]) -> None:
    images, stored = both
    assert (stored.shape, stored.ndim, stored.dtype, stored.nbytes) == (images.shape, 4, images.dtype, images.nbytes)
    assert np.array_equal(list(stored), images)
    assert np.array_equal(np.asarray(stored), images)
    assert [len(block) for block in split_blocks(stored, 2 * 90)] == [2, 2, 2, 2, 1]
    assert np.array_equal(np.concatenate(list(split_blocks(stored, 1))), images)
    assert np.array_equal(pickle.loads(pickle.dumps(stored)), images)
    with pytest.raises(IndexError):
        stored[9]
    with pytest.raises(TypeError, match="first axis"):
        stored[:, ::-1]


def test_a_file_of_another_length_is_refused(tmp_path: Path) -> None:
    content = some_images(3).tobytes()
    for length in range(len(content) + 2):
        (tmp_path / "images").write_bytes((content + b"0")[:length])
        if length != len(content):
            with pytest.raises(ValueError, match="bytes"):
                ImageFile(tmp_path / "images", (3, 6, 5))
    for shape in ((), (90,), (3, 30), (0, 0, 0), (-3, -6, 5), (3, 6, 5, 1, 1)):
        with pytest.raises(ValueError, match="shape"):
            ImageFile(tmp_path / "images", shape)


def test_a_file_that_is_cut_while_it_is_used_is_an_error_and_a_removed_one_can_be_read(tmp_path: Path) -> None:
    images = some_images(3)
    stored = StoredImages([write(tmp_path / "images", images)])
    (tmp_path / "images").rename(tmp_path / "elsewhere")
    assert np.array_equal(stored[1:], images[1:])
    with (tmp_path / "elsewhere").open("r+b") as file:
        file.truncate(50)
    with pytest.raises(DataError, match="cannot be read any more"):
        stored[0]
    assert stored[:0].shape == (0, 6, 5)


def test_sets_are_joined_whatever_they_are_in(tmp_path: Path) -> None:
    first, second = some_images(3), some_images(4)
    whole = np.concatenate([first, second])
    stored = StoredImages([write(tmp_path / "a", first)])
    assert isinstance(join_images(first, second), np.ndarray)
    for images in (join_images(stored, second), join_images(first, StoredImages([write(tmp_path / "b", second)]))):
        assert isinstance(images, StoredImages)
        assert np.array_equal(images, whole)
    thrice = join_images(join_images(stored.take(np.array([2, 0])), second), stored)
    assert np.array_equal(thrice, np.concatenate([first[[2, 0]], second, first]))
    with pytest.raises(DataError, match="differ in size"):
        join_images(first, np.zeros((2, 7, 7), np.uint8))


def test_a_set_in_a_file_is_the_same_set(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (40, 48, 48), np.uint8)
    images[7], images[9] = images[3], images[4][:, ::-1]
    labels = np.arange(40) % 7
    names = tuple(f"{number}.png" for number in range(40))
    plain = FaceSet(Split.TRAIN, images, labels, names)
    stored = plain.with_images(StoredImages([write(tmp_path / "images", images)]))
    assert stored.fingerprint() == plain.fingerprint()
    assert np.array_equal(face_keys(stored.images), face_keys(plain.images))
    copies = find_copies(plain, plain)
    assert {(copy.kind, copy.first, copy.second) for copy in copies} >= {("exact", 3, 7), ("mirrored", 4, 9)}
    assert find_copies(stored, stored) == copies
    drawn = draw_validation(stored)
    assert np.array_equal(drawn, draw_validation(plain))
    half = stored.select(drawn)
    assert isinstance(half.images, StoredImages)
    assert half.fingerprint() == plain.select(drawn).fingerprint()
    assert half.join(plain, Split.TRAIN).fingerprint() == plain.select(drawn).join(plain, Split.TRAIN).fingerprint()
    parts = list(half.parts())
    assert all(isinstance(part.images, np.ndarray) for part in parts)
    assert sum(map(len, parts)) == len(half)
    assert [len(part) for part in half.select(np.arange(0)).parts()] == [0]
