"""Applications in this process, and pictures made by code."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("fastapi")

from fastapi.testclient import TestClient

from cmaen.images.reader import read_image
from cmaen.inference.spec import PipelineSpec
from cmaen.serving.app import create_app
from cmaen.serving.settings import SERVED, Limits, Settings
from cmaen.web.notice import NOTICE
from tests.conftest import EXAMPLES, wait_until


def settings(
    *,
    key: str | None = None,
    origins: tuple[str, ...] = (),
    hosts: tuple[str, ...] = (),
    notice: str = NOTICE,
    **limits,
) -> Settings:
    """Return settings for one core, with some unusual limits."""
    return Settings(
        pipeline=one_core(), api_key=key, origins=origins, hosts=hosts, notice=notice, limits=Limits(**limits)
    )


def one_core(**given) -> PipelineSpec:
    """Return the pipeline of a server on one core."""
    return replace(SERVED, workers=1, **given)


@contextmanager
def serving(**given) -> Iterator[TestClient]:
    """Yield a client of an application that is ready."""
    with TestClient(create_app(settings(**given)), raise_server_exceptions=False) as client:
        wait_until_ready(client)
        yield client


def wait_until_ready(client: TestClient) -> None:
    wait_until(lambda: client.get("/readyz").status_code == 200)


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with serving(images=4, body_bytes=1_000_000, pixels=1_000_000, queue=8) as client:
        yield client


def picture(kind: str = "PNG", **options) -> bytes:
    """Encode a small picture without a face as a file."""
    pixels = np.random.default_rng(0).integers(0, 256, (40, 48, 3), dtype=np.uint8)
    return encoded(Image.fromarray(pixels), kind, **options)


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


@pytest.fixture(scope="session")
def portrait() -> bytes:
    """Return the astronaut as a JPEG."""
    return encoded(Image.fromarray(read_image(EXAMPLES / "astronaut.png")[:302, 60:382]), "JPEG", quality=92)


def files(*contents: bytes) -> list[tuple[str, tuple[str, bytes]]]:
    """Return the fields of a form."""
    return [("images", (f"{index}.jpg", content)) for index, content in enumerate(contents)]
