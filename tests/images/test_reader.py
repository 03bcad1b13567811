from __future__ import annotations

import io
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from cmaen import errors
from cmaen.images import reader
from cmaen.images.reader import read_image


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def gradient(width: int = 40, height: int = 30) -> Image.Image:
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return Image.fromarray(np.stack([x, y, 255 - x], axis=2).astype(np.uint8))


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM", "WEBP"])
def test_formats_are_read_as_rgb(kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    assert np.array_equal(read_image(encoded(gradient(), kind, **options)), np.asarray(gradient()))


def test_every_kind_of_source_gives_the_same_picture(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    gradient().save(path)
    expected = np.asarray(gradient())
    for source in (path, str(path), path.read_bytes(), gradient(), expected):
        assert np.array_equal(read_image(source), expected)


def test_exif_rotation_is_applied() -> None:
    image = gradient()
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by 90 degrees clockwise
    turned = read_image(encoded(image, "PNG", exif=exif))
    assert np.array_equal(turned, np.rot90(np.asarray(image), -1))


def test_a_picture_that_stands_upright_is_not_copied_to_turn_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow would copy it, which takes half the time of decoding; nor is the caller's PIL image rotated."""

    image, pixels, turned = gradient(), np.asarray(gradient()), list[object]()
    with monkeypatch.context() as patch:
        patch.setattr(reader.ImageOps, "exif_transpose", turned.append)
        assert np.array_equal(read_image(image), pixels)
        assert turned == []
    image.getexif()[0x0112] = 6
    assert read_image(image).shape[:2] == image.size
    assert np.array_equal(np.asarray(image), pixels)


def test_damaged_exif_costs_nothing_but_the_rotation() -> None:
    damaged = encoded(gradient(), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01")
    assert read_image(damaged).shape == (30, 40, 3)


def test_transparency_is_flattened_onto_white() -> None:
    image = Image.new("RGBA", (2, 1), (255, 0, 0, 255))
    image.putpixel((1, 0), (0, 0, 0, 0))
    assert read_image(encoded(image, "PNG")).tolist() == [[[255, 0, 0], [255, 255, 255]]]


def test_transparency_of_a_palette_is_flattened_too() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.putpixel((1, 0), 1)
    assert read_image(encoded(image, "PNG", transparency=1)).tolist() == [[[255, 0, 0], [255, 255, 255]]]


def test_cmyk_becomes_rgb() -> None:
    pixels = read_image(encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", quality=100))
    assert np.abs(pixels.astype(int) - [255, 0, 0]).max() < 20


def test_sixteen_bits_keep_their_range() -> None:
    values = np.array([[0, 257 * 100, 65535]], np.uint16)
    assert read_image(encoded(Image.fromarray(values), "PNG"))[0, :, 0].tolist() == [0, 100, 255]


def test_float_pixels_on_the_unit_scale_are_spread() -> None:
    values = np.array([[0.0, 0.5, 1.0]], np.float32)
    assert read_image(encoded(Image.fromarray(values), "TIFF"))[0, :, 0].tolist() == [0, 128, 255]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "YCbCr", "LAB", "HSV", "I", "F", "CMYK"])
def test_every_mode_gives_rgb(mode: str) -> None:
    image = Image.new(mode, (5, 4))
    assert read_image(image).shape == (4, 5, 3)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_an_animation_gives_its_first_frame(kind: str) -> None:
    frames = [Image.new("RGB", (6, 6), colour) for colour in ("red", "blue")]
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
    assert np.abs(read_image(data)[0, 0].astype(int) - [255, 0, 0]).max() < 5


def test_one_pixel_is_an_image() -> None:
    assert read_image(encoded(Image.new("L", (1, 1), 7), "PNG")).tolist() == [[[7, 7, 7]]]


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", errors.EmptyImageError),
        (b"this is text, not an image", errors.UnreadableImageError),
        (encoded(gradient(), "PNG")[:100], errors.TruncatedImageError),
        (encoded(gradient(200, 200), "JPEG")[:900], errors.TruncatedImageError),
        (encoded(gradient(), "GIF")[:-60], errors.TruncatedImageError),
        (encoded(gradient(), "PNG")[:12], errors.TruncatedImageError),
        (encoded(gradient(), "GIF")[:20], errors.TruncatedImageError),
    ],
)
def test_bad_bytes_have_their_own_error(data: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        read_image(data)


def test_a_decompression_bomb_is_refused_before_it_is_decoded() -> None:
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    bomb = encoded(gradient(), "PNG").replace(struct.pack(">IIBBBBB", 40, 30, 8, 2, 0, 0, 0), header)
    with pytest.raises(errors.ImageError):  # Pillow may check the header's checksum first
        read_image(bomb)
    with pytest.raises(errors.ImageTooLargeError, match="40 x 30"):
        read_image(encoded(gradient(), "PNG"), max_pixels=1000)
    with pytest.raises(errors.ImageTooLargeError):
        read_image(encoded(Image.new("1", (13_000, 13_000)), "PNG"))


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    with pytest.raises(errors.ImageNotFoundError, match="does not exist"):
        read_image(tmp_path / "nothing.png")
    with pytest.raises(errors.NotAFileError, match="a folder"):
        read_image(tmp_path)
    link = tmp_path / "link.png"
    link.symlink_to(tmp_path / "gone.png")
    with pytest.raises(errors.ImageNotFoundError, match="broken link"):
        read_image(link)
    loop = tmp_path / "loop.png"
    loop.symlink_to(loop)
    with pytest.raises(errors.ImageError):
        read_image(loop)
    with pytest.raises(errors.ImageError):
        read_image("x" * 5000 + ".png")
    with pytest.raises(errors.ImageError):
        read_image("nul\0byte.png")
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(errors.NotAFileError):
        read_image(tmp_path / "pipe.png")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    path = tmp_path / "secret.png"
    gradient().save(path)
    path.chmod(0)
    with pytest.raises(errors.ImagePermissionError):
        read_image(path)


def test_no_permission_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "stat", refuse)
    with pytest.raises(errors.ImagePermissionError, match="check its permissions"):
        read_image(tmp_path / "secret.png")


def test_a_name_that_is_not_utf8(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/caf\xe9.png"
    with open(path, "wb") as file:
        file.write(encoded(gradient(), "PNG"))
    assert read_image(os.fsdecode(path)).shape == (30, 40, 3)
    with pytest.raises(errors.ImageNotFoundError, match="xe9"):
        read_image(os.fsdecode(path) + "x")


@pytest.mark.parametrize(
    ("array", "advice"),
    [
        (np.zeros((4, 4, 3), np.float32), r"not float32 \(0 to 1\); convert it: \(image \* 255\)\.round"),
        (np.full((4, 4, 3), 200.0), r"not float64; convert it: image\.round\(\)\.astype"),
        (np.full((4, 4, 3), -2.0), r"float64 \(-2 to -2\); undo its normalisation"),
        (np.full((4, 4, 3), 65535, np.uint16), r"uint16 \(65535 to 65535\); convert it: \(image / 257\)"),
        (np.ones((4, 4), np.bool_), r"bool; convert it"),
        (np.array([["a"]]), r"not <U1$"),
        (np.zeros((6, 6, 5), np.uint8), r"not \[6, 6, 5\]$"),
        (np.zeros((3, 5, 6), np.uint8), r"channels last: image\.transpose\(1, 2, 0\)"),
        (np.zeros((4, 4, 1), np.uint8), r"use image\[:, :, 0\]"),
        (np.zeros((1, 5, 6), np.uint8), r"use image\[0\]"),
        (np.zeros((1, 4, 4, 3), np.uint8), "several images as a list"),
    ],
)
def test_arrays_of_the_wrong_kind(array: np.ndarray, advice: str) -> None:
    with pytest.raises(errors.ImageArrayError, match=advice):
        read_image(array)


def test_the_channels_of_an_array() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    alpha = np.full((4, 5, 1), 255, np.uint8)
    alpha[0] = 0
    flattened = np.where(alpha > 0, rgb, 255)
    bgr = rgb[:, :, ::-1]
    assert np.array_equal(read_image(bgr, channels="bgr"), rgb)
    assert read_image(bgr, channels="bgr").flags.c_contiguous
    assert np.array_equal(read_image(np.dstack([rgb, alpha])), flattened)
    assert np.array_equal(read_image(np.dstack([bgr, alpha]), channels="bgr"), flattened)
    assert np.array_equal(read_image(Image.fromarray(rgb), channels="bgr"), rgb)  # a PIL image has its own order
    assert np.array_equal(read_image(rgb[:, :, 0], channels="bgr"), np.dstack([rgb[:, :, 0]] * 3))


def test_an_empty_array() -> None:
    with pytest.raises(errors.EmptyImageError):
        read_image(np.zeros((0, 4, 3), np.uint8))


def test_a_source_of_no_known_kind() -> None:
    with pytest.raises(errors.ImageArrayError, match="not int"):
        read_image(7)  # type: ignore[arg-type]


SEEDS = [encoded(gradient(), kind) for kind in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")]


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(SEEDS), st.data())
def test_damaged_files_give_a_picture_or_a_named_error(seed: bytes, data: st.DataObject) -> None:
    """Bytes are changed, removed and inserted; the reader never raises any other exception."""
    damaged = bytearray(seed)
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(damaged)))
        match data.draw(st.sampled_from(["set", "cut", "put"])):
            case "set" if place < len(damaged):
                damaged[place] = data.draw(st.integers(0, 255))
            case "cut":
                del damaged[place : place + data.draw(st.integers(1, 200))]
            case _:
                damaged[place:place] = data.draw(st.binary(max_size=8))
    try:
        pixels = read_image(bytes(damaged), max_pixels=1_000_000)
    except errors.ImageError:
        return
    assert pixels.dtype == np.uint8
    assert pixels.ndim == 3
    assert pixels.shape[2] == 3


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_give_a_picture_or_a_named_error(data: bytes) -> None:
    try:
        read_image(data, max_pixels=1_000_000)
    except errors.ImageError:
        return
