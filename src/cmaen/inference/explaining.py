"""The explanation of one answer as a picture; needs PyTorch and Captum."""

from __future__ import annotations

from collections.abc import MutableMapping

from cmaen.errors import CmaenError, NoFaceError
from cmaen.explanation import MAPS, Explainer, overlay
from cmaen.inference.pipeline import FacePipeline
from cmaen.types import Image


def explain_face(
    pixels: Image, pipeline: FacePipeline, *, kind: str, explainers: MutableMapping[str, Explainer]
) -> Image:
    """The crop of the largest face with a map over it, RGB uint8 [S, S, 3].

    Args:
        pixels: RGB uint8 [H, W, 3].
        pipeline: Finds the face, and answers.
        kind: One of :data:`cmaen.explanation.MAPS`.
        explainers: Those that are loaded already, by label scheme; what is loaded now is added.

    Raises:
        CmaenError: There is no such map, or the network has not the part that it is of.
        NoFaceError: There is no face in the picture.
        CheckpointError: The checkpoint has no ``model.safetensors``.
    """
    if kind not in MAPS:
        raise CmaenError(f"{kind!r} is no map of an explanation; choose from {list(MAPS)}")
    faces = pipeline.detect(pixels)
    if not faces:
        raise NoFaceError("there is no face to explain in the image; detect=False says that it is a face crop")
    classifier = pipeline.classifier
    if classifier.scheme not in explainers:
        explainers[classifier.scheme] = Explainer(classifier.folder, scheme=classifier.scheme)
    crop = pipeline.crop(pixels, faces[0])
    heat = getattr(explainers[classifier.scheme].explain([crop])[0], kind)
    if heat is None:
        part = kind.replace("_", " ")
        raise CmaenError(f"{classifier.card.name} has no {part} to explain with; gradient always works")
    return overlay(crop, heat)
