"""What ``cmaen test --output`` gathers for its report beside what was measured."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cmaen.card import Card
    from cmaen.data.splits import FaceSet
    from cmaen.evaluation.cost import Cost
    from cmaen.evaluation.report import Inside
    from cmaen.history import Epoch

SCATTERED = 1500
MAPPED = 2
"""Faces of each label whose maps are shown."""
RUNS = {1: 100, 64: 20}
"""Of the timing, by the size of the batch."""


def history_of(folder: Path, card: Card) -> list[Epoch]:
    """The epochs of a checkpoint: as they lie beside it, or from the logs of the run that it lies in."""
    from cmaen.history import logged, read_history

    return read_history(folder) or logged(folder.parent, card.name)


def measure_cost(folder: Path, card: Card, engine: str) -> Cost:
    """Time an engine in this process, with all cores that it may use, and say how large the network is."""
    from cmaen.card import FILES
    from cmaen.engines import build_engine
    from cmaen.evaluation.cost import Cost, Latency
    from cmaen.inference.benchmark import processor, run_times
    from cmaen.resources import usable_cores

    threads = usable_cores()
    network = build_engine(engine, folder, threads=threads)
    return Cost(
        engine=engine,
        precision=card.precision.get(engine, "fp32"),
        processor=processor(),
        threads=threads,
        latencies=tuple(
            Latency.of(size, run_times(network, card.preprocess, size, runs)) for size, runs in RUNS.items()
        ),
        file_mib=sum((folder / name).stat().st_size for name in FILES[engine]) / 2**20,
        parameters=card.cost.get("parameters"),
        gflop=card.cost["flops"] / 1e9 if "flops" in card.cost else None,
    )


def look_inside(folder: Path, faces: FaceSet) -> Inside | None:
    """Features of some faces, maps over a few, and how much of the maps' variation is from face to face.

    Nothing of it where PyTorch or the weights that it needs are missing.
    """
    import numpy as np

    from cmaen.card import SAFETENSORS
    from cmaen.evaluation.gallery import Mapped
    from cmaen.evaluation.report import Features, Inside

    try:
        from cmaen.explanation import Explainer, overlay
    except ModuleNotFoundError:
        return None
    if not (folder / SAFETENSORS).is_file():
        return None
    explainer, classes = Explainer(folder), faces.classes
    order = np.random.default_rng(0).permutation(len(faces))
    some = order[:SCATTERED]
    variation = {
        name.replace("_", " "): found.share for name, found in explainer.variation(list(faces.images[some])).items()
    }
    shown = [index for label in range(len(classes)) for index in order[faces.labels[order] == label][:MAPPED]]
    maps = []
    for index, found in zip(shown, explainer.explain([faces.images[i] for i in shown]), strict=True):
        crop = faces.images[index]
        pictures = {name.replace("_", " "): overlay(crop, heat) for name, heat in found.maps.items()}
        maps.append(Mapped(classes[found.emotion], classes[faces.labels[index]], {"face": crop, **pictures}))
    return Inside(Features(explainer.features(list(faces.images[some])), faces.labels[some]), maps, variation)
