from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from cmaen.data.restoration import SIDE, grey_and_chroma, load_colour_faces, small_and_large
from cmaen.errors import DataError


def faces(count: int = 6) -> np.ndarray:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (count, 10, 10, 3)).astype(np.uint8)
    return np.stack([cv2.resize(face, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC) for face in coarse])


def test_what_is_held_out_is_never_learnt_from(tmp_path: Path) -> None:
    for number in range(60):
        Image.fromarray(np.full((210, 230, 3), number, np.uint8)).save(tmp_path / f"{number}.png")
    (tmp_path / "broken.png").write_bytes(b"nothing")
    learnt, held_out = (load_colour_faces([tmp_path], held_out=part) for part in (False, True))
    assert len(learnt) + len(held_out) == 60
    assert 1 <= len(held_out) <= 15
    assert learnt.shape[1:] == (SIDE, SIDE, 3)
    assert not {face[0, 0, 0] for face in learnt} & {face[0, 0, 0] for face in held_out}
    for folders in ([tmp_path / "nowhere"], []):
        with pytest.raises(DataError):
            load_colour_faces(folders, held_out=False)


def test_validation_pairs_are_the_middle_reduced_and_nothing_else() -> None:
    inputs, targets = small_and_large(faces(), None)
    assert (inputs.shape, targets.shape) == ((6, 3, 48, 48), (6, 3, 192, 192))
    assert np.array_equal(targets[:, 0], targets[:, 2])
    back = cv2.resize(targets[0, 0], (48, 48), interpolation=cv2.INTER_AREA)
    assert np.abs(back - inputs[0, 0]).mean() < 0.02
    assert np.array_equal(inputs, small_and_large(faces(), None).inputs)


def test_training_pairs_show_the_same_place_in_many_ways() -> None:
    many = faces(1).repeat(40, axis=0)
    inputs, targets = small_and_large(many, np.random.default_rng(0))
    assert (inputs.shape, targets.shape) == ((40, 3, 32, 32), (40, 3, 128, 128))
    assert 0 <= inputs.min() < inputs.max() <= 1
    back = np.stack([cv2.resize(target, (32, 32), interpolation=cv2.INTER_AREA) for target in targets[:, 1]])
    misses = np.abs(back - inputs[:, 1]).mean(axis=(1, 2))
    assert misses.max() < 0.15
    assert misses.min() < 0.01 < np.median(misses) + 0.01
    grey = (targets[:, 0] == targets[:, 2]).all(axis=(1, 2))
    assert 8 < grey.sum() < 32
    assert np.ptp(inputs[grey], axis=1).max() < 0.05  # through JPEG compression, grey stays nearly grey


def test_chroma_is_what_grey_lacks() -> None:
    inputs, targets = grey_and_chroma(faces(), None, 96)
    assert (inputs.shape, targets.shape) == ((6, 3, 96, 96), (6, 2, 96, 96))
    lab = cv2.cvtColor(inputs[0].transpose(1, 2, 0), cv2.COLOR_RGB2LAB)
    colour = cv2.cvtColor(np.dstack([lab[..., :1], targets[0].transpose(1, 2, 0)]), cv2.COLOR_LAB2RGB)
    small = cv2.resize(faces()[0], (96, 96), interpolation=cv2.INTER_AREA) / 255
    assert np.abs(colour - small).mean() < 0.01
    varied = grey_and_chroma(faces(1).repeat(20, axis=0), np.random.default_rng(0), 96)
    assert len(set(varied.inputs[:, 0, 0, 0])) > 10
