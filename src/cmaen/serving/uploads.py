"""What a client sent: the images of a request as bytes, from a form or from JSON. No name or address is ever opened."""

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

from cmaen.encoded import decode_base64, unescape
from cmaen.serving.problems import Problem, describe_findings
from cmaen.serving.schemas import TOO_MANY, EmbedBody
from cmaen.serving.settings import Limits

log = logging.getLogger(__name__)

_LONGEST_NAME = 255
_MOST_STRINGS = 64
"""Beside the images of a JSON body: names of options and their values."""
_MOST_OUTSIDE = 16_384
"""Bytes of a JSON body that stand in no string, which each may be a value to be kept: brackets, numbers, spaces."""


@dataclass(frozen=True, slots=True)
class Upload:
    """One image of a request.

    Attributes:
        name: What the client calls it; a label and nothing else.
        content: Its bytes.
        error: Why there are none.
    """

    name: str
    content: bytes = b""
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """The images of a request, and what is asked of them."""

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
    """Read a request's body, never more of it than the limit.

    Args:
        request: Its body is a form with the field ``images``, or JSON.
        limits: Of the body and the number of images.
        schema: Of the JSON.
        take: Is told of every byte that has come, and may refuse it.
        detect, explain, top_k, scheme, contempt: Of the query; what stands in a JSON body counts instead.

    Raises:
        Problem: The body is too large, of another type, or not what it should be.
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
        raise Problem(415, f"send multipart/form-data or application/json, not {kind or 'a body without a type'}")
    if not asked.uploads:
        raise Problem(422, "there is no image in the request; send one or more as images")
    if len(asked.uploads) > limits.images:
        raise _too_many(limits)
    return asked


async def _stream_body(request: Request, most: int, take: Callable[[int], None]) -> AsyncGenerator[bytes, None]:
    """The body as it comes, up to a number of bytes; a length that is announced is believed where it is too large."""
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
                422, "a form holds nothing but files, in the field images; the rest goes into the address"
            ) from error
        raise Problem(400, f"the form cannot be read: {error.message}") from error
    except (Problem, ClientDisconnect):  # of the body, which the parser asks for
        raise
    except Exception as error:  # whatever its parser and its codecs make of it: the form is wrong, not the server
        log.info("a form could not be read", exc_info=error)
        raise Problem(400, f"the form cannot be read: {error}") from error
    try:
        return [await _of_field(field, file) for field, file in form.multi_items()]
    finally:
        await form.close()


async def _of_field(field: str, file: UploadFile | str) -> Upload:
    if field != "images" or not isinstance(file, UploadFile):
        raise Problem(422, f"a form holds nothing but files, in the field images, not in {field[:50]!r}")
    return Upload((file.filename or "")[:_LONGEST_NAME], await file.read())


def _from_json(content: bytes, limits: Limits, schema: type[EmbedBody], query: dict[str, Any]) -> Asked:
    _check_shape(content, limits)
    try:
        body = schema.model_validate_json(content)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        if any(one["type"] == TOO_MANY and one["loc"] == ("images",) for one in found):
            raise _too_many(limits) from error
        raise Problem(422, f"the JSON is not as it should be: {describe_findings(found)}") from error
    given = body.model_dump(exclude={"images"}, exclude_none=True)
    return Asked([_decode_upload(index, text) for index, text in enumerate(body.images)], **query | given)


def _check_shape(content: bytes, limits: Limits) -> None:
    """Refuse, before it is parsed, what holds far more than images and options: a value takes many times its bytes.

    A request is a few long strings with little between them, which quotation marks tell.

    Raises:
        Problem: There are too many strings, or too much stands outside of them.
    """
    most = 2 * (limits.images + 1 + _MOST_STRINGS)  # one image too many has its own words
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
            f"the JSON is not as it should be: it holds more than images, {limits.images} at most, and their options",
        )


def _decode_upload(index: int, text: str) -> Upload:
    """An image from base64 in any of its alphabets, with or without line breaks and padding, or from a data URI."""
    name = f"images[{index}]"
    if text[:5].lower() == "data:":
        head, _, text = text.partition(",")
        plain = unescape(text)  # what it holds may be escaped, also around base64
        if not head.rstrip().lower().endswith(";base64"):
            return Upload(name, plain)
        text = plain.decode("ascii", "replace")
    try:
        return Upload(name, decode_base64(text))
    except ValueError as error:
        return Upload(name, error=f"UnreadableImageError: {name} is not base64: {error}")


def _too_large(most: int) -> Problem:
    return Problem(413, f"the request is over the limit of {most:,} bytes; send fewer or smaller images")


def _too_many(limits: Limits) -> Problem:
    return Problem(422, f"a request holds at most {limits.images} images; send the others with another one")
