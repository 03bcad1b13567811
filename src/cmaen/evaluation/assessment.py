"""The complete measurement of a network on a split, in one value that becomes JSON, CSV and a report."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cmaen.checkpoints import Scheme
from cmaen.data.ferplus import vote_distribution
from cmaen.data.splits import FaceSet
from cmaen.engines import Logits, probabilities
from cmaen.errors import DataError
from cmaen.evaluation.agreement import Agreement, agreement
from cmaen.evaluation.calibration import (
    FEW_FACES,
    Calibration,
    calibration,
    calibration_by_chance,
    cross_fit,
    fit_temperature,
    reliability,
)
from cmaen.evaluation.corruptions import CORRUPTIONS, SEVERITIES
from cmaen.evaluation.curves import Summary, auc, average_precision, one_hot, precision_recall_curve, roc_curve
from cmaen.evaluation.intervals import Interval, resample, spread
from cmaen.evaluation.metrics import Metrics, macro_f1, measure
from cmaen.evaluation.run import logits_of, measure_clarities
from cmaen.preprocessing import PreprocessSpec

ALL_FACES = "all faces"
SHARED = "choosing among the shared labels"
"""All faces, with the answers that no face of the data can have left out."""
COPIES = ("without exact copies", "without near copies")
"""Sets of faces without a copy in Training; the second also leaves out near and mirrored copies."""
EXACT_OR_NEAR = "without exact or near copies"
"""Name of both sets of :data:`COPIES` if they are equal."""
_TOGETHER = 200
"""Confusion matrices that are measured together, so that those of many classes fit into memory."""

Robustness = dict[str, dict[str, list[float]]]
"""Figures by name, then by corruption: a list of six values, for the unchanged faces and severities 1 to 5."""


class Headline(NamedTuple):
    """The figures of a set of faces, and the calibration of its confidences.

    Attributes:
        metrics: Figures of the answers, with the intervals of accuracy and recall.
        macro_f1_interval: 95 % bootstrap interval of macro-F1.
        calibration: Calibration of the confidences.
    """

    metrics: Metrics
    macro_f1_interval: Interval
    calibration: Calibration

    @property
    def accuracy_interval(self) -> Interval:
        """95 % interval of the accuracy."""
        return self.metrics.accuracy_interval


def headline_to_dict(headline: Headline) -> dict[str, Any]:
    """Return the figures of a set of faces as a plain dict, ready for JSON."""
    return {
        **headline.metrics.to_dict(),
        "macro_f1_interval": list(headline.macro_f1_interval),
        "calibration": headline.calibration.to_dict(),
    }


@dataclass(frozen=True)
class Assessment:
    """The measurement of a network on a split.

    Attributes:
        split: Name of the split, see :attr:`cmaen.data.splits.FaceSet.title`.
        headlines: Figures by set of faces: :data:`ALL_FACES`, and selections such as those of :data:`COPIES`.
        auc, average_precision: Figures of all faces.
        auc_by_emotion, average_precision_by_emotion: Figures of each emotion against the rest; emotions without faces
            are left out.
        temperature: Temperature of the checkpoint.
        calibration: Calibration at ``temperature 1``; ``as shipped``, at the checkpoint's temperature;
            ``cross-fitted``, with each face at the temperature that fits the other folds; and by ``chance alone``, as
            it would be if the shipped probabilities were exactly right.
        fitted_temperature: The temperature that fits all faces. Only one fitted on the validation split is ever written
            to a card.
        agreement: Agreement with the annotators of FER+; ``None`` if their votes were not given.
    """

    split: str
    headlines: Mapping[str, Headline]
    auc: Summary
    average_precision: Summary
    auc_by_emotion: Mapping[str, float]
    average_precision_by_emotion: Mapping[str, float]
    temperature: float
    calibration: Mapping[str, Calibration]
    fitted_temperature: float
    agreement: Agreement | None

    @property
    def told_calibration(self) -> dict[str, Calibration]:
        """The calibrations that are meaningful for this number of faces, without duplicates.

        Cross-fitting needs :data:`~cmaen.evaluation.calibration.FEW_FACES` faces, and temperature 1 may be the shipped
        one.
        """
        count = self.headlines[ALL_FACES].metrics.count
        left_out = {"cross-fitted"} if count < FEW_FACES else set()
        if self.temperature == 1:
            left_out |= {"temperature 1"}
        return {name: found for name, found in self.calibration.items() if name not in left_out}

    def to_dict(self) -> dict[str, Any]:
        """Return a plain dict, ready for JSON."""
        values = asdict(self)
        values["headlines"] = {name: headline_to_dict(headline) for name, headline in self.headlines.items()}
        for key in ("auc", "average_precision"):
            values[key] = getattr(self, key)._asdict()
        return values


def assess(
    faces: FaceSet,
    logits: NDArray[np.float32],
    *,
    temperature: float,
    rng: np.random.Generator,
    subsets: Mapping[str, FaceSet] | None = None,
    among: NDArray[np.bool_] | None = None,
) -> Assessment:
    """Measure a network by its logits for the faces of a split.

    Args:
        faces: Faces of one split, with or without FER+ votes.
        logits: Logits of the network for these faces, float32 [N, C].
        temperature: Temperature of the checkpoint.
        rng: The source of all randomness.
        subsets: Selections of these faces that each get a headline.
        among: Classes to choose among for the headline :data:`SHARED`, bool [C], which include every label; ``None``
            for no such headline.

    Raises:
        DataError: All faces have one label.
    """
    classes = faces.classes
    if len(np.unique(faces.labels)) < 2:
        raise DataError(f"all faces are labelled {classes[faces.labels[0]]}; measuring needs at least two classes")
    labels, answers = faces.labels, probabilities(logits, temperature)
    row_of = {name: row for row, name in enumerate(faces.names)}
    headlines = {ALL_FACES: _headline(labels, answers, classes, rng)}
    for name, subset in (subsets or {}).items():
        rows = np.array([row_of[key] for key in subset.names])
        headlines[name] = _headline(labels[rows], answers[rows], classes, rng)
    if among is not None:
        chosen = probabilities(np.where(among, logits, np.float32(-np.inf)), temperature)
        headlines[SHARED] = _headline(labels, chosen, classes, rng)
    positive = one_hot(labels, len(classes))
    present = [index for index in range(len(classes)) if positive[:, index].any()]
    annotators = None
    if faces.votes is not None:
        voted = faces.votes.sum(axis=1) > 0
        annotators = agreement(labels, answers, vote_distribution(faces), voted)
    return Assessment(
        split=faces.title,
        headlines=headlines,
        auc=auc(labels, answers),
        average_precision=average_precision(labels, answers),
        auc_by_emotion={classes[i]: roc_curve(positive[:, i], answers[:, i]).area for i in present},
        average_precision_by_emotion={
            classes[i]: precision_recall_curve(positive[:, i], answers[:, i]).average_precision for i in present
        },
        temperature=temperature,
        calibration={
            "temperature 1": calibration(labels, probabilities(logits)),
            "as shipped": calibration(labels, answers),
            "cross-fitted": calibration(labels, cross_fit(labels, logits)),
            "chance alone": calibration_by_chance(answers, rng.spawn(1)[0]),
        },
        fitted_temperature=fit_temperature(labels, logits),
        agreement=annotators,
    )


def measure_scheme(faces: FaceSet, logits: NDArray[np.float32], scheme: Scheme, rng: np.random.Generator) -> Headline:
    """Measure the answers under another label scheme by the labels of the faces.

    Args:
        faces: Faces of one split, whose classes are all labels of the scheme; it chooses among these alone, as
            prediction leaves out contempt.
        logits: Logits under the scheme, float32 [N, L].
        scheme: The label scheme.
        rng: The source of all randomness.
    """
    columns = [scheme.labels.index(name) for name in faces.classes]  # [N, L] -> [N, C]
    return _headline(faces.labels, probabilities(logits[:, columns], scheme.temperature), faces.classes, rng)


def merge_copies(headlines: Mapping[str, Headline]) -> dict[str, Headline]:
    """Drop the headlines of sets without copies that repeat another, because there were no copies to leave out."""
    merged: dict[str, Headline] = {}
    for name, headline in headlines.items():
        same = next((other for other in merged if name in COPIES and merged[other].metrics == headline.metrics), None)
        if same is None:
            merged[name] = headline
        elif same != ALL_FACES:
            merged = {EXACT_OR_NEAR if other == same else other: found for other, found in merged.items()}
    return merged


def measure_robustness(
    faces: FaceSet,
    spec: PreprocessSpec,
    engine: Logits,
    rng: np.random.Generator,
    progress: Callable[[Iterable[str]], Iterable[str]] = iter,
    *,
    labels: NDArray[np.int64] | None = None,
    temperature: float = 1.0,
    clarity: bool = False,
) -> Robustness:
    """Measure accuracy and calibration error by corruption and severity.

    Args:
        faces: Faces of one split.
        spec: Preprocessing of the checkpoint.
        engine: Network to measure, float32 [B, 3, H, W] -> logits [B, C].
        rng: The source of all randomness.
        progress: Wraps the loop over the corruptions, to show progress.
        labels: Correct answers, int64 [N]; faces with a negative one are left out. ``None``: the labels of the faces.
        temperature: Temperature by which the logits are divided.
        clarity: Whether confidences fall with the clarity of the face, as in prediction.

    Returns:
        The figures ``accuracy``, and ``ece`` in bins of equal mass.
    """
    right = faces.labels if labels is None else labels
    faces, right = faces.select(right >= 0), right[right >= 0]

    def answer(part: FaceSet) -> NDArray[np.float32]:
        logits = logits_of(part, spec, engine)
        return logits * measure_clarities(part, spec)[:, None] if clarity else logits

    def figures(corrupt: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]) -> tuple[float, float]:
        logits = [answer(part.with_images(corrupt(np.asarray(part.images)))) for part in faces.parts()]
        answers = probabilities(np.concatenate(logits), temperature)
        error = reliability(right, answers, "equal_mass").expected_error
        return float((answers.argmax(axis=1) == right).mean()), error

    def corrupt(name: str, severity: int) -> Callable[[NDArray[np.uint8]], NDArray[np.uint8]]:
        return lambda images: CORRUPTIONS[name](images, severity, rng)

    clean = figures(lambda images: images)
    curves = {}
    for name in progress(list(CORRUPTIONS)):
        curves[name] = [clean, *(figures(corrupt(name, severity)) for severity in SEVERITIES)]
    return {
        figure: {name: [found[place] for found in curve] for name, curve in curves.items()}
        for place, figure in enumerate(("accuracy", "ece"))
    }


def predictions_csv(faces: FaceSet, answers: NDArray[np.float64]) -> str:
    """Write a CSV with one row per face: its name, label, answer and probabilities."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["name", "label", "prediction", *faces.classes])
    for name, label, answer in zip(faces.names, faces.labels, answers, strict=True):
        writer.writerow(
            [name, faces.classes[label], faces.classes[answer.argmax()], *(f"{value:.6f}" for value in answer)]
        )
    return text.getvalue()


def metrics_csv(assessment: Assessment) -> str:
    """Write a CSV with one row per set and emotion, and a row ``all`` for each set.

    ``low`` and ``high`` are the ends of the 95 % interval of the recall; in the row ``all``, of the accuracy.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["set", "emotion", "precision", "recall", "f1", "faces", "accuracy", "low", "high"])
    for name, (metrics, *_) in assessment.headlines.items():
        for emotion, figures in metrics.by_emotion.items():
            shares = (f"{value:.6f}" for value in (figures.precision, figures.recall, figures.f1))
            ends = (f"{end:.6f}" for end in figures.recall_interval)
            writer.writerow([name, emotion, *shares, figures.support, "", *ends])
        ends = (f"{end:.6f}" for end in metrics.accuracy_interval)
        together = (f"{metrics.macro_f1:.6f}", metrics.count, f"{metrics.accuracy:.6f}")
        writer.writerow([name, "all", "", "", *together, *ends])
    return text.getvalue()


def _headline(
    labels: NDArray[np.int64], answers: NDArray[np.float64], classes: Sequence[str], rng: np.random.Generator
) -> Headline:
    predictions = answers.argmax(axis=1)
    return Headline(
        measure(labels, predictions, classes),
        _macro_f1_interval(labels, predictions, len(classes), rng),
        calibration(labels, answers),
    )


def _macro_f1_interval(
    labels: NDArray[np.int64], predictions: NDArray[np.int64], classes: int, rng: np.random.Generator
) -> Interval:
    """Compute the bootstrap interval of the macro-F1; its thousands of confusion matrices are measured together."""
    pairs, drawn, figures = labels * classes + predictions, resample(len(labels), rng), list[float]()
    while some := [np.bincount(pairs[rows], minlength=classes**2) for rows in islice(drawn, _TOGETHER)]:
        figures += macro_f1(np.stack(some).reshape(-1, classes, classes)).tolist()
    return spread(figures)
