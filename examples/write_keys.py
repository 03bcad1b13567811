"""Write what the package knows of FER2013 without its pictures: the faces' keys, and the votes of FER+ for them.

python examples/write_keys.py fer2013.zip ferplus_votes.csv

A key is a hash of a face's pixels, see cmaen.data.keys. The keys of Training stand in the order in which the first
teachers answered, so that their files in teachers/ fit FER2013 in any form. The votes are FER+'s, by Microsoft, under
the MIT licence in ferplus.licence.txt.

The shipped weights and all before them were trained on Training alone, so its keys also go beside them.
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from cmaen.checkpoints import Checkpoint, SeenFaces
from cmaen.checkpoints.hub import shipped_folder
from cmaen.data.faces import load_faces
from cmaen.data.ferplus import CATEGORIES, VOTES, join_votes
from cmaen.data.keys import FER2013_KEYS, face_keys, packaged
from cmaen.data.splits import Split

data, votes = map(Path, sys.argv[1:3])
training, validation = (join_votes(load_faces(data, split), votes) for split in (Split.TRAIN, Split.VALIDATION))
keys = {"training": face_keys(training.images), "validation": face_keys(validation.images)}
together = np.concatenate([*keys.values()])
counts = np.concatenate([training.votes, validation.votes])

first = {}
for key, row in zip(together.tolist(), counts.tolist(), strict=True):
    if first.setdefault(key, row) != row:
        sys.exit("two copies of a face have different votes: a key would not tell which are whose")

np.savez_compressed(packaged(FER2013_KEYS), **keys, fingerprint=np.array(training.fingerprint()))
np.savez_compressed(packaged(VOTES), votes=counts, categories=np.array(CATEGORIES))
seen = SeenFaces.of(keys["training"])
Checkpoint(shipped_folder()).amend(lambda now: replace(now, seen=seen))
for name in (FER2013_KEYS, VOTES):
    print(f"{packaged(name).name}: {packaged(name).stat().st_size:,} bytes")
print(f"{len(together):,} faces, {len(first):,} different ones, {len(seen):,} of them in Training")
print(f"{counts.any(axis=1).sum():,} faces with votes")
