"""Maps of what the answers for the faces of an image depend on; the maps of the network's inside need PyTorch."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PILImage

from cmaen.drawing.heat import Heat, Panel, draw_sheet
from cmaen.drawing.style import describe_answer, hex_of
from cmaen.errors import CmaenError, MissingExtraError, OutputError
from cmaen.files import replace_file
from cmaen.inference.classifier import FaceClassifier
from cmaen.inference.occlusion import map_occlusions
from cmaen.results import Face
from cmaen.types import Image

if TYPE_CHECKING:
    from cmaen.explanation import Explainer

OCCLUSION = "occlusion"
"""Kind of map that needs no PyTorch."""

_NOTES = {
    OCCLUSION: "Parts of the face were covered, one after the other. Warm places are parts without which the answer "
    "became less likely. This shows where the network looked, not why.",
    "gradient": "Warm places add to the answer or take from it (integrated gradients). This shows where the network "
    "looked, not why.",
}
_ATTENTION = (
    "Warm places have a high weight in the network's attention. That is no proof that the answer depends on them."
)


@dataclass(frozen=True, slots=True)
class ExplainedFace:
    """One face and a map of what its answer depends on.

    Attributes:
        face: Answer for the face.
        crop: Upright face crop, RGB uint8 [h, w, 3].
        heat: Map of the crop, float32 [S, S] in [0, 1]; the higher, the more the answer depends on that place.
        lowest: Lowest confidence of the answer with a part of the face covered, in an occlusion map; otherwise
            ``None``.
    """

    face: Face
    crop: Image
    heat: Heat
    lowest: float | None = None


@dataclass(frozen=True, slots=True)
class ExplainedPicture:
    """The faces of an image with their maps. A notebook displays it; ``plot().save("map.png")`` saves it.

    Attributes:
        faces: Faces in the order of the result, the largest first.
        kind: Kind of the maps, see :meth:`~cmaen.inference.predictor.EmotionPredictor.explain`.
    """

    faces: tuple[ExplainedFace, ...]
    kind: str = OCCLUSION

    def __repr__(self) -> str:
        return f"ExplainedPicture({len(self.faces)} of kind {self.kind})"

    def plot(self) -> PILImage.Image:
        """Draw every face with its map, its answer and a colour bar, as a PIL image."""
        high = "answer falls most" if self.kind == OCCLUSION else "most"
        panels = [_describe(number, explained) for number, explained in enumerate(self.faces, start=1)]
        return draw_sheet(panels, low="no effect", high=high, note=_NOTES.get(self.kind, _ATTENTION))

    def save(self, target: str | Path) -> None:
        """Write the image of :meth:`plot` in the format of the suffix; on failure no partial file is left.

        Raises:
            OutputError: The suffix is not that of an image format, or the file cannot be written.
        """
        path = Path(target)
        if PILImage.registered_extensions().get(path.suffix.lower()) not in PILImage.SAVE:
            raise OutputError(f"{path}: the suffix is not that of an image format; use .png or .jpg")
        with replace_file(path) as temporary:
            self.plot().save(temporary)

    def _repr_jpeg_(self) -> bytes:
        """Display the maps in a notebook, which stores them; a PNG would be four times as large."""
        file = BytesIO()
        self.plot().save(file, "JPEG", quality=88)
        return file.getvalue()


def explain_crops(
    crops: Sequence[NDArray[np.uint8]],
    faces: Sequence[Face],
    classifier: FaceClassifier,
    *,
    kind: str = OCCLUSION,
    explainers: MutableMapping[str, Explainer] | None = None,
) -> ExplainedPicture:
    """Compute the maps of faces that have been cut out and classified.

    Args:
        crops: One crop for each face, RGB uint8 [h, w, 3].
        faces: Answers for the faces.
        classifier: The classifier that gave the answers.
        kind: :data:`OCCLUSION`, or one of :data:`cmaen.explanation.MAPS`.
        explainers: Explainers that are already loaded, by label scheme; a newly loaded one is added.

    Raises:
        CmaenError: The map does not exist, or the network does not have the part that it shows.
        MissingExtraError: A map of the network's inside needs the extra ``report``.
        CheckpointError: Such a map needs a ``model.safetensors``, which the checkpoint does not have.
    """
    if kind == OCCLUSION:
        maps = map_occlusions(crops, classifier)
        explained = [
            ExplainedFace(face, crop, found.heat, found.lowest)
            for face, crop, found in zip(faces, crops, maps, strict=True)
        ]
        return ExplainedPicture(tuple(explained), kind)
    heats = _ask_network(crops, classifier, kind, {} if explainers is None else explainers)
    return ExplainedPicture(tuple(map(ExplainedFace, faces, crops, heats)), kind)


def _ask_network(
    crops: Sequence[NDArray[np.uint8]],
    classifier: FaceClassifier,
    kind: str,
    explainers: MutableMapping[str, Explainer],
) -> list[Any]:
    """Compute maps of one kind that look inside the network."""
    try:
        from cmaen.explanation import MAPS, Explainer
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"the map {kind!r}", "report") from error
    if kind not in MAPS:
        raise CmaenError(f"{kind!r} is not a kind of map; choose from {[OCCLUSION, *MAPS]}")
    if classifier.scheme not in explainers:
        explainers[classifier.scheme] = Explainer(classifier.folder, scheme=classifier.scheme)
    heats = [getattr(found, kind) for found in explainers[classifier.scheme].explain(classifier.enhance(crops))]
    if any(heat is None for heat in heats):
        part = kind.replace("_", " ")
        raise CmaenError(f"{classifier.card.name} has no {part} to explain with; use occlusion, which always works")
    return heats


def _describe(number: int, explained: ExplainedFace) -> Panel:
    face = explained.face
    name = face.classes[int(np.argmax(face.probabilities))]
    detail = "" if explained.lowest is None else _describe_fall(face.confidence, explained.lowest)
    title = f"{number} {describe_answer(face.to_dict())}"
    return Panel(explained.crop, explained.heat, title, hex_of(name, face.classes), detail)


def _describe_fall(confidence: float, lowest: float) -> str:
    """Describe how far the confidence falls when the face is covered."""
    if confidence - lowest < 0.01:
        return "hardly falls, whichever part is covered"
    return f"falls to {'<1%' if lowest < 0.005 else f'{lowest:.0%}'} with its warmest part covered"
