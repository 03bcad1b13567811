"""Faces from frame to frame: who is who, and where each one went between two detections."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from cmaen.types import FaceBox, Image

Grey = NDArray[np.uint8]

MIN_OVERLAP = 0.25
FLOW_SIDE = 320
_GRID = 5
_MIN_INLIERS = 0.5


@dataclass
class Track:
    """One face over time.

    Attributes:
        number: Its identity, counted from 1.
        face: Where it is now.
        seen: When it was last detected, in seconds.
        lost: Whether the flow has lost it since; its place is then the last one known.
        probabilities: Of the emotions, float64 [7], smoothed; ``None`` before it was first classified.
        updated: When they were last updated, in seconds.
    """

    number: int
    face: FaceBox
    seen: float
    lost: bool = False
    probabilities: NDArray[np.float64] | None = None
    updated: float = -math.inf

    def update(self, probabilities: NDArray[np.float64], time: float, smoothing: float) -> None:
        """Take in a new answer; what is ``smoothing`` seconds old counts 1/e of it, whatever the frame rate."""
        if self.probabilities is None or smoothing <= 0 or np.isnan(self.probabilities).any():
            self.probabilities = probabilities
        else:
            share = 1 - math.exp(-max(time - self.updated, 0.0) / smoothing)
            self.probabilities = self.probabilities + share * (probabilities - self.probabilities)
        self.updated = time


class FaceTracker:
    """Gives detected faces their identities, and follows them by optical flow until they are detected again.

    Args:
        memory: Seconds that a face which is lost is remembered.
    """

    def __init__(self, *, memory: float = 1.0) -> None:
        self.memory = memory
        self._tracks: list[Track] = []
        self._count = 0
        self._grey: Grey | None = None
        self._scale = 1.0

    def detected(self, image: Image, faces: Sequence[FaceBox], time: float) -> list[Track]:
        """The tracks of the faces that a detector has found in a frame, in the order of the faces.

        Faces take the track that they overlap most, the best pairs first; the others get a new one.
        """
        self._remember(image)
        self._tracks = [track for track in self._tracks if not track.lost or time - track.seen <= self.memory]
        overlaps = np.array([[overlap(track.face, face) for face in faces] for track in self._tracks])
        taken: dict[int, Track] = {}
        while overlaps.size and overlaps.max() >= MIN_OVERLAP:
            row, column = (int(i) for i in np.unravel_index(overlaps.argmax(), overlaps.shape))
            taken[column] = self._tracks[row]
            overlaps[row], overlaps[:, column] = -1, -1
        found = []
        for index, face in enumerate(faces):
            track = taken.get(index)
            if track is None:
                self._count += 1
                track = Track(self._count, face, time)
                self._tracks.append(track)
            track.face, track.seen, track.lost = face, time, False
            found.append(track)
        here = {track.number for track in found}
        for track in self._tracks:
            track.lost = track.number not in here
        return found

    def followed(self, image: Image) -> list[Track]:
        """The tracks in a frame that was not searched, moved by the optical flow since the frame before."""
        before, scale = self._grey, self._scale
        after = self._remember(image)
        if before is not None and before.shape == after.shape:
            for track in self._tracks:
                if not track.lost:
                    moved = _moved(track.face, before, after, scale)
                    track.lost = moved is None
                    track.face = moved or track.face
        return [track for track in self._tracks if not track.lost]

    def _remember(self, image: Image) -> Grey:
        self._scale = min(1.0, FLOW_SIDE / max(image.shape[:2]))
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        size = (max(1, round(image.shape[1] * self._scale)), max(1, round(image.shape[0] * self._scale)))
        self._grey = np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.uint8)
        return self._grey


def overlap(first: FaceBox, second: FaceBox) -> float:
    """Intersection over union of two boxes, in [0, 1]."""
    width = min(first.x + first.width, second.x + second.width) - max(first.x, second.x)
    height = min(first.y + first.height, second.y + second.height) - max(first.y, second.y)
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / (first.area + second.area - width * height)


def _moved(face: FaceBox, before: Grey, after: Grey, scale: float) -> FaceBox | None:
    """Where a face went, by a shift, turn and scale that most points on it agree with; ``None`` if they do not."""
    across = np.linspace(0.15, 0.85, _GRID)
    grid = np.stack(np.meshgrid(face.x + across * face.width, face.y + across * face.height), axis=-1).reshape(-1, 2)
    points = (np.concatenate([grid, np.array(face.landmarks or ()).reshape(-1, 2)]) * scale).astype(np.float32)
    there, status, _ = cv2.calcOpticalFlowPyrLK(
        before, after, points[:, None], np.empty_like(points[:, None]), winSize=(15, 15), maxLevel=3
    )
    good = status.ravel() == 1
    if good.sum() < 4:
        return None
    matrix, inliers = cv2.estimateAffinePartial2D(points[good], there[:, 0][good], ransacReprojThreshold=2.0)
    if matrix is None or inliers.mean() < _MIN_INLIERS:
        return None
    turn, shift = matrix[:, :2], matrix[:, 2] / scale
    growth = math.sqrt(abs(np.linalg.det(turn)))
    x, y = turn @ (face.x + face.width / 2, face.y + face.height / 2) + shift
    width, height = face.width * growth, face.height * growth
    if not (0.5 < growth < 2 and width * scale > 4 and height * scale > 4):
        return None
    marks = face.landmarks
    if marks is not None:
        marks = tuple((float(px), float(py)) for px, py in np.array(marks) @ turn.T + shift)
    return replace(
        face, x=float(x - width / 2), y=float(y - height / 2), width=float(width), height=float(height), landmarks=marks
    )
