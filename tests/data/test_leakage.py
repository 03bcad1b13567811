from __future__ import annotations

import cv2
import numpy as np

from cmaen.data.leakage import find_copies, perceptual_hash, without_copies
from cmaen.data.splits import FaceSet, Split


def smooth(count: int, seed: int) -> np.ndarray:
    """Make uint8 [count, 48, 48] with low frequencies only, like faces."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (count, 6, 6), dtype=np.uint8)
    return np.stack([cv2.resize(image, (48, 48), interpolation=cv2.INTER_CUBIC) for image in coarse])


def face_set(split: Split, images: np.ndarray) -> FaceSet:
    return FaceSet(
        split, images, np.zeros(len(images), np.int64), tuple(f"{split.value}_{i}" for i in range(len(images)))
    )


def test_exact_near_and_mirrored_copies_are_found_and_nothing_else() -> None:
    training = smooth(20, seed=1)
    validation = smooth(8, seed=2)
    validation[0] = training[3]
    rng = np.random.default_rng(0)
    validation[1] = np.clip(training[5] * 0.9 + rng.normal(0, 3, (48, 48)) + 8, 0, 255)
    validation[2] = training[7][:, ::-1]
    copies = find_copies(face_set(Split.TRAIN, training), face_set(Split.VALIDATION, validation))
    assert [(copy.kind, copy.first, copy.second) for copy in copies] == [
        ("exact", 3, 0),
        ("near", 5, 1),
        ("mirrored", 7, 2),
    ]
    assert copies[1].correlation > 0.95


def test_copies_can_be_left_out_of_training() -> None:
    training = face_set(Split.TRAIN, smooth(10, seed=1))
    images = smooth(4, seed=2)
    images[0], images[1] = training.images[2], training.images[6][:, ::-1]
    validation = face_set(Split.VALIDATION, images)
    assert len(without_copies(training, validation, exact_only=True)) == 9
    kept = without_copies(training, validation, exact_only=False)
    assert len(kept) == 8
    assert kept.split is Split.TRAIN
    assert "Training_2" not in kept.names


def test_flat_images_match_nothing_but_themselves() -> None:
    flat = np.zeros((1, 48, 48), np.uint8)
    other = np.full((1, 48, 48), 9, np.uint8)
    assert find_copies(face_set(Split.TRAIN, flat), face_set(Split.VALIDATION, other)) == []
    assert len(find_copies(face_set(Split.TRAIN, flat), face_set(Split.VALIDATION, flat))) == 1


def test_the_hash_ignores_light_and_contrast() -> None:
    images = smooth(5, seed=3)
    reduced = np.stack([cv2.resize(image, (32, 32)) for image in images]).astype(np.float32)
    assert np.array_equal(perceptual_hash(reduced), perceptual_hash(reduced * 0.5 + 20))
    assert len(set(perceptual_hash(reduced).tolist())) == 5
