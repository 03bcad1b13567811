"""Layout of the help: the panels of verbs and of options, and the examples above each verb's options."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from cmaen.training.catalogue import Kind, list_configurations

USE, OWN, RESEARCH = "Use", "Your own model", "Research"
"""Panels of verbs."""
SOURCE, OUTPUT, FACES, VIDEO, MODEL = "Source", "Output", "Faces", "Video", "Model"
"""Panels of options."""
TRAINING, ADDRESS, ACCESS, LIMITS = "Training", "Address", "Access", "Limits"
"""Panels of options for training and for the server."""
STUDY = "Study"
"""Panel of options that compare people."""

EXAMPLES = {
    "predict": (
        "cmaen predict photo.jpg",
        "cmaen predict holiday/ --output faces.csv --chart emotions.png",
        "cmaen predict interview.mp4 --per-person summary.csv --timeline people.png",
    ),
    "inference": (
        "cmaen inference --image photo.jpg --annotated faces.png",
        "cmaen inference --directory holiday --output faces.csv",
        "cmaen inference --video interview.mp4 --output faces.csv --save-video drawn.mp4",
    ),
    "report": (
        "cmaen report interview.csv",
        "cmaen report interview.mp4 --thumbnails --output interview.html",
        "cmaen report study/*.csv --events events.csv",
    ),
    "convert": (
        "cmaen convert faces.csv --output interview.eaf",
        "cmaen convert faces.parquet --output sub-01_task-interview_events.tsv",
        "cmaen convert faces.csv --output interview.vtt --shortest 1 --bridge 0.5",
    ),
    "serve": (
        "cmaen serve",
        "cmaen serve --port 8080 --checkpoint runs/mine/best",
        "CMAEN_API_KEY=secret cmaen serve --host 0.0.0.0",
    ),
    "page": (
        "npm pack onnxruntime-web",
        "cmaen page --output site --runtime package/dist",
        "python -m http.server -d site",
    ),
    "info": (
        "cmaen info",
        "cmaen info --json",
        "python -m cmaen info",
    ),
    "crop": (
        "cmaen crop --input-dir photos --output-dir faces",
        "cmaen crop --input-dir photos --output-dir faces --every",
        "cmaen crop --input-dir photos --output-dir faces --min-face 48",
    ),
    "finetune": (
        "cmaen finetune my-faces",
        "cmaen finetune my-faces --output runs/mine --epochs 20",
        "cmaen finetune my-faces --output runs/mine --resume",
    ),
    "train": (
        "cmaen train --data my-faces --output runs/mine",
        "cmaen train --output runs/mine --resume",
        "cmaen train --config paper --data fer2013.zip --trunk-weights IMAGENET1K_V1",
    ),
    "calibrate": (
        "cmaen calibrate --checkpoint runs/mine/best --data my-faces",
        "cmaen calibrate --checkpoint runs/mine/best --data fer2013.zip --votes ferplus_votes.csv",
        "cmaen calibrate --checkpoint runs/mine/best --data my-faces --engine torch",
    ),
    "test": (
        "cmaen test --data my-faces --checkpoint runs/mine/best",
        "cmaen test --data fer2013.zip --output report --robustness",
        "cmaen test --photographs labels.csv --pictures photos.zip",
    ),
    "export": (
        "cmaen export --checkpoint runs/mine/best",
        "cmaen export --checkpoint runs/mine/best --format openvino --precision fp32",
        "cmaen export --checkpoint runs/mine/best --precision int8 --data fer2013.zip",
    ),
    "enhance": (
        "cmaen enhance --input-dir faces --output-dir large",
        "cmaen enhance --input-dir faces --output-dir coloured --steps colorization",
        "cmaen enhance --input-dir faces --output-dir large --device cuda --batch-size 64",
    ),
    "balance": (
        "cmaen balance --input-dir fer2013.zip --output-dir balanced",
        "cmaen balance --input-dir fer2013.zip --output-dir balanced --method augment",
        "cmaen balance --input-dir my-faces --output-dir balanced --all-labels --target 500",
    ),
    "leaks": (
        "cmaen leaks --data fer2013.zip",
        "cmaen leaks --data my-faces --second test",
        "cmaen leaks --data my-faces --output pairs.csv",
    ),
    "audit": (
        "cmaen audit faces.csv --group gender --group age --output audit",
        "cmaen audit my-faces --groups groups.csv --group gender --person subject",
        "cmaen audit answers.csv --group gender --group age --intersections --within source",
    ),
    "ablate": (
        "cmaen ablate --data fer2013.zip",
        "cmaen ablate --data fer2013.zip --seed 0 --seed 1 --seed 2",
        "cmaen ablate --config my.yaml --variants my-variants.yaml",
    ),
    "answers": (
        "cmaen answers --checkpoint runs/teacher/best --output teachers/mine.npz",
        "cmaen answers --checkpoint runs/teacher/best --output teachers/mine.npz --data fer2013.zip",
        "cmaen answers --checkpoint runs/teacher/best --output teachers/mine.npz --device cuda",
    ),
    "average": (
        "cmaen average --checkpoint runs/a/best --checkpoint runs/b/best --output runs/both",
        "cmaen average --checkpoint runs/a/best --checkpoint runs/b/best --weight 2 --weight 1 --output runs/both",
        "cmaen average --checkpoint runs/a/best --checkpoint runs/b/best --output runs/both --data fer2013.zip",
    ),
    "train-enhancer": (
        "cmaen train-enhancer --config colorization --data faces",
        "cmaen train-enhancer --config colorization --data faces --data more-faces",
        "cmaen train-enhancer --config colorization --resume",
    ),
    "benchmark": (
        "cmaen benchmark",
        "cmaen benchmark --engine onnx --engine openvino --batch-size 1 --batch-size 64",
        "cmaen benchmark --checkpoint runs/mine/best --threads 1 --output speed.json",
    ),
}
"""Three examples for each verb; one of them may be a preparation, such as fetching a package."""


CATALOGUES = {
    "train": (Kind.RUN, "Configurations that --config names"),
    "train-enhancer": (Kind.ENHANCER, "Configurations that --config names"),
    "ablate": (Kind.VARIANTS, "Lists that --variants names"),
}
"""The kind of configuration that a verb's help lists, and the title of the list."""


def name_of(verb: Callable[..., Any]) -> str:
    """Return the name of a verb on the command line."""
    return verb.__name__.replace("_", "-")


def write_help(verb: Callable[..., Any]) -> str:
    """Write the text above a verb's options: its docstring, its examples, and the configurations that it names."""
    name = name_of(verb)
    examples = "\n".join(f"  {example}" for example in EXAMPLES[name])
    return f"{inspect.getdoc(verb)}\n\nExamples:\n{examples}{_write_catalogue(name)}"


def _write_catalogue(verb: str) -> str:
    if verb not in CATALOGUES:
        return ""
    kind, title = CATALOGUES[verb]
    purposes = list_configurations(kind)
    width = max(map(len, purposes), default=0)
    lines = "\n".join(f"  {name:<{width}}  {purpose}" for name, purpose in purposes.items())
    return f"\n\n{title}:\n{lines}"
