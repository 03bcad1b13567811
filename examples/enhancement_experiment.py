"""Prepare the data of the experiment on enhancement and balancing: 8,000 training faces, and validation, in six ways.

python examples/enhancement_experiment.py fer2013.zip runs/faces

src/cmaen/training/configs/variants/enhancement.yaml has the command that trains on them.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np

from cmaen.data.faces import load_faces
from cmaen.data.splits import Split
from cmaen.data.tree import write_tree

COUNT, SEED = 8000, 0


def cmaen(verb, source, target, *options):
    """Run the command line, unless it was run before."""
    if not (target / "dataset_stats.json").exists():
        command = [sys.executable, "-m", "cmaen", verb, "--input-dir", source, "--output-dir", target, *options]
        subprocess.run(list(map(str, command)), check=True)


data, root = map(Path, sys.argv[1:])
plain = root / "plain"
if not plain.exists():
    training = load_faces(data, Split.TRAIN)
    some = np.sort(np.random.default_rng(SEED).permutation(len(training))[:COUNT])
    for faces in (training.select(some), load_faces(data, Split.VALIDATION)):
        write_tree(faces, plain)
target = ("--target", COUNT // 7 + 1, "--seed", SEED)
cmaen("balance", plain, root / "smote", *target)
cmaen("balance", plain, root / "augmented", "--method", "augment", *target)
cmaen("enhance", plain, root / "super-resolved", "--steps", "super-resolution")
cmaen("enhance", root / "super-resolved", root / "coloured", "--steps", "colorization")
cmaen("balance", root / "coloured", root / "chain", "--colour", *target)
