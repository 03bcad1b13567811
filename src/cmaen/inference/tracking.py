"""Tracking of faces: their identities, their motion between two detections, and when to detect again.

A face keeps its identity unconditionally only if, within one scene, the optical flow follows it from frame to frame,
its appearance is stable and every detection finds it. If the scene changes slowly, as in a dissolve, or much time
passes between two frames, its appearance must match as well. If the track is broken by a change of scene, an occlusion
or a movement that the flow does not follow, a face near the last known place takes over the identity only if its
appearance matches, see :mod:`cmaen.inference.likeness`.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from cmaen.inference.likeness import ALIKE, CONTINUED, Likeness
from cmaen.inference.scenes import Glance, Grey
from cmaen.inference.smoothing import Stretch
from cmaen.inference.tuning import Tuning
from cmaen.types import FaceBox, Image

SEARCH_EVERY = Tuning.detect_every
MEMORY = 3.0
MIN_OVERLAP = 0.25
REACH, GROWTH = 1.5, 2.0
"""Largest distance of a face from the last place of a lost track, relative to its longer side, and largest ratio of
their sizes, for the face to continue that track."""
GAP = 0.4
"""Seconds between two frames beyond which the optical flow alone is no evidence."""
SLOWLY = 2.0
"""Seconds over which slow changes of scene are detected, which no two consecutive frames show."""
REFRESH, LONGEST = 0.5, 4.0
"""Seconds after which a face's appearance is updated: usually, and at the latest while the scene changes slowly."""
_AGAIN = 0.4
"""Seconds for which every frame is searched after the last face has disappeared."""
_GRID = 5
_MIN_INLIERS = 0.5
_MIN_SIMILAR = 0.75
_PATCH = 32
_STILL = 4.0
JITTER = 0.002
"""Error of clocks with millisecond resolution, in seconds."""
MINUTE = 60.0
"""Seconds after which everything that is done now and then is done at once, counted from the video's beginning: a run
that is resumed from there does the same as one that was never interrupted."""

Compare = Callable[[Sequence[FaceBox]], Sequence["Likeness | None"]]
"""Function that returns the appearance of faces in the current frame; ``None`` for a face without one."""


@dataclass(eq=False)
class Track:
    """One face over time.

    Attributes:
        number: Identity, counted from 1.
        face: Current box.
        seen: Time of the last detection, in seconds.
        lost: Whether the flow has lost the face, or the scene has changed, since then; ``face`` is then the last known
            box.
        parted: Whether the scene has changed since then.
        hidden: Whether the last search did not find the face.
        resumed: Whether the last detection began the track, or took it up again after it was lost.
        probabilities: Smoothed probabilities of the emotions, float64 [7]; ``None`` before the first classification.
        independent: Number of independent answers that they are worth, see :mod:`cmaen.inference.smoothing`.
        clarity: Clarity of the image at the last classification, see :func:`cmaen.inference.doubts.measure_clarity`.
        stretch: The answers since the face was last interrupted, if they are smoothed later.
        updated: Time of the last classification, in seconds.
        doubts: Faults of the image at that time, see :mod:`cmaen.inference.doubts`; empty if the answer is sure.
        likeness: Appearance of the face; ``None`` if unknown.
        compared: Time at which the appearance was taken, in seconds.
    """

    number: int
    face: FaceBox
    seen: float
    lost: bool = False
    parted: bool = False
    hidden: bool = False
    resumed: bool = True
    probabilities: NDArray[np.float64] | None = None
    independent: float = 1.0
    clarity: float = 1.0
    stretch: Stretch = field(default_factory=Stretch)
    updated: float = -math.inf
    doubts: tuple[str, ...] = ()
    likeness: Likeness | None = None
    compared: float = -math.inf

    def update(self, probabilities: NDArray[np.float64], time: float, smoothing: float) -> None:
        """Smooth a new answer into the old; one that is ``smoothing`` seconds old has weight 1/e at any frame rate."""
        if self.probabilities is None or smoothing <= 0 or np.isnan(self.probabilities).any():
            self.probabilities = probabilities
        else:
            share = 1 - math.exp(-max(time - self.updated, 0.0) / smoothing)
            self.probabilities = self.probabilities + share * (probabilities - self.probabilities)
        self.updated = time

    def alike(self, likeness: Likeness | None) -> float:
        """Compare the track's appearance with another, at most 1; 0 if one of them is unknown."""
        return 0.0 if self.likeness is None or likeness is None else self.likeness.to(likeness)

    def is_due(self, time: float, every: float) -> bool:
        """Whether there is no answer yet, the last one is ``every`` seconds old, or a minute has begun."""
        return self.probabilities is None or is_due(self.updated, time, every)


class FaceTracker:
    """Gives detected faces their identities, and follows them by optical flow until the next detection.

    Args:
        every: Seconds between two searches for faces, even if nothing has changed; 0 for every frame.
        memory: Seconds for which a lost face is remembered.
    """

    def __init__(self, *, every: float = SEARCH_EVERY, memory: float = MEMORY) -> None:
        self.every = every
        self.memory = memory
        self._tracks: list[Track] = []
        self._count = 0
        self._last: Glance | None = None
        self._time = -math.inf
        self._gap = math.inf
        self._cut = True
        self._scenes: deque[tuple[float, Glance]] = deque()
        self._searched: Glance | None = None
        self._searched_at = self._early_at = -math.inf
        self._found = False

    def follow(self, image: Image, time: float) -> list[Track]:
        """Follow the tracks into the next frame by optical flow; none of them survives a cut."""
        before, after = self._last, Glance.at(image)
        self._last, self._time, self._gap = after, time, time - self._time
        self._cut = before is None or after.is_cut_from(before)
        going = [track for track in self._tracks if not track.lost]
        if before is None or self._cut:
            self._scenes.clear()
            for track in self._tracks:
                track.lost = track.parted = True
        else:
            for track, moved in zip(going, _move([track.face for track in going], before, after), strict=True):
                track.lost = moved is None
                track.face = moved or track.face
        shown = self._show()
        self._tracks = [track for track in self._tracks if track in shown or abs(time - track.seen) <= self.memory]
        return shown

    def is_due(self, time: float) -> bool:
        """Whether to search for faces in the frame that was followed last.

        A search is due when ``every`` seconds have passed, at a cut, and when all faces have just disappeared. It is
        also due when the image has changed outside the faces, but then at most once in ``every`` seconds.
        """
        if self._last is None or self._searched is None or self._cut or is_due(self._searched_at, time, self.every):
            return True
        shown = [track.face for track in self._show()]
        recent = self._found or any(not is_over(track.seen, time, _AGAIN) for track in self._tracks)
        if recent and not shown:
            return True
        return is_over(self._early_at, time, self.every) and self._last.differs_from(self._searched, shown)

    def find(self, faces: Sequence[FaceBox], time: float, compare: Compare) -> list[Track]:
        """Assign detected faces of the frame that was followed last to tracks, in the order of the faces.

        A face takes the followed track that it overlaps most; if that may be somebody else's, the appearance must match
        too. The other faces continue a lost track nearby whose appearance matches, or start a new one.

        Args:
            faces: Boxes of the detected faces.
            time: Time of the frame, in seconds.
            compare: Function that returns the appearance of faces; only called if it is needed.
        """
        if not is_due(self._searched_at, time, self.every):
            self._early_at = time
        self._searched, self._searched_at, self._found = self._last, time, bool(faces)
        slowly = self._changes_slowly(time)
        doubt = slowly or not 0 <= self._gap <= GAP
        taken = _pair(
            self._show(), range(len(faces)), lambda track, index: overlap(track.face, faces[index]), MIN_OVERLAP
        )
        asked = [
            index
            for index in range(len(faces))
            if index not in taken or doubt or is_due(taken[index].compared, time, REFRESH)
        ]
        looks = dict(zip(asked, compare([faces[index] for index in asked]), strict=True)) if asked else {}
        if doubt:
            taken = {index: track for index, track in taken.items() if track.alike(looks[index]) >= CONTINUED}
        lost = [track for track in self._tracks if track not in taken.values()]
        left = [index for index in range(len(faces)) if index not in taken]
        again = _pair(lost, left, lambda track, index: _resume(track, faces[index], looks[index]), CONTINUED)
        for track in again.values():
            track.probabilities, track.stretch = None, Stretch()  # older answers are not smoothed into new ones
        found = []
        for index, face in enumerate(faces):
            track = taken.get(index) or again.get(index) or self._new(face, time)
            track.face, track.seen, track.lost, track.parted = face, time, False, False
            track.resumed = index not in taken
            since = LONGEST if slowly and index in taken else 0.0
            if index in looks and is_over(track.compared, time, since):
                track.likeness, track.compared = looks[index], time
            found.append(track)
        here = {track.number for track in found}
        for track in self._tracks:
            track.hidden = track.number not in here
        return found

    def _changes_slowly(self, time: float) -> bool:
        """Whether the scene has changed gradually, without a cut between any two consecutive frames."""
        while self._scenes and is_over(self._scenes[0][0], time, SLOWLY):
            self._scenes.popleft()
        now = self._last
        if now is None:
            return False
        changes = 0 <= self._gap <= GAP and any(now.is_cut_from(before) for _, before in self._scenes)
        if not self._scenes or is_over(self._scenes[-1][0], time, SEARCH_EVERY):
            self._scenes.append((time, now))
        return changes

    def _show(self) -> list[Track]:
        return [track for track in self._tracks if not track.lost and not track.hidden]

    def _new(self, face: FaceBox, time: float) -> Track:
        self._count += 1
        track = Track(self._count, face, time)
        self._tracks.append(track)
        return track


def is_over(since: float, time: float, seconds: float) -> bool:
    """Whether so many seconds have passed, allowing for millisecond clocks; also true if the clock was set back."""
    return not 0 <= time - since < seconds - JITTER


def is_due(since: float, time: float, seconds: float) -> bool:
    """Whether so many seconds have passed, or a minute of the video has begun since then."""
    return is_over(since, time, seconds) or since // MINUTE != time // MINUTE


def overlap(first: FaceBox, second: FaceBox) -> float:
    """Compute the intersection over union of two boxes, in [0, 1]."""
    width = min(first.x + first.width, second.x + second.width) - max(first.x, second.x)
    height = min(first.y + first.height, second.y + second.height) - max(first.y, second.y)
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / (first.area + second.area - width * height)


def _resume(track: Track, face: FaceBox, look: Likeness | None) -> float:
    """Return the similarity of a lost face and a detected one; 0 if it is too low after what happened in between."""
    alike = track.alike(look) if _is_near(track.face, face) else 0.0
    return alike if alike >= (ALIKE if track.parted else CONTINUED) else 0.0


def _is_near(before: FaceBox, now: FaceBox) -> bool:
    """Whether a lost face can have moved to this place."""
    one, other = max(before.width, before.height), max(now.width, now.height)
    across = before.x + before.width / 2 - now.x - now.width / 2
    down = before.y + before.height / 2 - now.y - now.height / 2
    return math.hypot(across, down) <= REACH * max(one, other) and max(one, other) <= GROWTH * min(one, other)


def _pair(
    tracks: Sequence[Track], indices: Iterable[int], fit: Callable[[Track, int], float], least: float
) -> dict[int, Track]:
    """Pair tracks with face indices greedily, the best fit first, as long as the fit is at least ``least``."""
    places = list(indices)
    fits = np.array([[fit(track, index) for index in places] for track in tracks])
    pairs: dict[int, Track] = {}
    while fits.size and fits.max() >= least:
        row, column = (int(i) for i in np.unravel_index(fits.argmax(), fits.shape))
        pairs[places[column]] = tracks[row]
        fits[row], fits[:, column] = -1, -1
    return pairs


def _move(faces: Sequence[FaceBox], before: Glance, after: Glance) -> list[FaceBox | None]:
    """Move each box by a shift, rotation and scale that most points agree with and that preserves the appearance.

    Returns ``None`` for a face without such a motion.
    """
    moved: list[FaceBox | None] = list(faces)
    moving = [index for index, face in enumerate(faces) if not _is_still(face, before, after)]
    if not moving:
        return moved
    points = [_points_on(faces[index]) * np.float32(before.scale) for index in moving]
    old = np.concatenate(points)[:, None]  # of all faces at once: most of the cost does not depend on the points
    new, status, _ = cv2.calcOpticalFlowPyrLK(
        before.grey, after.grey, old, np.empty_like(old), winSize=(15, 15), maxLevel=3
    )
    ends = np.cumsum([len(some) for some in points])[:-1]
    parts = (np.split(values, ends) for values in (old[:, 0], new[:, 0], status.ravel() == 1))
    for index, start, end, good in zip(moving, *parts, strict=True):
        moved[index] = _motion(faces[index], before, after, start[good], end[good])
    return moved


def _is_still(face: FaceBox, before: Glance, after: Glance) -> bool:
    """Whether the image of a face is unchanged except for a little noise."""
    left, top, right, bottom = (
        max(0, round(side * before.scale)) for side in (face.x, face.y, face.x + face.width, face.y + face.height)
    )
    old, new = (glance.grey[top:bottom, left:right] for glance in (before, after))
    return old.size > 0 and cv2.norm(old, new, cv2.NORM_L1) < _STILL * old.size


def _points_on(face: FaceBox) -> NDArray[np.float32]:
    """Lay a grid of points on a face and add its landmarks; [N, 2]."""
    across, down = np.meshgrid(_ACROSS * face.width + face.x, _ACROSS * face.height + face.y)
    grid = np.stack([across, down], axis=-1).reshape(-1, 2)
    return np.concatenate([grid, np.array(face.landmarks or ()).reshape(-1, 2)]).astype(np.float32)


_ACROSS = np.linspace(0.15, 0.85, _GRID)


def _motion(
    face: FaceBox, before: Glance, after: Glance, start: NDArray[np.float32], end: NDArray[np.float32]
) -> FaceBox | None:
    """Move a face with the points that the flow has followed, [N, 2] each, in the small image."""
    scale = before.scale
    if len(start) < 4:
        return None
    matrix, inliers = cv2.estimateAffinePartial2D(start, end, ransacReprojThreshold=2.0)
    if matrix is None or inliers.mean() < _MIN_INLIERS:
        return None
    turn, shift = matrix[:, :2], matrix[:, 2] / scale
    place = np.array([[face.width / _PATCH, 0, face.x], [0, face.height / _PATCH, face.y]]) * scale
    there = turn @ place
    there[:, 2] += matrix[:, 2]
    if _correlation(_patch(before.grey, place), _patch(after.grey, there)) < _MIN_SIMILAR:
        return None
    growth = math.sqrt(abs(turn[0, 0] * turn[1, 1] - turn[0, 1] * turn[1, 0]))
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


def _patch(grey: Grey, place: NDArray[np.float64]) -> NDArray[np.float32]:
    """Sample a patch, float32 [32, 32]; ``place`` maps its pixels into the image, float64 [2, 3]."""
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    patch = cv2.warpAffine(grey, place, (_PATCH, _PATCH), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return patch.astype(np.float32)


def _correlation(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Correlate two patches; 0 if one is uniform."""
    one, other = one.ravel() - one.mean(), other.ravel() - other.mean()
    return float(one @ other / max(math.sqrt(float(one @ one) * float(other @ other)), 1e-6))
