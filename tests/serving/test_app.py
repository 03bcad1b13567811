from __future__ import annotations

import asyncio
import base64
import io
import json
import struct
import zlib
from collections.abc import AsyncIterator

import numpy as np
import pytest
from fastapi.testclient import TestClient
from httpx import ASGITransport, AsyncClient, Response
from PIL import Image

from cmaen import EMOTIONS, EmotionPredictor
from cmaen.checkpoints import Checkpoint
from cmaen.drawing.style import hex_of
from cmaen.serving.app import create_app
from cmaen.serving.problems import Problem
from cmaen.serving.settings import Settings
from cmaen.types import UNSURE_BELOW
from tests.conftest import PATIENCE
from tests.serving.conftest import encoded, files, one_core, picture, serving, settings, wait_until_ready


def problem(response, status: int) -> str:
    """Return the text of a refusal, which always has the same form."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    content = response.json()
    assert set(content) == {"type", "title", "status", "detail"}
    assert content["status"] == status
    assert "Traceback" not in response.text
    return content["detail"]


def test_the_answers_are_those_of_the_predictor(client: TestClient, portrait: bytes) -> None:
    response = client.post("/v1/predict", files=files(portrait, picture()))
    assert response.status_code == 200
    answers = response.json()
    expected = EmotionPredictor(threads=1).predict_batch([portrait, picture()])
    assert [answer.pop("path") for answer in answers] == ["0.jpg", "1.jpg"]
    assert [answer["status"] for answer in answers] == ["ok", "no_face"]
    assert answers[0]["probabilities"] == pytest.approx(expected[0]["probabilities"], abs=1e-6)
    assert answers[0]["faces"][0]["box"] == expected[0]["faces"][0]["box"]
    assert answers[1] == expected[1]


def test_json_takes_base64_and_data_uris(client: TestClient, portrait: bytes) -> None:
    text = base64.b64encode(portrait).decode()
    body = {"images": [text, f"data:image/jpeg;base64,{text}", "not base64!", ""], "top_k": 2}
    answers = client.post("/v1/predict", json=body).json()
    assert [answer["path"] for answer in answers] == [f"images[{index}]" for index in range(4)]
    assert [answer["status"] for answer in answers] == ["ok", "ok", "error", "error"]
    assert answers[0]["top"][0][0] == "happy"
    assert len(answers[0]["top"]) == 2
    assert "not base64" in answers[2]["error"]
    assert answers[3]["error"].startswith("EmptyImageError")


def test_features_are_those_of_the_predictor(client: TestClient, portrait: bytes) -> None:
    answers = client.post("/v1/embed", files=files(portrait, picture(), b"text")).json()
    assert [answer["status"] for answer in answers] == ["ok", "no_face", "error"]
    expected = EmotionPredictor(threads=1).embed([portrait])[0]
    assert answers[0]["features"] == pytest.approx(expected.tolist(), abs=1e-5)
    assert [answer["features"] for answer in answers[1:]] == [None, None]
    assert answers[2]["error"].startswith("UnreadableImageError")
    text = base64.b64encode(portrait).decode()
    (crop,) = client.post("/v1/embed", json={"images": [text], "detect": False}).json()
    assert len(crop["features"]) == len(expected)
    assert crop["features"] != answers[0]["features"]
    assert "top_k" in problem(client.post("/v1/embed", json={"images": [text], "top_k": 1}), 422)


def test_parameters(client: TestClient, portrait: bytes) -> None:
    (crop,) = client.post("/v1/predict?detect=false&top_k=7", files=files(portrait)).json()
    assert crop["faces"][0]["box"] == [0.0, 0.0, 322.0, 302.0]
    assert sorted(name for name, _ in crop["top"]) == list(EMOTIONS)
    assert [value for _, value in crop["top"]] == sorted((value for _, value in crop["top"]), reverse=True)
    (none,) = client.post("/v1/predict?top_k=3", files=files(picture())).json()
    assert none["top"] == []
    text = base64.b64encode(portrait).decode()
    (inside,) = client.post("/v1/predict?detect=true", json={"images": [text], "detect": False}).json()
    assert inside["faces"][0]["box"] == [0.0, 0.0, 322.0, 302.0]
    for wrong in ("top_k=0", "top_k=9", "top_k=x", "detect=perhaps", "explain=2"):
        assert wrong.split("=")[0] in problem(client.post(f"/v1/predict?{wrong}", files=files(portrait)), 422)


def opened(address: str) -> Image.Image:
    """The picture of a data URI."""
    kind, _, content = address.partition(",")
    assert kind in ("data:image/png;base64", "data:image/jpeg;base64")
    return Image.open(io.BytesIO(base64.b64decode(content)))


def test_every_face_is_explained_by_a_map_over_its_crop(client: TestClient, portrait: bytes) -> None:
    pixels = np.asarray(Image.open(io.BytesIO(portrait)))
    two = encoded(Image.fromarray(np.concatenate([pixels, pixels[:, ::-1]], axis=1)), "JPEG", quality=92)
    answers = client.post("/v1/predict?explain=true", files=files(two, picture(), b"text")).json()
    assert [answer["status"] for answer in answers] == ["ok", "no_face", "error"]
    assert len(answers[0]["faces"]) == 2
    side = Checkpoint.open().card.preprocess.image_size
    for face in answers[0]["faces"]:
        heat, crop = opened(face["explanation"]), opened(face["crop"])
        assert (heat.mode, heat.size) == ("RGBA", (side, side))
        assert heat.getchannel("A").getextrema()[1] > 100
        assert crop.width == crop.height
    (plain,) = client.post("/v1/predict", files=files(portrait)).json()
    assert {"crop", "explanation"}.isdisjoint(plain["faces"][0])


def test_a_whole_picture_is_explained_as_a_square(client: TestClient, portrait: bytes) -> None:
    (answer,) = client.post("/v1/predict?explain=true&detect=false", files=files(portrait)).json()
    assert opened(answer["faces"][0]["crop"]).size == (320, 320)


def test_more_explanations_than_there_is_room_for_are_refused(portrait: bytes) -> None:
    with serving(explanations=1) as client:
        assert "at most 1" in problem(client.post("/v1/predict?explain=true", files=files(portrait, portrait)), 422)


def bomb() -> bytes:
    """Return a PNG of a few bytes that declares 60,000 x 60,000 pixels."""
    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
    parts = (
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


BAD = {
    "text": (b"this is no picture", "UnreadableImageError"),
    "empty": (b"", "EmptyImageError"),
    "truncated": (picture()[:1000], "TruncatedImageError"),
    "bomb": (bomb(), "ImageTooLargeError"),
    "too many pixels": (encoded(Image.new("L", (1001, 1000))), "ImageTooLargeError"),
    "a path": (b"/etc/passwd", "UnreadableImageError"),
    "an address": (b"http://localhost/picture.png", "UnreadableImageError"),
    "a pickle": (b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00.", "UnreadableImageError"),
    "svg": (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "UnreadableImageError"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_image_is_a_status_and_costs_no_other(kind: str, client: TestClient, portrait: bytes) -> None:
    content, error = BAD[kind]
    first, bad, last = client.post("/v1/predict", files=files(portrait, content, portrait)).json()
    assert bad["status"] == "error"
    assert bad["error"].startswith(error)
    assert bad["faces"] == []
    assert first["status"] == last["status"] == "ok"


def test_odd_images_are_read(client: TestClient, portrait: bytes) -> None:
    upright = Image.open(io.BytesIO(portrait))
    exif = Image.Exif()
    exif[0x0112] = 6  # a camera held on its side
    turned = encoded(upright.rotate(90, expand=True), "JPEG", quality=92, exif=exif)
    deep = Image.fromarray(np.asarray(upright.convert("L")).astype(np.uint16) * 257)
    cmyk = encoded(upright.convert("CMYK"), "JPEG")
    answers = client.post("/v1/predict", files=files(turned, encoded(deep), cmyk)).json()
    assert [answer["status"] for answer in answers] == ["ok", "ok", "ok"], answers
    assert answers[0]["faces"][0]["box"] == pytest.approx(
        client.post("/v1/predict", files=files(portrait)).json()[0]["faces"][0]["box"], abs=5
    )


def test_requests_that_are_not_as_they_should_be(client: TestClient) -> None:
    post = client.post
    assert "in the field images" in problem(post("/v1/predict", files={"image": ("a.png", picture())}), 422)
    assert "nothing but files" in problem(post("/v1/predict", files=files(picture()), data={"detect": "false"}), 422)
    assert "at most 4 images" in problem(post("/v1/predict", files=files(*[picture()] * 5)), 422)
    assert "at most 4 images" in problem(post("/v1/predict", json={"images": ["aa"] * 5}), 422)
    assert "limit of 1,000,000 bytes" in problem(post("/v1/predict", files=files(bytes(1_000_001))), 413)
    assert "multipart/form-data or application/json" in problem(post("/v1/predict", content=picture()), 415)
    kind = {"Content-Type": "multipart/form-data"}
    assert "boundary" in problem(post("/v1/predict", content=b"x", headers=kind), 400)
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    assert "cannot be read" in problem(post("/v1/predict", content=b"no form", headers=kind), 400)
    assert "no image" in problem(post("/v1/predict", content=b"--x--\r\n", headers=kind), 422)
    json_kind = {"Content-Type": "application/json"}
    for wrong in (b"", b"{", b"[]", b"null", b'{"images": []}', b'{"images": "x"}', b'{"images": [1]}', b"\xff\xfe"):
        assert "JSON" in problem(post("/v1/predict", content=wrong, headers=json_kind), 422)
    assert "top_k" in problem(post("/v1/predict", json={"images": ["aa"], "top_k": 9}), 422)
    assert "other" in problem(post("/v1/predict", json={"images": ["aa"], "other": 1}), 422)
    named = {"images": ["aa"], "scheme": "fer2013"}
    assert "no label scheme '0.3'" in problem(post("/v1/predict?scheme=0.3", json=named), 422)
    problem(client.get("/v1/predict"), 405)
    problem(client.get("/v1/nothing"), 404)


def test_a_body_without_a_length_is_limited_too(client: TestClient) -> None:
    sent = 0

    def endless():
        nonlocal sent
        yield b'--x\r\nContent-Disposition: form-data; name="images"; filename="a.png"\r\n\r\n'
        for _ in range(100):
            sent += 100_000
            yield bytes(100_000)

    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    assert "limit of 1,000,000" in problem(client.post("/v1/predict", content=endless(), headers=kind), 413)


def test_a_body_that_does_not_come_is_given_up() -> None:
    async def ask(app) -> Response:
        async def body() -> AsyncIterator[bytes]:
            yield b"--x"
            await asyncio.sleep(PATIENCE)

        async with AsyncClient(transport=ASGITransport(app), base_url="http://testserver") as client:
            kind = {"Content-Type": "multipart/form-data; boundary=x", "Expect": "100-continue"}
            return await client.post("/v1/predict", content=body(), headers=kind)

    with serving(seconds=0.2) as client:
        assert "too long to arrive" in problem(asyncio.run(ask(client.app)), 408)


def test_a_name_is_a_label_and_nothing_else(client: TestClient) -> None:
    names = ["../../etc/passwd", "a" * 1000, "\u202egnp.exe", "naïve \U0001f600.png"]
    form = [("images", (name, picture())) for name in names]
    answers = client.post("/v1/predict", files=form).json()
    assert [answer["path"] for answer in answers] == [name[:255] for name in names]
    kind = {"Content-Type": "multipart/form-data; boundary=x; charset=unicode_escape"}
    body = b'--x\r\nContent-Disposition: form-data; name="images"; filename="\\ud800"\r\n\r\ntext\r\n--x--\r\n'
    assert client.post("/v1/predict", content=body, headers=kind).status_code == 200


def test_labels_health_and_the_description(client: TestClient) -> None:
    labels = client.get("/v1/labels").json()
    assert labels["labels"] == list(EMOTIONS)
    assert labels["colours"]["angry"] == hex_of("angry", EMOTIONS)
    assert client.get("/healthz").json() == {"status": "ok"}
    paths = client.get("/openapi.json").json()["paths"]
    assert set(paths) == {"/v1/predict", "/v1/embed", "/v1/labels", "/healthz", "/readyz", "/metrics"}
    content = paths["/v1/predict"]["post"]["requestBody"]["content"]
    assert set(content) == {"multipart/form-data", "application/json"}
    problem(client.get("/docs"), 404)


def test_ready_is_said_only_while_it_is() -> None:
    app = create_app(settings())
    outside = TestClient(app)
    assert "loading" in problem(outside.get("/readyz"), 503)
    refused = outside.post("/v1/predict", files=files(picture()))
    assert "loading" in problem(refused, 503)
    assert refused.headers["retry-after"] == "1"
    with TestClient(app) as client:
        while client.get("/readyz").status_code != 200:
            pass
    assert "stopping" in problem(outside.get("/readyz"), 503)


def test_a_model_that_cannot_be_loaded_is_said(tmp_path) -> None:
    with TestClient(create_app(Settings(pipeline=one_core(checkpoint=tmp_path)))) as client:
        while "loading:" in (said := problem(client.get("/readyz"), 503)) or said.endswith("loading"):
            pass
    assert "is not a checkpoint" in said
    with (
        pytest.raises(Problem, match="is not a checkpoint"),
        TestClient(create_app(Settings(pipeline=one_core(checkpoint=tmp_path), load_first=True))),
    ):
        pass
    with TestClient(create_app(Settings(load_first=True))) as client:
        assert client.get("/readyz").status_code == 200


def test_the_page_is_a_fixed_list_of_files(client: TestClient) -> None:
    page = client.get("/page/example.jpg")
    assert page.headers["content-type"] == "image/jpeg"
    again = client.get("/page/example.jpg", headers={"If-None-Match": page.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    head = client.head("/page/example.jpg")
    assert (head.status_code, head.headers["etag"]) == (200, page.headers["etag"])
    script = next(iter(client.get("/page/server.js").headers["content-type"].split(";")))
    assert script == "text/javascript"
    for path in (
        "/page/../app.py",
        "/page/%2e%2e/app.py",
        "/page//etc/passwd",
        "/page/",
        "/page/app.py",
        "/page/no.js",
    ):
        problem(client.get(path), 404)
    assert client.get("/").headers["content-type"].startswith("text/html")
    config = json.loads(client.get("/page/config.json").content)
    assert config["labels"] == list(EMOTIONS)
    assert (config["mode"], config["max_images"], config["key_required"]) == ("server", 4, False)
    assert (config["max_bytes"], config["unsure_below"], config["explain"]) == (1_000_000, 0.5, True)


def test_a_checkpoint_of_onnx_alone_explains(tmp_path, portrait: bytes) -> None:
    for name in ("card.json", "model.onnx"):
        (tmp_path / name).write_bytes((Checkpoint.open().folder / name).read_bytes())
    given = Settings(pipeline=one_core(checkpoint=tmp_path))
    with TestClient(create_app(given), raise_server_exceptions=False) as client:
        wait_until_ready(client)
        assert client.get("/page/config.json").json()["explain"] is True
        (answer,) = client.post("/v1/predict?explain=true", files=files(portrait)).json()
        assert opened(answer["faces"][0]["explanation"]).mode == "RGBA"


def test_what_an_unsure_answer_may_come_from_is_told(client: TestClient, portrait: bytes) -> None:
    """The portrait, so dark that little is left of it."""
    pixels = np.asarray(Image.open(io.BytesIO(portrait)))
    dark = encoded(Image.fromarray((pixels * 0.05).astype(np.uint8)))
    answers = client.post("/v1/predict?detect=false", files=files(dark, portrait)).json()
    for answer in answers:
        (face,) = answer["faces"]
        assert ("doubts" in face) == (face["confidence"] < UNSURE_BELOW and answer is answers[0])
