"""The page's own rules of who is who, run by Node.js against the package's."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmaen.images.reader import read_image
from cmaen.inference import tracking
from cmaen.inference.likeness import Likeness
from cmaen.inference.scenes import Glance
from cmaen.inference.tracking import FaceTracker, Track
from cmaen.types import FaceBox
from cmaen.web.settings import TRACKING
from tests.conftest import EXAMPLES
from tests.web.node import run_page

PHOTO = read_image(EXAMPLES / "astronaut.png")
FACE, ELSEWHERE = (180, 58, 88, 120), (330, 300, 90, 100)

SCRIPT = """
import { alike, glanceAt, isCut, isDue, likenessOf, Tracker, update } from './track.js';
const { pictures: seen, compared, films, answers, rules } = given;
const cut = (picture, [left, top, width, height]) => {
  const data = new Uint8Array(3 * width * height);
  for (let y = 0; y < height; y += 1) {
    const from = 3 * ((top + y) * picture.width + left);
    data.set(picture.data.subarray(from, from + 3 * width), 3 * y * width);
  }
  return { width, height, channels: 3, data };
};
const glances = seen.map((picture) => glanceAt(picture, rules.scenes));
const looks = compared ? seen.map((picture) => likenessOf(picture, rules.likeness)) : [];
const table = (call) => looks.map((_, one) => looks.map((_, other) => call(one, other)));
const identities = films.map((film) => {
  const tracker = new Tracker(rules);
  return film.map(([picture, boxes, time]) =>
    tracker
      .follow(
        boxes.map((box) => ({ box })),
        glances[picture],
        time,
        ({ box }) => likenessOf(cut(seen[picture], box), rules.likeness),
      )
      .map(({ identity }) => identity),
  );
});
const smoothed = answers.map((sequence) => {
  const track = { shares: null, updated: -Infinity };
  return sequence.map(([time, shares, smoothing]) => {
    const due = isDue(track, time, rules);
    update(track, shares, time, { ...rules, smoothing });
    return [due, track.shares];
  });
});
const answer = {
  cuts: table((one, other) => isCut(glances[one], glances[other], rules.scenes)),
  alike: table((one, other) => alike(looks[one], looks[other], rules.likeness)),
  identities,
  smoothed,
};
"""


def run(**given: Any) -> dict[str, Any]:
    """What the page makes of it."""
    found: dict[str, Any] = run_page(
        SCRIPT, **{"pictures": [], "compared": False, "films": [], "answers": [], "rules": TRACKING} | given
    )
    return found


def pictures() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    noise = np.clip(PHOTO + rng.normal(0, 8, PHOTO.shape), 0, 255).astype(np.uint8)
    return [
        PHOTO,
        noise,
        (PHOTO * 0.6).astype(np.uint8),
        np.roll(PHOTO, (7, 11), axis=(0, 1)),
        255 - PHOTO,
        np.ascontiguousarray(PHOTO[::-1]),
        rng.integers(0, 256, PHOTO.shape, dtype=np.uint8),
        cv2.GaussianBlur(PHOTO, (0, 0), 9),
        np.full_like(PHOTO, 90),
        PHOTO[58:178, 180:268],
        PHOTO[100:131, 200:224],
        cv2.resize(PHOTO, (700, 700)),  # of the same size when it is small
        PHOTO[60:90, 190:250],  # one side grows to the size at which faces are compared, the other shrinks
        PHOTO[60:100, 190:230],
        PHOTO[100:101, 200:201],
        PHOTO[100:101, 180:268],
        PHOTO[58:178, 200:201],
    ]


def test_scenes_and_faces_are_compared_as_in_the_package() -> None:
    seen = pictures()
    found = run(pictures=seen, compared=True)
    glances, looks = [Glance.at(picture) for picture in seen], [Likeness.of(picture) for picture in seen]
    gaps = []
    for one in range(len(seen)):
        for other in range(len(seen)):
            gaps.append(abs(found["alike"][one][other] - looks[one].to(looks[other])))
            assert found["cuts"][one][other] == glances[one].is_cut_from(glances[other]), (one, other)

    assert max(gaps) < 1e-4


def track_in_the_package(
    film: list[tuple[int, list[tuple[int, ...]], float]], seen: list[np.ndarray]
) -> list[list[int]]:
    tracker, told = FaceTracker(every=0), []
    for picture, boxes, time in film:
        image = seen[picture]

        def compare(faces: Any, image: np.ndarray = image) -> list[Likeness]:
            sides = [(round(face.x), round(face.y), round(face.width), round(face.height)) for face in faces]
            return [Likeness.of(image[y : y + height, x : x + width]) for x, y, width, height in sides]

        tracker.follow(image, time)
        told.append([track.number for track in tracker.find([FaceBox(*box) for box in boxes], time, compare)])
    return told


def test_identities_are_those_of_the_package() -> None:
    seen = pictures()
    for share in np.linspace(0, 1, 26):
        seen.append((PHOTO * (1 - share) + (255 - PHOTO[::-1]) * share).astype(np.uint8))
    dissolve = range(len(seen) - 26, len(seen))
    films: list[list[tuple[int, list[tuple[int, ...]], float]]] = [
        [(number % 2, [FACE], number / 25) for number in range(40)],  # one person, with noise
        [(number % 2, [FACE], float(number)) for number in range(8)],  # one person, one frame a second
        [(0, [FACE, ELSEWHERE][: 1 + number % 2], number / 10) for number in range(10)],  # one who comes and goes
        [((0, 5, 4, 6)[number % 4], [FACE], number / 25) for number in range(8)],  # cuts
        [((0, 5, 4, 6)[number % 4], [FACE], number * 5.0) for number in range(8)],  # cuts, and nobody is remembered
        [(0, [FACE], 0.0), (0, [], 0.1), (0, [FACE], 0.2), (0, [], 0.3), (0, [FACE], 9.0)],
        [(0, [FACE, ELSEWHERE], 0.0), (0, [ELSEWHERE, FACE], 0.1), (0, [FACE], 0.05), (0, [FACE], 0.0)],
        [(0, [FACE], number / 25) for number in range(25)]
        + [(picture, [FACE], 1 + number / 25) for number, picture in enumerate(dissolve)]
        + [(dissolve[-1], [FACE], 2.04 + number / 25) for number in range(75)],
    ]
    expected = [track_in_the_package(film, seen) for film in films]
    assert expected[0] == [[1]] * 40
    found = run(pictures=seen, films=films)["identities"]
    assert found[:-1] == expected[:-1]
    for dissolved in (found[-1], expected[-1]):  # where the package also asks the optical flow
        assert dissolved[:25] == [[1]] * 25
        assert all(numbers != [1] for numbers in dissolved[-75:])


def test_films_at_random_have_the_identities_of_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Faces that cross, come back and lie over each other alike; cuts, and clocks that go back.

    Between frames that are far apart in time the package compares every face, as the page always does.
    """
    monkeypatch.setattr(tracking, "_move", lambda faces, before, after: list(faces))
    rng = np.random.default_rng(3)
    seen = [*pictures()[:7], np.ascontiguousarray(PHOTO[::-1, ::-1])]
    places = [FACE, ELSEWHERE, (200, 70, 88, 120), (160, 46, 88, 120), (190, 60, 30, 30), (60, 58, 88, 120)]
    films = []
    for _ in range(25):
        film, time, picture = [], 0.0, 0
        for _ in range(12):
            if rng.random() < 0.25:
                picture = int(rng.integers(len(seen)))
            chosen = rng.permutation(len(places))[: rng.integers(0, 5)]
            film.append((picture, [places[place] for place in chosen], round(time, 3)))
            time += float(rng.choice([0.45, 1.0, -0.3, 5.0], p=[0.6, 0.25, 0.1, 0.05]))
        films.append(film)
    expected = [track_in_the_package(film, seen) for film in films]
    assert len({number for film in expected for numbers in film for number in numbers}) > 5
    assert run(pictures=seen, films=films)["identities"] == expected


shares = st.lists(st.floats(0, 1), min_size=2, max_size=2)
moments = st.tuples(st.floats(-3, 3).map(lambda time: round(time, 3)), shares, st.sampled_from((0.4, 0.0, 1e-9)))


@settings(max_examples=3, deadline=None)
@given(st.lists(st.lists(moments, min_size=1, max_size=8), min_size=20, max_size=40))
def test_answers_are_smoothed_as_in_the_package(answers: list[list[tuple[float, list[float], float]]]) -> None:
    answers.append([(0.0, [1.0, 0.0], 0.4), (0.02, [0.0, 1.0], 0.4), (0.06, [0.0, 1.0], 0.4), (0.03, [1.0, 0.0], 0.4)])
    found = run(answers=answers)["smoothed"]
    for sequence, told in zip(answers, found, strict=True):
        track = Track(1, FaceBox(*FACE), 0.0)
        for (time, probabilities, smoothing), (due, smoothed) in zip(sequence, told, strict=True):
            assert due == track.is_due(time, TRACKING["classify_every"])
            track.update(np.array(probabilities), time, smoothing)
            assert smoothed == pytest.approx(track.probabilities)
