"""What a client sent: the images of a request as bytes, from a form or from JSON. No name or address is ever opened."""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

import anyio.to_thread
from fastapi import Request
from pydantic import ValidationError
from python_multipart.exceptions import FormParserError
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from cmaen.serving.problems import Problem, described
from cmaen.serving.schemas import EmbedBody
from cmaen.serving.settings import Limits

_LONGEST_NAME = 255


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
    body = _limited(request, limits.body_bytes)
    if kind == "multipart/form-data":
        asked = Asked(await _from_form(request, body, limits), **query)
    elif kind == "application/json":
        content = b"".join([chunk async for chunk in body])
        asked = await anyio.to_thread.run_sync(_from_json, content, schema, query)
    else:
        raise Problem(415, f"send multipart/form-data or application/json, not {kind or 'a body without a type'}")
    if not asked.uploads:
        raise Problem(422, "there is no image in the request; send one or more as images")
    if len(asked.uploads) > limits.images:
        raise _too_many(limits)
    return asked


async def _limited(request: Request, most: int) -> AsyncGenerator[bytes, None]:
    """The body as it comes, up to a number of bytes; a length that is announced is believed where it is too large."""
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > most:
        raise _too_large(most)
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > most:
            raise _too_large(most)
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
    except FormParserError as error:  # which older versions of Starlette let through
        raise Problem(400, f"the form cannot be read: {error}") from error
    try:
        return [await _of_field(field, file) for field, file in form.multi_items()]
    finally:
        await form.close()


async def _of_field(field: str, file: UploadFile | str) -> Upload:
    if field != "images" or not isinstance(file, UploadFile):
        raise Problem(422, f"a form holds nothing but files, in the field images, not in {field[:50]!r}")
    return Upload((file.filename or "")[:_LONGEST_NAME], await file.read())


def _from_json(content: bytes, schema: type[EmbedBody], query: dict[str, Any]) -> Asked:
    try:
        body = schema.model_validate_json(content)
    except ValidationError as error:
        raise Problem(422, f"the JSON is not as it should be: {described(error.errors())}") from error
    given = body.model_dump(exclude={"images"}, exclude_none=True)
    return Asked([_decoded(index, text) for index, text in enumerate(body.images)], **query | given)


def _decoded(index: int, text: str) -> Upload:
    """An image from base64, or from a data URI, as browsers make them."""
    name = f"images[{index}]"
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        return Upload(name, base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError) as error:
        return Upload(name, error=f"UnreadableImageError: {name} is not base64: {error}")


def _too_large(most: int) -> Problem:
    return Problem(413, f"the request is over the limit of {most:,} bytes; send fewer or smaller images")


def _too_many(limits: Limits) -> Problem:
    return Problem(422, f"a request holds at most {limits.images} images; send the others with another one")
