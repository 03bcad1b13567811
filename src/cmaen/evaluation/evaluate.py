"""Evaluation of a checkpoint: ``cmaen test`` as functions with typed results."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmaen.checkpoints import Card, Checkpoint, Where
from cmaen.data.faces import by_column, find_data
from cmaen.data.ferplus import AUTO as OWN_VOTES
from cmaen.data.ferplus import count_voted, majority, with_votes
from cmaen.data.splits import FaceSet
from cmaen.data.tree import require_enhancement
from cmaen.engines import AUTO, Engine, build_engine, probabilities, resolve_engine, select_output
from cmaen.errors import DataError, SplitError
from cmaen.evaluation.assessment import (
    Assessment,
    Headline,
    Robustness,
    assess,
    headline_to_dict,
    measure_robustness,
    measure_scheme,
)
from cmaen.evaluation.overlap import LabelOverlap
from cmaen.evaluation.perceived import PerceivedAssessment, assess_perceived
from cmaen.evaluation.photographs import PhotographedFaces, PhotographFigures, measure_photographs, read_photographs
from cmaen.evaluation.run import find_seen, logits_by_scheme, logits_of, measure_clarities
from cmaen.evaluation.splits import Names, exclude_copies, load_split
from cmaen.inference.predictor import EmotionPredictor
from cmaen.types import EMOTIONS, PERCEIVED

Progress = Callable[[Iterable[Any], str, int], Iterable[Any]]
"""Function that wraps a loop, to show progress: (items, name of the items, number of items) -> items."""

UNSEEN = "without faces it was trained on"
"""The name of the headline of the faces that the network has not seen in training."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Evaluation:
    """The measurement of a checkpoint on labelled faces.

    Attributes:
        checkpoint: The measured checkpoint.
        engine: Name of the engine that ran the network.
        schemes: The requested label schemes.
        faces: Faces of the split, with votes if they were given.
        logits: Logits under the first label scheme, float32 [N, C].
        assessment: Measurement under the first label scheme, by the labels of the faces.
        mirrored: The same for the average of each face and its mirror image; ``None`` if it was not requested.
        perceived: Measurement against the annotators' votes, by label scheme; empty without votes.
        robustness: Figures under corruptions, by label scheme; ``None`` if they were not requested.
        data: Path that the faces were read from; ``None`` if they were given in memory.
        seen: Whether the network was trained on each face, bool [N]; ``None`` if the checkpoint does not record it.
        perceived_unseen: The same as ``perceived``, without the faces that the network was trained on; empty if there
            are none, or no others.
        overlap: Labels that the network and the data share; ``None`` if it is unknown what the data have.
        by_scheme: Figures by the labels of the faces under the other label schemes, such as ``perceived``; empty if the
            faces have votes, against which these are measured.
    """

    checkpoint: Checkpoint
    engine: str
    schemes: tuple[str, ...]
    faces: FaceSet = field(repr=False)
    logits: NDArray[np.float32] = field(repr=False)
    assessment: Assessment
    mirrored: Assessment | None = None
    perceived: Mapping[str, PerceivedAssessment] = field(default_factory=dict)
    robustness: Mapping[str, Robustness] | None = None
    data: Path | None = None
    seen: NDArray[np.bool_] | None = field(default=None, repr=False)
    perceived_unseen: Mapping[str, PerceivedAssessment] = field(default_factory=dict)
    overlap: LabelOverlap | None = None
    by_scheme: Mapping[str, Headline] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """Title of the faces, which says so if the network was trained on all of them."""
        return self.assessment.split

    def describe_seen(self) -> str:
        """Describe how many of the faces the network was trained on."""
        if self.seen is None:
            return "The checkpoint does not record which faces it was trained on; they may be among those measured."
        count, faces = int(self.seen.sum()), f"{len(self.seen):,} faces"
        if count == len(self.seen):
            return f"The network was trained on all of these {faces}: the figures say nothing about other faces."
        if count:
            return f"The network was trained on {count:,} of these {faces}; it is also measured without them."
        return f"The network was trained on none of these {faces}."

    @property
    def first(self) -> str:
        """The label scheme of the data set's labels."""
        return next(iter(self.checkpoint.card.schemes))

    @property
    def answers(self) -> NDArray[np.float64]:
        """Probabilities under the first label scheme, float64 [N, C]."""
        return probabilities(self.logits, self.assessment.temperature)

    def to_dict(self) -> dict[str, Any]:
        """Return what was requested as a plain dict, ready for JSON."""
        values: dict[str, Any] = {"checkpoint": self.checkpoint.card.name, "engine": self.engine}
        values["faces"] = len(self.faces)
        values["faces_trained_on"] = None if self.seen is None else int(self.seen.sum())
        values["labels"] = None if self.overlap is None else self.overlap.to_dict()
        values["faces_with_votes"] = count_voted(self.faces)
        if self.first in self.schemes:
            values |= self.assessment.to_dict()
            if self.mirrored is not None:
                values["with_test_time_augmentation"] = self.mirrored.to_dict()
        values["by_scheme"] = {name: headline_to_dict(found) for name, found in self.by_scheme.items()}
        values["perceived"] = {name: found.to_dict() for name, found in self.perceived.items()}
        values["perceived_without_faces_trained_on"] = {
            name: found.to_dict() for name, found in self.perceived_unseen.items()
        }
        if self.robustness is not None:
            values["robustness"] = dict(self.robustness)
        return values


def evaluate(
    checkpoint: Where = None,
    data: Path | str | FaceSet | None = None,
    *,
    split: str | None = None,
    names: Names = None,
    votes: Path | str | None = OWN_VOTES,
    scheme: str | None = None,
    without_copies: bool | None = False,
    by: str | None = None,
    mirrored: bool = False,
    robustness: bool = False,
    engine: str = AUTO,
    device: str = "cpu",
    progress: Progress | None = None,
) -> Evaluation:
    """Measure a checkpoint on labelled faces, with one crop each, exactly as prediction would answer.

    ``cmaen.evaluate("cmaen-m", "fer2013.zip").assessment.headlines["all faces"].metrics.accuracy``

    Args:
        checkpoint: Checkpoint to measure, see :meth:`cmaen.checkpoints.Checkpoint.open`; ``None`` for the shipped
            weights.
        data: Faces in any form that :func:`cmaen.data.faces.load_faces` takes, or already loaded; ``None``: FER2013, if
            :func:`cmaen.data.faces.find_data` finds it.
        split: Name of the split, see :func:`cmaen.evaluation.splits.load_split`; not for loaded faces.
        names: Names for labels that are written in another way, see :func:`cmaen.data.faces.load_faces`; not for
            loaded faces.
        votes: CSV of the FER+ votes; ``none``; or ``auto``: the votes that come with the package, for the faces of
            FER2013. Faces with votes are also measured against what annotators saw.
        scheme: The only label scheme to measure; ``None`` for all schemes of the checkpoint.
        without_copies: Measure again without the faces that have copies in Training; ``None``: only if there is a
            Training split.
        by: Column of the CSV, such as age or skin tone, whose values each get figures.
        mirrored: Measure again with test-time augmentation: the average of each face and its mirror image.
        robustness: Measure the answers under eight corruptions at five severities, which takes minutes.
        engine, device: Engine and device that run the network, see :func:`cmaen.engines.build_engine`.
        progress: Shows the progress of each loop; ``None``: none is shown.

    Raises:
        CheckpointError: The checkpoint cannot be used.
        ConfigError: The checkpoint does not have the label scheme, or the engine does not exist.
        DataError: The data cannot be read, or all faces have one label.
        SplitError: The split does not exist, or there is no Training split in which to look for copies.
    """
    opened = Checkpoint.open(checkpoint)
    engine, card = resolve_engine(engine, opened), opened.card
    schemes = list(card.schemes) if scheme is None else [card.resolve_scheme(scheme)]
    first, *_ = card.schemes
    others = [name for name in schemes if name != first]
    loaded = data if isinstance(data, FaceSet) else None
    if loaded is not None and (split or by or without_copies or names):
        raise DataError(
            "split, by, names and without_copies need the folder or file of the faces; these faces are already loaded"
        )
    path = Path(data) if isinstance(data, str | Path) else Path() if loaded else find_data()
    if loaded is None:
        require_enhancement(path, card.enhancement)
    faces = load_split(card, path, split, names) if loaded is None else loaded
    if faces.votes is None or votes != OWN_VOTES:
        faces = with_votes(faces, votes)
    seen = find_seen(opened, faces)
    unseen = faces.select(~seen) if seen is not None and 0 < seen.sum() < len(faces) else None
    subsets: dict[str, FaceSet] = {} if unseen is None else {UNSEEN: unseen}
    if loaded is None and without_copies is not False:
        try:
            subsets |= exclude_copies(faces, card, path, split, names)
        except SplitError as error:
            if without_copies:
                raise
            log.warning("the figures without copies are omitted: %s", error)
    if by is not None:
        subsets |= {f"{by} {value}": group for value, group in by_column(faces, path, by).items()}
    network = build_engine(engine, opened, device=device)
    by_scheme = logits_by_scheme(faces, card.preprocess, network, [first, *others], progress=_show(progress, "batches"))
    logits, asked = by_scheme[first], {name: by_scheme[name] for name in schemes}
    temperature, overlap = card.schemes[first].temperature, LabelOverlap.of(faces)
    among = overlap.mask(faces) if overlap is not None and overlap.narrows else None
    assessment = assess(
        faces, logits, temperature=temperature, rng=np.random.default_rng(0), subsets=subsets, among=among
    )
    if seen is not None and seen.all():
        assessment = replace(assessment, split=f"{assessment.split}, all of which it was trained on")
    both = None
    if mirrored and first in schemes:
        turned = logits_of(faces, card.preprocess, network, mirrored=True, progress=_show(progress, "mirrored batches"))
        mean = (logits + turned) * np.float32(0.5)
        both = assess(faces, mean, temperature=temperature, rng=np.random.default_rng(0))
    return Evaluation(
        opened,
        engine,
        tuple(schemes),
        faces,
        logits,
        assessment,
        both,
        {} if faces.votes is None else _measure_perceived(faces, card, asked),
        _measure_robustness(faces, opened, network, schemes, progress) if robustness else None,
        None if loaded is not None else path,
        seen,
        {}
        if seen is None or unseen is None or unseen.votes is None or not (majority(unseen) >= 0).any()
        else _measure_perceived(unseen, card, {name: found[~seen] for name, found in asked.items()}),
        overlap,
        {} if faces.votes is not None else _measure_other_schemes(faces, card, {name: asked[name] for name in others}),
    )


@dataclass(frozen=True)
class PhotographEvaluation:
    """The measurement of a checkpoint on whole photographs.

    Attributes:
        checkpoint: The measured checkpoint.
        engine: Name of the engine that ran the network.
        name: File name of the list of photographs.
        figures: Figures by label scheme.
    """

    checkpoint: Checkpoint
    engine: str
    name: str
    figures: Mapping[str, PhotographFigures]

    def to_dict(self) -> dict[str, Any]:
        """Return a plain dict, ready for JSON."""
        return {
            "checkpoint": self.checkpoint.card.name,
            "engine": self.engine,
            "photographs": {scheme: found.to_dict() for scheme, found in self.figures.items()},
        }


def evaluate_photographs(
    checkpoint: Where,
    labels: Path | str,
    pictures: Path | str | None = None,
    *,
    scheme: str | None = None,
    engine: str = AUTO,
    device: str = "cpu",
    progress: Progress | None = None,
) -> PhotographEvaluation:
    """Measure a checkpoint on whole photographs, by its answer for the largest detected face.

    Args:
        checkpoint: Checkpoint to measure, see :meth:`cmaen.checkpoints.Checkpoint.open`.
        labels: CSV with the columns ``file`` and ``label``.
        pictures: Folder or zip with the files; ``None`` for the folder of the CSV.
        scheme: The only label scheme to measure; ``None`` for all schemes of the checkpoint.
        engine, device: Engine and device that run the network, see :func:`cmaen.engines.build_engine`.
        progress: Shows the progress of each loop; ``None``: none is shown.

    Raises:
        CheckpointError: The checkpoint cannot be used.
        ConfigError: The checkpoint does not have the label scheme, or the engine does not exist.
        DataError: The list cannot be read, or names a missing file.
    """
    opened, labels = Checkpoint.open(checkpoint), Path(labels)
    engine, card = resolve_engine(engine, opened), opened.card
    schemes = list(card.schemes) if scheme is None else [card.resolve_scheme(scheme)]
    predictor = EmotionPredictor(opened, engine=engine, device=device)
    first, *others = schemes
    classifying = {name: predictor.under(name) for name in others}
    photographs = list(read_photographs(labels, Path(pictures) if pictures else None))
    contents = [photograph.content for photograph in photographs]
    results = predictor.under(first).predict_each(contents)
    answers: dict[str, list[str | None]] = {name: [] for name in schemes}
    for content, result in zip(_show(progress, "photographs")(contents), results, strict=True):
        largest = next(iter(result.faces), None)
        answers[first].append(None if largest is None else largest.emotion)
        for name, other in classifying.items():
            same = [] if largest is None else other.predict_faces(content, [largest.box])
            answers[name].append(same[0]["predicted_emotion"] if same else None)
    truth = [photograph.label for photograph in photographs]
    found = {name: measure_photographs(truth, of_scheme) for name, of_scheme in answers.items()}
    return PhotographEvaluation(opened, engine, labels.name, found)


def find_photographed_faces(
    labels: Path | str, pictures: Path | str | None = None, *, progress: Progress | None = None
) -> PhotographedFaces:
    """Find the faces of photographs and cut them out, to measure several networks on them.

    Args:
        labels, pictures, progress: See :func:`evaluate_photographs`.

    Raises:
        DataError: The list cannot be read, or names a missing file.
    """
    photographs = list(read_photographs(Path(labels), Path(pictures) if pictures else None))
    predictor = EmotionPredictor()
    found = [predictor.predict(photograph.content).faces for photograph in _show(progress, "photographs")(photographs)]
    return PhotographedFaces(
        [faces[0].crop if faces else None for faces in found],
        np.array([EMOTIONS.index(photograph.label) for photograph in photographs]),
    )


def _show(progress: Progress | None, unit: str) -> Callable[[Any], Iterable[Any]]:
    """Return a function that wraps a loop over a sized collection."""
    return iter if progress is None else lambda items: progress(items, unit, len(items))


def _measure_perceived(
    faces: FaceSet, card: Card, asked: Mapping[str, NDArray[np.float32]]
) -> dict[str, PerceivedAssessment]:
    """Measure the answers under each label scheme against the annotators' votes."""
    found = {}
    for name, logits in asked.items():
        scheme = card.schemes[name]
        clarity = 1.0 if scheme.sharpening == 1 else measure_clarities(faces, card.preprocess)
        answers = probabilities(logits, scheme.temperature)
        found[name] = assess_perceived(faces, answers, sharpening=scheme.sharpening * clarity)
    return found


def _measure_other_schemes(faces: FaceSet, card: Card, asked: Mapping[str, NDArray[np.float32]]) -> dict[str, Headline]:
    """Measure the answers under label schemes that have all classes of the faces."""
    return {
        name: measure_scheme(faces, logits, card.schemes[name], np.random.default_rng(0))
        for name, logits in asked.items()
        if set(faces.classes) <= set(card.schemes[name].labels)
    }


def _measure_robustness(
    faces: FaceSet, checkpoint: Checkpoint, network: Engine, schemes: Sequence[str], progress: Progress | None
) -> dict[str, Robustness]:
    """Measure robustness by scheme; ``perceived`` is measured against the annotators' majority."""
    card, found = checkpoint.card, {}
    for name in schemes:
        if name == PERCEIVED and faces.votes is None:
            log.warning("the robustness of the scheme perceived is not measured, because no votes were given")
            continue
        found[name] = measure_robustness(
            faces,
            card.preprocess,
            select_output(network, name),
            np.random.default_rng(0),
            _show(progress, f"corruptions, {name}"),
            labels=majority(faces) if name == PERCEIVED else None,
            temperature=card.schemes[name].confidence_temperature or card.schemes[name].temperature,
            clarity=card.schemes[name].sharpening != 1,
        )
    return found
