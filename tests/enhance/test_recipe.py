from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmaen.data.tree import steps_of
from cmaen.enhance.recipe import EnhancedFaces, NamedStep, Recipe
from cmaen.errors import CheckpointError, EnhancementError

SHA = "0123456789abcdef"


@given(st.integers(1, 512), st.booleans())
def test_faces_are_read_as_they_are_written(side: int, grey: bool) -> None:
    faces = EnhancedFaces(side, grey)
    recipe = Recipe.parse([str(faces), f"super-resolution {SHA}"])
    assert recipe == Recipe(faces, (NamedStep("super-resolution", SHA),))


def test_cards_of_older_versions_had_the_faces_of_fer2013() -> None:
    assert Recipe.parse([f"colorization {SHA}"]).faces == EnhancedFaces(48, True)
    assert Recipe.parse([]) == Recipe()


@given(st.lists(st.text(max_size=20), max_size=3))
def test_any_other_entries_are_refused_by_name(entries: list[str]) -> None:
    assert issubclass(EnhancementError, CheckpointError)
    try:
        recipe = Recipe.parse(entries)
    except EnhancementError:
        return
    assert len(recipe.steps) == len(steps_of(entries))
    assert 1 <= recipe.faces.side <= 512


@pytest.mark.parametrize(
    "entry",
    [
        *("faces ", "faces 48", "faces 0-grey", "faces 513-grey", "faces -1-grey", "faces ٤٨-grey", "faces 48-red"),
        *("super-resolution", f"super-resolution  {SHA}", "super-resolution w", f"super-resolution {SHA[:7]}"),
        *(f" {SHA}", f"super-resolution {'AB' * 8}", f"super-resolution {SHA * 5}", f"faces {'9' * 5000}-grey"),
    ],
)
def test_an_entry_that_cannot_be_read(entry: str) -> None:
    with pytest.raises(EnhancementError, match=r"the card (describes|names)"):
        Recipe.parse([entry])


def test_some_faces_are_described_by_their_middle_and_are_grey_only_together() -> None:
    faces = [np.full((side, side + 5, 3), side, np.uint8) for side in (40, 48, 200)]
    assert EnhancedFaces.of(faces) == EnhancedFaces(48, True)
    assert EnhancedFaces.of([np.zeros((600, 700, 3), np.uint8)]) == EnhancedFaces(512, True)
    faces[0][3, 3] = (1, 2, 3)
    assert EnhancedFaces.of(faces) == EnhancedFaces(48, False)


def test_crops_become_the_faces_that_were_enhanced() -> None:
    rng = np.random.default_rng(0)
    crops = [rng.integers(0, 256, shape).astype(np.uint8) for shape in ((60, 60, 3), (48, 48), (12, 30, 3))]
    grey, colour = EnhancedFaces(48, True)(crops), EnhancedFaces(48, False)(crops)
    assert grey.shape == colour.shape == (3, 48, 48, 3)
    assert (grey == grey[..., :1]).all()
    assert (colour[0] != colour[0][..., :1]).any()
    assert np.array_equal(grey[1][..., 0], crops[1]), "a face like those is not changed"
    for faces in (EnhancedFaces(48, True), EnhancedFaces(48, False)):  # reduced before, or only now
        assert np.array_equal(faces([faces.spec.reduce(crop) for crop in crops]), faces(crops))
