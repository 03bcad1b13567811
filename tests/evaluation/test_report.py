from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")

from cmaen.checkpoints import Card, Documents, Epoch, Provenance
from cmaen.data.splits import FaceSet, Split
from cmaen.errors import OutputError
from cmaen.evaluation.assessment import COPIES, Assessment, assess
from cmaen.evaluation.gallery import Mapped
from cmaen.evaluation.inside import Features, Inside
from cmaen.evaluation.origin import Origin
from cmaen.evaluation.perceived import assess_perceived
from cmaen.evaluation.report import NAMES, TITLES, Report, draw_report
from cmaen.evaluation.theme import theme
from cmaen.inference.benchmark import Cost, Latency
from cmaen.preprocessing import PreprocessSpec
from tests.evaluation.test_assessment import face_set, logits_for

SHEETS = {"samples", "mistakes", "maps"}
"""Pictures of faces, which are tiles in the page."""


class Links(HTMLParser):
    """Collects everything that a page would load, and the open elements."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value or "" for name, value in attributes if name in ("src", "href", "xlink:href")]


class Measured(NamedTuple):
    faces: FaceSet
    logits: NDArray[np.float32]
    assessment: Assessment


@cache
def measured() -> Measured:
    faces = face_set()
    logits = logits_for(faces)
    return Measured(faces, logits, assess(faces, logits, temperature=1.0, rng=np.random.default_rng(0)))


def drawn(**more: object) -> Report:
    faces, logits, assessment = measured()
    card = Card("<name>", {}, PreprocessSpec(), licence="<for research>")
    documents = Documents(card, Provenance(seed=0, pretraining="0.6 × <a> & b"))
    return draw_report(documents, faces, logits, assessment, **more)  # type: ignore[arg-type]


def everything() -> dict[str, object]:
    rng = np.random.default_rng(0)
    face = rng.integers(0, 256, (48, 48), dtype=np.uint8)
    return {
        "link": lambda name: f"../faces/{name}" if name.startswith("1") else None,
        "perceived": assess_perceived(face_set(), np.full((140, 8), 1 / 8)),
        "robustness": {name: [0.7] * 6 for name in "abcdefgh"},
        "inside": Inside(
            Features(rng.normal(size=(60, 5)).astype(np.float32), np.arange(60) % 7),
            [Mapped("sad", "sad", {"face": face, "gradient": np.stack([face] * 3, axis=-1)})],
            {"cross modal": 0.234, "emotion head": 0.08},
        ),
        "history": [Epoch("a", 1, 2.0, 0.3, 1.0, 0.4), Epoch("a", 2, 1.9, 0.4, 0.9, 0.5)],
        "cost": Cost(
            "onnx", "int8", "<a processor>", 1, (Latency(1, 1.5, 1.75), Latency(64, 78.0, 80.5)), 4.0, 3_802_106, 0.394
        ),
    }


def test_the_page_stands_alone_and_escapes_what_it_is_given(quick_report: None) -> None:
    report = drawn(history=[Epoch("nothing kept", 1)])
    parser = Links()
    parser.feed(report.page)
    assert all(link.startswith(("data:image/png;base64,", "#")) for link in parser.links)
    assert "script" not in parser.tags
    assert "&lt;name&gt;" in report.page
    assert "Licence of the weights: &lt;for research&gt;." in report.page
    assert '"pretraining": "0.6 × \\u003ca\\u003e \\u0026 b",\n  "seed": 0' in report.page
    assert list(report.pictures) == ["confusion", "roc", "precision-recall", "reliability", "samples", "mistakes"]
    assert report.page.count("<svg") == 4
    assert len(re.findall("labelled", report.pictures["mistakes"].svg)) > 5
    assert "Robustness" not in report.page
    assert "What it costs" not in report.page


def test_every_part_that_is_given_is_shown(full: Report) -> None:
    for heading in ("Robustness", "Training", "Samples", "How the network groups faces", "Where it looks"):
        assert heading in full.page
    assert "cross modal 23%." in full.page
    assert "Left out, because they are nearly the same for every face:\nemotion head (8% between faces)." in full.page
    assert "1.75 ms" in full.page
    assert "&lt;a processor&gt; with 1\nthread;" in full.page
    assert "The file has 4.0 MiB; the network has 3.80 million parameters; one face takes 0.394 GFLOP." in full.page
    assert tuple(full.pictures) == NAMES
    assert full.page.count("<svg") == len(NAMES) - len(SHEETS)


def test_every_picture_of_the_page_is_a_file_in_two_forms(full: Report, tmp_path: Path) -> None:
    full.write(tmp_path / "report")
    pictures = tmp_path / "report" / "pictures"
    assert {file.name for file in pictures.iterdir()} == {f"{name}.{kind}" for name in NAMES for kind in ("svg", "png")}
    for name in NAMES:
        element = (pictures / f"{name}.svg").read_text().partition("?>\n")[2]
        if name not in SHEETS:
            assert theme(element, TITLES[name]) in full.page  # one drawing, and not a second
        pixels = cv2.imread(str(pictures / f"{name}.png"))
        assert min(pixels.shape[:2]) > 150
        assert pixels.std() > 5


def test_pictures_of_an_earlier_report_go_away_and_other_files_stay(full: Report, tmp_path: Path) -> None:
    full.write(tmp_path)
    (tmp_path / "pictures" / "mine.png").write_bytes(b"")
    Report("", {name: full.pictures[name] for name in NAMES if name != "robustness"}).write(tmp_path)
    left = {file.name for file in (tmp_path / "pictures").iterdir()}
    assert left & {"robustness.svg", "robustness.png", "mine.png", "roc.svg"} == {"mine.png", "roc.svg"}


def test_a_picture_that_cannot_be_written_leaves_no_part_of_it(full: Report, tmp_path: Path) -> None:
    (tmp_path / "pictures").write_text("a file in the way")
    with pytest.raises(OutputError, match="pictures"):
        full.write(tmp_path)
    assert not list(tmp_path.glob(".*"))


def own(count: int) -> FaceSet:
    """Faces of own labels, whose files are called like FER2013's."""
    names = tuple(f"pain/Training_{number}.png" for number in range(count))
    images = np.random.default_rng(0).integers(0, 256, (count, 24, 24), dtype=np.uint8)
    return FaceSet(Split.VALIDATION, images, np.arange(count) % 2, names, classes=("calm", "pain"))


def report_on_few() -> Report:
    """Of sixteen faces that are all answered right."""
    faces = own(16)
    logits = (np.eye(2)[faces.labels] * 0.4).astype(np.float32)
    alike = dict.fromkeys(COPIES, faces)
    assessment = assess(faces, logits, temperature=1.0, rng=np.random.default_rng(0), subsets=alike)
    return draw_report(Documents(Card("mine", {}, PreprocessSpec())), faces, logits, assessment, origin=origin_of_few())


def test_sixteen_faces_that_are_all_right_are_not_a_hundred_to_a_hundred(few: Report) -> None:
    page = few.page
    assert "81 to 100%" in page
    assert "100 to 100" not in page
    assert "too few" in page
    assert "cross-fitted" not in page.lower()
    assert "ECE" not in page
    assert "PublicTest" not in page
    assert "a tenth of Training" not in page
    assert page.count("<small>accuracy") == 1  # nothing twice where there are no copies
    assert "No face has a copy in the training split" in page
    assert "<th>label</th>" in page
    assert "By label</h2>" in page


def test_the_contents_lead_to_every_part_and_raw_json_is_folded(full: Report) -> None:
    anchors = re.findall(r'<a href="#([^"]+)"', full.page)
    assert anchors == re.findall(r'<h2 id="([^"]+)"', full.page)
    assert len(anchors) > 10
    assert re.search(r"<details>\s*<summary>[^<]+</summary>\s*<pre>\{", full.page)


def origin_of_few() -> Origin:
    command = ["cmaen", "test", "--data", "<my faces>"]
    origin = Origin.of(own(16), data=Path("my-faces"), checkpoint="mine", engine="onnx", command=command)
    return replace(origin, date="2026-01-02 03:04")


def test_the_page_says_where_its_figures_come_from(few: Report) -> None:
    origin = origin_of_few()
    for text in ("&lt;my faces&gt;", "<code>my-faces</code>", origin.fingerprint, origin.version, origin.date):
        assert text in few.page


def test_mistakes_name_their_files_and_lead_to_them(full: Report) -> None:
    part = full.page[full.page.index('id="mistakes"') :].partition("<h2")[0]
    tiles = re.findall(r'<figure class="tile">.*?</figure>', part, re.DOTALL)
    assert len(tiles) == 24
    for tile in tiles:
        (name,) = set(re.findall(r">(\d+\.png)<", tile))
        assert (f'href="../faces/{name}"' in tile) == name.startswith("1")
        assert "✗" in tile
        assert 'alt=""></a>' not in tile  # a link without a name


def test_no_mark_is_a_colour_alone(full: Report) -> None:
    for kind, mark in (("right", "✓"), ("wrong", "✗")):
        marked = re.findall(f'<b class="{kind}">([^<]+)</b>', full.page)
        assert marked
        assert all(text.startswith(mark) for text in marked)


def test_labels_that_only_one_side_has_are_said(few: Report, quick_report: None) -> None:
    faces = replace(own(16), offered={"calm": 8, "pain": 8, "<sideways>": 3})
    logits = (np.eye(2)[faces.labels] * 0.4).astype(np.float32)
    assessment = assess(faces, logits, temperature=1.0, rng=np.random.default_rng(0))
    documents = Documents(Card("mine", {}, PreprocessSpec()))
    page = draw_report(documents, faces, logits, assessment).page
    assert "left out with their faces (in all splits): &lt;sideways&gt; (3)" in page
    assert "left out with their faces" not in few.page
