"""Measure the effect of searching again: faces found in turned portraits, and in pictures without a face.

python examples/measure_second_look.py faces_color.zip

The zip holds portraits of LFW in a folder ``lfw``, and scenes in a folder ``scenes``; composites.py reads it. Pictures
without a face are scenes, corners of portraits, portraits with the face painted out, textures made by code, and mosaics
of scenes, which are so large that they are searched in tiles.
"""

import sys
from statistics import median

import cv2
import numpy as np
from composites import read

from cmaen.inference.detectors import build_detector
from cmaen.inference.detectors.base import shrunk

CORNER, PAINTED, MOSAIC = 70, 0.75, 20


def corners(portraits):
    """The corners of portraits, enlarged."""
    for portrait in portraits:
        for part in (portrait[:CORNER, :CORNER], portrait[:CORNER, -CORNER:]):
            yield cv2.resize(part, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)


def painted_out(portraits, detector):
    """Portraits with nothing but blur where their faces were."""
    for portrait in portraits:
        blurred, pixels = cv2.GaussianBlur(portrait, (0, 0), 40), portrait.copy()
        for face in detector(portrait):
            x, y, radius = face.x + face.width / 2, face.y + face.height / 2, PAINTED * face.height
            place = np.s_[max(0, int(y - radius)) : int(y + radius), max(0, int(x - radius)) : int(x + radius)]
            pixels[place] = blurred[place]
        yield pixels


def textures(count, rng):
    """Noise of many grains, grey and coloured."""
    for number in range(count):
        side = 320 >> number % 7
        grains = rng.random((side, side, 3 if number % 2 else 1), np.float32).repeat(1 if number % 2 else 3, axis=2)
        yield np.uint8(cv2.resize(grains, (320, 320), interpolation=cv2.INTER_CUBIC).clip(0, 1) * 255)


def mosaics(scenes):
    """Very large pictures of scenes beside each other."""
    size = MOSAIC * MOSAIC
    for start in range(0, len(scenes) - size + 1, size):
        rows = [np.hstack(scenes[at : at + MOSAIC]) for at in range(start, start + size, MOSAIC)]
        yield np.vstack(rows)


def upright(face, quarters):
    """Whether the mouth of a face of a picture that was turned against the clock is where it belongs."""
    marks = np.array(face.landmarks)
    down = marks[3:].mean(axis=0) - marks[:2].mean(axis=0)
    return down @ [(0, 1), (1, 0), (0, -1), (-1, 0)][quarters] > 0.7 * np.linalg.norm(down)


def main(path):
    """Print both."""
    once, twice = build_detector(), build_detector()
    once.sure = None
    pictures = read(path)
    every = max(1, len(pictures["lfw"]) // 300)
    portraits, scenes = pictures["lfw"][::every][:300], pictures["scenes"]
    enlarged = (cv2.resize(scene, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC) for scene in scenes[:300])
    print("pictures without a face: how many, and with a face that is found at once, and after looking again")
    for name, empty in {
        "corners": corners(portraits),
        "painted out": painted_out(portraits, twice),
        "scenes": enlarged,
        "textures": textures(300, np.random.default_rng(0)),
        "mosaics": mosaics(scenes),
    }.items():
        found = [(bool(once(shrunk(pixels, once.max_side))), bool(twice(pixels))) for pixels in empty]  # without tiles
        print(f"{name:12} {len(found):5} {sum(one for one, _ in found):5} {sum(two for _, two in found):5}")
    print("portraits that were turned: with a face that is found at once, after looking again, and cut out upright")
    for quarters in range(4):
        turned = [np.ascontiguousarray(np.rot90(portrait, quarters)) for portrait in portraits]
        first = sum(bool(once(pixels)) for pixels in turned)
        found = [faces[0] for faces in map(twice, turned) if faces]
        print(f"{90 * quarters:5}° {first:5} {len(found):5} {sum(upright(face, quarters) for face in found):5}")
    scores = [max((face.score for face in once(portrait)), default=0) for portrait in portraits]
    print(f"upright: median score {median(scores):.3f}; looked at again {np.mean(np.array(scores) < twice.sure):.1%}")


if __name__ == "__main__":
    main(sys.argv[1])
