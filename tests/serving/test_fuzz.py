"""Hundreds of randomly broken uploads, and everything that the service's description allows or forbids."""

from __future__ import annotations

import asyncio
import base64
import json
import random
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient, Response
from hypothesis import given, settings

from cmaen.inference.explaining import ExplainedFace, ExplainedPicture
from cmaen.results import Face
from cmaen.serving import service
from cmaen.types import FaceBox
from tests.serving.conftest import picture, serving

schemathesis = pytest.importorskip("schemathesis")
from schemathesis import GenerationMode  # noqa: E402
from schemathesis.schemas import BaseSchema  # noqa: E402
from schemathesis.specs.openapi.checks import ignored_auth  # noqa: E402

KEY = {"X-API-Key": "secret"}
UPLOADS = 500
KINDS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")
HEAD = b'--x\r\nContent-Disposition: form-data; name="images"; filename="a.png"\r\n\r\n'


@pytest.fixture(scope="module")
def app() -> Iterator[FastAPI]:
    with (
        pytest.MonkeyPatch.context() as patch,
        serving(key=KEY["X-API-Key"], pixels=1_000_000, body_bytes=200_000, images=8, queue=1000, wait=600) as client,
    ):
        heat, face = np.zeros((8, 8), np.float32), Face((1.0,), FaceBox(0, 0, 8, 8), classes=("happy",))
        found = ExplainedPicture((ExplainedFace(face, np.zeros((8, 8, 3), np.uint8), heat),))
        patch.setattr(service, "explain_crops", lambda *_: found)  # takes seconds
        yield client.app


def mutated(content: bytes, rng: random.Random) -> bytes:
    """Change, remove, repeat or insert some bytes."""
    wrong = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 8, 64))):
        place = rng.randrange(len(wrong) + 1)
        length = rng.choice((1, 1, 4, 100))
        match rng.randrange(4):
            case 0:
                wrong[place : place + length] = rng.randbytes(len(wrong[place : place + length]))
            case 1:
                del wrong[place : place + length]
            case 2:
                wrong[place:place] = wrong[place : place + length]
            case 3:
                wrong[place:place] = rng.choice((b"\0", b"\xff" * 4, b"\r\n", b"--x", b'"', b"\x7f\xff\xff\xff"))
    return bytes(wrong)


def uploads() -> Iterator[tuple[bytes, str]]:
    """Yield bodies and their media types: forms with wrong images, wrong forms, and wrong JSON."""
    rng = random.Random(0)
    pictures = [picture(kind) for kind in KINDS]
    for number in range(UPLOADS):
        content = rng.choice(pictures)
        form = HEAD + content + b"\r\n--x--\r\n"
        if number % 10 < 7:
            yield HEAD + mutated(content, rng) + b"\r\n--x--\r\n", "multipart/form-data; boundary=x"
        elif number % 10 < 9:
            place = rng.choice((mutated(form[:200], rng) + form[200:], form[:-20] + mutated(form[-20:], rng)))
            yield (
                place,
                rng.choice(("multipart/form-data; boundary=x", "multipart/form-data; boundary=x; charset=utf-16")),
            )
        else:
            text = json.dumps({"images": [base64.b64encode(content).decode()], "detect": True, "top_k": 3}).encode()
            yield mutated(text[:40], rng) + text[40:-40] + mutated(text[-40:], rng), "application/json"


def test_hundreds_of_wrong_uploads_and_no_failure(app: FastAPI) -> None:
    async def ask_all() -> list[Response]:
        places = asyncio.Semaphore(16)
        async with AsyncClient(
            transport=ASGITransport(app, raise_app_exceptions=False), base_url="http://test"
        ) as client:

            async def ask(content: bytes, kind: str) -> Response:
                async with places:
                    return await client.post("/v1/predict", content=content, headers={"Content-Type": kind, **KEY})

            return await asyncio.gather(*[ask(*upload) for upload in uploads()])

    responses = asyncio.run(ask_all())
    counts = Counter(response.status_code for response in responses)
    statuses = Counter(answer["status"] for response in responses if response.is_success for answer in response.json())
    print(f"{len(responses)} wrong uploads: {dict(counts)}, images: {dict(statuses)}")
    assert len(responses) == UPLOADS
    assert set(counts) <= {200, 400, 413, 422}
    assert statuses["error"] > UPLOADS / 5
    assert statuses["no_face"] > UPLOADS / 20
    assert not any("Traceback" in response.text for response in responses)


def started(app: FastAPI):
    """Start the application once for schemathesis, which would start and stop it around each request."""

    async def running(scope, receive, send) -> None:
        if scope["type"] != "lifespan":
            await app(scope, receive, send)
            return
        while (message := await receive())["type"] != "lifespan.shutdown":
            await send({"type": f"{message['type']}.complete"})
        await send({"type": "lifespan.shutdown.complete"})

    return running


@pytest.fixture(scope="module")
def description(app: FastAPI) -> BaseSchema:
    """Read the service's description of itself, which takes schemathesis a moment."""
    return schemathesis.openapi.from_asgi("/openapi.json", started(app))


@pytest.mark.parametrize(
    ("method", "path", "mode"),
    [
        ("POST", "/v1/predict", GenerationMode.POSITIVE),
        ("POST", "/v1/predict", GenerationMode.NEGATIVE),
        ("GET", "/v1/labels", GenerationMode.POSITIVE),
        ("GET", "/healthz", GenerationMode.POSITIVE),
        ("GET", "/readyz", GenerationMode.POSITIVE),
        ("GET", "/metrics", GenerationMode.POSITIVE),
    ],
)
def test_the_service_is_as_it_is_described(
    description: BaseSchema, method: str, path: str, mode: GenerationMode
) -> None:
    operation = description[path][method]
    excluded = [ignored_auth] if mode.is_negative else []  # it takes a wrong key beside the right one for no key
    count = 0

    @given(case=operation.as_strategy(mode))
    @settings(max_examples=50 if method == "POST" else 5, deadline=None, derandomize=True, database=None)
    def check(case: schemathesis.Case) -> None:
        nonlocal count
        count += 1
        case.call_and_validate(headers=KEY, excluded_checks=excluded)

    check()
    print(f"{method} {path}, {mode.value}: {count} requests")
