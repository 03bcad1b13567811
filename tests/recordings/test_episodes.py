"""Tests of episodes: what lasts, what is bridged, and what is too short."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmaen.recordings.episodes import find_episodes
from cmaen.recordings.recording import NO_ANSWER, Appearance, Recording

LABELS = ("happy", "neutral", "sad")
LETTERS = {"h": 0, "n": 1, "s": 2, "?": NO_ANSWER}


def record(text, *, step=0.1):
    """One person: a letter for each frame, a space where nobody is seen."""
    frames = np.array([place for place, letter in enumerate(text) if letter != " "], np.int64)
    answers = np.array([LETTERS[text[frame]] for frame in frames], np.int64)
    probabilities = np.full((len(frames), 3), 0.1)
    for row, answer in enumerate(answers):
        probabilities[row, answer] = 0.8
    appearance = Appearance(frames, probabilities, answers, np.full(len(frames), 0.8), np.zeros((len(frames), 4)))
    return Recording("film", LABELS, np.arange(len(text)) * step, {"Ada": appearance})


def spell(text, **settings):
    return [(e.emotion, round(e.start, 6), round(e.end, 6)) for e in find_episodes(record(text), **settings)]


def test_an_episode_lasts_until_the_frame_after_its_last():
    assert spell("hhhhhhnnnnnnnn") == [("happy", 0, 0.6), ("neutral", 0.6, 1.4)]


def test_a_short_interruption_is_bridged_and_is_no_episode_itself():
    assert spell("hhhhhhnnhhhhhh") == [("happy", 0, 1.4)]
    assert spell("hhhhhhnshhhhhh") == [("happy", 0, 1.4)]
    assert spell("hhhhhh  hhhhhh") == [("happy", 0, 1.4)]
    assert spell("hhhhhh??hhhhhh") == [("happy", 0, 1.4)]


def test_a_long_interruption_divides():
    assert spell("hhhhhhnnnnhhhhhh") == [("happy", 0, 0.6), ("happy", 1, 1.6)]
    assert spell("hhhhhh    hhhhhh") == [("happy", 0, 0.6), ("happy", 1, 1.6)]


def test_what_is_short_or_uncertain_is_no_episode():
    assert spell("hhhnnnnnn???????") == [("neutral", 0.3, 0.9)]
    assert spell("hnh", shortest=0, bridge=0) == [("happy", 0, 0.1), ("neutral", 0.1, 0.2), ("happy", 0.2, 0.3)]


def test_peak_height_and_confidence_are_of_its_own_answers():
    recording = record("hhhnhhhh")
    appearance = recording.people["Ada"]
    appearance.probabilities[5, 0] = 0.95
    appearance.confidence[3] = 0.1
    (episode,) = find_episodes(recording)
    assert (episode.person, episode.peak, episode.height) == ("Ada", pytest.approx(0.5), 0.95)
    assert episode.confidence == pytest.approx(0.8)


def test_a_recording_of_nobody_or_of_one_frame_has_none():
    assert spell("") == spell("   ") == spell("h") == []


@given(st.text("hns? ", max_size=60), st.floats(0, 1), st.floats(0, 1))
def test_episodes_of_a_person_never_overlap_and_are_never_too_short(text, shortest, bridge):
    episodes = find_episodes(record(text), shortest=shortest, bridge=bridge)
    assert all(episode.seconds >= shortest and episode.start <= episode.peak <= episode.end for episode in episodes)
    assert all(first.end <= second.start + 1e-9 for first, second in pairwise(episodes))


@pytest.mark.parametrize("setting", ["shortest", "bridge"])
@pytest.mark.parametrize("value", [-1, float("nan"), float("inf")])
def test_impossible_settings_are_refused(setting, value):
    with pytest.raises(ValueError, match=setting):
        find_episodes(record("h"), **{setting: value})
