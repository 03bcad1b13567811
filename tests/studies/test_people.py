"""What a person showed, by hand, and integrals over any span of time."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmaen.recordings.recording import Appearance, Recording
from cmaen.studies.people import SHORTEST_BLOCK, list_episodes, list_shares, summarise_recording
from cmaen.studies.series import follow
from cmaen.types import EMOTIONS
from tests.studies.films import LETTERS, appear, film


def test_shares_seconds_and_absence_by_hand() -> None:
    summary = summarise_recording(
        film({"Ada": "h" * 60 + " " * 20 + "s" * 10 + "?" * 5 + "N" * 5, "Bob": " " * 99 + "h"})
    )
    ada, bob = summary.people
    shares = {share.emotion: share for share in ada.shares}
    assert [share.emotion for share in ada.shares] == [*EMOTIONS, "uncertain"]
    assert ada.seconds == pytest.approx(8)
    assert ada.absent == pytest.approx(2)
    assert ada.unsure == pytest.approx(1)
    assert shares["happy"].share == pytest.approx(0.75)
    assert shares["happy"].seconds == pytest.approx(6)
    assert shares["uncertain"].share == pytest.approx(0.0625)
    assert shares["uncertain"].mean is None
    assert sum(share.share for share in ada.shares) == pytest.approx(1)
    assert sum(share.mean or 0 for share in ada.shares) == pytest.approx(1)
    assert shares["sad"].mean == pytest.approx((10 * 0.8 + 60 / 30 + 5 * 0.4 / 6 + 5 * 0.1) / 80)
    assert ada.main == shares["happy"]
    assert (ada.first, ada.last) == (0, pytest.approx(9.9))
    assert bob.seconds == pytest.approx(0.1)
    assert summary.empty == pytest.approx(2)


def test_time_that_was_not_recorded_is_no_time_without_a_face() -> None:
    told = film("h" * 20)
    times = np.concatenate([told.times[:10], told.times[10:] + 60])
    summary = summarise_recording(Recording("film", EMOTIONS, times, told.people))
    assert summary.missing == pytest.approx(59.8)
    assert summary.empty == 0
    assert summary.people[0].seconds == pytest.approx(2.2)


def test_transitions_follow_within_two_seconds() -> None:
    text = "h" * 10 + "s" * 10 + "h" * 10 + " " * 15 + "n" * 10 + " " * 25 + "s" * 10 + "sshhhhhh"
    (person,) = summarise_recording(film(text)).people
    counts = {
        (EMOTIONS[first], EMOTIONS[second]): int(person.transitions[first, second])
        for first, second in zip(*np.nonzero(person.transitions), strict=True)
    }
    assert counts == {("happy", "sad"): 1, ("sad", "happy"): 2, ("happy", "neutral"): 1}


@pytest.mark.parametrize("text", ["", "h", " ", "hs", "?", "h" * 3])
def test_hardly_anything_is_summed_up(text: str) -> None:
    summary = summarise_recording(film(text or {}))
    assert json.dumps(summary.to_dict(), allow_nan=False)
    for person in summary.people:
        assert all(share.interval is None for share in person.shares)
        assert sum(share.share for share in person.shares) == pytest.approx(float(person.seconds > 0))


def test_every_episode_and_share_is_a_row() -> None:
    summaries = [summarise_recording(film({"Ada": "h" * 10 + "s" * 10, "Bob": "n" * 20}, name)) for name in ("a", "b")]
    assert [(row["recording"], row["person"], row["emotion"]) for row in list_episodes(summaries)] == [
        (name, *rest) for name in "ab" for rest in (("Ada", "happy"), ("Ada", "sad"), ("Bob", "neutral"))
    ]
    assert len(list(list_shares(summaries))) == 2 * 2 * 7


@settings(max_examples=60)
@given(
    st.text(sorted([*LETTERS, " ", "?"]), min_size=2, max_size=40),
    st.lists(st.floats(0, 4), min_size=2, max_size=6, unique=True),
)
def test_integrals_over_parts_add_up(text: str, edges: list[float]) -> None:
    recording = film(text)
    series = follow(recording, recording.people["Ada"])
    places = np.array(sorted([-1.0, *edges, 9.0]))
    parts = series.integrate(series.answered, places)
    assert parts.sum() == pytest.approx(recording.durations[recording.people["Ada"].frames].sum())
    assert (parts >= -1e-9).all()
    assert parts.sum(axis=1) == pytest.approx(series.integrate(series.seen, places)[:, 0])
    assert (parts.sum(axis=1) <= np.diff(places) + 1e-9).all()


def test_a_part_of_a_frame_counts_in_part() -> None:
    recording = Recording("film", EMOTIONS, np.array([0.0, 1.0, 2.0]), {"Ada": appear("hsh")})
    series = follow(recording, recording.people["Ada"])
    found = series.integrate(series.answered, np.array([0.25, 1.5]))[0]
    assert found[EMOTIONS.index("happy")] == pytest.approx(0.75)
    assert found[EMOTIONS.index("sad")] == pytest.approx(0.5)


def test_a_face_that_never_changes_is_worth_few_moments() -> None:
    """The answer is always the same, and only the probabilities tell how slowly the face changes."""
    times = np.arange(600) / 15
    slow = 0.6 + 0.1 * np.sin(times / 4)
    probabilities = np.stack([slow, 1 - slow], axis=1)
    face = Appearance(np.arange(600), probabilities, np.zeros(600, np.int64), slow, np.full((600, 4), np.nan))
    (person,) = summarise_recording(Recording("film", ("neutral", "sad"), times, {"Ada": face})).people
    assert person.block >= SHORTEST_BLOCK
    interval = person.shares[1].interval
    assert interval is None or interval.high > 0.1
