"""Files and bodies that are made to cost the server time and memory."""

from __future__ import annotations

import base64
import json
import struct
import time
import tracemalloc
import zlib
from contextlib import suppress

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given
from hypothesis import settings as tried
from hypothesis import strategies as st
from PIL import Image

import cmaen.images.deadline
from cmaen.errors import ImageError, SlowImageError, TruncatedImageError, UnreadableImageError
from cmaen.images.reader import read_image
from cmaen.serving.problems import Problem
from cmaen.serving.schemas import PredictBody, limit_images
from cmaen.serving.settings import Limits
from cmaen.serving.uploads import _decode_upload, _from_json
from tests.serving.conftest import encoded, files, picture, serving
from tests.serving.test_app import problem

JSON = {"Content-Type": "application/json"}


def progressive(side: int, scans: int) -> bytes:
    """Make a grey progressive JPEG whose last scan is repeated."""
    whole = encoded(Image.new("L", (side, side), 128), "JPEG", progressive=True)
    end = whole.rindex(b"\xff\xd9")
    return whole[:end] + whole[whole.rindex(b"\xff\xda") : end] * scans + whole[end:]


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    """Make a PNG of 8 x 8 pixels, with chunks before its pixels."""
    ends = [(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0)), *chunks]
    ends += [(b"IDAT", zlib.compress(bytes(72))), (b"IEND", b"")]
    parts = (
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in ends
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize("scans", [600, 5000])
def test_thousands_of_scans_are_refused_before_they_are_decoded(scans: int) -> None:
    content = progressive(3000, scans)
    started = time.thread_time()
    with pytest.raises(SlowImageError, match="scans"):
        read_image(content)
    assert time.thread_time() - started < 1
    assert read_image(progressive(64, 100)).shape == (64, 64, 3)
    assert read_image(encoded(Image.new("RGB", (64, 48)), "JPEG", progressive=True)).shape == (48, 64, 3)


def test_decoding_ends_at_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cmaen.images.deadline, "MOST_SCANS", 10**9)
    content = progressive(3000, 4000)  # takes half a minute
    started = time.thread_time()
    with pytest.raises(SlowImageError, match=r"longer than 0\.3 seconds"):
        read_image(content, max_seconds=0.3)
    assert time.thread_time() - started < 5


@pytest.mark.parametrize(
    "content",
    [
        b"P3\n" + b"# nothing\n" * 10 + b"1 1 255\n1 2 3\n",
        b"P2 1 1 255\n7\n",
        b"P1 1 1\n1\n",
        b"P3 8 8 255\n" + b"#" * 100_000,
    ],
)
def test_plain_ppm_is_refused(content: bytes) -> None:
    with pytest.raises(UnreadableImageError, match="plain PPM"):
        read_image(content)
    assert read_image(picture("PPM")).shape == (40, 48, 3)


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xd8" + b"\xff\xe0\x00\x02" * 20_000 + picture("JPEG")[2:],
        png(*[(b"prVt", b"")] * 6_000),
        b"GIF89a\x08\x00\x08\x00\x00\x00\x00" + b"\x21\xfe\x01a\x00" * 6_000 + b";",
    ],
    ids=["JPEG", "PNG", "GIF"],
)
def test_heads_of_endless_parts_take_no_memory(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cmaen.images.deadline, "MOST_PIECES", 5000)
    tracemalloc.start()
    try:
        with pytest.raises(TruncatedImageError, match="parts"):
            read_image(content)
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM"])
def test_pictures_cut_at_every_length_are_read_or_refused_by_name(kind: str) -> None:
    content = encoded(Image.new("RGB", (9, 7), "red"), kind)
    assert read_image(content, max_seconds=5).shape == (7, 9, 3)
    for length in range(len(content)):
        with suppress(ImageError):
            assert read_image(content[:length], max_seconds=5).shape == (7, 9, 3)


def test_a_slow_picture_costs_no_other(portrait: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cmaen.images.deadline, "MOST_SCANS", 10**9)
    with serving(decode_seconds=0.5) as client:
        slow, good = client.post("/v1/predict", files=files(progressive(2500, 4000), portrait)).json()
    assert (slow["status"], good["status"]) == ("error", "ok")
    assert slow["error"].startswith("SlowImageError")


@pytest.mark.parametrize(
    "body",
    [
        b'{"images":[' + b"1," * 100_000 + b"1]}",
        b'{"images":[' + b"[]," * 100_000 + b"1]}",
        b'{"images":["",' + b'"",' * 100_000 + b'""]}',
        b"{" + b",".join(b'"%d":1' % number for number in range(100_000)) + b"}",
        b'{"images":{' + b",".join(b'"%d":1' % number for number in range(100_000)) + b"}}",
        b"[" * 100_000,
        b'{"images":["' + b'\\"' * 100_000 + b'"]}',
        b'{"top_k":' + b"1" * 200_000 + b',"images":["aa"]}',
        b'{"a":"' * 50_000,
        b'"' * 300_000,
        b"{" + b" " * 300_000 + b"}",
        b'{"scheme":"' + b"x" * 300_000 + b'","images":["aa"]}',
        b'{"' + b"x" * 300_000 + b'":1,"images":["aa"]}',
        b'{"images":["aa"],"images":["aa"],' + b'"detect":1,' * 50 + b'"detect":1}',
    ],
    ids=range(14),
)
def test_wrong_json_is_refused_in_few_words_and_little_memory(body: bytes, client: TestClient) -> None:
    limits = Limits(images=4)
    tracemalloc.start()
    try:
        with pytest.raises(Problem):
            _from_json(body, limits, limit_images(PredictBody, limits.images), {})
        assert tracemalloc.get_traced_memory()[1] < 3 * len(body) + 1_000_000
    finally:
        tracemalloc.stop()
    response = client.post("/v1/predict", content=body, headers=JSON)
    assert problem(response, 422)
    assert len(response.content) < 2000


_LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
_VALUES = st.recursive(
    _LEAVES, lambda part: st.lists(part, max_size=5) | st.dictionaries(st.text(max_size=8), part, max_size=5)
)
_BODIES = _VALUES | st.fixed_dictionaries(
    {"images": st.lists(_LEAVES, max_size=9) | _VALUES}, optional=dict.fromkeys(("detect", "top_k", "scheme"), _VALUES)
)


@tried(max_examples=60, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(body=_BODIES)
def test_any_json_is_answered_or_refused(body: object, client: TestClient) -> None:
    response = client.post("/v1/predict", content=json.dumps(body).encode(), headers=JSON)
    if response.status_code != 200:
        assert problem(response, 422)
    assert len(response.content) < 20_000


def test_json_may_be_written_out_and_escaped(client: TestClient) -> None:
    text = base64.b64encode(picture()).decode()
    body = json.dumps({"images": [text, text], "top_k": 1}, indent=8).replace("/", "\\/").encode()
    assert len(client.post("/v1/predict", content=body, headers=JSON).json()) == 2


def ways(content: bytes) -> dict[str, str]:
    """Return the base64 texts by which clients send the same bytes."""
    text, safe = base64.b64encode(content).decode(), base64.urlsafe_b64encode(content).decode()
    return {
        "mime": base64.encodebytes(content).decode(),
        "windows": "\r\n".join(text[start : start + 64] for start in range(0, len(text), 64)) + "\r\n",
        "url-safe": safe,
        "unpadded": text.rstrip("="),
        "url-safe and unpadded": safe.rstrip("="),
        "spaces around": f"  {text}\n",
        "data URI": f"data:image/png;base64,{text}",
        "data URI in capitals": f"DATA:image/png;BASE64,{text}",
        "data URI with a parameter": f"data:image/png;charset=utf-8;base64,{text}",
        "escaped data URI": "data:image/png;base64," + text.replace("+", "%2B").replace("/", "%2F").replace("=", "%3D"),
        "data URI without base64": "data:image/png," + "".join(f"%{byte:02x}" for byte in content),
    }


@pytest.mark.parametrize("length", range(6))
def test_base64_in_all_its_ways(length: int) -> None:
    content = b"\xff\xfb\xef\xbe\xfe"[:length] + bytes(range(length))
    for way, text in ways(content).items():
        assert _decode_upload(0, text).content == content, way


@pytest.mark.parametrize("text", ["A", "AAAAA", "AA=A", "=AAA", "AAAé", "AA\0A", "AA!A", "\ud800", "AA\\A"])
def test_what_is_not_base64_is_said(text: str) -> None:
    upload = _decode_upload(3, text)
    assert "images[3] is not base64" in (upload.error or "")


CHARSETS = ["undefined", "idna", "punycode", "unicode_escape", "utf-16", "rot13", "hex", "a\x01b", "utf-7", "x" * 300]


@pytest.mark.parametrize("charset", CHARSETS)
@pytest.mark.parametrize("name", ["a.png", "\\ud800", "\xff\xfe", "xn--a", "+AAA"])
def test_no_character_set_of_a_form_is_the_servers_failure(charset: str, name: str, client: TestClient) -> None:
    kind = {"Content-Type": f'multipart/form-data; boundary=x; charset="{charset}"'}
    body = f'--x\r\nContent-Disposition: form-data; name="images"; filename="{name}"\r\n\r\ntext\r\n--x--\r\n'
    assert client.post("/v1/predict", content=body.encode("latin-1"), headers=kind).status_code in (200, 400, 422)


def test_forms_of_endless_heads_are_refused(client: TestClient) -> None:
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    for body in (b"--x\r\n" + b"a: b\r\n" * 100_000, b"--x\r\na: " + b"b" * 900_000, b"--x\r\n" + b"\r" * 900_000):
        assert client.post("/v1/predict", content=body, headers=kind).status_code in (400, 422)


def test_uploads_damaged_at_every_length(client: TestClient) -> None:
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    head = b'--x\r\nContent-Disposition: form-data; name="images"; filename="a.gif"\r\n\r\n'
    form = head + encoded(Image.new("L", (4, 4)), "GIF") + b"\r\n--x--\r\n"
    for length in range(0, len(form), 3):
        assert client.post("/v1/predict", content=form[:length], headers=kind).status_code in (200, 400, 422)
    body = json.dumps({"images": ["R0lG"], "top_k": 1}).encode()
    for length in range(len(body)):
        assert client.post("/v1/predict", content=body[:length], headers=JSON).status_code == 422
