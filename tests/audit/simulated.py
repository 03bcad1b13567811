"""Labelled answers made by code, with and without a gap between groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from cmaen.audit.labelled import LabelledAnswers
from cmaen.types import EMOTIONS

SAD = EMOTIONS.index("sad")
FEAR = EMOTIONS.index("fear")


def simulate(
    groups: Sequence[str],
    *,
    seed: int = 0,
    less: Mapping[str, float] | None = None,
    labels: np.ndarray | None = None,
    ease: np.ndarray | None = None,
    **columns: Sequence[str],
) -> LabelledAnswers:
    """Answers that are right in two of three cases, for one label as for another.

    Args:
        groups: Group of each face.
        seed: Seed of the answers.
        less: How much lower the chance of a right answer is, by group.
        labels: Label of each face; drawn by default.
        ease: How much higher the chance is for each face.
        columns: Other columns.
    """
    rng, count = np.random.default_rng(seed), len(groups)
    labels = rng.integers(0, len(EMOTIONS), count) if labels is None else labels
    chance = 0.67 - np.array([(less or {}).get(group, 0.0) for group in groups]) + (0 if ease is None else ease)
    right = rng.random(count) < chance
    answers = np.where(right, labels, (labels + rng.integers(1, len(EMOTIONS), count)) % len(EMOTIONS))
    return answered(labels, answers, rng.uniform(0.5, 0.85, count), group=tuple(groups), **columns)


def answered(
    labels: np.ndarray, answers: np.ndarray, confidences: np.ndarray, **columns: Sequence[str]
) -> LabelledAnswers:
    """Answers with these confidences; the rest is shared by the other labels."""
    count, size = len(labels), len(EMOTIONS)
    values = np.repeat(((1 - confidences) / (size - 1))[:, None], size, axis=1)
    values[np.arange(count), answers] = confidences
    names = tuple(f"{number}.png" for number in range(count))
    return LabelledAnswers(EMOTIONS, names, labels, values, {name: tuple(given) for name, given in columns.items()})


def alternate(*sizes: int) -> list[str]:
    """Groups a, b, c … with these sizes."""
    return [letter for letter, size in zip("abcdefgh", sizes, strict=False) for _ in range(size)]
