"""Measure what a partner would add to a trunk: alone, by the mean of both answers, and by both features together.

python examples/measure_partners.py fer2013.zip lfw_expressions.csv faces_color.zip TRUNK PARTNER...

TRUNK and each PARTNER are checkpoints with both label schemes that have not seen the inner split, a tenth of Training
(`data.inner_validation=true`). Everything is measured on that tenth (FER2013's labels and the annotators' majority) and
on the labelled photographs. The intervals are bootstraps over the faces, of the difference from the trunk. A linear
classifier for each set of features is fitted on the rest of Training. What a network computes is kept in runs/partners,
by the checksum of its weights, so that a next partner needs only itself.

A PARTNER may also be a pretrained backbone that has learnt no emotions, as BACKBONE=WEIGHTS, such as sface=installed.
Its answers are those of the linear classifier on its features, the means of its maps at strides 16 and 32.

--validation measures on PublicTest instead of the inner split, for networks that have seen all of Training, and leaves
the linear classifiers out, because the features of faces that a network has seen are no measure.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cmaen import EmotionPredictor
from cmaen.checkpoints import Checkpoint
from cmaen.cli.console import progress
from cmaen.data.drawing import inner_split
from cmaen.data.faces import load_faces
from cmaen.data.ferplus import AUTO, majority, with_votes
from cmaen.data.splits import Split
from cmaen.evaluation.intervals import bootstrap
from cmaen.evaluation.photographs import read_photographs
from cmaen.images.reader import read_image
from cmaen.inference.classifier import FaceClassifier
from cmaen.models.backbones import build_backbone
from cmaen.preprocessing import PreprocessSpec
from cmaen.types import EMOTIONS, FER2013, PERCEIVED, PERCEIVED_LABELS

KEPT = Path("runs/partners")
BATCH = 64
PIXELS = 224
"""Side of the input of a backbone that has learnt no emotions."""
LABELS, MAJORITY, PHOTOGRAPHS = "FER2013's labels", "annotators' majority", "photographs"


def in_batches(compute, crops, what):
    """Compute something for crops, a batch at a time."""
    starts = progress(range(0, len(crops), BATCH), what, -(-len(crops) // BATCH))
    return np.concatenate([compute(crops[start : start + BATCH]) for start in starts])


def keep(title, compute):
    """Return what was computed under a title, arrays by name; compute it the first time."""
    kept = KEPT / f"{title}.npz"
    if not kept.exists():
        found = compute()
        KEPT.mkdir(parents=True, exist_ok=True)
        np.savez(kept, **found)
    with np.load(kept) as found:
        return dict(found)


def look(name, learnt, judged, photographs):
    """Compute what a network answers, and its features; see the module."""
    classifier = FaceClassifier(name)
    labels, perceived = classifier.under(FER2013), classifier.under(PERCEIVED, contempt=True)

    def features(some):
        return classifier.features(classifier.inputs(some))

    found = {"learnt": in_batches(features, learnt, "learnt")} if learnt else {}
    for part, crops in (("judged", judged), ("photographs", photographs)):
        found[part] = in_batches(features, crops, part)
        found[f"{part} {FER2013}"] = in_batches(labels, crops, f"{part}: {FER2013}")
        found[f"{part} {PERCEIVED}"] = in_batches(perceived, crops, f"{part}: {PERCEIVED}")
    return found


def look_with_backbone(name, **crops):
    """Compute the features of a pretrained backbone; see the module."""
    backbone, spec = build_backbone(*name.split("=", 1)).eval(), PreprocessSpec(PIXELS)

    @torch.inference_mode()
    def features(some):
        _, middle, high = backbone(torch.from_numpy(spec(some)))
        return torch.hstack([middle.mean(dim=(2, 3)), high.mean(dim=(2, 3))]).numpy()

    return {part: in_batches(features, some, f"{name}: {part}") for part, some in crops.items()}


def probe(learnt, classes, measured, labels):
    """Fit a linear classifier on features of faces with a class; return its probabilities for others, [N, labels]."""
    known = classes >= 0
    fitted = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=200))
    fitted.fit(learnt[known], classes[known])
    answers = [np.zeros((len(features), labels)) for features in measured]
    for answer, features in zip(answers, measured, strict=True):
        answer[:, fitted.classes_] = fitted.predict_proba(features)
    return answers


def hits(probabilities, truth):
    """Tell for each face with a truth whether the answer is right; contempt counts only where it can be the truth."""
    known, answers = truth >= 0, probabilities[:, : truth.max() + 1].argmax(axis=1)
    return answers[known] == truth[known]


def say(title, right, beside=None):
    """Print accuracies, in per cent, and their differences from others."""
    cells = []
    for what, found in right.items():
        cell = f"{what} {100 * found.mean():.2f}"
        if beside is not None:
            gain = found.astype(float) - beside[what]
            low, high = bootstrap(lambda rows, gain=gain: gain[rows].mean(), len(gain), np.random.default_rng(0))
            cell += f" ({100 * gain.mean():+.2f}, {100 * low:+.2f} to {100 * high:+.2f})"
        cells.append(cell)
    print(f"{title:48}", "   ".join(cells), flush=True)


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("data", "table", "pictures"):
        parser.add_argument(name, type=Path)
    parser.add_argument("names", nargs="+", metavar="CHECKPOINT")
    parser.add_argument("--validation", action="store_true")
    asked = parser.parse_args()
    if asked.validation and any("=" in name for name in asked.names):
        parser.error("a backbone without emotions needs faces to learn from, which --validation leaves out")
    split = Split.VALIDATION if asked.validation else Split.TRAIN
    faces = with_votes(load_faces(asked.data, split), AUTO)
    training, judged = (faces.select(np.zeros(len(faces), bool)), faces) if asked.validation else inner_split(faces)
    predictor, crops, emotions = EmotionPredictor(), [], []
    for photograph in progress(read_photographs(asked.table, asked.pictures), "photographs", None):
        found = predictor.predict(read_image(photograph.content)).faces
        crops.append(found[0].crop if found else np.zeros((48, 48, 3), np.uint8))
        emotions.append(PERCEIVED_LABELS.index(photograph.label) if found else -1)
    truth = {LABELS: judged.labels, MAJORITY: majority(judged), PHOTOGRAPHS: np.array(emotions)}
    print(f"{len(training)} faces to learn from; measured on {len(judged)} faces and {len(crops)} photographs, "
          f"{emotions.count(-1)} without a face")  # fmt: skip
    parts = {LABELS: f"judged {FER2013}", MAJORITY: f"judged {PERCEIVED}", PHOTOGRAPHS: f"photographs {PERCEIVED}"}

    def answered(*found):
        return {
            what: hits(np.mean([network[part] for network in found], axis=0), truth[what])
            for what, part in parts.items()
        }

    def probes(*found):
        learnt, inner, photos = (
            np.hstack([network[part] for network in found]) for part in ("learnt", "judged", "photographs")
        )
        (labels,) = probe(learnt, training.labels, [inner], len(EMOTIONS))
        seen, photographed = probe(learnt, majority(training), [inner, photos], len(PERCEIVED_LABELS))
        return {parts[LABELS]: labels, parts[MAJORITY]: seen, parts[PHOTOGRAPHS]: photographed}

    def probed(*found):
        return answered(probes(*found))

    shown = {"learnt": list(training.images), "judged": list(judged.images), "photographs": crops}
    counts = "-".join(str(len(part)) for part in shown.values())

    def look_at_all(name):
        if "=" not in name:
            weights = "-".join(sorted(digest[:12] for digest in Checkpoint.open(name).card.sha256.values()))
            return keep(f"{weights}-{counts}", lambda: look(name, **shown))
        found = keep(f"{name.replace('/', '-')}-{counts}", lambda: look_with_backbone(name, **shown))
        return found | probes(found)

    trunk, *partners = map(look_at_all, asked.names)
    name, *others = asked.names
    alone, linear = answered(trunk), None if asked.validation else probed(trunk)
    say(f"{name}, alone", alone)
    if linear:
        say(f"{name}, linear classifier on its features", linear)
    for other, partner in zip(others, partners, strict=True):
        say(f"{other}, alone", answered(partner), alone)
        say(f"mean of {name} and {other}", answered(trunk, partner), alone)
        if linear:
            if "=" not in other:
                say(f"{other}, linear classifier", probed(partner), linear)
            say("linear classifier on the features of both", probed(trunk, partner), linear)


if __name__ == "__main__":
    main()
