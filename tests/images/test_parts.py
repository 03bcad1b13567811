"""Pictures whose heads declare very many parts, each of which would take memory."""

from __future__ import annotations

import io
import struct
import tracemalloc
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, features

from cmaen.errors import ImageTooLargeError
from cmaen.images import parts
from cmaen.images.parts import check_parts
from cmaen.images.reader import count_pixels, read_image

SIGNATURE = b"\x00\x00\x00\x0cjP  \r\n\x87\n"


def encoded(kind: str, side: int = 64, **options) -> bytes:
    file = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def strips(count: int, order: str = "<", *, big: bool = False) -> bytes:
    """Write a grey TIFF of one column with one strip per row."""
    first = 16 if big else 8
    fields = [(256, 4, 1, 1), (257, 4, 1, count), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (278, 4, 1, 1)]
    entry, word = (f"{order}HHQ", "Q") if big else (f"{order}HHL", "L")
    size = struct.calcsize(entry) + struct.calcsize(f"{order}{word}")
    end = first + (8 if big else 2) + size * (len(fields) + 2) + struct.calcsize(f"{order}{word}")
    fields += [(273, 4, count, end + 1), (279, 4, count, end + 1 + 4 * count)]
    head = struct.pack(f"{order}HHHQ", 43, 8, 0, first) if big else struct.pack(f"{order}HL", 42, first)
    body = (b"II" if order == "<" else b"MM") + head + struct.pack(f"{order}{'Q' if big else 'H'}", len(fields))
    for tag, kind, number, value in sorted(fields):
        short = kind == 3
        held = struct.pack(f"{order}H", value) if short else struct.pack(f"{order}{word if number > 1 else 'L'}", value)
        body += struct.pack(entry, tag, kind, number) + held.ljust(struct.calcsize(f"{order}{word}"), b"\0")
    places = struct.pack(f"{order}L", end) * count + struct.pack(f"{order}L", 1) * count
    return body + struct.pack(f"{order}{word}", 0) + b"\x80" + places


def tiles(width: int, tile: int) -> bytes:
    """Write the head of a JPEG 2000 codestream with tiles of this size, and the rest of one tile."""
    content = bytearray(encoded("JPEG2000", no_jp2=True))
    struct.pack_into(">8L", content, 8, width, width, 0, 0, tile, tile, 0, 0)
    return bytes(content)


@pytest.mark.parametrize(("order", "big"), [("<", False), (">", False), ("<", True)])
def test_a_tiff_of_very_many_strips_is_refused_before_it_is_opened(order: str, big: bool) -> None:
    assert read_image(strips(50, order, big=big)).shape == (50, 1, 3)
    content = strips(parts.MOST_NUMBERS + 1, order, big=big)
    tracemalloc.start()
    try:
        with pytest.raises(ImageTooLargeError, match="200,001 parts"):
            read_image(content)
        assert count_pixels(content) == 0
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.skipif(not features.check("jpg_2000"), reason="this Pillow has no JPEG 2000")
@pytest.mark.parametrize("boxes", [b"", SIGNATURE, SIGNATURE + struct.pack(">L4s4x", 12, b"free")])
def test_a_jpeg_2000_of_very_many_tiles_is_refused(boxes: bytes) -> None:
    content = tiles(255, 1)
    if boxes:
        content = boxes + struct.pack(">L4s", 0, b"jp2c") + content
    with pytest.raises(ImageTooLargeError, match="65,025 parts"):
        read_image(content)
    with pytest.raises(ImageTooLargeError, match="65,025 parts"):
        check_parts(io.BytesIO(SIGNATURE + struct.pack(">L4sQ", 1, b"jp2c", 0) + tiles(255, 1)), "x")


@pytest.mark.parametrize("kind", ["TIFF", "JPEG2000", "PNG", "JPEG"])
def test_whole_and_damaged_files_pass(kind: str) -> None:
    content = encoded(kind)
    assert read_image(content).shape == (64, 64, 3)
    for length in range(min(len(content), 400)):
        check_parts(io.BytesIO(content[:length]), "x")


@given(
    st.sampled_from([b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", SIGNATURE, b"\xff\x4f\xff\x51", b""]),
    st.binary(max_size=80),
)
def test_any_bytes_are_passed_or_refused_by_name(head: bytes, rest: bytes) -> None:
    with suppress(ImageTooLargeError):
        check_parts(io.BytesIO(head + rest), "x")
