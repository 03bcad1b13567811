"""What the figures of a network mean, in sentences that somebody who knows none of them can read."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cmaen.evaluation.assessment import ALL_FACES, Assessment
from cmaen.evaluation.calibration import Calibration
from cmaen.evaluation.intervals import FEW, Interval
from cmaen.evaluation.metrics import Metrics

CLOSE = 0.02
"""A calibration error this far above what chance alone makes is small."""


class Verdict(NamedTuple):
    """Sentences about a network on a split; ``None`` where there is nothing to say.

    Attributes:
        right: How often it is right.
        worst: Where it fails most, and what it answers there.
        trust: Whether its confidences can be trusted.
        few: That the faces are too few to tell.
    """

    right: str
    worst: str | None
    trust: str
    few: str | None

    @property
    def sentences(self) -> list[str]:
        """Those that there are, in the order in which they are read."""
        return [sentence for sentence in (self.right, self.few, self.worst, self.trust) if sentence]


def judge(assessment: Assessment) -> Verdict:
    """What was measured, in words."""
    headline = assessment.headlines[ALL_FACES]
    metrics = headline.metrics
    few = None
    if metrics.count < FEW:
        few = (
            f"{metrics.count} faces are too few to tell how good it is: on others like them, anything from "
            f"{of_hundred(metrics.accuracy_interval)} is possible. "
            f"{FEW} faces tell something, a few hundred tell it well."
        )
    trust = _describe_trust(metrics, assessment.calibration["as shipped"], assessment.calibration["chance alone"])
    return Verdict(_describe_accuracy(metrics), describe_worst(metrics), trust, few)


def of_hundred(interval: Interval, digits: int = 0) -> str:
    """An interval of a share in percent, with so many digits after the point: ``71 to 75%``."""
    return f"{100 * interval.low:.{digits}f} to {100 * interval.high:.{digits}f}%"


def _describe_accuracy(metrics: Metrics) -> str:
    """How often it is right, and whether that is more than always giving the commonest answer would be."""
    interval = of_hundred(metrics.accuracy_interval)
    text = f"It is right for {_count_right(metrics)}, {metrics.accuracy:.0%} (95% interval {interval})"
    commonest, share = _find_commonest(metrics)
    if metrics.accuracy_interval.low <= share:
        return f"{text}, which cannot be told from always answering {commonest} ({share:.0%})."
    return f"{text}; always answering {commonest} would be right for {share:.0%}."


def describe_worst(metrics: Metrics) -> str | None:
    """The label that is found least often, and what is answered in its place; ``None`` where every face is right.

    Of labels with few faces it takes one that is surely bad, by the upper end of the interval, rather than one that may
    be by chance.
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
        f"It fails most on {worst}: found in {round(found.recall * found.support):,} of {found.support:,} faces, "
        f"{found.recall:.0%} ({of_hundred(found.recall_interval)}); most often taken for {instead} "
        f"({times / found.support:.0%})."
    )


def _describe_trust(metrics: Metrics, shipped: Calibration, chance: Calibration) -> str:
    claimed, interval = shipped.mean_confidence, metrics.accuracy_interval
    claim = f"on average it claims {claimed:.0%} and is right for {metrics.accuracy:.0%}"
    if claimed < interval.low:
        return f"Its confidences are too low: {claim}. `cmaen calibrate` mends that."
    if claimed > interval.high:
        return f"Its confidences are too high: {claim}. `cmaen calibrate` mends that."
    if metrics.count < FEW:
        return f"Whether its confidences can be trusted cannot be told from so few faces: {claim}."
    error = f"they are off by {shipped.ece_equal_mass:.3f} (ECE), where chance alone makes {chance.ece_equal_mass:.3f}"
    if shipped.ece_equal_mass > chance.ece_equal_mass + CLOSE:
        return f"Its confidences can be trusted on average, but not at every level: {claim}, and {error}."
    return f"Its confidences can be trusted: {claim}, and {error}."


def _count_right(metrics: Metrics) -> str:
    right = round(metrics.accuracy * metrics.count)
    return f"all {metrics.count:,} faces" if right == metrics.count else f"{right:,} of {metrics.count:,} faces"


def _find_commonest(metrics: Metrics) -> tuple[str, float]:
    """The label of most faces, and its share of them."""
    name = max(metrics.by_emotion, key=lambda name: metrics.by_emotion[name].support)
    return name, metrics.by_emotion[name].support / metrics.count
