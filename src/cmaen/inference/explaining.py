"""What the answers for the faces of a picture depend on, as maps that show themselves; research's need PyTorch."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PILImage

from cmaen.drawing import describe_answer, hex_of
from cmaen.errors import CmaenError, MissingExtraError, OutputError
from cmaen.files import replace_file
from cmaen.heat import Heat, Panel, draw_sheet
from cmaen.inference.classifier import FaceClassifier
from cmaen.inference.occlusion import map_occlusions
from cmaen.results import Face
from cmaen.types import Image

if TYPE_CHECKING:
    from cmaen.explanation import Explainer

OCCLUSION = "occlusion"
"""The kind of map that needs no PyTorch."""

_NOTES = {
    OCCLUSION: "Parts of the face were covered, one after the other. Where it is warm, the answer became less likely "
    "without them. This shows where the network looked, not why.",
    "gradient": "Warm places add to the answer or take from it (integrated gradients). This shows where the network "
    "looked, not why.",
}
_ATTENTION = (
    "Warm places have a high weight in the network's attention. That is no proof that the answer depends on them."
)


@dataclass(frozen=True, slots=True)
class ExplainedFace:
    """One face and what its answer depends on.

    Attributes:
        face: Its answer.
        crop: The face cut out and upright, RGB uint8 [h, w, 3].
        heat: The map of the crop, float32 [S, S] in [0, 1]; the higher, the more depends on that place.
        lowest: Of an occlusion map: the answer's confidence with the face covered where that costs most; else ``None``.
    """

    face: Face
    crop: Image
    heat: Heat
    lowest: float | None = None


@dataclass(frozen=True, slots=True)
class ExplainedPicture:
    """The faces of a picture with their maps. In a notebook it shows itself; ``plot().save("map.png")`` keeps it.

    Attributes:
        faces: In the order of the result, the largest first.
        kind: Of the maps, see :meth:`~cmaen.inference.predictor.EmotionPredictor.explain`.
    """

    faces: tuple[ExplainedFace, ...]
    kind: str = OCCLUSION

    def __repr__(self) -> str:
        return f"ExplainedPicture({len(self.faces)} of kind {self.kind})"

    def plot(self) -> PILImage.Image:
        """Every face with its map, its answer and a bar that tells the colours, as a PIL image."""
        high = "answer falls most" if self.kind == OCCLUSION else "most"
        panels = [_describe(number, explained) for number, explained in enumerate(self.faces, start=1)]
        return draw_sheet(panels, low="no effect", high=high, note=_NOTES.get(self.kind, _ATTENTION))

    def save(self, target: str | Path) -> None:
        """Write what :meth:`plot` gives, whole or not at all; the suffix names the format.

        Raises:
            OutputError: The suffix names no picture format, or the file cannot be written.
        """
        path = Path(target)
        if PILImage.registered_extensions().get(path.suffix.lower()) not in PILImage.SAVE:
            raise OutputError(f"{path}: its suffix names no picture format; use .png or .jpg")
        with replace_file(path) as temporary:
            self.plot().save(temporary)

    def _repr_jpeg_(self) -> bytes:
        """For notebooks, which keep it: a PNG is four times as large."""
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
    """The maps of faces that are cut out and answered.

    Args:
        crops: One for each face, RGB uint8 [h, w, 3].
        faces: Their answers.
        classifier: Gave them.
        kind: :data:`OCCLUSION`, or one of :data:`cmaen.explanation.MAPS`.
        explainers: Those that are loaded already, by label scheme; what is loaded now is added.

    Raises:
        CmaenError: There is no such map, or the network has not the part that it is of.
        MissingExtraError: A map of research's needs the extra ``report``.
        CheckpointError: It needs a ``model.safetensors``, and the checkpoint has none.
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
    """Maps of one kind that look into the network itself."""
    try:
        from cmaen.explanation import MAPS, Explainer
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"the map {kind!r}", "report") from error
    if kind not in MAPS:
        raise CmaenError(f"{kind!r} is no map of an explanation; choose from {[OCCLUSION, *MAPS]}")
    if classifier.scheme not in explainers:
        explainers[classifier.scheme] = Explainer(classifier.folder, scheme=classifier.scheme)
    heats = [getattr(found, kind) for found in explainers[classifier.scheme].explain(crops)]
    if any(heat is None for heat in heats):
        part = kind.replace("_", " ")
        raise CmaenError(f"{classifier.card.name} has no {part} to explain with; occlusion always works")
    return heats


def _describe(number: int, explained: ExplainedFace) -> Panel:
    face = explained.face
    name = face.classes[int(np.argmax(face.probabilities))]
    detail = "" if explained.lowest is None else _describe_fall(face.confidence, explained.lowest)
    title = f"{number} {describe_answer(face.to_dict())}"
    return Panel(explained.crop, explained.heat, title, hex_of(name, face.classes), detail)


def _describe_fall(confidence: float, lowest: float) -> str:
    """What covering the face costs at most, in words."""
    if confidence - lowest < 0.01:
        return "hardly falls, whichever part is covered"
    return f"falls to {'<1%' if lowest < 0.005 else f'{lowest:.0%}'} with its warmest part covered"
