"""How well people are told apart: pairs of photographs of LFW, and recordings made of its portraits.

python examples/measure_identities.py faces_color.zip [one_person.mp4]

Pairs: LFW as it is here has one photograph of each person, so that the two faces of one person are the photograph and a
view of it made by code (turned, smaller, mirrored, darker or brighter, blurred, compressed), which is easier than two
photographs of different days; those of two people are real. Intervals are bootstrapped over people, not pairs. The
video, if given, shows one person; its faces at least a second apart are pairs of one person with different expressions.

Recordings: portraits that move, cross, leave, come back and are cut to, with the tracks that say who was shown where.
An identity switch is a frame in which a person's face bears another name than in the person's last frame.
"""

import sys
import zipfile
from collections import Counter
from contextlib import closing
from dataclasses import replace
from functools import partial

import cv2
import numpy as np

from cmaen import EmotionPredictor
from cmaen.images.reader import read_image
from cmaen.inference.detectors import build_detector
from cmaen.inference.people.circle import EXCLUDE_FROM, Circle
from cmaen.inference.people.embedding import FaceEmbedder
from cmaen.inference.people.films import FilmPeople
from cmaen.inference.people.linking import THRESHOLD
from cmaen.inference.sources import Excerpt, open_source
from cmaen.types import Frame

PEOPLE, RESAMPLES, LEVELS = 600, 200, 400
SIZES = (64, 40, 28, 24, 20)
"""Widths of the face in the made view, in pixels; 250-pixel photographs of LFW have faces about 90 wide."""
WIDTH, HEIGHT, RATE, SECONDS, PORTRAIT = 640, 360, 15, 12, 150
RECORDINGS, CAST = 3, 3
"""Recordings of each kind, and people in each."""


def read_photographs(archive, most, seed=0):
    """Some photographs, RGB uint8 [250, 250, 3]."""
    with zipfile.ZipFile(archive) as content:
        names = sorted(name for name in content.namelist() if name.startswith("lfw/") and name.endswith(".jpg"))
        for index in np.random.default_rng(seed).permutation(len(names))[:most]:
            yield read_image(content.read(names[index]))


def make_view(image, rng, across):
    """Another view of a photograph, in which the face is ``across`` pixels wide."""
    side = image.shape[0]
    turn = cv2.getRotationMatrix2D((side / 2, side / 2), rng.uniform(-12, 12), across / 90)
    view = cv2.warpAffine(image, turn, (side, side), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
    if rng.random() < 0.5:
        view = np.ascontiguousarray(view[:, ::-1])
    light = 255 * (view / 255.0) ** rng.uniform(0.6, 1.6) * rng.uniform(0.85, 1.15, 3)
    view = np.clip(light + rng.normal(0, rng.uniform(0, 6), view.shape), 0, 255).astype(np.uint8)
    view = cv2.GaussianBlur(view, (0, 0), rng.uniform(0.3, 1.0))
    _, packed = cv2.imencode(".jpg", view, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(40, 85))])
    return cv2.imdecode(packed, cv2.IMREAD_COLOR)


def look_at(image, detector, embedder):
    """The features of the face nearest to the middle; ``None`` if there is none."""
    faces = detector.glance(image)
    middle = np.array(image.shape[1::-1]) / 2
    faces.sort(key=lambda face: np.hypot(*(centre_of(face) - middle)))
    if not faces:
        return None
    aligned = replace(faces[0], width=max(faces[0].width, 30), height=max(faces[0].height, 30))  # compared at any size
    (look,) = embedder.look(image, [aligned])
    return None if look is None else look.features


def centre_of(face):
    """The middle of a face's box."""
    return np.array([face.x + face.width / 2, face.y + face.height / 2])


def rate(similarities, counts):
    """False matches and non-matches at each of LEVELS thresholds from -1 to 1; people count as often as drawn."""
    bins = np.clip((similarities + 1) / 2 * LEVELS, 0, LEVELS - 1).astype(np.int64)
    weights = np.outer(counts, counts).astype(np.float64)
    np.fill_diagonal(weights, 0)  # a person drawn twice is not two people
    others = np.bincount(bins.ravel(), weights.ravel(), LEVELS)
    same = np.bincount(np.diag(bins), counts.astype(np.float64), LEVELS)
    matches = 1 - (np.cumsum(others) - others) / others.sum()  # at or above the level
    misses = (np.cumsum(same) - same) / same.sum()
    return matches, misses


def measure_pairs(first, second, label):
    """Print the rates of some pairs, features [P, F] each."""
    similarities = first @ second.T  # [P, P]
    rng = np.random.default_rng(0)
    people = len(first)
    chosen, excluding = (round((threshold + 1) / 2 * LEVELS) for threshold in (THRESHOLD, EXCLUDE_FROM))
    figures = []
    for resample in range(RESAMPLES + 1):
        counts = np.bincount(rng.integers(0, people, people), minlength=people) if resample else np.ones(people, int)
        matches, misses = rate(similarities, counts)
        equal = int(np.argmin(np.abs(matches - misses)))
        at = (matches[chosen], misses[chosen], matches[excluding], misses[excluding])
        figures.append(((matches[equal] + misses[equal]) / 2, 2 * equal / LEVELS - 1, *at))
    low, high = np.percentile(figures[1:], [2.5, 97.5], axis=0)
    figure = [f"{100 * value:.2f} ({100 * low[place]:.2f} to {100 * high[place]:.2f})"
              for place, value in enumerate(figures[0])]  # fmt: skip
    print(f"| {label} | {people} | {figure[0]} at {figures[0][1]:.2f} | {' | '.join(figure[2:])} |", flush=True)


def measure_photographs(archive, detector, embedder):
    """Print the rates of photographs against views of several sizes."""
    rng = np.random.default_rng(1)
    photographs, views = [], {size: [] for size in SIZES}
    for image in read_photographs(archive, PEOPLE):
        photographs.append(look_at(image, detector, embedder))
        for size in SIZES:
            views[size].append(look_at(make_view(image, rng, size), detector, embedder))
    print("Per cent, with 95% intervals over people.\n")
    print(f"| width of the face | people | equal error rate | false matches at {THRESHOLD} | false non-matches | "
          f"false matches at {EXCLUDE_FROM} (to exclude) | false non-matches |")  # fmt: skip
    print("|---|--:|--:|--:|--:|--:|--:|")
    for size in SIZES:
        pairs = zip(photographs, views[size], strict=True)
        there = [(one, two) for one, two in pairs if one is not None and two is not None]
        measure_pairs(*map(np.array, zip(*there, strict=True)), label=f"{size} pixels")


def measure_video(path, detector, embedder):
    """Print how similar the faces of one person are who shows several emotions, at least a second apart."""
    found = []
    with closing(open_source("video", path, excerpt=Excerpt(12))) as source:
        for frame in (pending() for pending in source):
            features = None if frame.image is None else look_at(frame.image, detector, embedder)
            if features is not None:
                found.append((frame.time, features))
    likes = np.array([float(one @ other) for t, one in found for u, other in found if u - t >= 1])
    print(f"\n{len(found)} faces of one person in a video, {len(likes)} pairs at least a second apart: similarity "
          f"{likes.mean():.2f} in the mean, {likes.min():.2f} at least; {np.mean(likes < THRESHOLD):.1%} below "
          f"{THRESHOLD}")  # fmt: skip


def move(cast, second):
    """Everybody stays and moves a little."""
    return [(person, 130 + 190 * person + 40 * np.sin(second + person), 180 + 25 * np.sin(1.7 * second + 2 * person))
            for person in range(cast)]  # fmt: skip


def cross(cast, second):
    """The outer two change places again and again, one before the other, who is hidden for a moment."""
    swing = 210 * np.cos(2 * np.pi * second / 6)
    outer = [(0, 320 - swing, 190), (cast - 1, 320 + swing, 175)]
    return [(1, 320, 80), *outer] if cast > 2 else outer


def leave(cast, second):
    """Everybody goes out of the picture for some seconds in turn, and comes back on the other side."""
    places = []
    for person in range(cast):
        phase = (second + 4 * person) % SECONDS
        if phase < 7:
            places.append((person, 80 + 80 * phase, 100 + 80 * person))
    return places


def cut(cast, second):
    """A cut each one and a half seconds, to one or two people at other places."""
    shot = int(second / 1.5)
    rng = np.random.default_rng(shot)
    shown = rng.permutation(cast)[: 1 + shot % 2]
    return [(int(person), 200 + 240 * place + rng.uniform(-40, 40), 180) for place, person in enumerate(shown)]


KINDS = {"move": move, "cross": cross, "leave and come back": leave, "cuts": cut}


def film(portraits, kind, rng):
    """Yield frames, RGB uint8 [H, W, 3], with the places of the people in them."""
    cast = len(portraits)
    across, down = np.meshgrid(np.linspace(0, 1, WIDTH), np.linspace(0, 1, HEIGHT))
    looks, before = [None] * cast, {}
    y, x = np.mgrid[-1 : 1 : PORTRAIT * 1j, -1 : 1 : PORTRAIT * 1j]
    mask = np.clip(6 * (1 - np.hypot(x / 0.75, y)), 0, 1)[:, :, None]
    for number in range(SECONDS * RATE):
        second = number / RATE
        shot = int(second / 1.5) if kind is cut else 0
        shade = 60 + 50 * np.sin(shot) + 60 * across + 30 * np.sin(5 * down + shot)
        frame = np.repeat(shade[:, :, None], 3, 2) * (1, 0.9 + 0.1 * np.cos(shot), 0.8)
        places = kind(cast, second)
        for person, left, top in places:
            if before.get(person, -9) < number - 1 or looks[person] is None or before.get("shot") != shot:
                looks[person] = vary(portraits[person], rng)  # somebody who comes back looks a little different
            before[person] = number
            paste(frame, looks[person], mask, round(left - PORTRAIT / 2), round(top - PORTRAIT / 2))
        before["shot"] = shot
        noisy = np.clip(frame + rng.normal(0, 3, frame.shape), 0, 255).astype(np.uint8)
        yield noisy, {person: np.array([left, top]) for person, left, top in places}


def vary(portraits, rng):
    """One of a person's portraits in another light, perhaps mirrored, turned; float64 [PORTRAIT, PORTRAIT, 3]."""
    portrait = portraits[rng.integers(len(portraits))]
    middle = portrait.shape[0] / 2
    turn = cv2.getRotationMatrix2D((middle, middle), rng.uniform(-10, 10), 1.3)
    view = cv2.warpAffine(portrait, turn, portrait.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)
    view = cv2.resize(view[:, ::-1] if rng.random() < 0.5 else view, (PORTRAIT, PORTRAIT), interpolation=cv2.INTER_AREA)
    return np.clip(255 * (view / 255.0) ** rng.uniform(0.7, 1.4) * rng.uniform(0.9, 1.1, 3), 0, 255)


def paste(frame, look, mask, left, top):
    """Lay a portrait onto a frame, as far as it is inside."""
    x0, y0 = max(0, left), max(0, top)
    x1, y1 = min(WIDTH, left + PORTRAIT), min(HEIGHT, top + PORTRAIT)
    if x0 < x1 and y0 < y1:
        own = slice(y0 - top, y1 - top), slice(x0 - left, x1 - left)
        here = frame[y0:y1, x0:x1]
        frame[y0:y1, x0:x1] = here + mask[own] * (look[own] - here)


class Film:
    """A source of made frames."""

    moving, live = True, False

    def __init__(self, images):
        self.images = images

    def __iter__(self):
        """Yield the frames."""
        for number, image in enumerate(self.images):
            yield partial(Frame, number, "film", image, number / RATE)

    def count(self):
        """Return their number."""
        return len(self.images)

    def close(self):
        """Do nothing."""


def follow(pipeline, images, people):
    """The faces of each frame with the number of their track, or with their person's final name."""
    results = list(replace(pipeline, people=people).results(Film(images)))
    if people is None:
        return [[(face.box, face.identity) for face in result.faces] for result in results]
    names = people.settle()
    return [[(face.box, names.name(face.identity)) for face in result.faces] for result in results]


def count_switches(found, truth):
    """Identity switches; faces that bear a name which mostly is another's; all faces."""
    last, switches, pairs = {}, 0, Counter()
    for faces, places in zip(found, truth, strict=True):
        free = dict(places)
        for box, name in faces:
            near = min(free, key=lambda person: np.hypot(*(free[person] - centre_of(box))), default=None)
            if near is None or np.hypot(*(free[near] - centre_of(box))) > 0.4 * PORTRAIT:
                continue
            del free[near]
            switches += near in last and last[near] != name
            last[near] = name
            pairs[name, near] += 1
    owners = {}
    for name, person in (pair for pair, _ in pairs.most_common()):
        owners.setdefault(name, person)
    wrong = sum(count for (name, person), count in pairs.items() if owners[name] != person)
    return switches, wrong, sum(pairs.values())


def cut_portraits(path, detector):
    """Portraits of the person of a video with several expressions, RGB uint8 [250, 250, 3]."""
    found = []
    with closing(open_source("video", path, excerpt=Excerpt(24))) as source:
        for frame in (pending() for pending in source):
            for face in [] if frame.image is None else detector.glance(frame.image)[:1]:
                reach = round(1.25 * face.height)
                padded = np.pad(frame.image, ((reach, reach), (reach, reach), (0, 0)), mode="edge")
                left, top = (round(place) for place in centre_of(face))  # of the crop: the padding moves the middle
                found.append(cv2.resize(padded[top : top + 2 * reach, left : left + 2 * reach], (250, 250)))
    return found


def measure_recordings(archive, acted):
    """Print the identity switches a minute of each kind of recording.

    Args:
        archive: LFW's photographs.
        acted: Portraits of one person with several expressions, who is one of the cast in more recordings.
    """
    pipeline, embedder = EmotionPredictor().pipeline, FaceEmbedder()
    photographs = [[image] for image in read_photographs(archive, RECORDINGS * CAST * (len(KINDS) + 2), seed=2)]
    minutes = RECORDINGS * SECONDS / 60
    print(f"\n{RECORDINGS} recordings of {SECONDS} s and {CAST} people for each kind; identity switches a minute, and "
          "in brackets the per cent of faces under somebody else's name\n")  # fmt: skip
    print("| recording | by tracks | by people |\n|---|--:|--:|")
    rows = [(label, kind, []) for label, kind in KINDS.items()]
    if acted:
        rows += [
            (f"{label}, one person of a video", KINDS[label], [acted]) for label in ("leave and come back", "cuts")
        ]
    for place, (label, kind, own) in enumerate(rows):
        sums = np.zeros((2, 3))
        for number in range(RECORDINGS):
            first = (place * RECORDINGS + number) * CAST
            cast = [*own, *photographs[first : first + CAST]][:CAST]
            frames = list(film(cast, kind, np.random.default_rng(number)))
            images, truth = [image for image, _ in frames], [places for _, places in frames]
            for row, people in enumerate((None, FilmPeople(Circle(embedder)))):
                sums[row] += count_switches(follow(pipeline, images, people), truth)
        cells = [f"{switches / minutes:.1f} ({100 * wrong / max(faces, 1):.1f}%)" for switches, wrong, faces in sums]
        print(f"| {label} | {' | '.join(cells)} |", flush=True)


def main():
    """Measure."""
    archive, *videos = sys.argv[1:]
    detector, embedder = build_detector("yunet"), FaceEmbedder()
    measure_recordings(archive, [portrait for path in videos for portrait in cut_portraits(path, detector)])
    for path in videos:
        measure_video(path, detector, embedder)
    measure_photographs(archive, detector, embedder)


if __name__ == "__main__":
    main()
