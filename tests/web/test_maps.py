"""Both engines of the page explain every face, as the package does."""

from __future__ import annotations

import base64
import io
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from cmaen import EmotionPredictor
from cmaen.drawing.heat import colour_heat
from tests.web.browsing import ASTRONAUT, Open
from tests.web.test_site import folder, site

__all__ = ["folder", "site"]  # fixtures

EXPLAIN = """async ([name, picture, detect]) => {
    const { createEngine } = await import(new URL(`page/${name}.js`, location.href));
    const engine = createEngine(await (await fetch(new URL('page/config.json', location.href))).json());
    const bytes = Uint8Array.from(atob(picture), (letter) => letter.charCodeAt(0));
    const blob = new Blob([bytes]);
    const answer = await engine.predict(blob, { detect });
    const began = performance.now();
    const { faces } = await engine.explain(blob, { detect, name: 'some.png' });
    return { answer, faces, seconds: (performance.now() - began) / 1000 };
}"""


def opened(address: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2])))


def two_faces() -> np.ndarray:
    """The astronaut, and beside her herself in the dark."""
    astronaut = cv2.imread(str(ASTRONAUT))[:302, 60:382]
    return np.asarray(np.hstack([astronaut, (astronaut[:, ::-1] * 0.2).astype(np.uint8)]), np.uint8)


@pytest.mark.parametrize("name", ["server", "browser"])
def test_every_face_has_its_map(
    name: str, open_page: Open, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    page = open_page(request.getfixturevalue("site") if name == "browser" else None)
    predictor = EmotionPredictor()
    whole = two_faces()[40:190, 90:240]
    for picture, detect in ((two_faces(), True), (np.ascontiguousarray(whole), False)):
        content = cv2.imencode(".png", picture)[1].tobytes()
        told: dict[str, Any] = page.evaluate(EXPLAIN, [name, base64.b64encode(content).decode(), detect])
        expected, gaps = predictor.explain(content, detect), list[float]()
        for found, answered, wanted in zip(told["faces"], told["answer"]["faces"], expected.faces, strict=True):
            assert answered.get("doubts", []) == list(wanted.face.doubts)
            heat, crop = opened(found["explanation"]), opened(found["crop"])
            assert (heat.format, crop.format, crop.width) == ("PNG", "JPEG", crop.height)
            gap = np.abs(np.asarray(heat)[..., 3].astype(int) - colour_heat(wanted.heat)[..., 3])
            assert gap.mean() < 15, "of 191: 8-bit kernels round otherwise in a browser"
            gaps.append(gap.mean())
            face = np.asarray(Image.fromarray(wanted.crop).resize(crop.size)).astype(int)
            assert np.abs(np.asarray(crop) - face).mean() < 4
        with capsys.disabled():
            print(f"\n{name}: {len(gaps)} faces explained in {told['seconds']:.1f} s, {max(gaps):.1f} of 191 apart")
