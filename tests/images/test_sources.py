"""The sources that other libraries accept as images, and the errors for those that are not images."""

from __future__ import annotations

import base64
import io
import re
import struct
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cmaen import errors
from cmaen.images import reader
from cmaen.images.reader import MAX_PIXELS, name_of, read_image
from cmaen.images.signatures import FORMATS, IMAGE_SUFFIXES, is_image_name
from tests.images.test_reader import encoded, gradient

PNG = encoded(gradient(), "PNG")
PIXELS = np.asarray(gradient())


class Stream(io.RawIOBase):
    """A network stream, which cannot seek back."""

    def __init__(self, content: bytes) -> None:
        self.content = io.BytesIO(content)

    def read(self, size: int = -1) -> bytes:
        return self.content.read(size)

    def seekable(self) -> bool:
        return False


def at_its_end() -> io.BytesIO:
    """Return a buffer positioned at its end, as after saving a picture into it."""
    buffer = io.BytesIO()
    gradient().save(buffer, "PNG")
    return buffer


def lines(text: str) -> str:
    return "\r\n".join(text[start : start + 76] for start in range(0, len(text), 76))


TEXT = base64.b64encode(PNG).decode()
SOURCES: dict[str, Callable[[], Any]] = {
    "bytearray": lambda: bytearray(PNG),
    "memoryview": lambda: memoryview(PNG),
    "strided memoryview": lambda: memoryview(bytes(byte for one in PNG for byte in (one, 0)))[::2],
    "buffer": at_its_end,
    "stream": lambda: Stream(PNG),
    "base64": lambda: TEXT,
    "base64 in lines": lambda: lines(TEXT),
    "base64 unpadded and URL-safe": lambda: TEXT.rstrip("=").translate(str.maketrans("+/", "-_")),
    "base64 bytes": lambda: base64.b64encode(PNG),
    "base64 bytes in lines": lambda: bytearray(base64.encodebytes(PNG)),
    "data URL in bytes": lambda: memoryview(f"data:image/png;base64,{TEXT}".encode()),
    "file of base64": lambda: io.BytesIO(base64.b64encode(PNG)),
    "data URL": lambda: f"data:image/png;base64,{TEXT}",
    "data URL with parameters": lambda: f"DATA:image/png;charset=utf-8;base64,{lines(TEXT)}",
    "escaped data URL": lambda: f"data:image/png;base64,{quote(TEXT, safe='')}",
    "data URL in percents": lambda: f"data:,{quote(PNG)}",
}


@pytest.mark.parametrize("kind", SOURCES)
def test_what_peers_take_is_taken(kind: str) -> None:
    assert np.array_equal(read_image(SOURCES[kind]()), PIXELS)
    assert name_of(SOURCES[kind]()) == ""


def test_an_open_file_and_an_address_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a picture.png"
    path.write_bytes(PNG)
    with path.open("rb") as file:
        assert np.array_equal(read_image(file), PIXELS)
        assert np.array_equal(read_image(file), PIXELS)  # and again
    assert np.array_equal(read_image(path.as_uri()), PIXELS)
    with path.open(encoding="latin-1") as file, pytest.raises(errors.UnreadableImageError, match="binary mode"):
        read_image(file)
    with pytest.raises(errors.UnreadableImageError, match="closed"):
        read_image(file)


def test_a_file_that_fails_is_a_named_error() -> None:
    class Fails(Stream):
        def read(self, size: int = -1) -> bytes:
            raise RuntimeError("odd")

    class Path2(types.SimpleNamespace):
        def __fspath__(self) -> str:
            raise RuntimeError("odd")

    for source in (Fails(PNG), Path2()):
        with pytest.raises(errors.ImageError, match="odd"):
            read_image(source)


def test_addresses_are_told_from_paths() -> None:
    for address in ("https://example.org/a.jpg", "HTTP://x/y"):
        with pytest.raises(errors.ImageNotFoundError, match=r"is an address.*urlopen\(address\)\.read\(\)"):
            read_image(address)
    with pytest.raises(errors.ImageNotFoundError, match=r"is an address.*pass its content"):
        read_image("s3://bucket/a.png")


@pytest.mark.parametrize(
    "text",
    [
        "data:image/png;base64," + "A" * 2_000_000,
        "data:image/png;base64,%%%%",
        "data:image/png;base64,",
        "data:," + "x" * 2_000_000,
        base64.b64encode(PNG + bytes(2_000_000)).decode()[:-7] + "*",
        "x" * 2_000_000,
        "/" * 2_000_000,
        "https://example.org/" + "x" * 2_000_000,
    ],
)
def test_no_error_repeats_a_picture(text: str) -> None:
    with pytest.raises(errors.ImageError) as caught:
        read_image(text)
    assert len(str(caught.value)) < 1500


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=300) | st.binary(max_size=200).map(lambda data: f"data:image/png;base64,{data!r}"))
def test_any_text_gives_a_picture_or_a_named_error(text: str) -> None:
    with pytest.raises(errors.ImageError):
        read_image(text)
    name_of(text)


def test_a_picture_of_pillow_that_decodes_late_is_a_named_error() -> None:
    for kind in ("PNG", "JPEG", "WEBP", "TIFF"):
        data = encoded(gradient(200, 200), kind)
        try:
            late = Image.open(io.BytesIO(data[: len(data) // 2]))
        except OSError:
            continue
        with pytest.raises(errors.TruncatedImageError, match="the PIL image is cut short or damaged"):
            read_image(late)
    closed = Image.open(io.BytesIO(PNG))
    closed.close()
    with pytest.raises(errors.ImageError):
        read_image(closed)


def photograph() -> Image.Image:
    rng = np.random.default_rng(0)
    return Image.fromarray(np.asarray(gradient(96, 64)) // 2 + rng.integers(0, 100, (64, 96, 3), dtype=np.uint8))


JPEGS: list[dict[str, Any]] = [
    {"progressive": progressive, **more}
    for progressive in (False, True)
    for more in ({}, {"restart_marker_blocks": 3}, {"quality": 20}, {"subsampling": 0})
]


@pytest.mark.parametrize("options", JPEGS)
def test_a_jpeg_may_lack_its_end_marker_and_nothing_else(options: dict[str, Any]) -> None:
    data = encoded(photograph(), "JPEG", **options)
    whole = read_image(data)
    assert data.endswith(b"\xff\xd9")
    for cut in (1, 2):
        assert np.array_equal(read_image(data[:-cut]), whole)
    for length in range(0, len(data) - 2, 1 if len(data) < 2500 else 5):
        with suppress(errors.ImageError):
            assert np.array_equal(read_image(data[:length]), whole), length  # complete pixels, or an error


@pytest.mark.parametrize("depth", [10, 12, 14, 16])
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_deep_grey_keeps_its_range(kind: str, depth: int) -> None:
    highest = 2**depth - 1
    values = np.array([[0, highest // 2, highest]], np.uint16)
    assert read_image(encoded(Image.fromarray(values), kind))[0, :, 0].tolist() == [0, 127, 255]
    assert read_image(Image.fromarray(values.astype(np.int32)))[0, :, 0].tolist() == [0, 127, 255]


@pytest.mark.parametrize("depth", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_deep_colours_keep_their_range(suffix: str, depth: int) -> None:
    highest = 2**depth - 1
    rgb = np.zeros((4, 5, 3), np.uint16)
    rgb[0, 0] = (highest, highest // 2, 0)
    _, content = cv2.imencode(suffix, rgb[:, :, ::-1].copy())
    found = read_image(content.tobytes())
    assert np.abs(found[0, 0].astype(int) - (255, 127, 0)).max() <= 1
    assert not found[1:].any()


def test_eight_bits_in_sixteen_stay_as_they_are() -> None:
    values = np.array([[0, 100, 255]], np.uint16)
    assert read_image(encoded(Image.fromarray(values), "PNG"))[0, :, 0].tolist() == [0, 100, 255]


@pytest.mark.parametrize(
    ("suffix", "kind"), [("avif", "AVIF"), ("jp2", "JPEG2000"), ("j2k", "JPEG2000"), ("mpo", "MPO"), ("JFIF", "JPEG")]
)
def test_formats_by_path(suffix: str, kind: str, tmp_path: Path) -> None:
    Image.init()
    if kind not in Image.SAVE:
        pytest.skip(f"this Pillow writes no {kind}")
    path = tmp_path / f"picture.{suffix}"
    options = {"save_all": True, "append_images": [gradient()]} if kind == "MPO" else {}
    gradient(64, 48).save(path, kind, **options)
    assert is_image_name(path)
    assert np.abs(read_image(path).astype(int) - np.asarray(gradient(64, 48))).mean() < 12


@pytest.fixture
def _forget_formats() -> Iterator[None]:
    """Forget the formats that Pillow has learnt, before and after."""
    Image.OPEN.pop("HEIF", None)
    reader.learn_formats.cache_clear()
    yield
    Image.OPEN.pop("HEIF", None)
    reader.learn_formats.cache_clear()


HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100)


@pytest.mark.usefixtures("_forget_formats")
def test_heic_needs_its_extra_and_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    path = tmp_path / "IMG_1.HEIC"
    path.write_bytes(HEIC)
    assert is_image_name(path)
    with pytest.raises(errors.UnreadableImageError, match=r'HEIC.*pip install "cmaen\[heic\]"'):
        read_image(path)


@pytest.mark.usefixtures("_forget_formats")
def test_heic_is_read_by_what_the_extra_registers(monkeypatch: pytest.MonkeyPatch) -> None:
    def register_heif_opener() -> None:
        Image.register_open("HEIF", lambda file, name: gradient(), lambda head: head[8:12] == b"heic")

    fake = types.SimpleNamespace(register_heif_opener=register_heif_opener)
    monkeypatch.setitem(sys.modules, "pillow_heif", fake)
    assert np.array_equal(read_image(HEIC), PIXELS)


def test_the_limit_of_pixels_is_the_callers() -> None:
    assert 108_000_000 < MAX_PIXELS < 180_000_000
    huge = encoded(Image.new("1", (20_000, 10_000)), "PNG")  # beyond Pillow's own limit
    with pytest.raises(errors.ImageTooLargeError, match=r"20000 x 10000 pixels, over .*--max-megapixels"):
        read_image(huge)
    with pytest.raises(errors.ImageTooLargeError, match="over the limit of 199,999,999"):
        read_image(huge, max_pixels=199_999_999)
    header = struct.pack(">II", 2**31 - 1, 2**31 - 1)
    with pytest.raises(errors.ImageError):
        read_image(PNG.replace(struct.pack(">II", 40, 30), header))


def advised(source: Any) -> np.ndarray:
    """Follow the advice of an error to make an image."""
    with pytest.raises(errors.ImageArrayError) as caught:
        read_image(source)
    found = re.search(r"(?:convert it: |use |last: )(\S.*)$", str(caught.value))
    assert found is not None, caught.value
    return eval(found[1], {"np": np, "numpy": np, "image": source})


GREY = PIXELS[:, :, 0]


@pytest.mark.parametrize(
    "array",
    [
        (PIXELS / 255).astype(np.float32),
        PIXELS.astype(np.float64),
        PIXELS.astype(np.int64),
        GREY.astype(np.uint16) * 257,
        (GREY.astype(np.uint16) << 2) + 3,  # 10 bits
        PIXELS.transpose(2, 0, 1),
        GREY[:, :, None],
        GREY[None],
    ],
)
def test_the_advice_about_an_array_makes_the_image_of_it(array: np.ndarray) -> None:
    expected = PIXELS if PIXELS.shape in (array.shape, np.shape(np.transpose(array))) or 3 in array.shape else GREY
    found = read_image(advised(array))
    assert np.abs(found.astype(int) - read_image(np.ascontiguousarray(expected))).max() <= 1


def test_the_advice_about_a_tensor_makes_the_image_of_it() -> None:
    torch = pytest.importorskip("torch")
    tensor = torch.from_numpy(PIXELS.copy())  # [H, W, C]
    first = tensor.permute(2, 0, 1)  # [C, H, W]
    for source in (tensor, first, first / 255, tensor.float(), (first / 255).requires_grad_(), first[:1] / 255):
        found = read_image(advised(source))
        expected = PIXELS if source.shape[0] != 1 else np.repeat(PIXELS[:, :, :1], 3, axis=2)
        assert np.abs(found.astype(int) - expected).max() <= 1
    with pytest.raises(errors.ImageArrayError, match="undo its normalisation"):
        read_image(first / 255 - 0.5)
    with pytest.raises(errors.ImageArrayError, match="one by one"):
        read_image(first[None])


def test_other_things_are_advised_about() -> None:
    class Foreign:
        def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
            return PIXELS

    assert np.array_equal(read_image(advised(Foreign())), PIXELS)
    with pytest.raises(errors.ImageArrayError, match="predict_batch"):
        read_image([PNG, PNG])
    with pytest.raises(errors.ImageArrayError, match="not dict"):
        read_image({})


def test_every_suffix_belongs_to_a_format_that_is_read() -> None:
    Image.init()
    known = {suffix for suffix, kind in Image.registered_extensions().items() if kind in FORMATS}
    assert known - IMAGE_SUFFIXES <= {".pfm"}
    assert {".heic", ".heif", ".avif", ".mpo", ".jp2"} <= IMAGE_SUFFIXES


def test_what_is_no_image_is_named() -> None:
    for source, error, message in (
        ("", errors.ImageNotFoundError, "the path of the image is empty"),
        (b"\0\0\0\x18ftypisom\0\0\2\0", errors.UnreadableImageError, "is a video; pass it to --video"),
        (np.frombuffer(PNG, np.uint8), errors.ImageArrayError, r"as bytes: image.tobytes\(\)"),
        (b"data:image/png;base64,!", errors.UnreadableImageError, "the data URL claims to be base64 but is not"),
        (b"A" * 80, errors.UnreadableImageError, "not an image in a known format"),
        ("\ud800.png", errors.ImageError, "ud800.png"),
    ):
        with pytest.raises(error, match=message):
            read_image(source)
