"""The page's own rules of who is who, run by Node.js against the package's."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import cmaen.serving
from cmaen.images import read_image
from cmaen.inference.likeness import Likeness
from cmaen.inference.scenes import Glance
from cmaen.inference.tracking import FaceTracker, Track
from cmaen.serving.static_site import TRACKING
from cmaen.types import FaceBox
from tests.conftest import EXAMPLES

NODE = shutil.which("node")
PAGE = Path(cmaen.serving.__file__).parent / "page"
PHOTO = read_image(EXAMPLES / "astronaut.png")
FACE, ELSEWHERE = (180, 58, 88, 120), (330, 300, 90, 100)

SCRIPT = """
import { readFileSync } from 'node:fs';
import { alike, glanceAt, isCut, isDue, likenessOf, Tracker, update } from './track.js';
const { pictures, films, answers, rules } = JSON.parse(readFileSync(0, 'utf8'));
const read = ({ width, height, data }) => ({ width, height, channels: 3, data: Buffer.from(data, 'base64') });
const seen = pictures.map(read);
const cut = (picture, [left, top, width, height]) => {
  const data = new Uint8Array(3 * width * height);
  for (let y = 0; y < height; y += 1) {
    const from = 3 * ((top + y) * picture.width + left);
    data.set(picture.data.subarray(from, from + 3 * width), 3 * y * width);
  }
  return { width, height, channels: 3, data };
};
const glances = seen.map(glanceAt);
const looks = seen.map((picture) => likenessOf(picture));
const table = (call) => seen.map((_, one) => seen.map((_, other) => call(one, other)));
const identities = films.map((film) => {
  const tracker = new Tracker(rules);
  return film.map(([picture, boxes, time]) =>
    tracker
      .follow(boxes.map((box) => ({ box })), glances[picture], time, ({ box }) => likenessOf(cut(seen[picture], box)))
      .map(({ identity }) => identity),
  );
});
const track = { shares: null, updated: -Infinity };
const smoothed = answers.map(([time, shares]) => {
  const due = isDue(track, time, rules.classify_every);
  update(track, shares, time, rules.smoothing);
  return [due, track.shares];
});
console.log(JSON.stringify({
  cuts: table((one, other) => isCut(glances[one], glances[other], rules)),
  alike: table((one, other) => alike(looks[one], looks[other])),
  identities,
  smoothed,
}));
"""


def run(folder: Path, **given: Any) -> dict[str, Any]:
    """What the page makes of it."""
    if NODE is None:
        pytest.skip("Node.js is not installed")
    for name in ("track.js", "pixels.js"):
        shutil.copy(PAGE / name, folder)
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "script.js").write_text(SCRIPT)
    given = {"pictures": [], "films": [], "answers": [], "rules": TRACKING} | given
    done = subprocess.run([NODE, "script.js"], cwd=folder, input=json.dumps(given), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def sent(image: np.ndarray) -> dict[str, Any]:
    return {
        "width": image.shape[1],
        "height": image.shape[0],
        "data": base64.b64encode(np.ascontiguousarray(image).tobytes()).decode(),
    }


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
    ]


def test_scenes_and_faces_are_compared_as_in_the_package(tmp_path: Path) -> None:
    seen = pictures()
    found = run(tmp_path, pictures=[sent(picture) for picture in seen])
    glances, looks = [Glance.at(picture) for picture in seen], [Likeness.of(picture) for picture in seen]
    grey_size = [glance.grey.shape for glance in glances]
    for one in range(len(seen)):
        for other in range(len(seen)):
            assert found["alike"][one][other] == pytest.approx(looks[one].to(looks[other]), abs=0.02)
            if seen[one].shape == seen[other].shape or grey_size[one] != grey_size[other]:
                assert found["cuts"][one][other] == glances[one].is_cut_from(glances[other]), (one, other)


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


def test_identities_are_those_of_the_package(tmp_path: Path) -> None:
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
    found = run(tmp_path, pictures=[sent(picture) for picture in seen], films=films)["identities"]
    assert found[:-1] == expected[:-1]
    for dissolved in (found[-1], expected[-1]):  # where the package also asks the optical flow
        assert dissolved[:25] == [[1]] * 25
        assert all(numbers != [1] for numbers in dissolved[-75:])


def test_answers_are_smoothed_as_in_the_package(tmp_path: Path) -> None:
    happy, sad = [1.0, 0.0], [0.0, 1.0]
    answers = [(0.0, happy), (0.02, sad), (0.06, sad), (0.5, happy), (0.4, sad), (5.0, sad)]
    track, expected = Track(1, FaceBox(*FACE), 0.0), []
    for time, shares in answers:
        due = track.is_due(time, TRACKING["classify_every"])
        track.update(np.array(shares), time, TRACKING["smoothing"])
        expected.append((due, track.probabilities))
    found = run(tmp_path, answers=answers)["smoothed"]
    assert [due for due, _ in found] == [due for due, _ in expected]
    for (_, one), (_, other) in zip(found, expected, strict=True):
        assert one == pytest.approx(other)
