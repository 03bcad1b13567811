from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")

from cmaen.card import Card
from cmaen.evaluation.assessment import assess
from cmaen.evaluation.report import Features, Mapped, report_html, training_log
from cmaen.preprocessing import PreprocessSpec
from tests.evaluation.test_assessment import face_set, logits_for


class Links(HTMLParser):
    """Everything that a page would fetch, and the open elements."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value or "" for name, value in attributes if name in ("src", "href", "xlink:href")]


def page(**more: object) -> str:
    faces = face_set()
    logits = logits_for(faces)
    assessment = assess(faces, logits, temperature=1.0, rng=np.random.default_rng(0))
    card = Card("<name>", {}, PreprocessSpec(), training={"seed": 0})
    return report_html(card, faces, logits, assessment, **more)  # type: ignore[arg-type]


def test_the_page_stands_alone_and_escapes_what_it_is_given() -> None:
    text = page()
    parser = Links()
    parser.feed(text)
    assert all(link.startswith(("data:image/png;base64,", "#")) for link in parser.links)
    assert "script" not in parser.tags
    assert "&lt;name&gt;" in text
    assert text.count("<svg") == 4
    assert len(re.findall("labelled", text)) > 5
    assert "When the picture is bad" not in text


def test_every_part_that_is_given_is_shown() -> None:
    rng = np.random.default_rng(0)
    face = rng.integers(0, 256, (48, 48), dtype=np.uint8)
    text = page(
        robustness={name: [0.7] * 6 for name in "abcdefgh"},
        features=Features(rng.normal(size=(40, 5)).astype(np.float32), np.arange(40) % 7),
        variation={"cross modal": 0.234, "emotion head": 0.5},
        maps=[Mapped("sad, labelled sad", {"face": face, "gradient": np.stack([face] * 3, axis=-1)})],
        curves=[{"epoch": 0.0, "train_loss": 2.0, "val_loss": 1.0, "train_accuracy": 0.3, "val_accuracy": 0.4}],
    )
    for heading in ("When the picture is bad", "Training", "How faces lie in the network", "Where it looks"):
        assert heading in text
    assert "cross modal 23 %, emotion head 50 %." in text
    assert text.count("<svg") == 7


def test_the_log_of_a_resumed_run_is_one(tmp_path: Path) -> None:
    for version, rows in (("version_0", "0,,1.5\n0,0.4,\n1,0.5,\n"), ("version_1", "1,0.6,\n2,0.7,\n")):
        log = tmp_path / "logs" / version / "metrics.csv"
        log.parent.mkdir(parents=True)
        log.write_text("epoch,val_accuracy,train_loss\n" + rows)
    assert training_log(tmp_path / "best") == [
        {"epoch": 0, "train_loss": 1.5, "val_accuracy": 0.4},
        {"epoch": 1, "val_accuracy": 0.6},
        {"epoch": 2, "val_accuracy": 0.7},
    ]
    assert training_log(tmp_path / "elsewhere" / "best") == []


def test_the_tenth_log_is_read_after_the_second_and_broken_rows_are_left_out(tmp_path: Path) -> None:
    for version, rows in ((10, "3,0.9\n"), (2, "3,0.1\n4,0.2,7\n,0.5\nhalf a r")):
        log = tmp_path / "logs" / f"version_{version}" / "metrics.csv"
        log.parent.mkdir(parents=True)
        log.write_text("epoch,val_accuracy\n" + rows)
    assert training_log(tmp_path / "best") == [{"epoch": 3, "val_accuracy": 0.9}]
