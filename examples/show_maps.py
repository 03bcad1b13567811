"""Show where networks look: their cross-modal attention on the same faces, with a row for each network.

python examples/show_maps.py fer2013.zip runs/a/best runs/b/best maps.png

It uses twelve validation faces. The maps are drawn without the faces, whose pictures may not be published.
"""

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from cmaen.checkpoints import Checkpoint
from cmaen.data.faces import load_faces
from cmaen.data.splits import Split
from cmaen.explanation import Explainer

FACES, MEASURED = 12, 1500


def main() -> None:
    """Draw them."""
    data, *checkpoints, picture = map(Path, sys.argv[1:])
    faces = load_faces(data, Split.VALIDATION)
    rng = np.random.default_rng(0)
    by_label = [rng.permutation(np.flatnonzero(faces.labels == label)) for label in range(len(faces.classes))]
    chosen = np.stack([places[:2] for places in by_label], axis=1).ravel()[:FACES]
    figure = Figure(figsize=(FACES, 1.3 * len(checkpoints) + 0.4), layout="constrained")
    axes = figure.subplots(len(checkpoints), FACES, squeeze=False)
    for index, place in zip(chosen, axes[0], strict=True):
        place.set_title(faces.classes[faces.labels[index]], fontsize=9)
    for row, checkpoint in zip(axes, checkpoints, strict=True):
        explainer = Explainer(checkpoint)
        share = explainer.survey(list(faces.images[:MEASURED])).variation["cross_modal"].share
        name = Checkpoint.open(checkpoint).card.name
        print(f"{name}: {share:.0%} of the variation of its attention is from face to face")
        for place, found in zip(row, explainer.explain(list(faces.images[chosen])), strict=True):
            place.imshow(found.cross_modal, cmap="inferno")
            place.set_xticks([])
            place.set_yticks([])
        row[0].set_ylabel(f"{name}\n{share:.0%} from face to face", fontsize=8)
    figure.savefig(picture, dpi=90)


if __name__ == "__main__":
    main()
