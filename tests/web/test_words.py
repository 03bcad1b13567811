"""What the page says of a face, of a picture without an answer, and how it shortens."""

from __future__ import annotations

from typing import Any

import pytest

from tests.web.node import run_page


def say(expression: str, **given: Any) -> Any:
    names = "agreement, describe, failure, percent, reasons, summary"
    return run_page(f"import {{ {names} }} from './words.js'; const answer = {expression};", **given)


def test_percentages() -> None:
    shares = [0, 1e-9, 0.0049, 0.005, 0.0149, 0.983, 0.996, 1]
    told = say("given.shares.map(percent)", shares=shares)
    assert told == ["0%", "<1%", "<1%", "1%", "1%", "98%", "100%", "100%"]


@pytest.mark.parametrize(
    ("doubts", "words"),
    [
        (None, ""),
        ([], ""),
        (["blurred"], "blurred"),
        (["small", "blurred"], "small and blurred"),
        (["dark", "turned", "covered"], "dark, turned away and partly covered"),
        (["of a later version"], "of a later version"),
    ],
)
def test_why_it_is_unsure(doubts: list[str] | None, words: str) -> None:
    face = {"confidence": 0.3, "predicted_emotion": "sad", "probabilities": {"sad": 0.4, "happy": 0.35, "angry": 0.25}}
    if doubts is not None:
        face["doubts"] = doubts
    why, said = say("[reasons(given.face), describe(given.face, 0.5, { sad: 'sa' })]", face=face)
    assert why == words
    assert said["tags"] == ["unsure: maybe sad or happy", "sad or happy?", "sa?"]
    assert said["sentence"].startswith(f"unsure ({words})," if words else "unsure, maybe")


@pytest.mark.parametrize(
    ("error", "name", "title", "advice", "another"),
    [
        (
            "UnreadableImageError: the image data is no image",
            "a/b.jpg",
            "b.jpg is not a picture",
            "wrong extension",
            True,
        ),
        ("this browser cannot read it as a picture", "b.png", "b.png is not a picture", "JPEG, PNG", True),
        ("UnreadableImageError: no image", "IMG_1.HEIC", "IMG_1.HEIC is a HEIC", "Most Compatible", True),
        ("the server cannot be reached", "c.png", "c.png could not be", "The server cannot be reached.", False),
        ("SlowImageError: it takes too long", "c.png", "c.png could not be", "It takes too long.", False),
        (
            "ImageTooLargeError: x has 9 x 9 pixels, over the limit of 50,000,000; …",
            "c.png",
            "c.png is too",
            "50 mega",
            True,
        ),
        (None, "c.png", "c.png could not be", "No answer.", False),
    ],
)
def test_one_message_says_what_is_wrong_and_what_to_do(
    error: str | None, name: str, title: str, advice: str, another: bool
) -> None:
    told = say("failure(given.error, given.name)", error=error, name=name)
    assert told["title"].startswith(title)
    assert advice in told["advice"]
    assert told["another"] is another


def test_how_often_it_is_right_is_said_of_what_was_measured() -> None:
    cases = ((None, True, False), (0.8556, True, False), (0.94, False, False), (0.73, False, True))
    nothing, people, own, labelled = say(
        "given.cases.map(([share, perceived, benchmark]) => agreement(share ?? undefined, { perceived, benchmark }))",
        cases=cases,
    )
    assert nothing == ""
    assert "ten people" in people
    assert "86 of 100" in people
    assert "94 of 100" in own
    assert "FER2013" not in own
    assert "FER2013" in labelled
