"""A client of ``cmaen serve``, of nothing but the standard library.

from cmaen.client import EmotionClient

EmotionClient("http://localhost:8000").predict(["photo.jpg"])
"""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import Request, urlopen

from cmaen.errors import ServiceError
from cmaen.several import require_several

_PASSING = (429, 500, 502, 503)
"""Refusals that pass: too much to do, and what a proxy says of a server that died."""
_LONGEST_WAIT = 30.0
_BATCH_BYTES = 16 * 2**20


class EmotionClient:
    """Asks a server for the emotions of the faces in images.

    Args:
        address: Of the server, like ``http://localhost:8000``.
        api_key: Where the server has one.
        timeout: Seconds for one request.
        retries: Times that a request is sent again, when the server is busy or fails, or the connection breaks.
        sleep: Waits so many seconds before that, as the server says.

    Raises:
        ServiceError: The address is not one of HTTP.
    """

    def __init__(
        self,
        address: str,
        api_key: str | None = None,
        *,
        timeout: float = 60.0,
        retries: int = 5,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if urlsplit(address).scheme not in ("http", "https"):
            raise ServiceError(f"{address!r} is not the address of a server; give one like http://localhost:8000")
        self._address = address.rstrip("/")
        self._headers = {"Accept": "application/json"}
        if api_key is not None:
            self._headers["Authorization"] = f"Bearer {api_key}"
        self._timeout, self._retries, self._sleep = timeout, retries, sleep

    def labels(self, scheme: str | None = None) -> list[str]:
        """The emotions of a label scheme, in the order of every answer; ``None``: the server's own scheme.

        Raises:
            ServiceError: There is no answer.
        """
        query = "" if scheme is None else f"?{urlencode({'scheme': scheme})}"
        return list(self._ask(Request(f"{self._address}/v1/labels{query}", headers=self._headers))["labels"])

    def predict(
        self,
        images: Sequence[str | os.PathLike[str] | bytes],
        detect: bool = True,
        top_k: int | None = None,
        *,
        explain: bool = False,
        scheme: str | None = None,
        contempt: bool = False,
        batch_size: int = 16,
    ) -> list[dict[str, Any]]:
        """One dict for each image, in order, as :meth:`cmaen.EmotionPredictor.predict_single` gives it.

        Args:
            images: Paths of files, or their bytes.
            detect: Find the faces first; ``False`` says that each image is a face crop already.
            top_k: Add ``top``, the most probable emotions of the largest face, 1 to 7 of them.
            explain: Add ``explanation`` to the largest face, a PNG as a data URI.
            scheme: Label scheme: ``perceived`` (what people see) or ``fer2013``; ``None``: the server's own.
            contempt: Answer contempt as an eighth emotion, which ``perceived`` alone knows.
            batch_size: Images of one request, at most.

        Raises:
            ServiceError: A file cannot be read, or there is no answer. What is wrong with an image is in its dict.
            TypeError: ``images`` is a single image.
        """
        query: dict[str, Any] = {"detect": str(detect).lower(), "explain": str(explain).lower()}
        if top_k is not None:
            query["top_k"] = top_k
        if scheme is not None:
            query["scheme"] = scheme
        if contempt:
            query["contempt"] = "true"
        return self._post("predict", query, images, batch_size)

    def embed(
        self, images: Sequence[str | os.PathLike[str] | bytes], detect: bool = True, *, batch_size: int = 16
    ) -> list[list[float] | None]:
        """The features of each image's largest face, as :meth:`cmaen.EmotionPredictor.embed` gives them; ``None`` where
        there is no face, or the image cannot be read.

        Args:
            images, detect, batch_size: See :meth:`predict`.

        Raises:
            ServiceError, TypeError: See :meth:`predict`.
        """
        answers = self._post("embed", {"detect": str(detect).lower()}, images, batch_size)
        return [answer["features"] for answer in answers]

    def _post(
        self, route: str, query: dict[str, Any], images: Sequence[str | os.PathLike[str] | bytes], batch_size: int
    ) -> list[dict[str, Any]]:
        """One answer for each image, in order, of as many requests as it takes."""
        require_several(images, "put it into a list")
        address = f"{self._address}/v1/{route}?{urlencode(query)}"
        answers: list[dict[str, Any]] = []
        for files in _batches(images, batch_size):
            body, kind = _form(files)
            answers += self._ask(Request(address, body, {**self._headers, "Content-Type": kind}))
        return answers

    def _ask(self, request: Request) -> Any:
        """The JSON of an answer; asked for again while the server is busy."""
        for attempt in range(self._retries + 1):
            last = attempt == self._retries
            try:
                with urlopen(request, timeout=self._timeout) as response:
                    return json.load(response)
            except HTTPError as error:
                if error.code not in _PASSING or last:
                    raise ServiceError(f"{self._address} refuses: {_detail(error)}") from error
                wait = _seconds(error.headers.get("Retry-After"), 2.0**attempt)
            except (URLError, HTTPException, OSError) as error:
                if last:
                    reason = getattr(error, "reason", error)
                    raise ServiceError(f"{self._address} cannot be reached: {reason}; is it running?") from error
                wait = 2.0**attempt / 4
            except ValueError as error:
                raise ServiceError(f"{self._address} does not answer as cmaen serve does: {error}") from error
            self._sleep(min(wait, _LONGEST_WAIT))
        raise AssertionError("the last attempt returns or raises")


def _batches(images: Iterable[str | os.PathLike[str] | bytes], size: int) -> Iterator[list[tuple[str, bytes]]]:
    """Names and contents of so many images at most, and of so few that a server takes them."""
    batch: list[tuple[str, bytes]] = []
    for name, content in map(_file, images):
        if len(batch) == size or (batch and sum(len(one) for _, one in batch) + len(content) > _BATCH_BYTES):
            yield batch
            batch = []
        batch.append((name, content))
    if batch:
        yield batch


def _file(image: str | os.PathLike[str] | bytes) -> tuple[str, bytes]:
    """The name and the content of an image."""
    if isinstance(image, bytes):
        return "image", image
    try:
        return Path(image).name, Path(image).read_bytes()
    except OSError as error:
        raise ServiceError(f"{image} cannot be read: {error.strerror}") from error


def _form(files: Sequence[tuple[str, bytes]]) -> tuple[bytes, str]:
    """A form with the field ``images``, and its media type."""
    boundary = uuid.uuid4().hex
    parts = []
    for name, content in files:
        safe = name.encode("utf-8", "replace").decode().translate({34: "%22", 10: "%0A", 13: "%0D"})
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="images"; filename="{safe}"\r\n\r\n'
        parts += [head.encode(), content, b"\r\n"]
    return b"".join([*parts, f"--{boundary}--\r\n".encode()]), f"multipart/form-data; boundary={boundary}"


def _detail(error: HTTPError) -> str:
    """What the server says about its refusal."""
    try:
        return f"{json.load(error)['detail']} ({error.code})"
    except (ValueError, KeyError, TypeError):
        return f"{error.code} {error.reason}"


def _seconds(text: str | None, otherwise: float) -> float:
    return float(text) if text is not None and text.isdecimal() else otherwise
