"""Compose pictures with known faces from portraits and scenes, to evaluate face detectors.

Portraits are pasted into scenes at many sizes, mirrored, rotated, relit, blurred and compressed. Only portraits in
which two detectors find the same single face are used; both say where it is, so that the ground truth favours neither.
"""

import zipfile
from pathlib import PurePosixPath
from typing import NamedTuple

import cv2
import numpy as np

SURE, SAME = 0.3, 0.5


class Portrait(NamedTuple):
    """A picture RGB uint8 [h, w, 3], its one face as each of two detectors has it, and the mean of their boxes [4]."""

    pixels: np.ndarray
    faces: tuple
    box: np.ndarray


class Composite(NamedTuple):
    """A picture RGB uint8 [H, W, 3] and the boxes of all its faces [F, 4]."""

    pixels: np.ndarray
    boxes: np.ndarray


def read(path, every=1):
    """The pictures of a zip, RGB uint8 [h, w, 3]: of each folder every so manieth, folder -> pictures."""
    folders = {}
    with zipfile.ZipFile(path) as archive:
        for name in sorted(archive.namelist()):
            if name.endswith((".jpg", ".png")):
                folders.setdefault(PurePosixPath(name).parts[0], []).append(name)
        return {folder: [_decoded(archive.read(name)) for name in names[::every]] for folder, names in folders.items()}


def portraits(pictures, one, other):
    """Those of the pictures in which both detectors, set to scores from :data:`SURE`, find the same single face."""
    taken = []
    for pixels in pictures:
        found = [detector(pixels) for detector in (one, other)]
        boxes = [boxes_of(faces) for faces in found]
        if [len(faces) for faces in found] == [1, 1] and overlaps(*boxes)[0, 0] >= SAME:
            taken.append(Portrait(pixels, (found[0][0], found[1][0]), np.mean(boxes, axis=0)[0]))
    return taken


def boxes_of(faces):
    """The boxes of faces as an array [F, 4]."""
    return np.array([(face.x, face.y, face.width, face.height) for face in faces], float).reshape(-1, 4)


def overlaps(one, other):
    """Intersection over union of boxes x, y, width, height: [N, 4] and [M, 4] -> [N, M]."""
    low = np.maximum(one[:, None, :2], other[None, :, :2])
    high = np.minimum(one[:, None, :2] + one[:, None, 2:], other[None, :, :2] + other[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    return shared / (one[:, None, 2:].prod(axis=2) + other[None, :, 2:].prod(axis=2) - shared)


def matched(boxes, scores, truth):
    """Which true face [F, 4] each detection [D, 4] is, the surest first and each face once; -1 for none, [D]."""
    faces = np.full(len(boxes), -1)
    shared = overlaps(boxes, truth)
    for index in np.argsort(-np.asarray(scores), kind="stable"):
        if shared.shape[1] and shared[index].max() >= SAME:
            faces[index] = shared[index].argmax()
            shared[:, faces[index]] = 0
    return faces


def compose(people, scenes, rng, width=640, height=480, smallest=10, largest=300, tries=6):
    """A scene with up to ``tries`` of the portraits, their faces' sizes even on a logarithmic scale.

    The size of a face is the root of its box's area, in pixels. Equal generators make equal composites.
    """
    canvas = cv2.resize(scenes[rng.integers(len(scenes))], (width, height)).astype(np.float32)
    covered = np.zeros((height, width), np.float32)
    boxes = []
    for _ in range(tries):
        pixels, _, box = people[rng.integers(len(people))]
        if rng.random() < 0.5:
            pixels, box = pixels[:, ::-1], np.array([pixels.shape[1] - box[0] - box[2], *box[1:]])
        size = np.exp(rng.uniform(np.log(smallest), np.log(largest)))
        factor = size / np.sqrt(box[2] * box[3])
        if factor < 1:  # what is made smaller is averaged, not sampled
            pixels = cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
            box, factor = box * factor, 1.0
        middle = box[:2] + box[2:] / 2
        place = rng.uniform(size / 2, np.maximum((width - size / 2, height - size / 2), size / 2 + 1))
        matrix = cv2.getRotationMatrix2D(middle.tolist(), float(np.clip(rng.normal(0, 12), -45, 45)), factor)
        matrix[:, 2] += place - middle
        mask = _outline(pixels.shape[:2], box, rng)
        layer, mask = (cv2.warpAffine(part.astype(np.float32), matrix, (width, height)) for part in (pixels, mask))
        if (covered * mask).max() > 0.05:
            continue
        covered += mask
        canvas += (layer * np.float32(rng.uniform(0.6, 1.2)) - canvas) * mask[..., None]
        sides = np.sqrt((box[2:] / 2) ** 2 @ (matrix[:, :2] ** 2).T) * 2  # around the ellipse in the box
        boxes.append([*(place - sides / 2), *sides])
    return Composite(_photographed(canvas, rng), np.array(boxes, float).reshape(-1, 4))


def _outline(shape, box, rng):
    """What of a portrait is pasted: the whole, or an ellipse around the face; float32 [h, w] from 0 to 1, feathered."""
    mask = np.zeros(shape, np.float32)
    if rng.random() < 0.5:
        mask[2:-2, 2:-2] = 1
    else:
        middle, reach = box[:2] + box[2:] / 2, np.maximum(2, box[2:] * rng.uniform(0.75, 1.6))
        cv2.ellipse(mask, *(np.rint(pair).astype(int).tolist() for pair in (middle, reach)), 0, 0, 360, 1, -1)
        mask[[0, -1]] = mask[:, [0, -1]] = 0
    return cv2.GaussianBlur(mask, (0, 0), rng.uniform(0.5, 3))


def _photographed(canvas, rng):
    """Blur, noise and compression of a camera."""
    if rng.random() < 0.3:
        canvas = cv2.GaussianBlur(canvas, (0, 0), rng.uniform(0.3, 1.2))
    if rng.random() < 0.3:
        canvas = canvas + rng.uniform(2, 10) * rng.standard_normal(canvas.shape, np.float32)
    pixels = np.clip(canvas + 0.5, 0, 255).astype(np.uint8)
    if rng.random() < 0.5:
        _, file = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(40, 95))])
        pixels = cv2.imdecode(file, cv2.IMREAD_COLOR)  # the order of the channels does not matter
    return pixels


def _decoded(file):
    return cv2.cvtColor(cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
