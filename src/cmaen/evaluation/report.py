"""One self-contained HTML page about a network on a split, and each of its pictures as a file beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup
from matplotlib.figure import Figure
from numpy.typing import NDArray

from cmaen.checkpoints import Documents, Epoch
from cmaen.checkpoints.history import read_log
from cmaen.data.splits import FaceSet
from cmaen.engines import probabilities
from cmaen.evaluation import gallery, plots
from cmaen.evaluation.assessment import ALL_FACES, Assessment, metrics_csv, predictions_csv
from cmaen.evaluation.calibration import cross_fit
from cmaen.evaluation.evaluate import Evaluation
from cmaen.evaluation.inside import Inside, look_inside
from cmaen.evaluation.perceived import PerceivedAssessment
from cmaen.files import replace_file, write_text
from cmaen.inference.benchmark import Cost, measure_cost
from cmaen.types import PERCEIVED, PERCEIVED_LABELS

PAGE = "report.html"
PICTURES = "pictures"
NAMES = (
    "confusion",
    "perceived-confusion",
    "perceived-shares",
    "roc",
    "precision-recall",
    "reliability",
    "robustness",
    "training-curves",
    "samples",
    "mistakes",
    "scatter",
    "maps",
)
"""Of the pictures, in the order of the page; those that there is nothing for are left out."""


class Picture(NamedTuple):
    """A figure as an ``<svg>`` element and as the content of a PNG file."""

    svg: str
    png: bytes


class Report(NamedTuple):
    """A report that is drawn and not yet written.

    Attributes:
        page: HTML, without anything from the network or beside it.
        pictures: Those in the page, by their names.
    """

    page: str
    pictures: Mapping[str, Picture]

    def write(self, folder: Path) -> None:
        """Write ``report.html`` and ``pictures/NAME.svg`` and ``.png``, each file whole or not at all.

        Pictures of an earlier report that this one does not have go away.

        Raises:
            OutputError: A file cannot be written.
        """
        write_text(folder / PAGE, self.page)
        for name in NAMES:
            vector, pixels = (folder / PICTURES / f"{name}.{kind}" for kind in ("svg", "png"))
            if name not in self.pictures:
                vector.unlink(missing_ok=True)
                pixels.unlink(missing_ok=True)
                continue
            write_text(vector, plots.SVG_HEAD + self.pictures[name].svg)
            with replace_file(pixels) as temporary:
                temporary.write_bytes(self.pictures[name].png)


def write_report(evaluation: Evaluation, folder: Path, *, figures: Mapping[str, Any] | None = None) -> Path:
    """Write all that is known of a network into a folder.

    That is the page, its pictures, ``metrics.json`` with the figures and the cost of an answer, ``metrics.csv`` and
    ``predictions.csv``. The network is timed, and looked into where PyTorch is installed.

    Args:
        evaluation: What was measured.
        folder: Files of the same names in it are replaced.
        figures: More of them, for ``metrics.json``.

    Returns:
        The page.

    Raises:
        OutputError: A file cannot be written.
    """
    checkpoint, faces = evaluation.checkpoint, evaluation.faces
    cost = measure_cost(checkpoint, evaluation.engine)
    report = draw_report(
        checkpoint.documents,
        faces,
        evaluation.logits,
        evaluation.assessment,
        perceived=evaluation.perceived.get(PERCEIVED),
        robustness=(evaluation.robustness or {}).get(evaluation.first, {}).get("accuracy"),
        inside=look_inside(checkpoint, faces),
        history=checkpoint.history or read_log(checkpoint.folder.parent, checkpoint.card.name),
        cost=cost,
    )
    values = {**(figures or {}), **evaluation.to_dict(), "cost": cost.to_dict()}
    for name, text in {
        "metrics.json": json.dumps(values, indent=2) + "\n",
        "metrics.csv": metrics_csv(evaluation.assessment),
        "predictions.csv": predictions_csv(faces, evaluation.answers),
    }.items():
        write_text(folder / name, text)
    report.write(folder)
    return folder / PAGE


def draw_report(
    documents: Documents,
    faces: FaceSet,
    logits: NDArray[np.float32],
    assessment: Assessment,
    *,
    perceived: PerceivedAssessment | None = None,
    robustness: Mapping[str, Sequence[float]] | None = None,
    inside: Inside | None = None,
    history: Sequence[Epoch] = (),
    cost: Cost | None = None,
) -> Report:
    """Draw the report.

    Args:
        documents: Of the checkpoint.
        faces: Of the split, in the order of the logits.
        logits: Of the network, float32 [N, C].
        assessment: What was measured.
        perceived: What was measured against the annotators' votes, of the scheme ``perceived``.
        robustness: Accuracy by corruption and severity.
        inside: Of the network.
        history: The epochs of its training.
        cost: Of an answer.
    """
    answers = probabilities(logits, assessment.temperature)
    drawn = {
        name: Picture(plots.svg(figure), plots.png(figure))
        for name, figure in _figures(faces, logits, answers, assessment, perceived, robustness, inside, history).items()
    }
    environment = Environment(
        loader=PackageLoader("cmaen.evaluation", "."),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False}
    page = environment.get_template(PAGE).render(
        card=documents.card,
        provenance=documents.provenance.to_dict(),
        assessment=assessment,
        whole=assessment.headlines[ALL_FACES],
        pictures={name: Markup(picture.svg) for name, picture in drawn.items()},
        perceived=perceived,
        robustness=robustness,
        maps=list(inside.maps[0].pictures) if inside else [],
        variation=inside.variation if inside else {},
        cost=cost,
    )
    return Report(page, drawn)


def _figures(
    faces: FaceSet,
    logits: NDArray[np.float32],
    answers: NDArray[np.float64],
    assessment: Assessment,
    perceived: PerceivedAssessment | None,
    robustness: Mapping[str, Sequence[float]] | None,
    inside: Inside | None,
    history: Sequence[Epoch],
) -> dict[str, Figure]:
    """All pictures that there is something for, by :data:`NAMES`."""
    classes = faces.classes
    honest = {
        "temperature 1": probabilities(logits),
        "as shipped": answers,
        "cross-fitted": cross_fit(faces.labels, logits),
    }
    figures: dict[str, Figure | None] = {
        "confusion": plots.confusion(assessment.headlines[ALL_FACES].metrics.confusion, classes),
        "perceived-confusion": plots.confusion(perceived.majority.confusion, PERCEIVED_LABELS) if perceived else None,
        "perceived-shares": plots.shares(perceived.shares) if perceived else None,
        "roc": plots.roc(faces.labels, answers, classes),
        "precision-recall": plots.precision_recall(faces.labels, answers, classes),
        "reliability": plots.reliability_diagram(faces.labels, honest),
        "robustness": plots.robustness_curves(robustness) if robustness else None,
        "training-curves": plots.training_curves(history) if _says_something(history) else None,
        "samples": gallery.samples(faces, answers, np.random.default_rng(0)),
        "mistakes": gallery.mistakes(faces, answers),
        "scatter": plots.scatter(_project(inside.features.vectors), inside.features.labels, classes)
        if inside
        else None,
        "maps": gallery.maps(inside.maps) if inside else None,
    }
    return {name: figure for name in NAMES if (figure := figures[name]) is not None}


def _says_something(history: Sequence[Epoch]) -> bool:
    return any(figure is not None for _, _, *figures in history for figure in figures)


def _project(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """t-SNE: [M, F] -> places [M, 2] (van der Maaten and Hinton, 2008)."""
    from sklearn.manifold import TSNE

    perplexity = min(30.0, (len(vectors) - 1) / 3)
    return np.asarray(TSNE(perplexity=perplexity, init="pca", random_state=0).fit_transform(vectors), np.float32)
