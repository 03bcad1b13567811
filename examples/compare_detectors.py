"""The compact detector against CenterFace, on composites of photographs that it was not trained on.

python examples/compare_detectors.py faces_color.zip runs/detector/detector.onnx

Recall at the same precision by the size of the face, the landmarks' error, and the time for a picture of 640 x 480.
The truth is what CenterFace says of the single photographs before they are put together.
"""

import sys
import time
from pathlib import Path
from statistics import median

import numpy as np
from cmaen.inference.detectors.compact import Compact

from cmaen.data.composites import compose, load_photographs
from cmaen.evaluation.detection import average_precision, match, recall_at
from cmaen.inference.detectors.centerface import CenterFace

COUNT, SIDE, PRECISION = 500, 480, 0.99
BANDS = ((24, 48), (48, 96), (96, SIDE / 2))


def arrays(faces):
    """Boxes [D, 4], scores [D] and landmarks [D, 5, 2]."""
    return (
        np.array([(f.x, f.y, f.width, f.height) for f in faces], np.float32).reshape(-1, 4),
        np.array([f.score for f in faces], np.float32),
        np.array([f.landmarks for f in faces], np.float32).reshape(-1, 5, 2),
    )


def report(name, detector, composites):
    """Print one detector's figures."""
    found = [arrays(detector(composite.pixels)) for composite in composites]
    sizes = [np.sqrt(c.faces.boxes[:, 2:].prod(axis=1)) for c in composites]
    print(f"{name}:")
    for low, high in ((24, SIDE / 2), *BANDS):
        inside = [(low <= s) & (s < high) for s in sizes]
        faces = [c.faces.boxes[i] for c, i in zip(composites, inside, strict=True)]
        free = [np.concatenate([c.ignored, c.faces.boxes[~i]]) for c, i in zip(composites, inside, strict=True)]
        matches = match([(boxes, scores) for boxes, scores, _ in found], faces, free)
        recall, threshold = recall_at(matches, PRECISION)
        print(
            f"  faces of {low:3.0f} to {high:3.0f} px: {matches.faces:4} faces, average precision "
            f"{average_precision(matches):.3f}, recall {recall:.3f} at precision {PRECISION} (score {threshold:.2f})"
        )
    everything = match([f[:2] for f in found], [c.faces.boxes for c in composites], [c.ignored for c in composites])
    hits = everything.truth >= 0
    true = np.concatenate([c.faces.landmarks for c in composites])[everything.truth[hits]]
    said = np.concatenate([marks for _, _, marks in found])[everything.detections[hits]]
    apart = np.linalg.norm(true[:, 1] - true[:, 0], axis=1)
    errors = np.linalg.norm(said - true, axis=2).mean(axis=1) / np.maximum(apart, 1)
    print(f"  landmarks: median error {np.median(errors):.1%} of the distance between the eyes, {len(errors)} faces")


def milliseconds(detector):
    """Median time for a picture of 640 x 480."""
    picture = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    times = []
    for _ in range(30):
        start = time.perf_counter()
        detector(picture)
        times.append((time.perf_counter() - start) * 1000)
    return median(times[5:])


def main(photographs, model):
    """Compare."""
    held_out = load_photographs(Path(photographs), CenterFace(), Path("runs/photographs")).part(held_out=True)
    composites = [compose(held_out, np.random.default_rng([7, number]), SIDE) for number in range(COUNT)]
    report("CenterFace", CenterFace(min_score=0.05), composites)
    report("compact", Compact(Path(model), min_score=0.05), composites)
    for threads in (1, 2):
        old, new = (milliseconds(d) for d in (CenterFace(threads=threads), Compact(Path(model), threads=threads)))
        print(f"640 x 480, {threads} thread(s): CenterFace {old:.1f} ms, compact {new:.1f} ms, {old / new:.1f} times")


if __name__ == "__main__":
    main(*sys.argv[1:])
