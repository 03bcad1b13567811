from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmaen.drawing import lettering
from cmaen.drawing.lettering import (
    choose_font,
    choose_letters,
    load_font,
    measure,
    write_count,
    write_label,
    write_percent,
    write_time,
)
from cmaen.types import PERCEIVED_LABELS


@pytest.mark.parametrize(
    ("share", "written"),
    [(0.983, "98%"), (1.0, "100%"), (0.996, "100%"), (0.005, "1%"), (0.0049, "<1%"), (1e-9, "<1%"), (0.0, "0%")],
)
def test_a_share_is_written_in_one_way(share: float, written: str) -> None:
    assert write_percent(share) == written


def test_counts_have_a_noun() -> None:
    assert [write_count(number, "person", "people") for number in (0, 1, 2000)] == [
        "0 people", "1 person", "2,000 people",
    ]  # fmt: skip
    assert [write_count(number, "face") for number in (1, 3)] == ["1 face", "3 faces"]


def test_letters_are_the_shortest_beginnings_that_differ() -> None:
    letters = choose_letters(PERCEIVED_LABELS)
    assert letters == {
        "angry": "a", "disgust": "d", "fear": "f", "happy": "h", "neutral": "n", "sad": "sa", "surprise": "su",
        "contempt": "c",
    }  # fmt: skip
    assert choose_letters(["calm", "calmer", "bored"]) == {"calm": "cal", "calmer": "cal", "bored": "b"}
    assert choose_letters(["one"]) == {"one": "o"}
    assert choose_letters([]) == {}


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(max_size=80), max_size=12, unique=True))
def test_labels_of_any_text_become_short_lines_with_letters(labels: list[str]) -> None:
    letters = choose_letters(labels)
    for number, label in enumerate(labels):
        written = write_label(label, number)
        assert written
        assert "\n" not in written
        assert len(written) <= 24
        assert measure(written, 12) > 0
        assert choose_font(written, 12) is not None  # no boxes in place of characters
        assert letters[label]


def test_plain_text_has_the_same_font_on_every_machine() -> None:
    assert choose_font("happy 98%", 20) is load_font(20)


def test_a_label_that_no_font_has_is_called_by_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lettering, "_find_system_fonts", lambda: ())
    choose_font.cache_clear()
    write_label.cache_clear()
    try:
        assert write_label("Öde", 2) == "label 3"
        assert write_label("calm", 2) == "calm"
        assert write_label("  \n ", 0) == "label 1"
    finally:
        choose_font.cache_clear()
        write_label.cache_clear()


def test_a_long_label_is_cut() -> None:
    assert write_label("a calm and attentive listener", 0, 12) == "a calm and…"


@pytest.mark.parametrize(("seconds", "written"), [
    (0, "0:00"), (4.6, "0:05"), (59.6, "1:00"),
    (65, "1:05"), (3599.7, "1:00:00"), (3665, "1:01:05"), (12_000, "3:20:00"),
])  # fmt: skip
def test_times_are_minutes_and_seconds(seconds: float, written: str) -> None:
    assert write_time(seconds) == written


def test_exact_times_have_tenths_where_there_are_some() -> None:
    assert [write_time(value, exact=True) for value in (0.5, 1.0, 61.2, 59.97)] == ["0:00.5", "0:01", "1:01.2", "1:00"]
