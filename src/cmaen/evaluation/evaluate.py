"""How good a checkpoint is: ``cmaen test`` as functions with typed results."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmaen.checkpoints import Checkpoint, Where
from cmaen.data.faces import by_column, find_data
from cmaen.data.ferplus import AUTO as OWN_VOTES
from cmaen.data.ferplus import count_voted, majority, with_votes
from cmaen.data.splits import FaceSet
from cmaen.data.tree import require_enhancement
from cmaen.engines import AUTO, Engine, build_engine, probabilities, resolve_engine, select_output
from cmaen.errors import DataError, SplitError
from cmaen.evaluation.assessment import Assessment, Robustness, assess, measure_robustness
from cmaen.evaluation.perceived import PerceivedAssessment, assess_perceived
from cmaen.evaluation.photographs import PhotographFigures, measure_photographs, read_photographs
from cmaen.evaluation.run import find_seen, logits_of
from cmaen.evaluation.splits import exclude_copies, load_split
from cmaen.inference.predictor import EmotionPredictor
from cmaen.types import PERCEIVED

Progress = Callable[[Iterable[Any], str, int], Iterable[Any]]
"""Wraps a loop, to show how far it is: (items, what they are called, how many there are) -> the items."""

UNSEEN = "without faces it was trained on"
"""The name of the headline of the faces that the network has not seen in training."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Evaluation:
    """What was measured of a checkpoint on labelled faces.

    Attributes:
        checkpoint: That was measured.
        engine: That computed.
        schemes: The label schemes that were asked about.
        faces: Of the split, with votes where they were given.
        logits: Of the first label scheme, float32 [N, C].
        assessment: Under the first label scheme, by its labels.
        mirrored: The same with each face and its mirror image averaged, if that was asked for.
        perceived: Against the votes of the annotators, by label scheme; empty without votes.
        robustness: Under corruptions, by label scheme; empty if it was not asked for.
        seen: Whether the network was trained on each face, bool [N]; ``None`` if the checkpoint does not record it.
        perceived_unseen: The same as ``perceived``, without the faces that it was trained on; empty if there are none,
            or no others.
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
    seen: NDArray[np.bool_] | None = field(default=None, repr=False)
    perceived_unseen: Mapping[str, PerceivedAssessment] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The title of the faces, which says so if the network was trained on all of them."""
        return self.assessment.split

    def describe_seen(self) -> str:
        """Say how many of the faces the network was trained on."""
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
        """The scheme of the data set's labels."""
        return next(iter(self.checkpoint.card.schemes))

    @property
    def answers(self) -> NDArray[np.float64]:
        """Probabilities under the first label scheme, float64 [N, C]."""
        return probabilities(self.logits, self.assessment.temperature)

    def to_dict(self) -> dict[str, Any]:
        """A plain dict, ready for JSON, of what was asked for."""
        values: dict[str, Any] = {"checkpoint": self.checkpoint.card.name, "engine": self.engine}
        values["faces"] = len(self.faces)
        values["faces_trained_on"] = None if self.seen is None else int(self.seen.sum())
        values["faces_with_votes"] = count_voted(self.faces)
        if self.first in self.schemes:
            values |= self.assessment.to_dict()
            if self.mirrored is not None:
                values["with_test_time_augmentation"] = self.mirrored.to_dict()
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
    """Measure a checkpoint on labelled faces, exactly as it would answer them: one crop each.

    ``cmaen.evaluate("cmaen-m", "fer2013.zip").assessment.headlines["all faces"].metrics.accuracy``

    Args:
        checkpoint: See :meth:`cmaen.checkpoints.Checkpoint.open`; ``None`` for the shipped weights.
        data: Faces in any form that :func:`cmaen.data.faces.load_faces` takes, or that it has loaded; ``None``: FER2013
            where it is looked for, see :func:`cmaen.data.faces.find_data`.
        split: Its name, see :func:`cmaen.evaluation.splits.load_split`; not for faces that are loaded.
        votes: CSV of the FER+ votes, ``none``, or ``auto``: those that come with the package, for the faces of
            FER2013. The answers are measured against what annotators saw, too, where there are votes.
        scheme: The only label scheme to measure; ``None`` for all of the checkpoint.
        without_copies: Measure again without the images that are in Training too; ``None``: where there is a Training.
        by: A column of the CSV, such as an age or a skin tone, whose values get figures of their own.
        mirrored: Measure again with each face and its mirror image averaged, test-time augmentation.
        robustness: Measure eight corruptions at five severities, which takes minutes.
        engine, device: See :func:`cmaen.engines.build_engine`.
        progress: Shows how far a loop is; ``None`` for nothing.

    Raises:
        CheckpointError: The checkpoint cannot be used.
        ConfigError: It does not have the label scheme, or there is no such engine.
        DataError: The data cannot be read, or hold faces of one label alone.
        SplitError: There is no such split, or no Training that copies could be looked for in.
    """
    opened = Checkpoint.open(checkpoint)
    engine, card = resolve_engine(engine, opened), opened.card
    schemes = list(card.schemes) if scheme is None else [card.resolve_scheme(scheme)]
    loaded = data if isinstance(data, FaceSet) else None
    if loaded is not None and (split or by or without_copies):
        raise DataError("faces that are loaded have no split, columns or copies to look for: name their folder or file")
    path = Path(data) if isinstance(data, str | Path) else Path() if loaded else find_data()
    if loaded is None:
        require_enhancement(path, card.enhancement)
    faces = load_split(card, path, split) if loaded is None else loaded
    if faces.votes is None or votes != OWN_VOTES:
        faces = with_votes(faces, votes)
    seen = find_seen(opened, faces)
    unseen = faces.select(~seen) if seen is not None and 0 < seen.sum() < len(faces) else None
    subsets: dict[str, FaceSet] = {} if unseen is None else {UNSEEN: unseen}
    if loaded is None and without_copies is not False:
        try:
            subsets |= exclude_copies(faces, card, path, split)
        except SplitError as error:
            if without_copies:
                raise
            log.warning("not measured without copies: %s", error)
    if by is not None:
        subsets |= {f"{by} {value}": group for value, group in by_column(faces, path, by).items()}
    network = build_engine(engine, opened, device=device)
    first, *_ = card.schemes
    logits = logits_of(faces, card.preprocess, network, progress=_show(progress, "batches"))
    temperature = card.schemes[first].temperature
    assessment = assess(faces, logits, temperature=temperature, rng=np.random.default_rng(0), subsets=subsets)
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
        {} if faces.votes is None else _measure_perceived(faces, opened, network, schemes, progress),
        _measure_robustness(faces, opened, network, schemes, progress) if robustness else None,
        seen,
        {}
        if unseen is None or unseen.votes is None or not (majority(unseen) >= 0).any()
        else _measure_perceived(unseen, opened, network, schemes, progress),
    )


@dataclass(frozen=True)
class PhotographEvaluation:
    """What was measured of a checkpoint on whole photographs.

    Attributes:
        checkpoint: That was measured.
        engine: That computed.
        name: Of the list of photographs.
        figures: By label scheme.
    """

    checkpoint: Checkpoint
    engine: str
    name: str
    figures: Mapping[str, PhotographFigures]

    def to_dict(self) -> dict[str, Any]:
        """A plain dict, ready for JSON."""
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
    """Measure a checkpoint on photographs as a user has them: its answer for the largest face that is found.

    Args:
        checkpoint: See :meth:`cmaen.checkpoints.Checkpoint.open`.
        labels: CSV with the columns ``file`` and ``label``.
        pictures: Folder or zip of the files; ``None`` for the folder of the CSV.
        scheme: The only label scheme to measure; ``None`` for all of the checkpoint.
        engine, device: See :func:`cmaen.engines.build_engine`.
        progress: Shows how far a loop is; ``None`` for nothing.

    Raises:
        CheckpointError: The checkpoint cannot be used.
        ConfigError: It does not have the label scheme, or there is no such engine.
        DataError: The list cannot be read, or names a file that is not there.
    """
    opened, labels = Checkpoint.open(checkpoint), Path(labels)
    engine, card = resolve_engine(engine, opened), opened.card
    schemes = list(card.schemes) if scheme is None else [card.resolve_scheme(scheme)]
    predictor = EmotionPredictor(opened, engine=engine, device=device)
    found = {}
    for name in schemes:
        photographs = list(read_photographs(labels, Path(pictures) if pictures else None))
        results = predictor.under(name).predict_each([photograph.content for photograph in photographs])
        answers = [
            result.faces[0].emotion if result.faces else None
            for result in (results if progress is None else progress(results, "photographs", len(photographs)))
        ]
        truth = [photograph.label for photograph in photographs]
        found[name] = measure_photographs(truth, answers, np.random.default_rng(0))
    return PhotographEvaluation(opened, engine, labels.name, found)


def _show(progress: Progress | None, unit: str) -> Callable[[Any], Iterable[Any]]:
    """What wraps a loop over a sized collection."""
    return iter if progress is None else lambda items: progress(items, unit, len(items))


def _measure_perceived(
    faces: FaceSet, checkpoint: Checkpoint, network: Engine, schemes: Sequence[str], progress: Progress | None
) -> dict[str, PerceivedAssessment]:
    """The answers under each label scheme of emotions against the annotators' votes."""
    card, found = checkpoint.card, {}
    for name in schemes:
        logits = logits_of(faces, card.preprocess, select_output(network, name), progress=_show(progress, "batches"))
        answers = probabilities(logits, card.schemes[name].temperature)
        sharpening = card.schemes[name].sharpening
        found[name] = assess_perceived(faces, answers, np.random.default_rng(0), sharpening=sharpening)
    return found


def _measure_robustness(
    faces: FaceSet, checkpoint: Checkpoint, network: Engine, schemes: Sequence[str], progress: Progress | None
) -> dict[str, Robustness]:
    """Accuracy and calibration error by scheme; of ``perceived`` against the annotators' majority."""
    card, found = checkpoint.card, {}
    for name in schemes:
        if name == PERCEIVED and faces.votes is None:
            log.warning("the robustness of perceived is not measured: it needs votes")
            continue
        found[name] = measure_robustness(
            faces,
            card.preprocess,
            select_output(network, name),
            np.random.default_rng(0),
            _show(progress, f"corruptions, {name}"),
            labels=majority(faces) if name == PERCEIVED else None,
            temperature=card.schemes[name].confidence_temperature or card.schemes[name].temperature,
        )
    return found
