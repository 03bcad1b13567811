"""The image reader: whatever comes in, an RGB picture or a named error comes out.

EXIF rotation is applied, transparency is flattened onto white, 16-bit and CMYK become 8-bit RGB, an animation gives its
first frame, and a picture of too many pixels is refused before it is decoded.
"""

from __future__ import annotations

import io
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import IO, Literal, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PILImage
from PIL import ImageOps, UnidentifiedImageError

from cmaen.deadline import GuardedFile, check_effort, time_limit
from cmaen.errors import (
    EmptyImageError,
    ImageArrayError,
    ImageError,
    ImageNotFoundError,
    ImagePermissionError,
    ImageTooLargeError,
    NotAFileError,
    TruncatedImageError,
    UnreadableImageError,
)
from cmaen.pixels import flatten
from cmaen.types import Image

Channels = Literal["rgb", "bgr"]
"""The order of an array's channels: that of Pillow, or that of OpenCV."""

ImageSource: TypeAlias = "str | os.PathLike[str] | bytes | PILImage.Image | NDArray[np.uint8]"

IMAGE_SUFFIXES = frozenset(
    {".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".png", ".ppm", ".pgm", ".tif", ".tiff", ".webp"}
)
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
MAX_PIXELS = 100_000_000
_SIGNATURES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"RIFF")


def read_image(
    source: ImageSource,
    *,
    max_pixels: int = MAX_PIXELS,
    channels: Channels = "rgb",
    max_seconds: float | None = None,
) -> Image:
    """Read one image.

    Args:
        source: A path, the bytes of a file, a PIL image, or an array: RGB ``uint8`` [H, W, 3], RGBA
            ``uint8`` [H, W, 4], which is flattened onto white, or grey ``uint8`` [H, W].
        max_pixels: Images with more pixels are refused before they are decoded.
        channels: Of an array: ``rgb``, or ``bgr`` for what OpenCV reads (then also BGRA); files have their own.
        max_seconds: A file that takes longer to decode is given up; ``None`` for no limit.

    Returns:
        RGB, uint8 [H, W, 3], upright, contiguous.

    Raises:
        ImageError: One of its children, by what is wrong with the image.
    """
    if max_seconds is not None:
        with time_limit(max_seconds):
            return read_image(source, max_pixels=max_pixels, channels=channels)
    if isinstance(source, np.ndarray):
        return _from_array(source, max_pixels, channels)
    if isinstance(source, PILImage.Image):
        return _to_rgb(source, "the PIL image", max_pixels)
    if isinstance(source, bytes):
        return _decode(io.BytesIO(source), len(source), "the image data", max_pixels)
    if not isinstance(source, str | os.PathLike):
        raise ImageArrayError(f"an image is a path, bytes, a PIL image or a uint8 array, not {type(source).__name__}")
    return _from_path(source, max_pixels)


def count_pixels(content: bytes) -> int:
    """The pixels that the bytes of an image file announce, before any is decoded; 0 where they cannot be read."""
    with suppress(Exception), time_limit(1.0), _open(io.BytesIO(content), "the image data") as image:
        return int(image.width) * int(image.height)
    return 0


def is_image_name(path: str | os.PathLike[str]) -> bool:
    """Whether a file's name says that it is an image of a format that :func:`read_image` knows."""
    return Path(path).suffix.lower() in IMAGE_SUFFIXES


def _from_path(path: str | os.PathLike[str], max_pixels: int) -> Image:
    name = printable(path)
    try:
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode):
            kind = "a folder" if stat.S_ISDIR(mode) else "not a regular file"
            raise NotAFileError(f"{name} is {kind}; name an image file, or pass a folder with --directory")
        with open(path, "rb") as file:
            return _decode(file, os.fstat(file.fileno()).st_size, name, max_pixels)
    except PermissionError as error:
        raise ImagePermissionError(f"{name} may not be read; check its permissions") from error
    except (FileNotFoundError, NotADirectoryError) as error:
        hint = "is a broken link" if os.path.islink(path) else "does not exist; check the path"
        raise ImageNotFoundError(f"{name} {hint}") from error
    except (OSError, ValueError) as error:  # a name too long or with a NUL byte, a link to itself, a failing disk
        raise UnreadableImageError(f"{name} cannot be read: {error}") from error


def _decode(file: IO[bytes], size: int, name: str, max_pixels: int) -> Image:
    if size == 0:
        raise EmptyImageError(f"{name} is empty (0 bytes); it may be an interrupted copy")
    try:
        with _open(file, name) as image:
            return _to_rgb(image, name, max_pixels)
    except UnidentifiedImageError as error:
        file.seek(0)
        if file.read(4).startswith(_SIGNATURES):
            raise TruncatedImageError(f"{name} is cut short or damaged near its beginning") from error
        raise UnreadableImageError(f"{name} is not an image in a known format ({', '.join(FORMATS)})") from error
    except (PILImage.DecompressionBombError, MemoryError) as error:
        raise ImageTooLargeError(f"{name} is far too large: {error}") from error
    except ImageError:
        raise
    except Exception as error:  # on damaged files Pillow raises nearly anything
        raise TruncatedImageError(f"{name} is cut short or damaged: {error}") from error


def _open(file: IO[bytes], name: str) -> PILImage.Image:
    """Open an image, which from then on cannot be read for too long."""
    PILImage.init()  # Pillow knows only some formats before
    guarded = GuardedFile(file, name)
    image = PILImage.open(cast("IO[bytes]", guarded), formats=FORMATS)
    check_effort(image, guarded)
    return image


def _to_rgb(image: PILImage.Image, name: str, max_pixels: int) -> Image:
    width, height = image.size
    if width == 0 or height == 0:
        raise EmptyImageError(f"{name} has no pixels ({width} x {height})")
    if width * height > max_pixels:
        raise ImageTooLargeError(
            f"{name} has {width} x {height} pixels, over the limit of {max_pixels:,}; scale it down"
        )
    image.load()
    with suppress(Exception):  # a damaged EXIF block is no reason to lose the picture
        image = ImageOps.exif_transpose(image)
    return flatten(image)


def _from_array(array: NDArray[np.uint8], max_pixels: int, channels: Channels) -> Image:
    if array.dtype != np.uint8:
        raise ImageArrayError(f"an image array is uint8 with values 0 to 255, not {array.dtype}{_as_uint8(array)}")
    if array.ndim == 2:
        array = np.repeat(array[:, :, None], 3, axis=2)
    if array.ndim != 3 or array.shape[2] not in (3, 4):
        raise ImageArrayError(
            f"an image array is RGB [H, W, 3], RGBA [H, W, 4] or grey [H, W], not {list(array.shape)}{_as_image(array)}"
        )
    if array.size == 0:
        raise EmptyImageError(f"the image array has no pixels: {list(array.shape)}")
    if array.shape[0] * array.shape[1] > max_pixels:
        raise ImageTooLargeError(f"the image array {list(array.shape)} is over the limit of {max_pixels:,} pixels")
    if channels == "bgr":
        array = array[:, :, [2, 1, 0, 3][: array.shape[2]]]
    if array.shape[2] == 4:
        return _to_rgb(PILImage.fromarray(array), "the image array", max_pixels)
    return np.ascontiguousarray(array)


def _as_uint8(array: NDArray[np.generic]) -> str:
    """How an array of another type becomes one of bytes, where its values tell."""
    if array.dtype == np.bool_:
        return "; convert it: image.astype(np.uint8) * 255"
    if array.dtype == np.uint16:
        return "; convert it: (image // 257).astype(np.uint8)"
    if array.dtype.kind not in "fiu" or not array.size:
        return ""
    low, high = array.min(), array.max()
    if array.dtype.kind == "f" and low >= 0 and high <= 1:
        return " (0 to 1); convert it: (image * 255).round().astype(np.uint8)"
    if low >= 0 and high <= 255:
        return "; convert it: image.round().astype(np.uint8)"
    return f" ({low:g} to {high:g}); undo its normalisation, and convert it to uint8"


def _as_image(array: NDArray[np.generic]) -> str:
    """How an array of another shape becomes an image, where its shape tells."""
    if array.ndim == 3 and array.shape[2] == 1:
        return "; take image[:, :, 0]"
    if array.ndim == 3 and array.shape[0] == 1:
        return "; take image[0]"
    if array.ndim == 3 and array.shape[0] in (3, 4):
        return "; put the channels last: image.transpose(1, 2, 0)"
    return "; pass several images as a list" if array.ndim == 4 else ""


def printable(path: str | os.PathLike[str]) -> str:
    """A path as text that any terminal and JSON file can hold, also when its bytes are not UTF-8."""
    return os.fsencode(path).decode("utf-8", errors="backslashreplace")
