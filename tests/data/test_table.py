"""Tables of faces with the columns, boxes, delimiters and encodings that people write."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn")

from cmaen.data.faces import load_faces
from cmaen.data.fer2013 import KAGGLE_EMOTIONS
from cmaen.data.labelling import ALL, read_names
from cmaen.data.splits import Split
from cmaen.data.table import box_of, rows_of
from cmaen.errors import DataError
from cmaen.types import EMOTIONS
from tests.data.published import draw, encode, photograph, picture, read_label


def write(root: Path, content: bytes, name: str = "faces.csv") -> Path:
    for number, label in enumerate(("happy", "sad")):
        (root / f"ü{number}.png").write_bytes(picture(label, number, "PNG"))
    path = root / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_tables_of_spreadsheets_are_read(encoding: str, delimiter: str, tmp_path: Path) -> None:
    text = "Image Name,Facial_Expression,Data_Split\r\nü0.png,joy,test\r\nü1.png,sadness,test\r\n"
    path = write(tmp_path, text.replace(",", delimiter).encode(encoding))
    faces = load_faces(path, Split.TEST)
    assert faces.names == ("ü0.png", "ü1.png")
    assert [EMOTIONS[label] for label in faces.labels] == ["happy", "sad"]


def test_json_lines_are_a_table(tmp_path: Path) -> None:
    rows = [
        {"file_name": "ü0.png", "label": "happy", "split": "test", "boxes": [1]},
        {"file_name": "ü1.png", "label": 5},
    ]
    text = "\n".join([*map(json.dumps, rows), "", "not json", "[1]", '{"file_name": "gone.png"', "[" * 100_000][:6])
    path = write(tmp_path, text.encode(), "metadata.jsonl")
    faces = load_faces(path, Split.ALL, labels=("happy", "5"))
    assert sorted(faces.names) == ["ü0.png", "ü1.png"]
    assert faces.labels.tolist() == [0, 1]


@pytest.mark.parametrize(
    "header",
    ["x,y,width,height", "face_x,face_y,face_width,face_height", "left,top,w,h"],
)
def test_boxes_by_their_usual_columns(header: str, tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_bytes(photograph("happy", "sad"))
    path = tmp_path / "faces.csv"
    path.write_text(f"path,label,split,{header}\nphoto.png,happy,test,10,5,48,48\nphoto.png,sad,test,78,5,48,48\n")
    faces = load_faces(path, Split.TEST)
    assert [read_label(face) for face in faces.images] == ["happy", "sad"]


@pytest.mark.parametrize("header", ["xmin,ymin,xmax,ymax", "left,top,right,bottom", "x1,y1,x2,y2"])
def test_boxes_by_their_edges(header: str, tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_bytes(photograph("happy", "sad"))
    path = tmp_path / "faces.csv"
    path.write_text(f"path,label,split,{header}\nphoto.png,happy,test,10,5,58,53\nphoto.png,sad,test,78,5,126,53\n")
    assert [read_label(face) for face in load_faces(path, Split.TEST).images] == ["happy", "sad"]


@pytest.mark.parametrize("box", ["nan,5,48,48", "1e400,5,48,48", "a,5,48,48", "10,5,-4,48", "10,5,0,0", "inf,0,1,1"])
def test_a_box_that_is_none_costs_its_face_alone(box: str, tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_bytes(photograph("happy", "sad"))
    path = tmp_path / "faces.csv"
    path.write_text(f"path,label,split,x,y,width,height\nphoto.png,happy,test,{box}\nphoto.png,sad,test,78,5,48,48\n")
    faces = load_faces(path, Split.TEST)
    assert [read_label(face) for face in faces.images] == ["sad"]
    assert len(faces.unreadable) == 1


def test_a_box_needs_all_of_its_columns(tmp_path: Path) -> None:
    path = write(tmp_path, "path,label,x,y,width\nü0.png,happy,1,2,3\n".encode())
    assert [row.boxed for row in rows_of(path)] == [False]
    assert box_of({"x": "1", "y": "2", "right": "4", "bottom": "8"}) == (1, 2, 3, 6)


@pytest.mark.parametrize("column", ["person", "Subject", "participant_id", "group"])
def test_people_in_a_column_stay_on_one_side(column: str, tmp_path: Path) -> None:
    lines = [f"path,label,{column}"]
    for number in range(40):
        label = EMOTIONS[number % 2]
        (tmp_path / f"{number}.png").write_bytes(encode(draw(label, number)))
        lines.append(f"{number}.png,{label},p{number // 4}")
    path = tmp_path / "faces.csv"
    path.write_text("\n".join(lines))
    sides = [
        {int(name.removesuffix(".png")) // 4 for name in load_faces(path, split).names}
        for split in (Split.TRAIN, Split.VALIDATION)
    ]
    assert all(sides)
    assert not sides[0] & sides[1]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";"])
def test_kaggles_csv_after_a_spreadsheet(encoding: str, delimiter: str, tmp_path: Path) -> None:
    rows = ["emotion,pixels,Usage", *(f"{n},{' '.join([str(n)] * 2304)},Training" for n in range(7))]
    path = tmp_path / "fer2013.csv"
    path.write_bytes("\n".join(rows).replace(",", delimiter).encode(encoding))
    faces = load_faces(path, Split.ALL)
    assert [EMOTIONS[label] for label in faces.labels] == list(KAGGLE_EMOTIONS)


def test_numbers_get_the_names_that_are_meant(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path, "path,label,split\nü0.png,4.0,test\nü1.png,5,test\n".encode())
    names = {4: "happiness", "5": "sad", 6: "angry"}
    faces = load_faces(path, Split.TEST, names=names)
    assert [EMOTIONS[label] for label in faces.labels] == [read_label(face) for face in faces.images]
    assert load_faces(path, Split.TEST, labels=ALL, names={4: "calm"}).classes == ("calm", "5")
    assert not caplog.messages
    load_faces(path, Split.TEST, labels=ALL, names={8: "calm"})
    assert "no label is 8, so the names are not used; the data have 4, 5" in caplog.text


def test_names_that_contradict_each_other_are_refused() -> None:
    assert read_names({1: "joy", " 1 ": "joy", "A": "sad"}) == {"1": "joy", "a": "sad"}
    for names in ({1: "joy", "1": "sad"}, {"": "joy"}, {1: " "}):
        with pytest.raises(DataError):
            read_names(names)


def test_every_face_of_a_table_is_measured_whatever_its_split(tmp_path: Path) -> None:
    path = write(tmp_path, "path,label,split\nü0.png,happy,train\nü1.png,sad,holdout\n".encode())
    faces = load_faces(path, Split.ALL)
    assert len(faces) == 2
    assert faces.offered == {"happy": 1, "sad": 1}
    assert faces.select(np.array([True, False])).offered == faces.offered
    with pytest.raises(DataError, match="only train may be used"):
        faces.require(Split.TRAIN, "training")
    assert Split.parse("all") is Split.ALL
