"""The meaning of a network's figures, in sentences for readers who do not know the figures."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cmaen.evaluation.assessment import ALL_FACES, Assessment
from cmaen.evaluation.calibration import Calibration
from cmaen.evaluation.intervals import FEW, Interval
from cmaen.evaluation.metrics import Metrics

CLOSE = 0.02
"""Largest excess over the calibration error by chance alone that still counts as small."""


class Verdict(NamedTuple):
    """Sentences about a network on a split; ``None`` if there is nothing to say.

    Attributes:
        right: Sentence on how often the network is right.
        worst: Sentence on the label at which it fails most, and its answer there.
        trust: Sentence on whether its confidences can be trusted.
        few: Warning that there are too few faces to judge.
    """

    right: str
    worst: str | None
    trust: str
    few: str | None

    @property
    def sentences(self) -> list[str]:
        """All sentences, in reading order."""
        return [sentence for sentence in (self.right, self.few, self.worst, self.trust) if sentence]


def judge(assessment: Assessment) -> Verdict:
    """Describe a measurement in words."""
    headline = assessment.headlines[ALL_FACES]
    metrics = headline.metrics
    few = None
    if metrics.count < FEW:
        few = (
            f"{metrics.count} faces are too few to judge it: on others like them, an accuracy anywhere from "
            f"{of_hundred(metrics.accuracy_interval)} is possible. "
            f"Use at least {FEW} faces for a rough figure, and a few hundred for a reliable one."
        )
    trust = _describe_trust(metrics, assessment.calibration["as shipped"], assessment.calibration["chance alone"])
    return Verdict(_describe_accuracy(metrics), describe_worst(metrics), trust, few)


def of_hundred(interval: Interval, digits: int = 0) -> str:
    """Format an interval of a fraction in percent, with this number of decimal places: ``71 to 75%``."""
    return f"{100 * interval.low:.{digits}f} to {100 * interval.high:.{digits}f}%"


def _describe_accuracy(metrics: Metrics) -> str:
    """Describe how often the network is right, compared with always answering the commonest label."""
    interval = of_hundred(metrics.accuracy_interval)
    text = f"It is right for {_count_right(metrics)}, {metrics.accuracy:.0%} (95% interval {interval})"
    commonest, share = _find_commonest(metrics)
    if metrics.accuracy_interval.low <= share:
        return f"{text}, which is no clear improvement on always answering {commonest} ({share:.0%})."
    return f"{text}; always answering {commonest} would be right for {share:.0%}."


def describe_worst(metrics: Metrics) -> str | None:
    """Describe the label with the worst recall, and the answer given in its place; ``None`` if every face is right.

    It compares the upper ends of the intervals, so that a label with few faces is not chosen for a recall that may be
    low by chance.
    """
    wrong = {name: found for name, found in metrics.by_emotion.items() if found.support and found.recall < 1}
    if not wrong:
        return None
    worst = min(wrong, key=lambda name: (wrong[name].recall_interval.high, wrong[name].recall))
    names, found = list(metrics.by_emotion), wrong[worst]
    answers = np.array(metrics.confusion[names.index(worst)])
    answers[names.index(worst)] = -1
    instead, times = names[int(answers.argmax())], int(answers.max())
    return (
        f"It fails most on {worst}: it finds {round(found.recall * found.support):,} of {found.support:,} faces, "
        f"{found.recall:.0%} ({of_hundred(found.recall_interval)}), and instead most often answers {instead} "
        f"({times / found.support:.0%})."
    )


def _describe_trust(metrics: Metrics, shipped: Calibration, chance: Calibration) -> str:
    claimed, interval = shipped.mean_confidence, metrics.accuracy_interval
    claim = f"on average it claims {claimed:.0%} and is right for {metrics.accuracy:.0%}"
    if claimed < interval.low:
        return f"Its confidences are too low: {claim}. `cmaen calibrate` corrects this."
    if claimed > interval.high:
        return f"Its confidences are too high: {claim}. `cmaen calibrate` corrects this."
    if metrics.count < FEW:
        return f"These are too few faces to judge whether its confidences can be trusted: {claim}."
    error = f"they are off by {shipped.ece_equal_mass:.3f} (ECE), against {chance.ece_equal_mass:.3f} by chance alone"
    if shipped.ece_equal_mass > chance.ece_equal_mass + CLOSE:
        return f"Its confidences can be trusted on average, but not at every level: {claim}, and {error}."
    return f"Its confidences can be trusted: {claim}, and {error}."


def _count_right(metrics: Metrics) -> str:
    right = round(metrics.accuracy * metrics.count)
    return f"all {metrics.count:,} faces" if right == metrics.count else f"{right:,} of {metrics.count:,} faces"


def _find_commonest(metrics: Metrics) -> tuple[str, float]:
    """Return the label of most faces, and its fraction of all faces."""
    name = max(metrics.by_emotion, key=lambda name: metrics.by_emotion[name].support)
    return name, metrics.by_emotion[name].support / metrics.count
