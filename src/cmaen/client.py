"""A client of ``cmaen serve`` that needs only the standard library.

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
from typing import Any, NamedTuple
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import Request, urlopen

from cmaen.errors import ServiceError
from cmaen.several import require_several

_PASSING = (429, 500, 502, 503)
"""Temporary refusals: too many requests, and a proxy's answers for a server that died."""
_TOO_MUCH = (413, 504)
"""Refusals of too many bytes, or too much work, at once."""
_KINDS = {
    FileNotFoundError: "ImageNotFoundError",
    PermissionError: "ImagePermissionError",
    IsADirectoryError: "NotAFileError",
}
"""Errors of files by the names of :mod:`cmaen.errors`, as the server would report them."""
_LONGEST_WAIT = 30.0
_BATCH_BYTES = 16 * 2**20


class EmotionClient:
    """A client that asks a server for the emotions of the faces in images.

    Args:
        address: Address of the server, such as ``http://localhost:8000``.
        api_key: API key, if the server requires one.
        timeout: Timeout of one request in seconds.
        retries: Number of times that a request is repeated when the server is busy or fails, or the connection breaks.
        sleep: Function that waits between attempts for the number of seconds that the server asks for.

    Raises:
        ServiceError: The address is not an HTTP address.
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
            raise ServiceError(f"{address!r} is not the address of a server; give one such as http://localhost:8000")
        self._address = address.rstrip("/")
        self._headers = {"Accept": "application/json"}
        if api_key is not None:
            self._headers["Authorization"] = f"Bearer {api_key.strip()}".encode().decode("latin-1")  # keeps UTF-8
        self._timeout, self._retries, self._sleep = timeout, retries, sleep

    def labels(self, scheme: str | None = None) -> list[str]:
        """Return the emotions of a label scheme, in the order of every answer; ``None``: the server's own scheme.

        Raises:
            ServiceError: The server gives no answer.
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
        """Return one dict per image, in order, as :meth:`cmaen.EmotionPredictor.predict_single` does.

        Args:
            images: Paths of files, or their bytes.
            detect: Whether to detect the faces first; ``False``: each image is already a face crop.
            top_k: Number of entries of ``top``, the most probable emotions of the largest face, 1 to 7.
            explain: Whether to add to each face (of a crowd to the 16 largest) where its answer comes from:
                ``explanation``, a PNG with transparency to be laid over its ``crop``; both are data URIs.
            scheme: Label scheme: ``perceived`` (what people see) or ``fer2013``; ``None``: the server's own.
            contempt: Whether to answer contempt as an eighth emotion, which only ``perceived`` has.
            batch_size: Maximum number of images in one request.

        Raises:
            ServiceError: The server gives no answer; those to earlier images are in the error's ``answers``. Problems
                with an image or its file, and images too large for the server, are reported in the image's dict.
            TypeError: ``images`` is a single image.
        """
        query: dict[str, Any] = {"detect": str(detect).lower(), "explain": str(explain).lower()}
        if top_k is not None:
            query["top_k"] = top_k
        if scheme is not None:
            query["scheme"] = scheme
        if contempt:
            query["contempt"] = "true"
        answers = self._post("predict", query, images, batch_size)
        if top_k is not None:
            for answer in answers:
                answer.setdefault("top", [])
        return answers

    def embed(
        self, images: Sequence[str | os.PathLike[str] | bytes], detect: bool = True, *, batch_size: int = 16
    ) -> list[list[float] | None]:
        """Return the features of each image's largest face, as :meth:`cmaen.EmotionPredictor.embed` does; ``None`` if
        there is no face, or the image cannot be read.

        Args:
            images, detect, batch_size: See :meth:`predict`.

        Raises:
            ServiceError, TypeError: See :meth:`predict`.
        """
        answers = self._post("embed", {"detect": str(detect).lower()}, images, batch_size)
        return [answer.get("features") for answer in answers]

    def _post(
        self, route: str, query: dict[str, Any], images: Sequence[str | os.PathLike[str] | bytes], batch_size: int
    ) -> list[dict[str, Any]]:
        """Send images in as many requests as it takes, and return one answer per image, in order."""
        require_several(images, "put it into a list")
        address = f"{self._address}/v1/{route}?{urlencode(query)}"
        answers: list[dict[str, Any]] = []
        try:
            for batch in _batches(map(_read, images), batch_size):
                answers += self._answers(address, batch)
        except ServiceError as error:
            raise ServiceError(str(error), answers) from error
        return answers

    def _answers(self, address: str, batch: Sequence[_File]) -> list[dict[str, Any]]:
        """Return one answer per file; unreadable files are not sent, and a batch that is too large is split."""
        sent = [file for file in batch if file.error is None]
        try:
            given = iter(self._send(address, sent) if sent else ())
        except _TooMuchError as error:
            if len(sent) > 1:
                half = len(sent) // 2
                given = iter(self._answers(address, sent[:half]) + self._answers(address, sent[half:]))
            else:
                given = iter([_describe_failure(sent[0].name, str(error))])
        return [next(given) if file.error is None else _describe_failure(file.name, file.error) for file in batch]

    def _send(self, address: str, files: Sequence[_File]) -> list[dict[str, Any]]:
        body, kind = _form(files)
        answers = self._ask(Request(address, body, {**self._headers, "Content-Type": kind}))
        if not isinstance(answers, list) or len(answers) != len(files):
            raise ServiceError(
                f"{self._address} does not answer like cmaen serve: it must give one answer for each image"
            )
        return answers

    def _ask(self, request: Request) -> Any:
        """Return the JSON of an answer; the request is repeated while the server is busy."""
        for attempt in range(self._retries + 1):
            last = attempt == self._retries
            try:
                with urlopen(request, timeout=self._timeout) as response:
                    return json.load(response)
            except HTTPError as error:
                if error.code in _TOO_MUCH:
                    raise _TooMuchError(f"{self._address} refuses: {_detail(error)}") from error
                if error.code not in _PASSING or last:
                    raise ServiceError(f"{self._address} refuses: {_detail(error)}") from error
                wait = _seconds(error.headers.get("Retry-After"), 2.0**attempt)
            except (URLError, HTTPException, OSError) as error:
                if last:
                    reason = getattr(error, "reason", error)
                    raise ServiceError(f"{self._address} cannot be reached: {reason}; is it running?") from error
                wait = 2.0**attempt / 4
            except ValueError as error:
                raise ServiceError(f"{self._address} does not answer like cmaen serve: {error}") from error
            self._sleep(min(wait, _LONGEST_WAIT))
        raise AssertionError("the last attempt returns or raises")


class _TooMuchError(ServiceError):
    """A refusal of a server that might accept less at once."""


class _File(NamedTuple):
    """An image to send: its name and its content, or the reason why there is none."""

    name: str
    content: bytes
    error: str | None = None


def _batches(files: Iterable[_File], size: int) -> Iterator[list[_File]]:
    """Yield batches limited in number of files, and in bytes so that a server accepts them."""
    batch: list[_File] = []
    for file in files:
        if batch and sum(len(one.content) for one in batch) + len(file.content) > _BATCH_BYTES:
            yield batch
            batch = []
        batch.append(file)
        if len(batch) >= size:
            yield batch
            batch = []
    if batch:
        yield batch


def _read(image: str | os.PathLike[str] | bytes) -> _File:
    """Read the name and the content of an image."""
    if isinstance(image, bytes | bytearray | memoryview):
        return _File("image", bytes(image))
    try:
        path = Path(image)
    except TypeError as error:
        return _File(
            "image", b"", f"ImageArrayError: an image must be a path or bytes, not {type(image).__name__} ({error})"
        )
    name = path.name.encode("utf-8", "backslashreplace").decode()
    try:
        return _File(name, path.read_bytes())
    except (OSError, ValueError) as error:  # ValueError: an impossible file name
        kind = next((kind for cause, kind in _KINDS.items() if isinstance(error, cause)), "UnreadableImageError")
        return _File(name, b"", f"{kind}: {name} cannot be read: {getattr(error, 'strerror', None) or error}")


def _describe_failure(name: str, error: str) -> dict[str, Any]:
    """Describe a failure in the form in which the server reports images that it cannot read."""
    answer = dict.fromkeys(("scheme", "predicted_emotion", "confidence", "probabilities"))
    return {"path": name, "status": "error", "error": error, **answer, "faces": []}


def _form(files: Sequence[_File]) -> tuple[bytes, str]:
    """Build a form with the field ``images``, and return it with its media type."""
    boundary = uuid.uuid4().hex
    parts = []
    for name, content, _ in files:
        safe = name.encode("utf-8", "replace").decode().translate({34: "%22", 10: "%0A", 13: "%0D"})
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="images"; filename="{safe}"\r\n\r\n'
        parts += [head.encode(), content, b"\r\n"]
    return b"".join([*parts, f"--{boundary}--\r\n".encode()]), f"multipart/form-data; boundary={boundary}"


def _detail(error: HTTPError) -> str:
    """Return the server's explanation of its refusal."""
    try:
        return f"{json.load(error)['detail']} ({error.code})"
    except (ValueError, KeyError, TypeError):
        return f"{error.code} {error.reason}"


def _seconds(text: str | None, otherwise: float) -> float:
    return float(text) if text is not None and text.isdecimal() else otherwise
