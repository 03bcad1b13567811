"""The report on a network: one self-contained HTML page, and each of its pictures as a file."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape
from matplotlib.figure import Figure
from numpy.typing import NDArray

from cmaen.checkpoints import Documents, Epoch
from cmaen.checkpoints.history import read_log
from cmaen.data.splits import FaceSet
from cmaen.engines import probabilities
from cmaen.evaluation import gallery, plots
from cmaen.evaluation.assessment import ALL_FACES, COPIES, Assessment, merge_copies, metrics_csv, predictions_csv
from cmaen.evaluation.calibration import cross_fit
from cmaen.evaluation.evaluate import Evaluation
from cmaen.evaluation.inside import Inside, look_inside
from cmaen.evaluation.intervals import FEW
from cmaen.evaluation.origin import Origin, describe_split, link_file
from cmaen.evaluation.overlap import LabelOverlap
from cmaen.evaluation.perceived import PerceivedAssessment
from cmaen.evaluation.theme import darken, theme
from cmaen.evaluation.verdict import judge, of_hundred
from cmaen.files import replace_file, write_text
from cmaen.inference.benchmark import Cost, measure_cost
from cmaen.types import PERCEIVED, PERCEIVED_LABELS

PAGE = "report.html"
PICTURES = "pictures"
TITLES = {
    "confusion": "Confusion matrix: labels down, answers across",
    "perceived-confusion": "Confusion matrix against the annotators' majority: labels down, answers across",
    "perceived-shares": "Share of annotators by predicted share",
    "roc": "ROC curves, a panel for each emotion",
    "precision-recall": "Precision-recall curves, a panel for each emotion",
    "reliability": "Accuracy by confidence",
    "robustness": "Accuracy by severity, a panel for each corruption",
    "training-curves": "Figures of training and validation by epoch",
    "samples": "Faces with their answers",
    "mistakes": "The most confident wrong answers",
    "scatter": "Faces as the network groups them",
    "maps": "Faces and the maps over them",
}
"""Titles of the pictures by name, in the order of their files; a report has only those for which there are data."""
NAMES = tuple(TITLES)


class Picture(NamedTuple):
    """A figure as an ``<svg>`` element and as the content of a PNG file."""

    svg: str
    png: bytes


class Report(NamedTuple):
    """A report that is drawn but not yet written.

    Attributes:
        page: The page as HTML, which loads nothing from the internet or from other files.
        pictures: The pictures of the page by name.
    """

    page: str
    pictures: Mapping[str, Picture]

    def write(self, folder: Path) -> None:
        """Write ``report.html``, ``pictures/NAME.svg`` and ``pictures/NAME.png``, each file completely or not at all.

        Pictures of an earlier report that this one does not have are deleted.

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


def write_report(
    evaluation: Evaluation,
    folder: Path,
    *,
    figures: Mapping[str, Any] | None = None,
    command: Sequence[str] | None = None,
) -> Path:
    """Write the report on an evaluation to a folder.

    The folder gets the page, its pictures, ``metrics.json`` with the figures and the cost of an answer, ``metrics.csv``
    and ``predictions.csv``. The network is timed; its maps and features need PyTorch.

    Args:
        evaluation: The evaluation.
        folder: Folder to write to, in which files of the same names are replaced.
        figures: Additional figures for ``metrics.json``.
        command: Words of the command that measured, for the page.

    Returns:
        The path of the page.

    Raises:
        OutputError: A file cannot be written.
    """
    checkpoint, faces = evaluation.checkpoint, evaluation.faces
    cost = measure_cost(checkpoint, evaluation.engine)
    origin = Origin.of(
        faces,
        data=evaluation.data,
        checkpoint=checkpoint.describe(),
        engine=evaluation.engine,
        command=command,
    )
    report = draw_report(
        checkpoint.documents,
        faces,
        evaluation.logits,
        evaluation.assessment,
        origin=origin,
        link=lambda name: link_file(name, evaluation.data, folder),
        perceived=evaluation.perceived.get(PERCEIVED),
        robustness=(evaluation.robustness or {}).get(evaluation.first, {}).get("accuracy"),
        inside=look_inside(checkpoint, faces),
        history=checkpoint.history or read_log(checkpoint.folder.parent, checkpoint.card.name),
        cost=cost,
    )
    values = {**(figures or {}), **evaluation.to_dict(), "origin": origin.to_dict(), "cost": cost.to_dict()}
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
    origin: Origin | None = None,
    link: Callable[[str], str | None] | None = None,
    perceived: PerceivedAssessment | None = None,
    robustness: Mapping[str, Sequence[float]] | None = None,
    inside: Inside | None = None,
    history: Sequence[Epoch] = (),
    cost: Cost | None = None,
) -> Report:
    """Draw the report on a measurement.

    Args:
        documents: Documents of the checkpoint.
        faces: Faces of the split, in the order of the logits.
        logits: Logits of the network, float32 [N, C].
        assessment: The measurement.
        origin: Origin of the figures.
        link: Function that returns the address of a face's file by its name, or ``None`` if it has none.
        perceived: Measurement of the scheme ``perceived`` against the annotators' votes.
        robustness: Accuracy by corruption and severity.
        inside: Features and maps of the network.
        history: Epochs of the network's training.
        cost: Cost of an answer.
    """
    answers = probabilities(logits, assessment.temperature)
    sheets = {
        "samples": gallery.choose_samples(faces, answers, np.random.default_rng(0)),
        "mistakes": gallery.choose_mistakes(faces, answers),
        "maps": gallery.lay_out_maps(inside.maps) if inside else None,
    }
    figures = {name: gallery.draw_sheet(sheet) for name, sheet in sheets.items() if sheet is not None}
    figures |= _draw_charts(faces, logits, answers, assessment, perceived, robustness, inside, history)
    drawn = {name: Picture(plots.svg(figures[name]), plots.png(figures[name])) for name in NAMES if name in figures}
    charts = {name: theme(drawn[name].svg, TITLES[name]) for name in drawn if name not in sheets}
    overlap = LabelOverlap.of(faces)
    class_word = "emotion" if set(faces.classes) <= set(PERCEIVED_LABELS) else "label"
    environment = Environment(
        loader=PackageLoader("cmaen.evaluation", "."),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False}
    environment.filters["of_hundred"] = of_hundred
    page = environment.get_template(PAGE).render(
        card=documents.card,
        provenance=documents.provenance.to_dict(),
        assessment=assessment,
        whole=assessment.headlines[ALL_FACES],
        headlines=merge_copies(assessment.headlines),
        has_copies=any(name in assessment.headlines for name in COPIES),
        verdict=[_mark_code(sentence) for sentence in judge(assessment).sentences],
        class_word=class_word,
        few=assessment.headlines[ALL_FACES].metrics.count < FEW,
        split=describe_split(faces),
        overlap=overlap.describe() if overlap is not None else "",
        origin=origin,
        sections=_list_sections(drawn, assessment, perceived, inside, cost, class_word),
        charts={name: Markup(chart) for name, chart in charts.items()},
        sheets=sheets,
        link=link or (lambda _: None),
        dark=darken(charts.values()),
        perceived=perceived,
        robustness=robustness,
        inside=inside,
        cost=cost,
    )
    return Report(page, drawn)


def _list_sections(
    drawn: Mapping[str, Picture],
    assessment: Assessment,
    perceived: PerceivedAssessment | None,
    inside: Inside | None,
    cost: Cost | None,
    class_word: str,
) -> dict[str, str]:
    """List the headings of the page by anchor, for the sections for which there are data."""
    there = {
        "emotions": (f"By {class_word}", True),
        "curves": ("Curves", True),
        "confidences": ("Calibration", True),
        "schemes": ("Two label schemes", perceived is not None),
        "people": ("Agreement with annotators", assessment.agreement is not None),
        "robustness": ("Robustness", "robustness" in drawn),
        "training": ("Training", "training-curves" in drawn),
        "samples": ("Samples", True),
        "mistakes": ("The most confident mistakes", "mistakes" in drawn),
        "scatter": ("How the network groups faces", "scatter" in drawn),
        "maps": ("Where it looks", inside is not None),
        "cost": ("What it costs", cost is not None),
        "origin": ("How it was made", True),
    }
    return {anchor: title for anchor, (title, shown) in there.items() if shown}


def _draw_charts(
    faces: FaceSet,
    logits: NDArray[np.float32],
    answers: NDArray[np.float64],
    assessment: Assessment,
    perceived: PerceivedAssessment | None,
    robustness: Mapping[str, Sequence[float]] | None,
    inside: Inside | None,
    history: Sequence[Epoch],
) -> dict[str, Figure]:
    """Draw the charts for which there are data."""
    classes = faces.classes
    honest = {
        "temperature 1": probabilities(logits),
        "as shipped": answers,
        "cross-fitted": cross_fit(faces.labels, logits),
    }
    told = {name: found for name, found in honest.items() if name in assessment.told_calibration}
    figures: dict[str, Figure | None] = {
        "confusion": plots.confusion(assessment.headlines[ALL_FACES].metrics.confusion, classes),
        "perceived-confusion": plots.confusion(perceived.majority.confusion, PERCEIVED_LABELS) if perceived else None,
        "perceived-shares": plots.shares(perceived.shares) if perceived else None,
        "roc": plots.roc(faces.labels, answers, classes),
        "precision-recall": plots.precision_recall(faces.labels, answers, classes),
        "reliability": plots.reliability_diagram(faces.labels, told, shown="as shipped"),
        "robustness": plots.robustness_curves(robustness) if robustness else None,
        "training-curves": plots.training_curves(history) if _says_something(history) else None,
        "scatter": plots.scatter(_project(inside.features.vectors), inside.features.labels, classes)
        if inside and len(inside.features.labels) >= FEW
        else None,
    }
    return {name: figure for name, figure in figures.items() if figure is not None}


def _mark_code(sentence: str) -> Markup:
    """Mark text between backticks as code, and escape the rest."""
    parts = sentence.split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if i % 2 else escape(part) for i, part in enumerate(parts)
    )


def _says_something(history: Sequence[Epoch]) -> bool:
    return any(figure is not None for _, _, *figures in history for figure in figures)


def _project(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Project features float32 [M, F] to places [M, 2] by t-SNE (van der Maaten and Hinton, 2008)."""
    from sklearn.manifold import TSNE

    perplexity = min(30.0, (len(vectors) - 1) / 3)
    return np.asarray(TSNE(perplexity=perplexity, init="pca", random_state=0).fit_transform(vectors), np.float32)
