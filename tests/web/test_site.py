"""The page without a server, and that the networks in the browser answer as the package; see ``browsing``."""

from __future__ import annotations

import base64
import functools
import gzip
import http.server
import json
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from cmaen.checkpoints import SHIPPED, SMALL, Checkpoint
from cmaen.errors import CmaenError, ConfigError
from cmaen.inference.predictor import EmotionPredictor
from cmaen.types import EMOTIONS
from cmaen.web.site import Site, write_site
from tests.conftest import change_card, shared_folder
from tests.web.browsing import ASTRONAUT, ORT, PATIENCE, Open, answered, saved, until
from tests.web.films import NOTE, film, look_at

__all__ = ["film"]  # fixtures


def test_a_runtime_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(CmaenError, match="npm pack onnxruntime-web"):
        write_site(tmp_path, None)
    with pytest.raises(CmaenError, match=r"does not hold ort\.wasm\.bundle\.min\.mjs"):
        write_site(tmp_path, tmp_path)


def test_a_network_of_enhanced_faces_is_left_to_a_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(Checkpoint.open().folder, tmp_path / "copy")
    change_card(tmp_path / "copy", enhancement=("faces 48-grey", f"super-resolution {'0' * 16}"))
    enhanced = Checkpoint.open(tmp_path / "copy")
    monkeypatch.setattr("cmaen.web.site.Checkpoint.open", lambda name: enhanced)
    with pytest.raises(ConfigError, match="use cmaen serve"):
        write_site(tmp_path / "page", None)
    assert not (tmp_path / "page").exists()


class Server(http.server.ThreadingHTTPServer):
    """A server of files that knows nothing of compressed ones.

    Attributes:
        asked: The paths of all requests.
        rate: Bytes a second, all requests together; None for as fast as it can.
    """

    rate: float | None = None

    def __init__(self, folder: Path) -> None:
        self.asked: list[str] = []
        self._due, self._lock = 0.0, threading.Lock()
        server = self

        class Handler(http.server.SimpleHTTPRequestHandler):
            def log_message(self, format: str, *args: Any) -> None:
                server.asked.append(self.path)

            def copyfile(self, source: Any, outputfile: Any) -> None:
                while chunk := source.read(1 << 14):
                    server.wait(len(chunk))
                    outputfile.write(chunk)

        super().__init__(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
        self.address = f"http://127.0.0.1:{self.server_address[1]}/"

    def wait(self, count: int) -> None:
        if self.rate is None:
            return
        with self._lock:
            self._due = max(self._due, time.monotonic()) + count / self.rate
            due = self._due
        time.sleep(max(0.0, due - time.monotonic()))


@contextmanager
def giving(folder: Path) -> Iterator[Server]:
    with Server(folder) as files:
        threading.Thread(target=files.serve_forever, daemon=True).start()
        yield files
        files.shutdown()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page without a server."""
    if ORT is None:
        pytest.skip("CMAEN_ORT does not name the folder dist of onnxruntime-web (npm pack onnxruntime-web)")
    kept = shared_folder(tmp_path_factory) / "site"
    if not kept.exists():
        draft = tmp_path_factory.mktemp("site")
        write_site(draft, Path(ORT))
        with suppress(OSError):  # another process was faster
            draft.rename(kept)
    return kept


@pytest.fixture(scope="module")
def site(folder: Path) -> Iterator[str]:
    """Its address."""
    with giving(folder) as files:
        yield files.address


@pytest.fixture
def runtime(tmp_path: Path) -> Path:
    """What stands for onnxruntime-web where nothing is run."""
    folder = tmp_path / "runtime"
    folder.mkdir()
    (folder / "ort.wasm.bundle.min.mjs").write_text("code();" * 100)
    (folder / "ort-wasm-simd-threaded.wasm").write_bytes(b"\0asm" * 1000)
    return folder


def test_copies_lie_beside_the_files_and_old_ones_go(tmp_path: Path, runtime: Path) -> None:
    output = tmp_path / "site"
    (output / "page").mkdir(parents=True)
    for stale in ("page/main.js.br", "page/example.jpg.gz", "index.html.gz"):
        (output / stale).write_bytes(b"of another page")
    (output / "page/own.js.br").write_bytes(b"of the user")
    site = write_site(output, runtime)
    assert isinstance(site, Site)
    assert (output / "page/own.js.br").read_bytes() == b"of the user"
    found = {path for path in output.rglob("*") if path.is_file()} - {output / "page/own.js.br"}
    assert found == {*site.files, *site.copies}
    for copy in site.copies:
        if copy.suffix == ".gz":
            assert gzip.decompress(copy.read_bytes()) == copy.with_suffix("").read_bytes()
    assert output / "page/example.jpg.gz" not in found, "a picture does not become smaller"
    assert site.count_compressed() < site.bytes
    before = {path: path.read_bytes() for path in found}
    write_site(output, runtime)
    assert {path: path.read_bytes() for path in found} == before, "the same page, the same files"


def test_the_page_knows_how_much_is_to_come(tmp_path: Path, runtime: Path) -> None:
    write_site(tmp_path / "site", runtime)
    config = json.loads((tmp_path / "site/page/config.json").read_text())
    for name, download in config["downloads"].items():
        assert download["bytes"] == (tmp_path / "site/page" / name).stat().st_size
    assert set(config["downloads"]) == {"model.onnx", "yunet.onnx", "ort-wasm-simd-threaded.wasm"}
    small = config["small"]
    assert set(small["downloads"]) == {"small.onnx", "yunet.onnx", "ort-wasm-simd-threaded.wasm"}
    assert (small["model"], small["weights"]) == (SMALL, "small.onnx")
    assert "detector" not in small, "only what differs"
    index = (tmp_path / "site/index.html").read_text()
    assert '<link rel="manifest" href="manifest.webmanifest">' in index
    assert not (tmp_path / "site/page/offline.js").exists(), "it is the beginning of sw.js"


def test_the_notice_is_on_the_page_as_text(tmp_path: Path, runtime: Path) -> None:
    write_site(tmp_path / "site", runtime, "Ici, une IA déduit les émotions : <b>parlez-en</b>.")
    config = json.loads((tmp_path / "site/page/config.json").read_text())
    assert config["notice"] == "Ici, une IA déduit les émotions : <b>parlez-en</b>."
    with pytest.raises(CmaenError, match="line break"):
        write_site(tmp_path / "other", runtime, "a\nb")
    assert not (tmp_path / "other").exists()


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
    assert "happy" in answered(page).get_attribute("aria-label")
    page.click("#use-camera")
    page.wait_for_selector(".rate[data-rate]", state="attached")
    rates: set[float] = set()

    def has_changed() -> bool:
        rates.add(float(page.get_attribute(".rate", "data-rate")))
        return len(rates) >= 4

    until(page, has_changed)
    rate = float(page.get_attribute(".rate", "data-rate"))
    with capsys.disabled():
        print(f"\nlive, in the browser: {rate:.1f} frames a second")
    assert page.inner_text(".bars .most .name") == "happy"
    assert rate > 0


def test_a_phone_runs_the_small_network(open_page: Open, folder: Path) -> None:
    """Neither a phone nor a computer fetches the network of the other; the answers are those of its own."""
    told = []
    for model, own, other, device in (
        (SMALL, "small", "model", {"width": 390, "height": 844, "has_touch": True, "is_mobile": True}),
        (SHIPPED, "model", "small", {}),
    ):
        with giving(folder) as files:
            page = open_page(files.address, **device)
            page.wait_for_selector("#where[data-state=ready]")
            assert f"The network, {model}, runs inside this page" in page.inner_text("#privacy")
            page.click("[data-example='example-covered.jpg']")
            answered(page)
            assert f"/page/{own}.onnx.gz" in files.asked
            assert [path for path in files.asked if f"{other}.onnx" in path] == []
            (record,) = json.loads(saved(page, "#save-json").read_text())
        expected = EmotionPredictor(model).predict_single(folder / "page" / "example-covered.jpg")
        assert record["predicted_emotion"] == expected["predicted_emotion"]
        assert record["confidence"] == pytest.approx(expected["confidence"], abs=0.03)
        told.append(record["predicted_emotion"])
    assert len(set(told)) == 2, "the networks can be told apart"


WATCH = """
window.told = [];
new MutationObserver(() => {
    const value = document.getElementById('loading-bytes')?.value;
    if (value !== undefined && value !== window.told.at(-1)) window.told.push(value);
}).observe(document, { subtree: true, childList: true, attributes: true });
"""


def open_slowly(chromium: Any, files: Any) -> Any:
    """Open the page for a first visit, over a line of 1 MB/s: the networks take many seconds."""
    files.rate = 1e6
    page = chromium.new_context().new_page()
    page.set_default_timeout(PATIENCE)
    page.add_init_script(WATCH)
    page.goto(files.address)
    return page


def test_bytes_are_counted_while_the_networks_come(chromium: Any, folder: Path) -> None:
    """Compressed, though the server knows nothing of it; and it is called ready when it is."""
    with giving(folder) as files:
        page = open_slowly(chromium, files)
        page.wait_for_selector("body[data-ready]")
        assert page.get_attribute("#where", "data-state") == "starting"
        page.wait_for_selector("#loading-bytes")
        files.rate = 8e6
        page.wait_for_selector("#where:not([data-state=starting])")
        assert page.get_attribute("#where", "data-state") == "ready"
        told = page.evaluate("window.told")
        assert told == sorted(told)
        assert len(set(told)) > 10
        page.wait_for_selector(".notice", state="detached")
        assert "/page/ort-wasm-simd-threaded.wasm.gz" in files.asked
        assert [path for path in files.asked if path.endswith(".wasm")] == ["/page/ort-wasm-simd-threaded.wasm"], "HEAD"
        page.context.close()


def test_from_the_second_visit_on_it_needs_no_connection(chromium: Any, folder: Path, tmp_path: Path) -> None:
    """And what has changed meanwhile comes at the next visit."""
    site = tmp_path / "site"
    shutil.copytree(folder, site)
    context = chromium.new_context()
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    with giving(site) as files:
        page.goto(files.address)
        page.wait_for_selector("#where[data-state=ready]")
        page.evaluate("async () => { await navigator.serviceWorker.ready; }")
        assert files.asked.count("/page/model.onnx.gz") == 1, "once, not once more for later"
        files.asked.clear()
        page.reload()
        page.wait_for_selector("#where[data-state=ready]")
        page.wait_for_timeout(300)
        assert [path for path in files.asked if "onnx" in path or "wasm" in path] == []
        context.set_offline(True)
        page.reload()
        page.wait_for_selector("#where[data-state=ready]")
        page.click("#try-example")
        assert "happy" in answered(page).get_attribute("aria-label")
        context.set_offline(False)
        index = (site / "index.html").read_text().replace("<title>CMAEN", "<title>Newer")
        (site / "index.html").write_text(index)
        page.reload()
        assert page.title().startswith("Newer"), "another page is let through"
    context.close()


def test_a_message_that_was_dismissed_stays_away(chromium: Any, folder: Path) -> None:
    with giving(folder) as files:
        page = open_slowly(chromium, files)
        page.wait_for_selector("#loading-bytes")
        page.click(".notice button")
        page.wait_for_timeout(500)
        assert page.get_attribute("#where", "data-state") == "starting"
        assert page.locator(".notice").count() == 0
        page.context.close()


def test_a_network_that_cannot_be_had_is_no_green_light(chromium: Any, folder: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    shutil.copytree(folder, site)
    for path in site.glob("page/model.onnx*"):
        path.unlink()
    context = chromium.new_context()
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    with giving(site) as files:
        page.goto(files.address)
        page.wait_for_selector("#where[data-state=failed]")
        assert "model.onnx: the server answered 404. Load the page again." in page.inner_text(".notice.bad")
    context.close()


def test_from_a_file_the_page_says_what_to_do(chromium: Any, tmp_path: Path, runtime: Path) -> None:
    site = tmp_path / "my site 100%"
    write_site(site, runtime)
    context = chromium.new_context()
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.goto((site / "index.html").as_uri())
    assert page.inner_text(".from-file code") == f'python -m http.server --directory "{site}"'
    assert page.inner_text("#where") == "Not started"
    assert page.is_disabled("#choose-photos")
    context.close()


def test_a_film_in_the_browser(open_page: Open, site: str, film: Path) -> None:
    page = open_page(site, script=NOTE)
    records = look_at(page, film, timeout=1.5 * PATIENCE)
    times = {record["time"] for record in records}
    assert {round(time, 4) for time in page.evaluate("window.shown")} <= times, "all that the browser has shown"
    assert max(times) > 2.45
    assert {face["predicted_emotion"] for record in records for face in record["faces"]} == {"happy"}
    assert {face["identity"] for record in records for face in record["faces"]} == {1}
    assert page.locator("#people tbody tr").count() == 1
    assert saved(page, "#save-csv").stat().st_size > 1000
