"""Faces from frame to frame: who is who, where each one went between two searches, and when to search again.

An identity goes on without question only where the optical flow follows the face, the face keeps its look, and every
search finds it. Wherever that thread is cut, by a change of scene, by something in front of the face or by a long time
between two frames, a face in the same place takes up the identity only if it is alike, see
:mod:`cmaen.inference.likeness`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from cmaen.inference.likeness import Likeness, looks
from cmaen.inference.scenes import Glance, Grey
from cmaen.types import FaceBox, Image

SEARCH_EVERY = 0.2
MEMORY = 3.0
MIN_OVERLAP = 0.25
_GRID = 5
_MIN_INLIERS = 0.5
_MIN_SIMILAR = 0.75
_PATCH = 32
_STILL = 4.0
_JITTER = 0.002
_REFRESH = 1.0

Compare = Callable[[Sequence[FaceBox]], Sequence["Likeness | None"]]
"""What some faces of the present frame are recognised by; ``None`` where nothing is."""


@dataclass(eq=False)
class Track:
    """One face over time.

    Attributes:
        number: Its identity, counted from 1.
        face: Where it is now.
        seen: When it was last detected, in seconds.
        lost: Whether the flow has lost it, or the scene has changed, since; its place is then the last one known.
        hidden: Whether the last search did not find it.
        probabilities: Of the emotions, float64 [7], smoothed; ``None`` before it was first classified.
        updated: When they were last updated, in seconds.
        likeness: What it is recognised by; ``None`` where nothing is.
        compared: When that was last taken, in seconds.
    """

    number: int
    face: FaceBox
    seen: float
    lost: bool = False
    hidden: bool = False
    probabilities: NDArray[np.float64] | None = None
    updated: float = -math.inf
    likeness: Likeness | None = None
    compared: float = -math.inf

    def update(self, probabilities: NDArray[np.float64], time: float, smoothing: float) -> None:
        """Take in a new answer; what is ``smoothing`` seconds old counts 1/e of it, whatever the frame rate."""
        if self.probabilities is None or smoothing <= 0 or np.isnan(self.probabilities).any():
            self.probabilities = probabilities
        else:
            share = 1 - math.exp(-max(time - self.updated, 0.0) / smoothing)
            self.probabilities = self.probabilities + share * (probabilities - self.probabilities)
        self.updated = time

    def is_due(self, time: float, every: float) -> bool:
        """Whether an answer is missing, or so many seconds old."""
        return self.probabilities is None or is_over(self.updated, time, every)


class FaceTracker:
    """Gives detected faces their identities, and follows them by optical flow until they are detected again.

    Args:
        every: Seconds after which faces are searched again, even if nothing has changed; 0 for every frame.
        memory: Seconds that a face which is lost is remembered.
    """

    def __init__(self, *, every: float = SEARCH_EVERY, memory: float = MEMORY) -> None:
        self.every = every
        self.memory = memory
        self._tracks: list[Track] = []
        self._count = 0
        self._last: Glance | None = None
        self._searched: Glance | None = None
        self._searched_at = -math.inf

    def follow(self, image: Image, time: float) -> list[Track]:
        """The tracks in the next frame as far as the optical flow follows them; none of them after a cut."""
        before, after = self._last, Glance.at(image)
        self._last = after
        cut = before is None or after.is_cut_from(before)
        for track in self._tracks:
            if not track.lost:
                moved = None if cut or before is None else _moved(track.face, before.grey, after.grey, after.scale)
                track.lost = moved is None
                track.face = moved or track.face
        shown = self._shown()
        self._tracks = [track for track in self._tracks if track in shown or abs(time - track.seen) <= self.memory]
        return shown

    def is_due(self, time: float) -> bool:
        """Whether to search the frame that was followed last.

        That is so when ``every`` seconds have passed, when no face is left, and when the picture has changed.
        """
        if self._last is None or self._searched is None or is_over(self._searched_at, time, self.every):
            return True
        return not self._shown() or self._last.differs_from(self._searched)

    def find(self, faces: Sequence[FaceBox], time: float, compare: Compare) -> list[Track]:
        """The tracks of the faces that a detector has found in the frame that was followed last, in their order.

        Faces take the track that they overlap most, the best pairs first: those that were followed, and then those that
        were lost or not found, and are alike. The others get a new one.

        Args:
            faces: Where they are.
            time: Of the frame, in seconds.
            compare: Tells what faces are recognised by; asked where that is needed.
        """
        self._searched, self._searched_at = self._last, time
        shown = self._shown()
        taken = _paired(shown, faces, range(len(faces)))
        open_ = [index for index in range(len(faces)) if index not in taken]
        due = [index for index, track in taken.items() if is_over(track.compared, time, _REFRESH)]
        asked = [*open_, *due]
        alike = dict(zip(asked, compare([faces[index] for index in asked]), strict=True)) if asked else {}
        again = _paired([track for track in self._tracks if track not in shown], faces, open_, alike)
        for track in again.values():
            track.probabilities = None  # what was answered before the thread was cut is not smoothed into what comes
        taken |= again
        found = []
        for index, face in enumerate(faces):
            track = taken.get(index) or self._new(face, time)
            track.face, track.seen, track.lost = face, time, False
            if index in alike:
                track.likeness, track.compared = alike[index], time
            found.append(track)
        here = {track.number for track in found}
        for track in self._tracks:
            track.hidden = track.number not in here
        return found

    def _shown(self) -> list[Track]:
        return [track for track in self._tracks if not track.lost and not track.hidden]

    def _new(self, face: FaceBox, time: float) -> Track:
        self._count += 1
        track = Track(self._count, face, time)
        self._tracks.append(track)
        return track


def is_over(since: float, time: float, seconds: float) -> bool:
    """Whether so many seconds have passed, as clocks of milliseconds tell; also where the clock has gone back."""
    return not 0 <= time - since < seconds - _JITTER


def overlap(first: FaceBox, second: FaceBox) -> float:
    """Intersection over union of two boxes, in [0, 1]."""
    width = min(first.x + first.width, second.x + second.width) - max(first.x, second.x)
    height = min(first.y + first.height, second.y + second.height) - max(first.y, second.y)
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / (first.area + second.area - width * height)


def _paired(
    tracks: Sequence[Track],
    faces: Sequence[FaceBox],
    indices: Sequence[int],
    alike: dict[int, Likeness | None] | None = None,
) -> dict[int, Track]:
    """The tracks of some faces by their index: the pairs that overlap most, and are alike if that is asked."""

    def fit(track: Track, index: int) -> float:
        if alike is not None:
            one, other = track.likeness, alike[index]
            if one is None or other is None or not one.agrees(other):
                return -1.0
        return overlap(track.face, faces[index])

    fits = np.array([[fit(track, index) for index in indices] for track in tracks])
    pairs: dict[int, Track] = {}
    while fits.size and fits.max() >= MIN_OVERLAP:
        row, column = (int(i) for i in np.unravel_index(fits.argmax(), fits.shape))
        pairs[indices[column]] = tracks[row]
        fits[row], fits[:, column] = -1, -1
    return pairs


def _moved(face: FaceBox, before: Grey, after: Grey, scale: float) -> FaceBox | None:
    """Where a face went, by a shift, turn and scale that most points on it agree with and that keeps its look.

    ``None`` if there is no such motion.
    """
    box = np.array([face.x, face.y, face.width, face.height]) * scale
    old = _patch(before, _corners(box))
    if float(np.abs(old.astype(np.float32) - _patch(after, _corners(box))).mean()) < _STILL:
        return face
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
    new = _patch(after, _corners(box) @ matrix[:, :2].T + matrix[:, 2])
    if looks(old, _PATCH) @ looks(new, _PATCH) < _MIN_SIMILAR:
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


def _corners(box: NDArray[np.float64]) -> NDArray[np.float64]:
    """Three corners of a box of x, y, width and height: top left, top right, bottom left; [3, 2]."""
    x, y, width, height = box
    return np.array([(x, y), (x + width, y), (x, y + height)])


def _patch(grey: Grey, corners: NDArray[np.float64]) -> Grey:
    """What lies between three corners, uint8 [32, 32]."""
    square = np.array([(0, 0), (_PATCH, 0), (0, _PATCH)], np.float32)
    matrix = cv2.getAffineTransform(square, corners.astype(np.float32))
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    patch = cv2.warpAffine(grey, matrix, (_PATCH, _PATCH), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(patch, np.uint8)
