"""Draw a data set for trying things out: faces of three valences, in colour and of mixed sizes, in class folders.

python examples/drawn_faces.py my-faces --count 1000
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

CURVES = {"negative": -1.0, "neutral": 0.0, "positive": 1.0}
"""How far the corners of the mouth go up."""
SIDE = 256


def drawn_face(curve: float, rng: np.random.Generator) -> np.ndarray:
    """A face, RGB uint8 [S, S, 3], of 56 to 200 pixels: whose it is, how it is held and lit is up to chance."""

    def point(x: float, y: float) -> tuple[int, int]:
        """In the face, from -1 to 1."""
        return int(SIDE / 2 + 90 * x), int(SIDE / 2 + 105 * y)

    image = np.full((SIDE, SIDE, 3), rng.integers(30, 230, 3), np.uint8)
    skin = rng.uniform(0.35, 1) * np.array([255, 205, 170]) + rng.uniform(-12, 12, 3)
    dark = (skin * 0.35).tolist()
    cv2.ellipse(image, point(0, -0.35), (100, 110), 0, 0, 360, rng.integers(10, 160, 3).tolist(), -1, cv2.LINE_AA)
    cv2.ellipse(image, point(0, 0), (84, 104), 0, 0, 360, skin.tolist(), -1, cv2.LINE_AA)
    lift = 0.05 * curve + rng.uniform(-0.08, 0.08)  # of the brows' inner ends
    for side in (-1, 1):
        cv2.ellipse(
            image, point(0.4 * side, -0.2), (16, int(rng.integers(7, 13))), 0, 0, 360, (245,) * 3, -1, cv2.LINE_AA
        )
        cv2.circle(image, point(0.4 * side, -0.2), 6, dark, -1, cv2.LINE_AA)
        ends = point(0.18 * side, -0.42 - lift), point(0.6 * side, -0.45 + 0.5 * lift)
        cv2.line(image, *ends, dark, 6, cv2.LINE_AA)
    cv2.line(image, point(0, -0.1), point(0.06, 0.2), dark, 4, cv2.LINE_AA)
    bend = 0.08 * curve + rng.uniform(-0.06, 0.06)
    x = np.linspace(-1, 1, 20)
    mouth = [point(0.36 * a, 0.52 + bend * (0.5 - a * a)) for a in x]
    cv2.polylines(image, [np.array(mouth)], False, (skin * [0.7, 0.3, 0.3]).tolist(), 9, cv2.LINE_AA)

    turn = cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), rng.uniform(-14, 14), rng.uniform(0.95, 1.2))
    turn[:, 2] += rng.uniform(-10, 10, 2)
    image = cv2.warpAffine(image, turn, (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE)
    side = int(rng.integers(56, 201))
    image = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
    light = rng.uniform(0.6, 1.15) + rng.normal(0, 0.04, image.shape)
    return (image * light).clip(0, 255).astype(np.uint8)


def main() -> None:
    """Draw them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=1000)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    for number in range(options.count):
        label = list(CURVES)[number % len(CURVES)]
        path = options.folder / label / f"{number:04}.{('png', 'jpg')[number % 2]}"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), drawn_face(CURVES[label], rng)[..., ::-1])
    print(f"{options.count} faces in {options.folder}")


if __name__ == "__main__":
    main()
