"""The service worker, the manifest and the icons of the page without a server."""

from __future__ import annotations

import io
import json
import re
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cmaen.drawing import PALETTE
from cmaen.types import EMOTIONS
from cmaen.web.files import PAGE
from cmaen.web.offline import ICONS, digest, draw_icon, write_manifest, write_worker
from tests.web.node import run_page

CODE = (PAGE / "offline.js").read_text(encoding="utf-8")
FILES = {"index.html": b"page", "page/main.js": b"code"}
NETWORKS = {"page/model.onnx": b"weights"}

WORKER = """
    import vm from 'node:vm';
    import { createHash } from 'node:crypto';
    const SCOPE = 'http://x/site/';
    const stores = new Map();
    const keyed = (key) => (typeof key === 'string' ? key : key.url);
    const open = async (name) => {
      if (!stores.has(name)) stores.set(name, new Map());
      const store = stores.get(name);
      return {
        match: async (key) => store.get(keyed(key))?.clone(),
        put: async (key, response) => { store.set(keyed(key), response); },
        delete: async (key) => store.delete(keyed(key)),
        keys: async () => [...store.keys()].map((url) => ({ url })),
      };
    };
    const caches = {
      open,
      has: async (name) => stores.has(name),
      keys: async () => [...stores.keys()],
      delete: async (name) => stores.delete(name),
      match: async (key) => {
        for (const store of stores.values()) if (store.has(keyed(key))) return store.get(keyed(key)).clone();
      },
    };
    let server = {};
    let asked = [];
    const fetching = async (request, options = {}) => {
      const path = keyed(request).slice(SCOPE.length);
      asked.push(path);
      if (server === null) throw new TypeError('no connection');
      const content = server[path] ?? server[path === '' ? 'index.html' : path];
      if (content === undefined) return new Response('none', { status: 404 });
      const sum = createHash('sha256').update(content).digest('base64');
      if (options.integrity && options.integrity !== `sha256-${sum}`) throw new TypeError('integrity');
      return new Response(content);
    };
    const begin = (code, active) => {
      const listeners = {};
      const self = {
        registration: { scope: SCOPE, active },
        addEventListener: (name, listener) => { listeners[name] = listener; },
        skipWaiting: async () => {},
      };
      const soon = (call) => setTimeout(call, 50);
      const builtin = { URL, Set, Response, Promise, Object, Uint8Array, String, btoa, encodeURIComponent };
      const { crypto } = globalThis;
      vm.runInNewContext(code, { ...builtin, self, caches, crypto, fetch: fetching, setTimeout: soon });
      const settle = async (name) => {
        let work;
        listeners[name]({ waitUntil: (promise) => { work = promise; } });
        await work;
      };
      const get = async (path, { mode = 'no-cors', method = 'GET' } = {}) => {
        let answer = null;
        const request = { url: `${SCOPE}${path}`, mode, method };
        listeners.fetch({ request, respondWith: (promise) => { answer = promise; } });
        return answer && (await answer).text();
      };
      return { install: () => settle('install'), activate: () => settle('activate'), get };
    };
    const answer = {};
    const took = () => { const told = asked; asked = []; return told; };
"""


def run(script: str, **codes: Any) -> Any:
    return run_page(WORKER + script, **codes)


def text_of(files: dict[str, bytes]) -> dict[str, str]:
    return {name: content.decode() for name, content in files.items()}


def test_the_page_is_there_without_a_connection() -> None:
    script = """
        server = given.files;
        const worker = begin(given.code, null);
        await worker.install();
        await worker.activate();
        answer.fetched = took();
        server = null;
        answer.index = await worker.get('', { mode: 'navigate' });
        answer.named = await worker.get('index.html?a=b#c', { mode: 'navigate' });
        answer.code = await worker.get('page/main.js');
        answer.foreign = [await worker.get('v1/predict', { method: 'POST' }), await worker.get('page/other.js')];
    """
    found = run(script, files=text_of(FILES), code=write_worker(CODE, FILES, NETWORKS))
    assert sorted(found["fetched"]) == ["", "page/main.js"], "the networks are the page's own business at first"
    assert (found["index"], found["named"], found["code"]) == ("page", "page", "code")
    assert found["foreign"] == [None, None]


def test_an_update_replaces_what_has_changed() -> None:
    newer = FILES | {"page/main.js": b"newer", "page/added.js": b"added"}
    weights = {"page/model.onnx": b"other weights", "page/small.onnx": b"of phones"}
    script = """
        server = { ...given.files, 'page/model.onnx': 'weights' };
        const first = begin(given.code, null);
        await first.install();
        await first.activate();
        (await open('cmaen networks')).put(`${SCOPE}page/model.onnx?sha256=old`, new Response('weights'));
        (await open('cmaen networks')).put('http://x/else/page/model.onnx?sha256=old', new Response('theirs'));
        await open('cmaen http://x/else/ 1');
        took();
        server = { ...given.newer, 'page/model.onnx': 'other weights', 'page/small.onnx': 'of phones' };
        const second = begin(given.next, {});
        await second.install();
        answer.fetched = took();
        answer.before = await first.get('page/main.js');
        await second.activate();
        server = null;
        answer.after = [await second.get('page/main.js'), await second.get('page/added.js'), await second.get('')];
        answer.stores = [...stores.keys()];
        answer.networks = [...stores.get('cmaen networks').keys()];
    """
    codes = {"code": write_worker(CODE, FILES, NETWORKS), "next": write_worker(CODE, newer, weights)}
    found = run(script, files=text_of(FILES), newer=text_of(newer), **codes)
    assert sorted(found["fetched"]) == ["page/added.js", "page/main.js", "page/model.onnx"], (
        "nothing it has or never used"
    )
    assert found["before"] == "code", "an open page keeps its own"
    assert found["after"] == ["newer", "added", "page"]
    assert len([name for name in found["stores"] if name.startswith("cmaen http://x/site/")]) == 1
    assert "cmaen http://x/else/ 1" in found["stores"], "the pages of others are left alone"
    assert sorted(url.partition("?")[0] for url in found["networks"]) == [
        "http://x/else/page/model.onnx",
        "http://x/site/page/model.onnx",
    ]


def test_half_an_update_is_none() -> None:
    """The server changes while the worker fetches: what does not belong together is not kept."""
    script = """
        server = { ...given.files, 'page/main.js': 'of another version' };
        const worker = begin(given.code, null);
        answer.refused = await worker.install().then(() => false, () => true);
    """
    assert run(script, files=text_of(FILES), code=write_worker(CODE, FILES, NETWORKS))["refused"]


def test_another_page_at_the_same_address_is_let_through() -> None:
    """As where `cmaen serve` has taken the port of a page that was looked at before."""
    script = """
        server = given.files;
        const worker = begin(given.code, null);
        await worker.install();
        await worker.activate();
        server = { 'index.html': 'page of the service', 'page/main.js': 'code of the service' };
        answer.index = await worker.get('', { mode: 'navigate' });
        answer.code = await worker.get('page/main.js');
        answer.again = await begin(given.code, {}).get('page/main.js');
    """
    found = run(script, files=text_of(FILES), code=write_worker(CODE, FILES, NETWORKS))
    assert found == {"index": "page of the service", "code": "code of the service", "again": "code of the service"}


def test_a_server_that_has_lost_the_page_is_no_hindrance() -> None:
    script = """
        server = given.files;
        const worker = begin(given.code, null);
        await worker.install();
        await worker.activate();
        server = {};
        answer.failing = await worker.get('', { mode: 'navigate' });
    """
    found = run(script, files=text_of(FILES), code=write_worker(CODE, FILES, NETWORKS))
    assert found["failing"] == "page", "a 404 is no page"


def test_another_content_is_another_worker() -> None:
    first = write_worker(CODE, FILES, NETWORKS)
    assert first == write_worker(CODE, FILES, NETWORKS)
    version = re.search(r'const VERSION = "(\w+)"', first).group(1)
    for files, networks in ((FILES | {"page/main.js": b"x"}, NETWORKS), (FILES, {"page/model.onnx": b"x"})):
        other = write_worker(CODE, files, networks)
        assert version not in other
    assert digest(b"") == "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="


def test_the_manifest_names_icons_that_there_are() -> None:
    manifest = json.loads(write_manifest())
    assert (manifest["start_url"], manifest["display"]) == ("./", "standalone")
    named = {icon["src"] for icon in manifest["icons"]}
    assert named == {"page/icon.svg", *(f"page/icon-{side}.png" for side in ICONS)}


@pytest.mark.parametrize("side", ICONS)
def test_icons_have_the_colours_of_the_emotions(side: int) -> None:
    image = Image.open(io.BytesIO(draw_icon(side)))
    assert image.size == (side, side)
    pixels = np.asarray(image).reshape(-1, 3)
    for emotion in EMOTIONS:
        colour = [int(PALETTE[emotion][at : at + 2], 16) for at in (1, 3, 5)]
        assert (np.abs(pixels.astype(int) - colour).max(axis=1) < 3).mean() > 0.005, emotion
    corner = np.asarray(image)[: side // 10, : side // 10]
    assert corner.std(axis=(0, 1)).max() == 0, "a mask may cut it off"


def test_the_icon_of_the_page_has_the_same_colours() -> None:
    strokes = re.findall(r'stroke="(#\w{6})" stroke-dasharray', (PAGE / "icon.svg").read_text())
    assert sorted(strokes) == sorted(PALETTE[emotion] for emotion in EMOTIONS)
