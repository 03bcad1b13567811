"""Measure how the shipped network's answers differ by age, gender and ethnicity, on faces without labels.

python examples/measure_groups.py utkface_sharp

The files of UTKFace are named age_gender_race_time.jpg. Without emotion labels, nobody can say who is judged wrongly:
one group may smile more often in these pictures. Large differences are a reason to look closer, not a proof of bias.
"""

import sys
from collections import defaultdict
from pathlib import Path

import numpy as np

from cmaen import EMOTIONS, EmotionPredictor
from cmaen.evaluation.agreement import entropy

GENDERS = ("male", "female")
RACES = ("White", "Black", "Asian", "Indian", "other")
AGES = (0, 13, 25, 40, 60, 200)

files = sorted(Path(sys.argv[1]).glob("*.jpg"))
results = EmotionPredictor().predict_each(map(str, files))
groups = defaultdict(list)
missed = defaultdict(int)
for file, result in zip(files, results, strict=True):
    age, gender, race, *_ = file.stem.split("_")
    start = max(year for year in AGES[:-1] if year <= int(age))
    end = AGES[AGES.index(start) + 1]
    for group in ("all", GENDERS[int(gender)], RACES[int(race)], f"{start} to {end - 1} years"):
        if result.faces:
            groups[group].append(result.faces[0].probabilities)
        else:
            missed[group] += 1

rng = np.random.default_rng(0)
everybody = np.array(groups["all"]).mean(axis=0)
print(f"| group | faces | found | {' | '.join(EMOTIONS)} | entropy, bits | distance |")
print("|" + "---|" * (len(EMOTIONS) + 5))
for group in sorted(groups, key=lambda name: (name != "all", name)):
    answers = np.array(groups[group])
    found = len(answers) / (len(answers) + missed[group])
    drawn = [entropy(answers)[rng.integers(0, len(answers), len(answers))].mean() for _ in range(1000)]
    low, high = np.quantile(drawn, (0.025, 0.975))
    shares = " | ".join(f"{share:.1%}" for share in answers.mean(axis=0))
    distance = np.abs(answers.mean(axis=0) - everybody).sum() / 2
    spread = f"{entropy(answers).mean():.2f} ({low:.2f} to {high:.2f})"
    print(f"| {group} | {len(answers)} | {found:.1%} | {shares} | {spread} | {distance:.3f} |")
