"""Annotations for ELAN: what its format demands, whatever the people are called and however short an episode is."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmaen.errors import OutputError
from cmaen.recordings.elan import write_elan
from cmaen.recordings.episodes import Episode
from cmaen.recordings.recording import Recording
from tests.recordings.made import HOSTILE, LABELS, episode, record

ORDER = ("HEADER", "TIME_ORDER", "TIER", "LINGUISTIC_TYPE", "LANGUAGE", "CONSTRAINT", "CONTROLLED_VOCABULARY")
"""Elements of a document, in the order of the format's schema."""


def written(path: Path, recording: Recording, episodes: list[Episode]) -> Any:
    """Write a file, check what its schema and ELAN demand of every file, and return its root."""
    write_elan(path, recording, episodes)
    root = ElementTree.parse(path).getroot()
    assert list(dict.fromkeys(part.tag for part in root)) == [tag for tag in ORDER if root.find(tag) is not None]
    slots = {slot.get("TIME_SLOT_ID"): int(slot.get("TIME_VALUE", "")) for slot in root.iter("TIME_SLOT")}
    assert list(slots.values()) == sorted(slots.values())
    assert all(time >= 0 for time in slots.values())
    used = [one.get(key) for one in root.iter("ALIGNABLE_ANNOTATION") for key in ("TIME_SLOT_REF1", "TIME_SLOT_REF2")]
    assert sorted(used) == sorted(slots)
    identifiers = [one.get("ANNOTATION_ID") for one in root.iter() if one.get("ANNOTATION_ID")]
    assert sorted(identifiers) == sorted(f"a{number + 1}" for number in range(len(identifiers)))
    assert root.findtext("HEADER/PROPERTY[@NAME='lastUsedAnnotationId']") == str(len(identifiers))
    entries = {one.get("CVE_ID"): one.findtext("CVE_VALUE") for one in root.iter("CV_ENTRY_ML")}
    tiers = [tier.get("TIER_ID") for tier in root.iter("TIER")]
    assert len(set(tiers)) == len(tiers)
    types = {one.get("LINGUISTIC_TYPE_ID") for one in root.iter("LINGUISTIC_TYPE")}
    for tier in root.iter("TIER"):
        assert tier.get("LINGUISTIC_TYPE_REF") in types
        assert tier.get("PARENT_REF", tiers[0]) in tiers
        spans = [
            (slots[one.get("TIME_SLOT_REF1")], slots[one.get("TIME_SLOT_REF2")])
            for one in tier.iter("ALIGNABLE_ANNOTATION")
        ]
        assert all(start < end for start, end in spans)
        assert all(first[1] <= second[0] for first, second in pairwise(spans))
        for one in tier.iter("ALIGNABLE_ANNOTATION"):
            assert one.findtext("ANNOTATION_VALUE") == entries[one.get("CVE_REF")]
        for one in tier.iter("REF_ANNOTATION"):
            assert one.get("ANNOTATION_REF") in identifiers
    return root


def list_spans(root: Any) -> list[tuple[str, int, int, str]]:
    """Person, start, end and emotion of each annotation."""
    slots = {slot.get("TIME_SLOT_ID"): int(slot.get("TIME_VALUE", "")) for slot in root.iter("TIME_SLOT")}
    return [
        (
            tier.get("TIER_ID"),
            slots[one.get("TIME_SLOT_REF1")],
            slots[one.get("TIME_SLOT_REF2")],
            "".join(one.itertext()).strip(),
        )
        for tier in root.iter("TIER")
        for one in tier.iter("ALIGNABLE_ANNOTATION")
    ]


def test_each_person_has_a_tier_of_episodes_and_one_of_their_confidence(tmp_path: Path) -> None:
    recording = record({"Ada": range(50), "Bob": range(50), "passer-by": [3]})
    episodes = [episode("Ada", 0, 1.2), episode("Bob", 0.48, 2, "sad", 0.655), episode("Ada", 1.2, 1.9996, "neutral")]
    root = written(tmp_path / "film.eaf", recording, episodes)
    assert list_spans(root) == [("Ada", 0, 1200, "happy"), ("Ada", 1200, 2000, "neutral"), ("Bob", 480, 2000, "sad")]
    assert [tier.get("TIER_ID") for tier in root.iter("TIER")] == ["Ada", "Ada confidence", "Bob", "Bob confidence"]
    assert [one.findtext("ANNOTATION_VALUE") for one in root.iter("REF_ANNOTATION")] == ["0.80", "0.80", "0.66"]
    assert [one.findtext("CVE_VALUE") for one in root.iter("CV_ENTRY_ML")] == list(LABELS)


def test_nobody_is_a_file_too(tmp_path: Path) -> None:
    root = written(tmp_path / "film.eaf", record({}), [])
    assert root.find("TIER") is None
    assert len(list(root.iter("CV_ENTRY_ML"))) == len(LABELS)


def test_two_hours_and_times_between_milliseconds(tmp_path: Path) -> None:
    episodes = [episode("Ada", number * 7.2 + 1 / 3, number * 7.2 + 20 / 3, "sad") for number in range(1000)]
    spans = list_spans(written(tmp_path / "film.eaf", record({"Ada": [0]}), episodes))
    assert spans[0] == ("Ada", 333, 6667, "sad")
    assert spans[-1] == ("Ada", 7193133, 7199467, "sad")


def test_an_episode_without_length_lasts_a_millisecond_and_overlaps_no_other(tmp_path: Path) -> None:
    moments = [episode("Ada", 1, 1), episode("Ada", 1, 1, "sad"), episode("Ada", 1.0001, 1.5), episode("Ada", -0.5, 3)]
    spans = list_spans(written(tmp_path / "film.eaf", record({"Ada": [0]}), moments))
    assert [(start, end) for _, start, end, _ in spans] == [(1000, 1001), (1001, 1002), (1002, 1500), (1500, 3000)]


def test_no_name_breaks_the_file(tmp_path: Path) -> None:
    people = {name: [0] for name in HOSTILE}
    root = written(tmp_path / "film.eaf", record(people), [episode(name, 0, 1) for name in people])
    tiers = [tier.get("TIER_ID") for tier in root.iter("TIER") if tier.get("PARENT_REF") is None]
    assert len(tiers) == len(HOSTILE)
    assert tiers[0] == "<b>Ada</b> & Co"
    assert tiers[10] == "👩🏽‍🚀"


@given(
    st.lists(st.text(st.characters(exclude_categories=()), max_size=5), unique=True, min_size=1, max_size=4), st.data()
)
def test_names_and_times_of_any_kind_are_a_valid_file(names: list[str], data: st.DataObject) -> None:
    from tempfile import TemporaryDirectory

    times = st.floats(-1, 8000, allow_nan=False)
    spans = data.draw(st.lists(st.tuples(st.sampled_from(names), times, times), max_size=6))
    episodes = [episode(name, min(times), max(times)) for name, *times in spans]
    with TemporaryDirectory() as folder:
        root = written(
            Path(folder) / "x.eaf", record({name: [0] for name in names}), sorted(episodes, key=lambda one: one.start)
        )
    assert len(list_spans(root)) == len(episodes)


def describe(path: Path, name: str) -> dict[str, str] | None:
    media = written(path, record({}, name=name), []).find("HEADER/MEDIA_DESCRIPTOR")
    return None if media is None else media.attrib


def test_the_video_is_named_by_its_way_from_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("study/elan").mkdir(parents=True)
    beside = describe(Path("a.eaf"), "a film & more #1.MP4")
    assert beside is not None
    assert beside["RELATIVE_MEDIA_URL"] == "./a film & more #1.MP4"
    assert beside["MEDIA_URL"] == f"file:///{(tmp_path / 'a film & more #1.MP4').as_posix().lstrip('/')}"
    assert beside["MIME_TYPE"] == "video/mp4"
    above = describe(Path("study/elan/a.eaf"), str(tmp_path / "study" / "films" / "x.mov"))
    assert above is not None
    assert (above["RELATIVE_MEDIA_URL"], above["MIME_TYPE"]) == ("../films/x.mov", "video/quicktime")
    assert describe(Path("a.eaf"), "x.webm")["MIME_TYPE"] == "video/*"  # type: ignore[index]


@pytest.mark.parametrize("name", ["camera 0", "rtsp://user:secret@camera/film.mp4", "faces.csv", "film\x1b.mp4", ""])
def test_what_is_not_a_film_on_this_machine_is_not_named(name: str, tmp_path: Path) -> None:
    assert describe(tmp_path / "a.eaf", name) is None
    assert "secret" not in (tmp_path / "a.eaf").read_text("utf-8")


def test_a_file_that_cannot_be_written_is_left_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "film.eaf"
    path.write_text("mine")

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ElementTree.ElementTree, "write", fail)
    with pytest.raises(OutputError, match="free some space"):
        write_elan(path, record({}), [])
    assert path.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [path]


def test_pympi_reads_the_annotations(tmp_path: Path) -> None:
    pympi = pytest.importorskip("pympi", reason="it needs pympi: pip install pympi-ling")
    people = {name: [0] for name in ("Ada", "<b>Bob</b> & Co", "👩🏽‍🚀")}
    episodes = [episode(name, number, number + 0.5, "sad") for number, name in enumerate(people)]
    write_elan(tmp_path / "film.eaf", record(people), episodes)
    read = pympi.Eaf(tmp_path / "film.eaf")
    assert {name: read.get_annotation_data_for_tier(name) for name in people} == {
        name: [(number * 1000, number * 1000 + 500, "sad")] for number, name in enumerate(people)
    }
    assert read.get_ref_annotation_data_for_tier("Ada confidence") == [(0, 500, "0.80", "sad")]
    assert [values[0][0] for values, _ in read.get_cv_entries("emotion").values()] == list(LABELS)
    assert read.get_linked_files()[0]["RELATIVE_MEDIA_URL"].endswith("film.mp4")
