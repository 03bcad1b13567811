"""Hides the faces of pictures and videos before anything is drawn on them or stored.

No detector finds every face, so more is hidden than was analysed: besides the faces of a result, those that a careful
search of its own finds, with low scores and of any size, and in a video also those that were found shortly before or
will be found shortly after. A frame that could not be analysed or searched is hidden as a whole.
"""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from cmaen.drawing.pixelation import pixelate_all, pixelate_faces
from cmaen.errors import describe
from cmaen.inference.detectors import DEFAULT, Detector, DetectorOptions, build_detector
from cmaen.inference.detectors.again import measure_shares, stack_boxes
from cmaen.inference.detectors.base import OWN
from cmaen.inference.tracking import is_over
from cmaen.results import Result
from cmaen.types import FaceBox, Image

NEARLY = 0.4
"""Score from which a face is hidden, far below the score from which one is analysed."""
HOLD, GROWTH = 1.0, 0.5
"""Seconds for which the last place of a lost face stays hidden, and how much it grows in a second, relative to its
size, because the face may have moved."""
AHEAD = 0.3
"""Seconds for which the frames of a recorded video are held back: a face is hidden for so long before it is found."""
CAREFULLY = 0.2
"""Seconds of a video between two searches for very small faces."""
_SAME = 0.3
"""Share of the smaller of two boxes that lies in the other, above which both are taken for the same face."""
_STEADY = 0.1
"""Distance that the edges of a face's box may move, relative to its size, until the blocks over it move as well. Blocks
that move over a still face would show a little more of it with every frame."""
_LONGEST_STEP = 0.5
"""Seconds between two frames up to which they tell the speed of a face."""
_LARGE = 1280
"""Search size in pixels from which the caller's is kept; a smaller one would find fewer faces."""
_PIXELS_HELD = 32_000_000

log = logging.getLogger(__name__)


def build_searchers(detector: str | None = DEFAULT, options: DetectorOptions = OWN) -> tuple[Detector, ...]:
    """Build the detectors that search for the faces to hide, with low scores and of any size.

    Args:
        detector: Name of the detector that finds the faces to analyse. YuNet always searches; another one does so too.
        options: Options of that detector.

    Raises:
        DetectorError: A detector cannot be loaded.
    """
    score = NEARLY if options.min_score is None else min(NEARLY, options.min_score)
    side = options.max_side if options.max_side is not None and options.max_side > _LARGE else None
    names = dict.fromkeys([DEFAULT, detector or DEFAULT])
    return tuple(build_detector(name, options=DetectorOptions(side, score)) for name in names)


def hide_faces(image: Image, faces: Iterable[Mapping[str, Any]]) -> Image:
    """Return a copy of a picture with these faces pixelated, and those that a careful search finds.

    Args:
        image: RGB uint8 [H, W, 3].
        faces: Dicts of :meth:`cmaen.results.Face.to_dict`; only ``box`` is used.

    Raises:
        DetectorError: The search fails.
    """
    given = [
        FaceBox(float(x), float(y), float(width), float(height))
        for x, y, width, height in (face["box"] for face in faces)
    ]
    found = [face for search in _build_usual_searchers() for face in search(image)]
    return pixelate_faces(image, unite_boxes([*given, *found]))


@lru_cache(maxsize=1)
def _build_usual_searchers() -> tuple[Detector, ...]:
    return build_searchers()


class Anonymiser:
    """Replaces the pixels of the results of one source by pixels without recognisable faces; the answers stay.

    Results come back in their order. Those of a recorded video are held back for a moment.

    Args:
        searchers: Detectors of :func:`build_searchers`.
        ahead: Seconds for which frames of a video are held back; 0 for a live source.
    """

    def __init__(self, searchers: Sequence[Detector], *, ahead: float = AHEAD) -> None:
        self._searchers = searchers
        self._ahead = ahead
        self._waiting: deque[_Waiting] = deque()
        self._pixels = 0
        self._held: list[_Held] = []
        self._careful_at = -math.inf
        self._warned = False

    def add(self, result: Result) -> list[Result]:
        """Take the next result, and return those that are ready."""
        time = result.frame.time
        entry = self._look(result)
        if time is None:
            return [*self.finish(), self._hide(entry, entry.faces)]
        self._waiting.append(entry)
        self._pixels += entry.pixels
        ready = []
        while self._waiting and (self._pixels > _PIXELS_HELD or is_over(self._waiting[0].time, time, self._ahead)):
            ready.append(self._release())
        return ready

    def finish(self) -> list[Result]:
        """Return the results that are still held back."""
        return [self._release() for _ in range(len(self._waiting))]

    def _release(self) -> Result:
        """Hide the faces of the oldest frame: its own, those just lost, and those that are about to be found."""
        entry = self._waiting.popleft()
        self._pixels -= entry.pixels
        if entry.result.frame.image is None:
            return entry.result
        found = [self._steady(face) for face in entry.faces]
        faces = [*found]
        lost = [
            held
            for held in self._held
            if not is_over(held.since, entry.time, HOLD) and not _is_among(held.face, entry.faces)
        ]
        for later in self._waiting:
            faces += [face for face in later.faces if not _is_among(face, faces)]
        faces += [place for held in lost for place in held.at(entry.time)]
        known = zip(found, entry.faces, strict=True)
        self._held = [*(self._follow(face, box, entry.time) for face, box in known), *lost]
        return self._hide(entry, faces)

    def _steady(self, face: FaceBox) -> FaceBox:
        """Return the box of a face in the frame before if it has hardly moved, or else its own."""
        return next((held.face for held in self._held if _is_near(face, held.face)), face)

    def _follow(self, face: FaceBox, box: FaceBox, time: float) -> _Held:
        """Remember a face that was found, and its speed if the frame before shows it too."""
        before = next((held for held in self._held if _is_among(box, [held.box])), None)
        if before is None or is_over(before.since, time, _LONGEST_STEP) or time == before.since:
            return _Held(face, box, time)
        step = time - before.since
        across = (box.x + box.width / 2 - before.box.x - before.box.width / 2) / step
        down = (box.y + box.height / 2 - before.box.y - before.box.height / 2) / step
        return _Held(face, box, time, (before.across + across) / 2, (before.down + down) / 2)

    def _look(self, result: Result) -> _Waiting:
        """Search the frame of a result for more faces than were analysed."""
        image, time = result.frame.image, result.frame.time or 0.0
        if image is None:
            return _Waiting(result, time)
        moving = result.frame.time is not None and not is_over(self._careful_at, time, CAREFULLY)
        if not moving:
            self._careful_at = time
        faces = [face.box for face in result.faces]
        try:
            for detector in self._searchers:
                search = getattr(detector, "glance", detector) if moving else detector
                faces += search(image)
        except Exception as problem:  # a detector of another package may raise anything
            if not self._warned:
                log.warning(
                    "%s: hidden as a whole, as is any other frame in which the search for faces fails: %s",
                    result.frame.name or "a frame",
                    describe(problem),
                )
            self._warned = True
            return _Waiting(result, time, blind=True)
        return _Waiting(result, time, unite_boxes(faces), blind=result.error is not None)

    def _hide(self, entry: _Waiting, faces: Sequence[FaceBox]) -> Result:
        frame = entry.result.frame
        if frame.image is None:
            return entry.result
        hidden = pixelate_all(frame.image) if entry.blind else pixelate_faces(frame.image, unite_boxes(faces))
        return replace(entry.result, frame=replace(frame, image=hidden))


@dataclass(frozen=True)
class _Waiting:
    """A result that is held back.

    Attributes:
        result: The result.
        time: Time of its frame, in seconds.
        faces: Faces found in its frame.
        blind: Whether its faces are unknown.
    """

    result: Result
    time: float
    faces: Sequence[FaceBox] = field(default=())
    blind: bool = False

    @property
    def pixels(self) -> int:
        """Number of pixels of the frame."""
        image = self.result.frame.image
        return 0 if image is None else image.shape[0] * image.shape[1]


class _Held(NamedTuple):
    """A face that was found.

    Attributes:
        face: Box that is hidden.
        box: Box that was found.
        since: Time at which it was found, in seconds.
        across, down: Speed, in pixels per second.
    """

    face: FaceBox
    box: FaceBox
    since: float
    across: float = 0.0
    down: float = 0.0

    def at(self, time: float) -> list[FaceBox]:
        """Return the places where the face may be now: where it was, and where it would be had it moved on."""
        age = max(time - self.since, 0.0)
        more = 1 + GROWTH * age
        width, height = self.face.width * more, self.face.height * more
        x, y = self.face.x - (width - self.face.width) / 2, self.face.y - (height - self.face.height) / 2
        moved = FaceBox(x + age * self.across, y + age * self.down, width, height)
        return [FaceBox(x, y, width, height), moved]


def unite_boxes(faces: Iterable[FaceBox]) -> list[FaceBox]:
    """Unite the boxes that are taken for the same face, so that only one grid of blocks lies on each face.

    Several grids on one face would tell more about it than one.
    """
    united: list[FaceBox] = []
    boxes = stack_boxes(united)
    for face in faces:
        same = np.flatnonzero(measure_shares(face, boxes) > _SAME)
        hull = _wrap([face, *(united[place] for place in same)])
        for place in reversed(same):
            del united[place]
        united.append(hull)
        boxes = np.concatenate([np.delete(boxes, same, axis=0), stack_boxes([hull])])
    return united


def _wrap(faces: Sequence[FaceBox]) -> FaceBox:
    left, top = min(face.x for face in faces), min(face.y for face in faces)
    right, bottom = max(face.x + face.width for face in faces), max(face.y + face.height for face in faces)
    return FaceBox(left, top, right - left, bottom - top)


def _is_near(face: FaceBox, before: FaceBox) -> bool:
    across, down = _STEADY * before.width, _STEADY * before.height
    return (
        abs(face.x - before.x) <= across
        and abs(face.y - before.y) <= down
        and abs(face.x + face.width - before.x - before.width) <= across
        and abs(face.y + face.height - before.y - before.height) <= down
    )


def _is_among(face: FaceBox, faces: Sequence[FaceBox]) -> bool:
    return bool((measure_shares(face, stack_boxes(faces)) > _SAME).any())
