"""Running a network on the faces of a split, exactly as the predictor does: one crop each, unless more is requested."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cmaen.checkpoints import Card, Checkpoint, Figures, Measured, Where
from cmaen.data.ferplus import majority
from cmaen.data.keys import face_keys
from cmaen.data.splits import FaceSet, Split
from cmaen.engines import Engine, Logits, build_engine, output_of
from cmaen.evaluation.metrics import measure
from cmaen.inference.doubts import measure_clarity
from cmaen.preprocessing import PreprocessSpec
from cmaen.types import PERCEIVED, PERCEIVED_LABELS

BATCH_SIZE = 64

log = logging.getLogger(__name__)


def logits_of(
    faces: FaceSet,
    spec: PreprocessSpec,
    engine: Logits,
    *,
    mirrored: bool = False,
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> NDArray[np.float32]:
    """Compute the logits of all faces, float32 [N, C].

    Args:
        faces: Faces of one split.
        spec: Preprocessing of the checkpoint.
        engine: Network to run, float32 [B, 3, H, W] -> logits [B, C].
        mirrored: Mirror every face first; the mean with the plain logits is test-time augmentation.
        progress: Wraps the loop over the batches, to show progress.
    """
    if not len(faces):
        return np.empty((0, len(faces.classes)), np.float32)
    (found,) = _run(faces, spec, lambda batch: [engine(batch)], mirrored=mirrored, progress=progress)
    return found


def logits_by_scheme(
    faces: FaceSet,
    spec: PreprocessSpec,
    engine: Engine,
    schemes: Iterable[str],
    *,
    mirrored: bool = False,
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> dict[str, NDArray[np.float32]]:
    """Compute the logits of at least one face under several label schemes in one run; see :func:`logits_of`."""
    names = list(schemes)
    outputs = [output_of(name) for name in names]
    found = _run(faces, spec, lambda batch: engine.run(batch, outputs), mirrored=mirrored, progress=progress)
    return dict(zip(names, found, strict=True))


def measure_clarities(faces: FaceSet, spec: PreprocessSpec) -> NDArray[np.float32]:
    """Measure the clarity of all faces as prediction does, float32 [N].

    See :func:`cmaen.inference.doubts.measure_clarity`.
    """
    found = [measure_clarity(spec.reduce(image)) for part in faces.parts() for image in part.images]
    return np.array(found, np.float32)


def _run(
    faces: FaceSet,
    spec: PreprocessSpec,
    network: Callable[[NDArray[np.float32]], list[NDArray[np.float32]]],
    *,
    mirrored: bool,
    progress: Callable[[Iterable[int]], Iterable[int]],
) -> list[NDArray[np.float32]]:
    parts = []
    for start in progress(range(0, len(faces), BATCH_SIZE)):
        crops = faces.images[start : start + BATCH_SIZE]
        parts.append(network(spec(list(crops[:, :, ::-1] if mirrored else crops))))
    return [np.concatenate(part) for part in zip(*parts, strict=True)]


def validate(checkpoint: Where, faces: FaceSet, *, device: str = "cpu") -> Measured:
    """Measure the weights of a checkpoint in float32, and add the result of :func:`score` to its metrics.

    Args:
        checkpoint: A checkpoint with a ``model.safetensors``, see :meth:`cmaen.checkpoints.Checkpoint.open`.
        faces: Faces of the validation split.
        device: Device to run on, see :func:`cmaen.devices.torch_device`.

    Raises:
        CheckpointError: The weights cannot be used.
        SplitError: The faces are from another split.
    """
    faces.require(Split.VALIDATION, "validation")
    opened = Checkpoint.open(checkpoint)
    warn_of_seen(opened, faces)
    measured = score(faces, opened.card, build_engine("torch", opened, device=device))
    opened.amend(lambda now: replace(now, metrics=now.metrics.add(faces.title, "torch", measured)))
    return measured


def find_seen(checkpoint: Where, faces: FaceSet) -> NDArray[np.bool_] | None:
    """Find the faces that a network was trained on, by their pixels, bool [N]; ``None`` if it does not record them."""
    seen = Checkpoint.open(checkpoint).seen
    return None if seen is None else seen.find(face_keys(faces.images))


def warn_of_seen(checkpoint: Where, faces: FaceSet) -> None:
    """Warn if most of the faces that a network is measured on are among those that it was trained on."""
    seen = find_seen(checkpoint, faces)
    if seen is not None and 2 * seen.sum() > len(faces):
        log.warning(
            "the network was trained on %d of the %d faces of %s: its figures there say nothing about other faces",
            seen.sum(),
            len(faces),
            faces.title,
        )


def score(faces: FaceSet, card: Card, engine: Engine, *, precision: str = "fp32") -> Measured:
    """Measure the figures that a checkpoint stores, on labelled faces.

    Args:
        faces: Faces of one split.
        card: Card of the checkpoint.
        engine: Engine of the checkpoint.
        precision: Precision of the engine's weights.

    Returns:
        Figures under the first label scheme, and against the annotators' majority under ``perceived`` if the network
        has that scheme and the faces have votes.
    """
    first, *_ = card.schemes
    judged = PERCEIVED in card.schemes and faces.votes is not None
    logits = logits_by_scheme(faces, card.preprocess, engine, [first, *([PERCEIVED] if judged else [])])
    plain = measure(faces.labels, logits[first].argmax(axis=1), faces.classes)
    schemes = {first: Figures(plain.accuracy, plain.macro_f1, plain.count)}
    if judged and (agreed := majority(faces) >= 0).any():
        seen = measure(majority(faces)[agreed], logits[PERCEIVED][agreed].argmax(axis=1), PERCEIVED_LABELS)
        schemes[PERCEIVED] = Figures(seen.accuracy, seen.macro_f1, seen.count)
    return Measured(precision, schemes)
