"""Published data sets of drawn faces: each layout as a dict of its files, and what it takes to read the label back."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from cmaen.data.ferplus import CATEGORIES
from cmaen.data.labelling import ALIASES
from cmaen.data.splits import FaceSet
from cmaen.types import CONTEMPT, EMOTIONS
from tests.conftest import drawn_face

Published = dict[str, bytes]
LABELS = (*EMOTIONS, CONTEMPT)
RAFDB = ("surprise", "fear", "disgust", "happy", "sad", "angry", "neutral")
AFFECTNET = ("neutral", "happy", "sad", "surprise", "fear", "disgust", "angry", CONTEMPT)
EXPW = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
CKPLUS = ("neutral", "angry", CONTEMPT, "disgust", "fear", "happy", "sad", "surprise")
CODES = {"AN": "angry", "DI": "disgust", "HA": "happy", "NE": "neutral", "SA": "sad", "SU": "surprise"}
_VOTED = {"angry": "anger", "happy": "happiness", "sad": "sadness"}


def draw(label: str, seed: int = 0) -> np.ndarray:
    """Draw a face whose bar tells its label, see :func:`read_label`."""
    return drawn_face(LABELS.index(label), np.random.default_rng(seed))


def read_label(face: np.ndarray) -> str:
    """Read the label of a drawn face from its pixels."""
    rows = face.reshape(48, 48, -1)[:, 8:40].mean(axis=(1, 2)).reshape(8, 6).mean(axis=1)
    assert rows.max() > 190
    return LABELS[int(rows.argmax())]


def check_labels(faces: FaceSet) -> None:
    """Check that each face has the label that its pixels tell."""
    assert len(faces)
    for image, label, name in zip(faces.images, faces.labels.tolist(), faces.names, strict=True):
        assert read_label(image) == ALIASES.get(faces.classes[label], faces.classes[label]), name


def encode(face: np.ndarray, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.fromarray(face).save(file, format=kind, **({"quality": 95} if kind == "JPEG" else {}))
    return file.getvalue()


@cache  # the same ones are in many tests
def picture(label: str, seed: int = 0, kind: str = "JPEG") -> bytes:
    return encode(draw(label, seed), kind)


@cache
def photograph(*labels: str, seed: int = 0) -> bytes:
    """Draw faces beside each other, each 10 pixels from the left edge of its 68, 5 from the top."""
    whole = np.full((70, 68 * len(labels)), 30, np.uint8)
    for place, label in enumerate(labels):
        whole[5:53, 68 * place + 10 : 68 * place + 58] = draw(label, seed + place)
    return encode(whole)


def rafdb() -> Published:
    files, lines = {}, []
    for split, count in (("train", 3), ("test", 2)):
        for number in range(7 * count):
            name = f"{split}_{number:05d}"
            lines.append(f"{name}.jpg {number % 7 + 1}")
            files[f"basic/Image/aligned/{name}_aligned.jpg"] = picture(RAFDB[number % 7], number)
            files[f"basic/Annotation/manual/{name}_manu_attri.txt"] = b"1.0\t2.0\n"
    return files | {"basic/EmoLabel/list_patition_label.txt": ("\n".join(lines) + "\n").encode()}


def rafdb_folders() -> Published:
    return {
        f"DATASET/{split}/{label + 1}/{split}_{number:05d}_aligned.jpg": picture(RAFDB[label], number)
        for split, count in (("train", 3), ("test", 2))
        for number in range(7 * count)
        for label in (number % 7,)
    }


def array(value: object) -> bytes:
    file = io.BytesIO()
    np.save(file, np.array(value))
    return file.getvalue()


def affectnet() -> Published:
    files = {}
    for split, count in (("train_set", 3), ("val_set", 2)):
        for number in range(11 * count):
            label = number % 11
            files[f"{split}/images/{number}.jpg"] = picture(AFFECTNET[label % 8], number)
            files[f"{split}/annotations/{number}_exp.npy"] = array(str(label) if number % 2 else label)
            files[f"{split}/annotations/{number}_val.npy"] = array("0.1")
    return files


def affectnet_lists(header: bool = True) -> Published:
    columns = "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal"
    marks = ";".join(["12.5"] * 136)
    files = {}
    for name, count in (("training", 3), ("validation", 2)):
        lines = [columns] if header else []
        for number in range(11 * count):
            label = number % 11
            box = "10,5,48,48" if label < 10 else "NULL,NULL,NULL,NULL"
            lines.append(f"{name[0]}{number % 3}/{number}.JPG,{box},{marks},{label},0.5,-0.1")
            face = photograph(AFFECTNET[label % 8])
            files[f"Manually_Annotated/Manually_Annotated_Images/{name[0]}{number % 3}/{number}.JPG"] = face
        files[f"Manually_Annotated_file_lists/{name}.csv"] = "\n".join(lines).encode()
    return files


def expw() -> Published:
    files, lines = {}, []
    for number in range(14):
        name = f"{EXPW[number % 7]}_actor {number}.jpg"
        pair = (EXPW[number % 7], EXPW[(number + 3) % 7])
        files[f"image/origin/{name}"] = photograph(*pair)
        for face, label in enumerate(pair):
            left = 68 * face + 10
            lines.append(f"{name} {face} 5 {left} {left + 48} 53 37.5 {EXPW.index(label)}")
    return files | {"label/label.lst": "\n".join(lines).encode()}


def ckplus(people: int = 8) -> Published:
    files = {}
    for number in range(2 * people):
        person, label = f"S{number // 2 + 5:03d}", number % 7 + 1
        folder = f"{person}/{number % 2 + 1:03d}"
        for frame in range(1, 7):
            shown = CKPLUS[label] if frame > 3 else "neutral"
            name = f"{folder.replace('/', '_')}_{frame:08d}"
            files[f"cohn-kanade-images/{folder}/{name}.png"] = picture(shown, 10 * number + frame, "PNG")
        if number % 5 < 4:  # some sequences have no label
            files[f"Emotion/{folder}/{name}_emotion.txt"] = f"   {label:.7e}\n".encode()
    return files


def ckplus_folders() -> Published:
    names = {"angry": "anger", "sad": "sadness"}
    return {
        f"CK+48/{names.get(label, label)}/S{number // 7 + 5:03d}_{number % 7:03d}_{frame:08d}.png": picture(
            label, number + 50 * frame, "PNG"
        )
        for number in range(42)
        for label in (CKPLUS[number % 7 + 1],)
        for frame in (14, 15)
    }


def jaffe() -> Published:
    return {
        f"jaffe/{person}.{code}{time}.{10 * row + time}.tiff": picture(label, 10 * row + time, "TIFF")
        for row, (person, code, label) in enumerate(
            (person, code, label) for person in ("KA", "KL", "KM", "KR") for code, label in CODES.items()
        )
        for time in (1, 2)
    } | {"jaffe/README_FIRST.txt": b"For research."}


def kdef() -> Published:
    return {
        f"KDEF/{session}{person}/{session}{person}{code}{angle}.JPG": picture(label, row)
        for row, (session, person) in enumerate((s, p) for s in "AB" for p in ("F01", "F02", "M01", "M02"))
        for code, label in CODES.items()
        for angle in ("S", "HL")
    }


def ferplus() -> Published:
    files: Published = {}
    for split, count in (("FER2013Train", 3), ("FER2013Valid", 1), ("FER2013Test", 2)):
        lines = []
        for number in range(8 * count):
            label, name = LABELS[number % 8], f"fer{len(files):07d}.png"
            votes = [0] * 10
            votes[CATEGORIES.index(_VOTED.get(label, label))] = 8
            votes[CATEGORIES.index("unknown")] = 2
            lines.append(f'{name},"(0, 0, 48, 48)",{",".join(map(str, votes))}')
            files[f"{split}/{name}"] = picture(label, number, "PNG")
        for row, category in enumerate(("unknown", "NF")):
            files[f"{split}/none{row}.png"] = picture("neutral", row, "PNG")
            ballot = [10 * (name == category) for name in CATEGORIES]
            lines.append(f'none{row}.png,"(0, 0, 48, 48)",{",".join(map(str, ballot))}')
        files[f"{split}/label.csv"] = "\r\n".join(lines).encode()
    return files


def hugging_face(kind: str = "csv") -> Published:
    files: Published = {}
    for split, count in (("train", 3), ("validation", 1), ("test", 2)):
        rows = []
        for number in range(7 * count):
            name, label = f"faces/{number:04d}.jpg", number % 7
            files[f"data/{split}/{name}"] = picture(EMOTIONS[label], number)
            rows.append({"file_name": name, "label": label, "age": 20 + number})
        lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
        lines = lines if kind == "csv" else [json.dumps({**row, "objects": {"bbox": []}}) for row in rows]
        files[f"data/{split}/metadata.{kind}"] = "\n".join(lines).encode()
    names = "".join(f"          '{number}': {emotion}\n" for number, emotion in enumerate(EMOTIONS))
    card = f"---\ndataset_info:\n  features:\n  - name: label\n    dtype:\n      class_label:\n        names:\n{names}"
    return files | {"README.md": card.encode()}


PUBLISHED: dict[str, tuple[Callable[[], Published], str]] = {
    "rafdb": (rafdb, "RAF-DB"),
    "rafdb folders": (rafdb_folders, "RAF-DB"),
    "affectnet": (affectnet, "AffectNet"),
    "affectnet lists": (affectnet_lists, "AffectNet"),
    "affectnet lists without header": (lambda: affectnet_lists(header=False), "AffectNet"),
    "expw": (expw, "ExpW"),
    "ckplus": (ckplus, "CK+"),
    "ckplus folders": (ckplus_folders, "CK+"),
    "jaffe": (jaffe, "JAFFE"),
    "kdef": (kdef, "KDEF"),
    "ferplus": (ferplus, "FER+"),
    "hugging face": (hugging_face, "Hugging Face"),
    "hugging face, json lines": (lambda: hugging_face("jsonl"), "Hugging Face"),
}
"""A function that draws each layout, and the name under which it is logged."""


def write_folder(root: Path, files: Published) -> Path:
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


def write_zip(path: Path, files: Published) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def write_zips(root: Path, files: Published) -> Path:
    """Write a folder of zips, one for each folder at the top, and the other files beside them."""
    for top in {name.partition("/")[0] for name in files if "/" in name}:
        parts = {name.partition("/")[2]: data for name, data in files.items() if name.startswith(f"{top}/")}
        write_zip(root / f"{top}.zip", parts)
    return write_folder(root, {name: data for name, data in files.items() if "/" not in name})
