"""Make the example pictures of the page from examples/astronaut.png: half covered, masked, and six faces at once.

python examples/make_page_examples.py src/cmaen/web/page
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np

ASTRONAUT = Path(__file__).parent / "astronaut.png"
QUALITY = [cv2.IMWRITE_JPEG_QUALITY, 88]


def main() -> None:
    """Write them into a folder."""
    folder = Path(sys.argv[1])
    portrait = cv2.imread(str(ASTRONAUT))[:260, 95:355]
    pictures = {
        "example-covered": cover(portrait),
        "example-masked": mask(portrait),
        "example-six": show_six(portrait),
    }
    for name, picture in pictures.items():
        cv2.imwrite(str(folder / f"{name}.jpg"), picture, QUALITY)


def cover(portrait: np.ndarray) -> np.ndarray:
    """Behind a sheet of paper up to the mouth, where the network is unsure, BGR uint8 [260, 260, 3]."""
    covered = portrait.copy()
    paper = np.array([(40, 140), (220, 140), (220, 260), (40, 260)])
    cv2.fillPoly(covered, [paper << 4], (240, 240, 234), cv2.LINE_AA, 4)
    return covered


def mask(portrait: np.ndarray) -> np.ndarray:
    """With a mask over nose and mouth, by which the network is misled, BGR uint8 [260, 260, 3]."""
    masked = portrait.copy()
    left = [(84, 124), (103, 116), (130, 119), (157, 116), (174, 124)]
    right = [(170, 160), (152, 184), (128, 190), (104, 184), (88, 160)]
    cv2.fillPoly(masked, [np.array(left + right) << 4], (214, 196, 158), cv2.LINE_AA, 4)
    for y in (134, 147, 160):
        cv2.line(masked, (98, y), (160, y), (196, 176, 138), 1, cv2.LINE_AA)
    return masked


def show_six(portrait: np.ndarray) -> np.ndarray:
    """As it is, blurred, tilted, dark, noisy and covered, BGR uint8 [520, 780, 3]."""
    noise = np.random.default_rng(1).normal(0, 45, portrait.shape)
    turn = cv2.getRotationMatrix2D((130, 130), 25, 1)
    faces = [
        portrait,
        cv2.GaussianBlur(portrait, (0, 0), 5),
        cv2.warpAffine(portrait, turn, (260, 260), borderMode=cv2.BORDER_REPLICATE),
        (portrait * 0.4).astype(np.uint8),
        np.clip(portrait + noise, 0, 255).astype(np.uint8),
        cover(portrait),
    ]
    return np.vstack([np.hstack(faces[:3]), np.hstack(faces[3:])])


if __name__ == "__main__":
    main()
