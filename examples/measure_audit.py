"""How often cmaen audit finds a gap between groups: one that is there, and one that is not.

python examples/measure_audit.py
python examples/measure_audit.py fer2013.zip

The first command simulates answers: the rate of false alarms in 1,000 audits without any gap, and how often gaps in
accuracy of several sizes are found, by the size of the smaller group. The second one asks the shipped network about the
validation faces of FER2013, which are split into two groups at random (no gap may be found), and then again with the
faces of one group darkened or blurred (a gap must be found).
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from cmaen.audit.auditor import audit
from cmaen.audit.findings import Audit
from cmaen.audit.labelled import LabelledAnswers
from cmaen.audit.words import judge
from cmaen.checkpoints import Checkpoint
from cmaen.data.faces import load_for
from cmaen.data.splits import FaceSet, Split
from cmaen.engines import build_engine, probabilities, select_output
from cmaen.evaluation.corruptions import CORRUPTIONS
from cmaen.evaluation.run import logits_of
from cmaen.types import EMOTIONS

LABELS = np.array([0.13, 0.02, 0.14, 0.25, 0.18, 0.11, 0.17])
"""Shares of the labels, about those of FER2013."""
RIGHT = np.array([0.67, 0.60, 0.55, 0.90, 0.60, 0.84, 0.74])
"""Recall of each label without a gap."""

PERMUTATIONS = 399
"""Few, since they are enough for a p-value that is significant among the 16 of an audit."""


def simulate(sizes: dict[str, int], rng: np.random.Generator, gap: float = 0.0, people: int = 0) -> LabelledAnswers:
    """Simulate labelled answers.

    Args:
        sizes: Number of faces of each group; the labels of the first are distributed differently.
        rng: The source of all randomness.
        gap: How much lower the recall of every label is in the last group.
        people: Faces of each person, who is as easy or as hard in all of them; 0 for different people.
    """
    groups = np.repeat(list(sizes), list(sizes.values()))
    shares = np.where((groups == next(iter(sizes)))[:, None], LABELS[::-1], LABELS).cumsum(axis=1)
    labels = (rng.random((len(groups), 1)) > shares / shares[:, -1:]).sum(axis=1)
    person = np.arange(len(groups)) // max(people, 1)
    ease = rng.normal(0, 0.15 if people else 0.0, person.max() + 1)[person]
    chance = np.clip(RIGHT[labels] + ease - gap * (groups == list(sizes)[-1]), 0.02, 0.98)
    right = rng.random(len(groups)) < chance
    answers = np.where(right, labels, (labels + rng.integers(1, len(EMOTIONS), len(groups))) % len(EMOTIONS))
    confidences = np.clip(RIGHT[labels] + rng.normal(0, 0.1, len(groups)), 0.3, 0.99)
    values = np.repeat(((1 - confidences) / (len(EMOTIONS) - 1))[:, None], len(EMOTIONS), axis=1)
    values[np.arange(len(groups)), answers] = confidences
    columns = {"group": tuple(groups.tolist()), "person": tuple(map(str, person))}
    return LabelledAnswers(EMOTIONS, tuple(map(str, range(len(groups)))), labels, values, columns)


def count_findings(audits: int, sizes: dict[str, int], gap: float = 0.0, people: int = 0, told: bool = True) -> int:
    """Count the audits that find anything.

    Args:
        audits: Number of audits.
        sizes, gap, people: See :func:`simulate`.
        told: Whether the audit is told the people.
    """
    found = 0
    for seed in range(audits):
        answers = simulate(sizes, np.random.default_rng([seed, len(sizes)]), gap, people)
        person = "person" if people and told else None
        found += bool(audit(answers, ["group"], person=person, permutations=PERMUTATIONS, seed=seed).findings)
    return found


def measure_simulated(nulls: int = 1000, audits: int = 40) -> None:
    """Print the rate of false alarms, and the rate at which gaps are found."""
    print("| audits without a gap | anything found |")
    print("|---|---|")
    for sizes in ({"a": 300, "b": 150}, {"a": 200, "b": 150, "c": 80, "d": 40, "e": 30}):
        name = " + ".join(map(str, sizes.values()))
        print(f"| {nulls:,} of {name} faces | {count_findings(nulls, sizes) / nulls:.1%} |", flush=True)
    few = max(nulls // 5, 1)
    for told in (True, False):
        name = "told the people" if told else "not told the people"
        rate = count_findings(few, {"a": 300, "b": 300}, people=30, told=told) / few
        print(f"| {few:,} of 300 + 300 faces, 30 of each person, {name} | {rate:.1%} |", flush=True)
    print()
    gaps = (0.05, 0.1, 0.2, 0.3)
    print(f"| faces in the groups, gap in accuracy | {' | '.join(f'{gap:.0%}' for gap in gaps)} |")
    print("|" + "---|" * (len(gaps) + 1))
    for count in (50, 150, 500):
        rates = [count_findings(audits, {"a": 2 * count, "b": count}, gap) / audits for gap in gaps]
        print(f"| {2 * count} + {count} | {' | '.join(f'{rate:.0%}' for rate in rates)} |", flush=True)


def ask(faces: FaceSet, groups: np.ndarray) -> Audit:
    """Audit the shipped network on some faces by their groups."""
    checkpoint = Checkpoint.open(None)
    name, scheme = next(iter(checkpoint.card.schemes.items()))
    engine = select_output(build_engine("onnx", checkpoint), name)
    answers = probabilities(logits_of(faces, checkpoint.card.preprocess, engine), scheme.temperature)
    columns = {"group": tuple(groups.tolist())}
    return audit(LabelledAnswers(faces.classes, faces.names, faces.labels, answers, columns), ["group"])


def measure_pictures(data: Path) -> None:
    """Print what is found on real faces in two groups drawn at random, without and with damage to one of them."""
    faces = load_for(Checkpoint.open(None).card, data, Split.VALIDATION)
    groups = np.random.default_rng(0).permutation(np.arange(len(faces)) % 2)
    names = np.array(["left alone", "changed"])[groups]
    for name, severity in (("nothing", 0), ("low light", 2), ("low light", 4), ("blur", 2), ("blur", 4)):
        images = np.array(faces.images)
        if severity:
            images[groups == 1] = CORRUPTIONS[name](images[groups == 1], severity, np.random.default_rng(0))
        found = ask(replace(faces, images=images), names)
        right = {
            group.name: group.figures.accuracy.value
            for column in found.columns
            for group in column.groups
            if group.figures is not None
        }
        print(f"{name}{f', severity {severity}' if severity else ''}:", end=" ")
        print(", ".join(f"{share:.1%} of the group {group} answered right" for group, share in right.items()))
        for sentence in judge(found).sentences:
            print(f"  {sentence}", flush=True)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        measure_pictures(Path(sys.argv[1]))
    else:
        measure_simulated()
