"""Pictures with known faces, put together from photographs of people and scenes without any, to train a detector on.

People are pasted into scenes at many sizes, turned, lit, in grey and colour, blurred and compressed. Where the faces of
a photograph are is what a trained detector says of it.
"""

from __future__ import annotations

import logging
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from cmaen.errors import DataError
from cmaen.files import replacing, sha256
from cmaen.types import FaceBox, Image

SMALLEST = 10.0
"""Faces below this size, in pixels, are neither to be found nor to be missed."""
_SURE = 0.6
_MIRRORED = (1, 0, 2, 4, 3)
_HELD_OUT = 10

log = logging.getLogger(__name__)


class Faces(NamedTuple):
    """Faces of a picture, in its pixels.

    Attributes:
        boxes: x, y, width and height, float32 [F, 4].
        landmarks: Both eyes, the nose and both corners of the mouth, float32 [F, 5, 2].
        scores: How sure the detector was, float32 [F].
    """

    boxes: NDArray[np.float32]
    landmarks: NDArray[np.float32]
    scores: NDArray[np.float32]


class Composite(NamedTuple):
    """A picture RGB uint8 [S, S, 3], its faces, and the boxes [G, 4] of what may be found or not."""

    pixels: Image
    faces: Faces
    ignored: NDArray[np.float32]


@dataclass(frozen=True)
class Photographs:
    """What composites are made of.

    Attributes:
        people: The files of photographs of people, as bytes.
        faces: Of each of them.
        scenes: The files of pictures without people, as bytes.
    """

    people: Sequence[bytes]
    faces: Sequence[Faces]
    scenes: Sequence[bytes]

    def part(self, *, held_out: bool) -> Photographs:
        """Every tenth photograph and scene, or all but those."""
        people, scenes = (
            [i for i in range(len(items)) if (i % _HELD_OUT == 0) is held_out] for items in (self.people, self.scenes)
        )
        return Photographs(
            [self.people[i] for i in people], [self.faces[i] for i in people], [self.scenes[i] for i in scenes]
        )


def load_photographs(
    path: Path,
    find: Callable[[Image], list[FaceBox]],
    cache: Path,
    *,
    progress: Callable[[Iterable[str]], Iterable[str]] = iter,
) -> Photographs:
    """The photographs of a zip with a folder ``scenes`` without people and others with people.

    Args:
        path: The zip.
        find: The detector that says where the faces are; one with landmarks.
        cache: Folder where its answers are kept, by the zip's checksum.
        progress: Wraps the loop over the photographs of people.

    Raises:
        DataError: The zip is missing or damaged, or lacks people or scenes.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = sorted(name for name in archive.namelist() if name.endswith((".jpg", ".png")))
            people = [name for name in names if PurePosixPath(name).parts[0] != "scenes"]
            scenes = [archive.read(name) for name in names if PurePosixPath(name).parts[0] == "scenes"]
            photographs = [archive.read(name) for name in people]
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} cannot be read as a zip: {error}") from error
    if not people or not scenes:
        raise DataError(f"{path} must hold photographs of people, and a folder scenes without any")
    kept = cache / f"faces-{sha256(path)[:16]}.npz"
    if kept.is_file():
        with np.load(kept) as arrays:
            counts, rows = arrays["counts"], arrays["rows"]
    else:
        log.info("looking for the faces of %d photographs", len(people))
        found = [
            [_row(face) for face in find(_decoded(photographs[number])) if face.landmarks is not None]
            for number, _ in enumerate(progress(people))
        ]
        counts = np.array([len(faces) for faces in found])
        rows = np.array([row for faces in found for row in faces], np.float32).reshape(-1, 15)
        with replacing(kept) as temporary:
            np.savez(temporary, counts=counts, rows=rows)
    faces = [
        Faces(part[:, :4], part[:, 4:14].reshape(-1, 5, 2), part[:, 14])
        for part in np.split(rows, np.cumsum(counts)[:-1])
    ]
    usable = [i for i, those in enumerate(faces) if len(those.scores) and those.scores[0] >= _SURE]
    return Photographs([photographs[i] for i in usable], [faces[i] for i in usable], scenes)


def compose(photographs: Photographs, rng: np.random.Generator, side: int) -> Composite:
    """One picture with 0 to 6 photographs of people in a scene; the same for the same generator."""
    canvas = _scene(_any(photographs.scenes, rng), rng, side)
    boxes, landmarks, sure = np.empty((0, 4)), np.empty((0, 5, 2)), np.empty(0, bool)
    for _ in range(rng.choice(7, p=[0.05, 0.15, 0.25, 0.2, 0.15, 0.1, 0.1])):
        if rng.random() < 0.15:
            canvas = _with_distractor(canvas, photographs, boxes, rng)
            continue
        number = int(rng.integers(len(photographs.people)))
        picture, faces = _decoded(photographs.people[number]), photographs.faces[number]
        if rng.random() < 0.5:
            picture, faces = picture[:, ::-1], _mirrored(faces, picture.shape[1])
        matrix, factor = _placed(faces, rng, side)
        mask = _shape(picture, faces.boxes[0], rng)
        layer, mask = (_warped(part, matrix, factor, side) for part in (picture, mask))
        if any(_share(mask, box) > 0.05 for box in boxes):
            continue  # it would hide a face
        layer = np.minimum(layer * np.float32(rng.uniform(0.6, 1.4)), 255)
        canvas += (layer - canvas) * mask[..., None]
        moved_boxes, moved_marks = _moved(faces, matrix)
        seen = np.array([_share(mask, box) for box in moved_boxes])
        boxes = np.concatenate([boxes, moved_boxes[seen > 0.15]])
        landmarks = np.concatenate([landmarks, moved_marks[seen > 0.15]])
        sure = np.concatenate([sure, ((seen > 0.6) & (faces.scores >= _SURE))[seen > 0.15]])
    sure &= np.sqrt(boxes[:, 2] * boxes[:, 3]) >= SMALLEST
    return Composite(
        _photographed(canvas, rng),
        Faces(boxes[sure].astype(np.float32), landmarks[sure].astype(np.float32), np.ones(sure.sum(), np.float32)),
        boxes[~sure].astype(np.float32),
    )


def _scene(file: bytes, rng: np.random.Generator, side: int) -> NDArray[np.float32]:
    larger = round(side * rng.uniform(1.0, 2.0))
    picture = cv2.resize(_decoded(file), (larger, larger), interpolation=cv2.INTER_LINEAR)
    top, left = rng.integers(larger - side + 1, size=2)
    return picture[top : top + side, left : left + side].astype(np.float32)


def _any(files: Sequence[bytes], rng: np.random.Generator) -> bytes:
    return files[int(rng.integers(len(files)))]


def _with_distractor(
    canvas: NDArray[np.float32], photographs: Photographs, boxes: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float32]:
    """A round piece of another scene, so that an outline does not tell a face."""
    side = len(canvas)
    other = _scene(_any(photographs.scenes, rng), rng, side)
    mask = np.zeros((side, side), np.float32)
    center, radii = rng.integers(side, size=2), rng.uniform(0.03, 0.4, 2) * side
    cv2.ellipse(mask, center.tolist(), radii.astype(int).tolist(), 0, 0, 360, 1.0, -1)
    mask = _feathered(mask, rng.uniform(0.5, 4))
    if any(_share(mask, box) > 0.05 for box in boxes):
        return canvas
    return canvas + (other - canvas) * mask[..., None]


def _placed(faces: Faces, rng: np.random.Generator, side: int) -> tuple[NDArray[np.float64], float]:
    """The map from a photograph to the canvas, and its factor: the first face gets a size, a turn and a place."""
    x, y, width, height = faces.boxes[0].tolist()
    size = np.exp(rng.uniform(np.log(SMALLEST), np.log(0.85 * side)))
    factor = size / np.sqrt(width * height)
    angle = rng.uniform(-45, 45) if rng.random() < 0.2 else float(np.clip(rng.normal(0, 12), -45, 45))
    matrix = np.asarray(cv2.getRotationMatrix2D((x + width / 2, y + height / 2), angle, factor), np.float64)
    margin = min(size / 2, side / 2) * 0.7
    matrix[:, 2] += rng.uniform(margin, side - margin, 2) - (x + width / 2, y + height / 2)
    return matrix, float(factor)


def _warped(image: NDArray[Any], matrix: NDArray[np.float64], factor: float, side: int) -> NDArray[np.float32]:
    """An affine map of an image onto [side, side]; what is made smaller is averaged, not sampled."""
    factor = min(factor, 1.0)
    if factor < 1:
        size = [max(1, round(length * factor)) for length in image.shape[1::-1]]
        matrix = matrix @ np.diag([image.shape[1] / size[0], image.shape[0] / size[1], 1.0])
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return cv2.warpAffine(image, matrix, (side, side), flags=cv2.INTER_LINEAR).astype(np.float32)


def _shape(picture: Image, box: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """What of a photograph is pasted: the whole, or an ellipse around the face; softly, float32 [h, w] from 0 to 1."""
    mask = np.zeros(picture.shape[:2], np.float32)
    if rng.random() < 0.5:
        mask[2:-2, 2:-2] = 1
    else:
        x, y, width, height = box.tolist()
        reach = rng.uniform(0.75, 1.6)
        axes = (max(2, round(width * reach)), max(2, round(height * reach)))
        cv2.ellipse(mask, (round(x + width / 2), round(y + height / 2)), axes, 0, 0, 360, 1.0, -1)
        mask[[0, -1]] = mask[:, [0, -1]] = 0
    return _feathered(mask, rng.uniform(0.5, 6))


def _moved(faces: Faces, matrix: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Boxes and landmarks after an affine map; a box is that around the ellipse in it."""
    turn = matrix[:, :2]
    centers = (faces.boxes[:, :2] + faces.boxes[:, 2:] / 2) @ turn.T + matrix[:, 2]
    halves = np.sqrt((faces.boxes[:, 2:] / 2) ** 2 @ (turn**2).T)
    return np.concatenate([centers - halves, 2 * halves], axis=1), faces.landmarks @ turn.T + matrix[:, 2]


def _share(mask: NDArray[np.float32], box: NDArray[np.float64]) -> float:
    """How much of a box the mask covers, from 0 to 1; what is beyond the mask is not covered."""
    x, y, width, height = box
    part = mask[max(0, round(y)) : max(0, round(y + height)), max(0, round(x)) : max(0, round(x + width))]
    return float(part.sum() / max(width * height, 1.0))


def _photographed(canvas: NDArray[np.float32], rng: np.random.Generator) -> Image:
    """Light, colour, blur, noise and compression of a camera."""
    curve = 255 * np.linspace(0, 1, 256) ** np.exp(rng.normal(0, 0.25)) * rng.uniform(0.6, 1.25)
    curves = np.outer(curve, rng.uniform(0.9, 1.1, 3)).astype(np.float32)
    light: NDArray[Any] = cv2.LUT(np.clip(canvas, 0, 255).astype(np.uint8), curves[None])
    if rng.random() < 0.3:
        light = np.repeat(light.mean(axis=2, keepdims=True), 3, axis=2)
    if rng.random() < 0.3:
        light = cv2.GaussianBlur(light, (0, 0), rng.uniform(0.3, 1.6))
    if rng.random() < 0.2:
        light = light + rng.uniform(2, 14) * rng.standard_normal(light.shape, np.float32)
    pixels = np.clip(light + 0.5, 0, 255).astype(np.uint8)
    if rng.random() < 0.5:
        _, file = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 95))])
        pixels = np.asarray(cv2.imdecode(file, cv2.IMREAD_COLOR), np.uint8)  # the order of the channels does not matter
    return pixels


def _mirrored(faces: Faces, width: int) -> Faces:
    boxes, landmarks = faces.boxes.copy(), faces.landmarks[:, _MIRRORED].copy()
    boxes[:, 0] = width - boxes[:, 0] - boxes[:, 2]
    landmarks[..., 0] = width - landmarks[..., 0]
    return faces._replace(boxes=boxes, landmarks=landmarks)


def _feathered(mask: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), sigma), np.float32)


def _decoded(file: bytes) -> Image:
    picture = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise DataError("one of the photographs is no image")
    return np.ascontiguousarray(picture[..., ::-1])


def _row(face: FaceBox) -> list[float]:
    marks = [value for mark in face.landmarks or () for value in mark]
    return [face.x, face.y, face.width, face.height, *marks, face.score]
