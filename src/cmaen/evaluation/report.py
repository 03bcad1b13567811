"""One self-contained HTML page about a network on a split: no file beside it, no script, nothing from the network."""

from __future__ import annotations

import base64
import csv
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup
from matplotlib.figure import Figure
from numpy.typing import NDArray

from cmaen.card import Card
from cmaen.data.splits import FaceSet
from cmaen.engines import probabilities
from cmaen.evaluation import plots
from cmaen.evaluation.assessment import OFFICIAL, Assessment
from cmaen.evaluation.calibration import cross_fitted

MISTAKES = 24
_THUMBNAIL = 96


class Thumbnail(NamedTuple):
    """A picture and the words below it."""

    picture: str
    caption: str


class Mapped(NamedTuple):
    """A face and the maps over it, grey or RGB pictures by their names, and the words beside them."""

    caption: str
    pictures: Mapping[str, NDArray[np.uint8]]


class Features(NamedTuple):
    """The penultimate features of some faces, float32 [M, F], and their labels int64 [M]."""

    vectors: NDArray[np.float32]
    labels: NDArray[np.int64]


def report_html(
    card: Card,
    faces: FaceSet,
    logits: NDArray[np.float32],
    assessment: Assessment,
    *,
    robustness: Mapping[str, Sequence[float]] | None = None,
    features: Features | None = None,
    maps: Sequence[Mapped] = (),
    variation: Mapping[str, float] | None = None,
    curves: Sequence[Mapping[str, float]] = (),
) -> str:
    """The page.

    Args:
        card: Of the checkpoint.
        faces: Of the split, in the order of the logits.
        logits: Of the network, float32 [N, C].
        assessment: What was measured.
        robustness: Accuracy by corruption and severity.
        features: For the t-SNE.
        maps: Where the network looks.
        variation: How much of the variation of an attention map is from face to face, in [0, 1], by its name.
        curves: Rows of the training run's log.
    """
    answers = probabilities(logits, assessment.temperature)
    reliability = {
        "temperature 1": probabilities(logits),
        "as shipped": answers,
        "cross-fitted": cross_fitted(faces.labels, logits),
    }
    environment = Environment(
        loader=PackageLoader("cmaen.evaluation", "."),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html").render(
        card=card,
        assessment=assessment,
        official=assessment.headlines[OFFICIAL].metrics,
        confusion=_svg(plots.confusion(assessment.headlines[OFFICIAL].metrics.confusion, faces.classes)),
        roc=_svg(plots.roc(faces.labels, answers, faces.classes)),
        precision_recall=_svg(plots.precision_recall(faces.labels, answers, faces.classes)),
        reliability=_svg(plots.reliability_diagram(faces.labels, reliability)),
        robustness=robustness,
        robustness_curves=_svg(plots.robustness_curves(robustness)) if robustness else None,
        training_curves=_svg(plots.training_curves(curves)) if curves else None,
        scatter=_svg(plots.scatter(_embedded(features.vectors), features.labels, faces.classes)) if features else None,
        maps=[(caption, {name: _png(p) for name, p in pictures.items()}) for caption, pictures in maps],
        variation=variation,
        mistakes=_mistakes(faces, answers),
    )


def training_log(checkpoint: Path) -> list[dict[str, float]]:
    """The epochs of the run that a checkpoint lies in, over all its CSV logs; nothing where there are none."""
    epochs: dict[float, dict[str, float]] = {}
    logs = checkpoint.parent.glob("logs/version_*/metrics.csv")
    for log in sorted(logs, key=lambda log: (len(log.parent.name), log.parent.name)):  # version_10 after version_2
        with log.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                with suppress(KeyError, TypeError, ValueError):  # the last row of a run that was killed
                    values = {key: float(value) for key, value in row.items() if value}
                    epochs.setdefault(values["epoch"], {}).update(values)
    return [epochs[epoch] for epoch in sorted(epochs)]


def _mistakes(faces: FaceSet, answers: NDArray[np.float64]) -> list[Thumbnail]:
    """The most confident wrong answers, the worst first."""
    confidence = answers.max(axis=1)
    predictions = answers.argmax(axis=1)
    wrong = np.flatnonzero(predictions != faces.labels)
    worst = wrong[np.argsort(-confidence[wrong])][:MISTAKES]
    return [
        Thumbnail(
            _png(cv2.resize(faces.images[i], (_THUMBNAIL, _THUMBNAIL), interpolation=cv2.INTER_LINEAR)),
            f"{faces.classes[predictions[i]]} {confidence[i]:.0%}, labelled {faces.classes[faces.labels[i]]}",
        )
        for i in worst
    ]


def _embedded(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """t-SNE: [M, F] -> places [M, 2] (van der Maaten and Hinton, 2008)."""
    from sklearn.manifold import TSNE

    perplexity = min(30.0, (len(vectors) - 1) / 3)
    return np.asarray(TSNE(perplexity=perplexity, init="pca", random_state=0).fit_transform(vectors), np.float32)


def _svg(figure: Figure) -> Markup:
    return Markup(plots.svg(figure))


def _png(picture: NDArray[np.uint8]) -> str:
    """A grey or RGB picture as a data URL."""
    bgr = picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    return "data:image/png;base64," + base64.b64encode(cv2.imencode(".png", bgr)[1].tobytes()).decode()
