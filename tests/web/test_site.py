"""The page without a server, and that the networks in the browser answer as the package; see ``browsing``."""

from __future__ import annotations

import base64
import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from cmaen.errors import CmaenError
from cmaen.inference.predictor import EmotionPredictor
from cmaen.types import EMOTIONS
from cmaen.web.site import write_site
from tests.web.browsing import ASTRONAUT, ORT, Open, camera, chromium, open_page

__all__ = ["camera", "chromium", "open_page"]  # fixtures


def test_a_runtime_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(CmaenError, match="npm pack onnxruntime-web"):
        write_site(tmp_path, None)
    with pytest.raises(CmaenError, match=r"does not hold ort\.wasm\.bundle\.min\.mjs"):
        write_site(tmp_path, tmp_path)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The page without a server, given by a server of files."""
    if ORT is None:
        pytest.skip("CMAEN_ORT does not name the folder dist of onnxruntime-web (npm pack onnxruntime-web)")
    folder = tmp_path_factory.mktemp("site")
    write_site(folder, Path(ORT))

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))) as files:
        threading.Thread(target=files.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{files.server_address[1]}/"
        files.shutdown()


IN_THE_BROWSER = """async ([pictures, detect]) => {
    const { createEngine } = await import(new URL('page/browser.js', location.href));
    window.engine ??= createEngine(await (await fetch(new URL("page/config.json", location.href))).json());
    const answers = [];
    for (const picture of pictures) {
        const bytes = Uint8Array.from(atob(picture), (letter) => letter.charCodeAt(0));
        answers.push(await window.engine.predict(new Blob([bytes]), { detect }));
    }
    return answers;
}"""


def test_the_browser_answers_as_the_package(open_page: Open, site: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The same faces, to a tenth of a pixel, and the same probabilities but for how 8-bit kernels round."""
    astronaut = cv2.imread(str(ASTRONAUT))
    turned = cv2.warpAffine(astronaut, cv2.getRotationMatrix2D((256.0, 256.0), 25, 1), (512, 480))
    large = cv2.resize(astronaut, (1700, 1500))
    upside_down = cv2.rotate(astronaut, cv2.ROTATE_180)
    two = np.hstack([astronaut, cv2.resize(astronaut, (300, 512))])
    photos = [cv2.imencode(".jpg", image)[1].tobytes() for image in (astronaut, turned, large, two, upside_down)]
    crops = [cv2.imencode(".png", astronaut[50:180, 160:290])[1].tobytes()]
    crops.append(cv2.imencode(".png", cv2.resize(astronaut[50:180, 160:290], (40, 44)))[1].tobytes())
    page = open_page(site)
    predictor = EmotionPredictor()
    told = []
    for pictures, detect, most in ((photos, True, 0.02), (crops, False, 0.003)):
        expected = predictor.predict_batch(pictures, detect=detect)
        texts = [base64.b64encode(picture).decode() for picture in pictures]
        answers = page.evaluate(IN_THE_BROWSER, [texts, detect])
        gaps = []
        for answer, wanted in zip(answers, expected, strict=True):
            assert answer["status"] == wanted["status"] == "ok"
            assert answer["predicted_emotion"] == wanted["predicted_emotion"]
            for face, other in zip(answer["faces"], wanted["faces"], strict=True):
                assert np.allclose(face["box"], other["box"], atol=1)
                assert np.allclose(face["landmarks"], other["landmarks"], atol=1)
                gaps.append(max(abs(face["probabilities"][name] - other["probabilities"][name]) for name in EMOTIONS))
        told.append(f"{'photos' if detect else 'crops'}: {len(gaps)} faces, at most {max(gaps):.1e}")
        assert max(gaps) < most
    with capsys.disabled():
        print(f"\nprobabilities of the browser against the package's: {'; '.join(told)}")


def test_the_page_without_a_server(open_page: Open, site: str, capsys: pytest.CaptureFixture[str]) -> None:
    page = open_page(site)
    assert page.inner_text("#where") == "In your browser"
    assert page.get_attribute("meta[http-equiv]", "content").startswith(
        "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'"
    )
    page.click("#try-example")
    assert "happy" in page.wait_for_selector(".outline", timeout=30_000).get_attribute("aria-label")
    page.click("#use-camera")
    page.wait_for_selector(".rate[data-rate]", state="attached")
    page.wait_for_timeout(4000)
    rate = float(page.get_attribute(".rate", "data-rate"))
    with capsys.disabled():
        print(f"\nlive, in the browser: {rate:.1f} frames a second")
    assert page.inner_text(".bars .most .name") == "happy"
    assert rate > 2, "the rate of a machine that others use as well"
