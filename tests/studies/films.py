"""Recordings made by code: a letter for each moment of each person."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from cmaen.recordings.recording import NO_ANSWER, Appearance, Recording
from cmaen.types import EMOTIONS

LETTERS = {"a": 0, "d": 1, "f": 2, "h": 3, "n": 4, "s": 5, "u": 6}
"""The emotions by letter; ? is uncertain, a capital letter is unsure, and a space is nobody."""


def appear(text: str) -> Appearance:
    """One person; the answer has a probability of 0.8, of 0.4 if it is unsure, and of 0.6 if that is not enough."""
    frames = np.array([place for place, letter in enumerate(text) if letter != " "], np.int64)
    letters = [text[frame] for frame in frames]
    answers = np.array([NO_ANSWER if one == "?" else LETTERS[one.lower()] for one in letters], np.int64)
    heights = np.array([0.6 if one == "?" else 0.4 if one.isupper() else 0.8 for one in letters])
    probabilities = np.repeat((1 - heights[:, None]) / 6, 7, axis=1) if len(frames) else np.empty((0, 7))
    probabilities[np.arange(len(frames)), np.maximum(answers, 0)] = heights
    boxes = np.tile([10.0, 20.0, 30.0, 40.0], (len(frames), 1))
    return Appearance(frames, probabilities, answers, heights, boxes)


def film(people: Mapping[str, str] | str, name: str = "film.mp4", *, step: float = 0.1) -> Recording:
    """A recording of people, or of "Ada" alone."""
    given = {"Ada": people} if isinstance(people, str) else dict(people)
    count = max((len(text) for text in given.values()), default=0)
    return Recording(name, EMOTIONS, np.arange(count) * step, {who: appear(text) for who, text in given.items()})
