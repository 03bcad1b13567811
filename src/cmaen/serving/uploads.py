"""Images of a request as bytes, from a form or from JSON; file names and addresses from clients are never opened."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Any

import anyio.to_thread
from fastapi import Request
from pydantic import ValidationError
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from cmaen.images.encoded import decode_base64, unescape
from cmaen.serving.problems import Problem, describe_findings
from cmaen.serving.schemas import TOO_MANY, EmbedBody
from cmaen.serving.settings import Limits

log = logging.getLogger(__name__)

_LONGEST_NAME = 255
_MOST_STRINGS = 64
"""Maximum number of strings in a JSON body besides the images: names and values of options."""
_MOST_OUTSIDE = 16_384
"""Maximum number of bytes outside the strings of a JSON body, such as brackets, numbers and spaces."""


@dataclass(frozen=True, slots=True)
class Upload:
    """One image of a request.

    Attributes:
        name: Name given by the client, which is only a label.
        content: Bytes of the image file.
        error: Reason why there are none; ``None`` if there are.
    """

    name: str
    content: bytes = b""
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """The images of a request, and its options."""

    uploads: list[Upload]
    detect: bool
    explain: bool
    top_k: int | None
    scheme: str | None = None
    contempt: bool = False


async def read_request(
    request: Request,
    limits: Limits,
    schema: type[EmbedBody],
    *,
    take: Callable[[int], None],
    detect: bool,
    explain: bool = False,
    top_k: int | None = None,
    scheme: str | None = None,
    contempt: bool = False,
) -> Asked:
    """Read the body of a request, up to the limit.

    Args:
        request: Request whose body is a form with the field ``images``, or JSON.
        limits: Limits of the body and of the number of images.
        schema: Schema of the JSON.
        take: Function that is called with the number of bytes in each received chunk, and may refuse it.
        detect, explain, top_k, scheme, contempt: Options in the query, which those in a JSON body override.

    Raises:
        Problem: The body is too large, of another type, or invalid.
    """
    query: dict[str, Any] = {
        "detect": detect,
        "explain": explain,
        "top_k": top_k,
        "scheme": scheme,
        "contempt": contempt,
    }
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = _stream_body(request, limits.body_bytes, take)
    if kind == "multipart/form-data":
        asked = Asked(await _from_form(request, body, limits), **query)
    elif kind == "application/json":
        content = b"".join([chunk async for chunk in body])
        asked = await anyio.to_thread.run_sync(_from_json, content, limits, schema, query)
    else:
        raise Problem(415, f"send multipart/form-data or application/json, not {kind or 'a body without Content-Type'}")
    if not asked.uploads:
        raise Problem(422, "there is no image in the request; send at least one in the field images")
    if len(asked.uploads) > limits.images:
        raise _too_many(limits)
    return asked


async def _stream_body(request: Request, most: int, take: Callable[[int], None]) -> AsyncGenerator[bytes, None]:
    """Yield the body in chunks, up to a number of bytes; a Content-Length above it is refused at once."""
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > most:
        raise _too_large(most)
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > most:
            raise _too_large(most)
        take(len(chunk))
        yield chunk


async def _from_form(request: Request, body: AsyncGenerator[bytes, None], limits: Limits) -> list[Upload]:
    parser = MultiPartParser(request.headers, body, max_files=limits.images, max_fields=0)
    parser.spool_max_size = limits.body_bytes + 1  # images stay in memory and are never written to a disk
    try:
        form = await parser.parse()
    except MultiPartException as error:
        if "Too many files" in error.message:
            raise _too_many(limits) from error
        if "Too many fields" in error.message:
            raise Problem(
                422, "a form may contain nothing but files, in the field images; send options in the query"
            ) from error
        raise Problem(400, f"the form cannot be read: {error.message}") from error
    except (Problem, ClientDisconnect):  # raised by the body, which the parser reads
        raise
    except Exception as error:  # the parser and its codecs raise various errors, but it is the form that is wrong
        log.info("a form could not be read", exc_info=error)
        raise Problem(400, f"the form cannot be read: {error}") from error
    try:
        return [await _of_field(field, file) for field, file in form.multi_items()]
    finally:
        await form.close()


async def _of_field(field: str, file: UploadFile | str) -> Upload:
    if field != "images" or not isinstance(file, UploadFile):
        raise Problem(422, f"a form may contain nothing but files, in the field images, not in {field[:50]!r}")
    return Upload((file.filename or "")[:_LONGEST_NAME], await file.read())


def _from_json(content: bytes, limits: Limits, schema: type[EmbedBody], query: dict[str, Any]) -> Asked:
    _check_shape(content, limits)
    try:
        body = schema.model_validate_json(content)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        if any(one["type"] == TOO_MANY and one["loc"] == ("images",) for one in found):
            raise _too_many(limits) from error
        raise Problem(422, f"the JSON is invalid: {describe_findings(found)}") from error
    given = body.model_dump(exclude={"images"}, exclude_none=True)
    return Asked([_decode_upload(index, text) for index, text in enumerate(body.images)], **query | given)


def _check_shape(content: bytes, limits: Limits) -> None:
    """Refuse JSON with far more than images and options before it is parsed, because values multiply in memory.

    A request is a few long strings with little between them; counting quotation marks is enough to check this.

    Raises:
        Problem: There are too many strings, or too many bytes outside them.
    """
    most = 2 * (limits.images + 1 + _MOST_STRINGS)  # one image too many has its own message
    parts = content.split(b'"', most)
    outside, inside = 0, False
    for part in parts:
        if inside:
            inside = (len(part) - len(part.rstrip(b"\\"))) % 2 == 1  # the quotation mark after it is escaped
        else:
            outside += len(part)
            inside = True
    if len(parts) > most or outside > _MOST_OUTSIDE * (1 + limits.images // 32):
        raise Problem(
            422,
            f"the JSON is invalid: it may contain only images, {limits.images} at most, and options",
        )


def _decode_upload(index: int, text: str) -> Upload:
    """Decode an image from base64 in any alphabet, with or without line breaks and padding, or from a data URI."""
    name = f"images[{index}]"
    if text[:5].lower() == "data:":
        head, _, text = text.partition(",")
        plain = unescape(text)  # a data URI may be percent-encoded, including its base64
        if not head.rstrip().lower().endswith(";base64"):
            return Upload(name, plain)
        text = plain.decode("ascii", "replace")
    try:
        return Upload(name, decode_base64(text))
    except ValueError as error:
        return Upload(name, error=f"UnreadableImageError: {name} is not base64: {error}")


def _too_large(most: int) -> Problem:
    return Problem(413, f"the request exceeds the limit of {most:,} bytes; send fewer or smaller images")


def _too_many(limits: Limits) -> Problem:
    return Problem(422, f"a request may contain at most {limits.images} images; send the others in another request")
