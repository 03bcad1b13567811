"""A network that was made for one picture at a time, opened for batches; without the package ``onnx``.

OpenCV's SFace lists its weights as inputs beside the picture, so that ONNX Runtime would ask for them and could not
prepare them, and its batch has the fixed size 1. Both are changed in the bytes of the file (ONNX's Protocol Buffers).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

_GRAPH, _INPUT, _OUTPUT, _SHAPES = 7, 11, 12, 13
"""Numbers of the fields: the graph of a model; the inputs, outputs and inner shapes of a graph."""
_ONE, _ANY = b"\x0a\x02\x08\x01", b"\x0a\x02\x12\x00"
"""A side of a shape: 1, and one without a name, which may be anything."""
_VARINT, _FIXED_64, _BYTES, _FIXED_32 = 0, 1, 2, 5
_LONGEST_VARINT = 10


class Field(NamedTuple):
    """A field of a message.

    Attributes:
        number: Number of the field.
        whole: All its bytes.
        content: Its content, if that is a text or a message.
    """

    number: int
    whole: bytes
    content: bytes


def open_batches(model: bytes, picture: str) -> bytes:
    """Rewrite a model: its only input is the picture, and any number of pictures makes a batch.

    Args:
        model: Content of an ONNX file.
        picture: Name of the input that takes the pictures.

    Raises:
        ValueError: The bytes are not a model.
    """
    first = _message(1, picture.encode())  # the name is the first field of an input
    parts = []
    for field in read_fields(model):
        if field.number != _GRAPH:
            parts.append(field.whole)
            continue
        inner = []
        for number, whole, content in read_fields(field.content):
            if number == _SHAPES or (number == _INPUT and not content.startswith(first)):
                continue
            if number in (_INPUT, _OUTPUT):
                whole = _message(number, content.replace(_ONE, _ANY, 1))
            inner.append(whole)
        parts.append(_message(_GRAPH, b"".join(inner)))
    return b"".join(parts)


def read_fields(message: bytes) -> Iterator[Field]:
    """Yield the fields of a message in their order.

    Raises:
        ValueError: The bytes are not a message, or it is truncated.
    """
    at = 0
    while at < len(message):
        begin = at
        key, at = _read_number(message, at)
        kind, content = key & 7, b""
        if kind == _BYTES:
            length, at = _read_number(message, at)
            content, at = message[at : at + length], at + length
        elif kind == _VARINT:
            _, at = _read_number(message, at)
        elif kind in (_FIXED_64, _FIXED_32):
            at += 8 if kind == _FIXED_64 else 4
        else:
            raise ValueError(f"a field of the unknown kind {kind} at byte {begin}")
        if at > len(message):
            raise ValueError(f"it ends within the field at byte {begin}")
        yield Field(key >> 3, message[begin:at], content)


def _read_number(message: bytes, at: int) -> tuple[int, int]:
    """Read a number of variable length, and return it with the place behind it."""
    value = 0
    for place in range(_LONGEST_VARINT):
        if at + place >= len(message):
            raise ValueError(f"it ends within the number at byte {at}")
        byte = message[at + place]
        value |= (byte & 127) << (7 * place)
        if byte < 128:
            return value, at + place + 1
    raise ValueError(f"the number at byte {at} is too long")


def _message(number: int, content: bytes) -> bytes:
    return _write_number(number << 3 | _BYTES) + _write_number(len(content)) + content


def _write_number(value: int) -> bytes:
    parts = []
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    return bytes([*parts, value])
