"""The image reader: any input becomes an RGB picture or a named error.

EXIF rotation is applied, transparency is flattened onto white, 16-bit and CMYK become 8-bit RGB, an animation gives its
first frame, and a picture with too many pixels is refused before it is decoded.
"""

from __future__ import annotations

import binascii
import io
import os
import re
import stat
import struct
from contextlib import suppress
from functools import cache
from typing import IO, Any, Literal, TypeAlias, cast
from urllib.parse import urlsplit
from urllib.request import url2pathname

import cmaen.opencv  # isort: skip  # noqa: F401 - checks OpenCV first
import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, ImageOps, UnidentifiedImageError
from PIL import Image as PILImage

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
    describe,
    describe_installation,
)
from cmaen.escaping import printable as printable
from cmaen.images.conversion import advise_kind, advise_shape, advise_type, range_of
from cmaen.images.deadline import GuardedFile, check_effort, time_limit
from cmaen.images.encoded import decode_base64, standard_base64, unescape
from cmaen.images.jpeg import with_endings
from cmaen.images.parts import check_parts
from cmaen.images.pixels import flatten
from cmaen.images.signatures import FORMATS, HEAD, sniff
from cmaen.resources import usable_cores
from cmaen.types import Image

Channels = Literal["rgb", "bgr"]
"""The order of an array's channels: Pillow's or OpenCV's."""

ImageInput: TypeAlias = (
    "str | os.PathLike[str] | bytes | bytearray | memoryview | IO[bytes] | PILImage.Image | NDArray[np.uint8]"
)
"""The accepted types of an image, see :func:`read_image`."""

_DARK = 64  # of 255; 14-bit colours in a 16-bit file are darker
MAX_PIXELS = 150_000_000
"""Default limit of an image's pixels; those of 108-megapixel phones are accepted."""

_DATA_URL = re.compile(r"data:[^,]{0,200},", re.IGNORECASE)
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
_BASE64 = re.compile(r"[A-Za-z0-9+/_\-\s]{64}")


def read_image(
    source: ImageInput,
    *,
    max_pixels: int = MAX_PIXELS,
    channels: Channels = "rgb",
    max_seconds: float | None = None,
) -> Image:
    """Read one image.

    Args:
        source: A path; the content of a file as ``bytes``, ``bytearray``, ``memoryview``, base64 text or a data URL; a
            file opened in binary mode, which is read from its beginning; a PIL image; or an array: RGB ``uint8`` [H, W,
            3], RGBA ``uint8`` [H, W, 4], which is flattened onto white, or grey ``uint8`` [H, W].
        max_pixels: Maximum number of pixels; larger images are refused before they are decoded.
        channels: Order of an array's channels: ``rgb``, or ``bgr`` for OpenCV's (then BGRA too); files have their own.
        max_seconds: Maximum time to decode a file; ``None`` for no limit.

    Returns:
        RGB, uint8 [H, W, 3], upright, contiguous.

    Raises:
        ImageError: The subclass says what is wrong with the image; no other error is raised.
    """
    try:
        if max_seconds is None:
            return _read(source, max_pixels, channels)
        with time_limit(max_seconds):
            return _read(source, max_pixels, channels)
    except ImageError:
        raise
    except MemoryError as error:
        raise ImageTooLargeError(f"there is not enough memory for {_kind(source)}") from error
    except Exception as error:  # a PIL image decoded late, or a failing file object or array
        raise TruncatedImageError(f"{_kind(source)} is cut short or damaged: {describe(error)}") from error


def count_pixels(content: bytes) -> int:
    """Count the pixels that the bytes of an image file declare, without decoding; 0 if they cannot be read."""
    with suppress(Exception), time_limit(1.0), _open(io.BytesIO(content), "the image data") as image:
        return int(image.width) * int(image.height)
    return 0


def name_of(source: ImageInput) -> str:
    """Name a picture for results: its path as printable text, or an empty string if it is in memory."""
    if isinstance(source, str):
        return "" if _DATA_URL.match(source) or _base64_bytes(source) is not None else printable(source)
    return printable(source) if isinstance(source, os.PathLike) else ""


def _read(source: ImageInput, max_pixels: int, channels: Channels) -> Image:
    if isinstance(source, np.ndarray):
        return _from_array(source, max_pixels, channels)
    if isinstance(source, PILImage.Image):
        return _to_rgb(source, _kind(source), max_pixels)
    if isinstance(source, bytes | bytearray | memoryview):
        return _from_bytes(bytes(source), _kind(source), max_pixels)
    if isinstance(source, str):
        return _from_text(source, max_pixels)
    if isinstance(source, os.PathLike):
        return _from_path(source, max_pixels)
    if hasattr(source, "read"):
        return _from_file(source, max_pixels)
    raise ImageArrayError(
        "an image must be a path, the content of a file, an open file, a PIL image or a uint8 array, not "
        f"{type(source).__name__}{advise_kind(source)}"
    )


def _kind(source: object) -> str:
    """Name a source for errors, never by its content."""
    if isinstance(source, PILImage.Image):
        return "the PIL image"
    if isinstance(source, np.ndarray):
        return "the image array"
    return "the open file" if hasattr(source, "read") else "the image data"


def _from_bytes(content: bytes, name: str, max_pixels: int) -> Image:
    start = content[:256].decode("latin-1")
    if start[:64].isascii() and (_DATA_URL.match(start) or _BASE64.match(start)):  # the output of base64.b64encode
        content, name = _content_of(content.decode("latin-1")) or (content, name)
    return _decode_bytes(content, name, max_pixels)


def _decode_bytes(content: bytes, name: str, max_pixels: int) -> Image:
    return _decode(io.BytesIO(content), len(content), name, max_pixels)


def _from_file(file: IO[bytes], max_pixels: int) -> Image:
    with suppress(OSError, AttributeError, ValueError):  # a network stream cannot seek back
        file.seek(0)
    try:
        content: Any = file.read()
    except (OSError, ValueError) as error:
        raise UnreadableImageError(f"the open file cannot be read: {describe(error)}") from error
    if not isinstance(content, bytes | bytearray | memoryview):
        raise UnreadableImageError('the file is opened as text; open it in binary mode: open(path, "rb")')
    return _from_bytes(bytes(content), "the open file", max_pixels)


def _from_text(text: str, max_pixels: int) -> Image:
    """Read the image of a path, a data URL or base64 text."""
    if (found := _content_of(text)) is not None:
        return _decode_bytes(*found, max_pixels)
    if _ADDRESS.match(text):
        parts = urlsplit(text)
        if parts.scheme.lower() == "file" and parts.netloc in ("", "localhost"):
            return _from_path(url2pathname(parts.path), max_pixels)
        fetching = "download it first and pass its content"
        if parts.scheme.lower() in ("http", "https", "ftp"):
            fetching = "download it first: urllib.request.urlopen(address).read() returns its content"
        raise ImageNotFoundError(f"{text} is an address, and images are not downloaded; {fetching}")
    return _from_path(text, max_pixels)


def _content_of(text: str) -> tuple[bytes, str] | None:
    """Decode a data URL or base64 text, and name it; ``None`` for other text."""
    if _DATA_URL.match(text):
        return _data_of(text), "the data URL"
    content = _base64_bytes(text)
    return None if content is None else (content, "the base64 text")


def _data_of(url: str) -> bytes:
    """Decode the content of a data URL."""
    head, _, data = url.partition(",")
    content = unescape(data)
    if not head.lower().endswith(";base64"):
        return content
    decoded = _base64_bytes(content.decode("ascii", "replace"), image=False)
    if decoded is None:
        raise UnreadableImageError("the data URL claims to be base64 but is not; it may be truncated")
    return decoded


def _base64_bytes(text: str, *, image: bool = True) -> bytes | None:
    """Decode base64 text, whether it is broken into lines, URL-safe or unpadded; ``None`` if it is not base64.

    Args:
        text: Text that may be base64.
        image: Whether to accept only the content of an image, so that no path is mistaken for base64.
    """
    if image:
        if not _BASE64.match(text):
            return None
        start = standard_base64(text[: 4 * HEAD])[: HEAD // 3 * 4]
        if sniff(binascii.a2b_base64(start)) not in FORMATS:
            return None
    try:
        return decode_base64(text)
    except ValueError:
        return None


def _from_path(path: str | os.PathLike[str], max_pixels: int) -> Image:
    if not (name := printable(path)):
        raise ImageNotFoundError("the path of the image is empty")
    try:
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode):
            kind = "a folder" if stat.S_ISDIR(mode) else "not a regular file"
            raise NotAFileError(f"{name} is {kind}; give an image file, or pass a folder with --directory")
        with open(path, "rb") as file:
            return _decode(file, os.fstat(file.fileno()).st_size, name, max_pixels)
    except PermissionError as error:
        raise ImagePermissionError(f"{name} cannot be read: permission denied; check its permissions") from error
    except (FileNotFoundError, NotADirectoryError) as error:
        hint = "is a broken link" if os.path.islink(path) else "does not exist; check the path"
        raise ImageNotFoundError(f"{name} {hint}") from error
    except (OSError, ValueError) as error:  # a name too long or with a NUL byte, a link to itself, a failing disk
        reason = getattr(error, "strerror", None) or error  # without quoting the name again
        raise UnreadableImageError(f"{name} cannot be read: {reason}") from error


def _decode(file: IO[bytes], size: int, name: str, max_pixels: int) -> Image:
    if size == 0:
        raise EmptyImageError(f"{name} is empty (0 bytes); it may be an interrupted copy")
    try:
        with _open(file, name) as image:
            deep = image.mode == "RGB" and any(";16" in str(tile) for tile in getattr(image, "tile", ()))
            pixels = _to_rgb(image, name, max_pixels)
        return _from_deep_colours(file, pixels) if deep and pixels.max() < _DARK else pixels
    except UnidentifiedImageError as error:
        file.seek(0)
        raise _explain_unidentified(file.read(HEAD), name) from error
    except (PILImage.DecompressionBombError, MemoryError) as error:
        raise ImageTooLargeError(f"{name} is far too large: {_quote_error(error)}") from error
    except ImageError:
        raise
    except Exception as error:  # Pillow raises almost anything on damaged files
        unended = _read_unended(file, name, max_pixels)
        if unended is None:
            raise TruncatedImageError(f"{name} is cut short or damaged: {_quote_error(error)}") from error
        return unended


def _quote_error(error: Exception) -> str:
    """Return a library's error message on one line."""
    return " ".join(str(error).split()) or type(error).__name__


def _open(file: IO[bytes], name: str) -> PILImage.Image:
    """Open an image as Pillow does, but without Pillow's limit of pixels, which is above or below the caller's.

    The time limit on reading applies from then on.
    """
    learn_formats()
    head = file.read(16)
    guarded = GuardedFile(file, name)
    check_parts(cast("IO[bytes]", guarded), name)
    for kind in FORMATS:
        if kind not in PILImage.OPEN:
            continue
        build, accepts = PILImage.OPEN[kind]
        if accepts is not None and (not (accepted := accepts(head)) or isinstance(accepted, str)):
            continue
        file.seek(0)
        with suppress(SyntaxError, IndexError, TypeError, struct.error):  # another format
            image = build(cast("IO[bytes]", guarded), "")
            check_effort(image, guarded)
            return image
    raise UnidentifiedImageError


@cache
def learn_formats() -> None:
    """Load all formats of Pillow, which at first knows only some, and HEIF if the extra ``heic`` is installed."""
    PILImage.init()
    with suppress(ImportError):
        from PIL import AvifImagePlugin

        AvifImagePlugin.DEFAULT_MAX_THREADS = usable_cores()  # by default as many as the machine has
    with suppress(ImportError):
        import pillow_heif

        pillow_heif.register_heif_opener()


def _explain_unidentified(head: bytes, name: str) -> ImageError:
    """Explain, by its first bytes, why no format accepted a file."""
    kind = sniff(head)
    if kind == "HEIF" and kind not in PILImage.OPEN:
        return UnreadableImageError(
            f"{name} is in the format HEIC, which needs optional dependencies: {describe_installation('heic')}"
        )
    if kind == "AVIF" and kind not in PILImage.OPEN:
        return UnreadableImageError(
            f"{name} is in the format AVIF, which this Pillow does not support: pip install -U pillow"
        )
    if kind == "video":
        return UnreadableImageError(f"{name} is a video; pass it to --video, or to video() in Python")
    if kind in FORMATS:
        return TruncatedImageError(f"{name} is cut short or damaged near its beginning")
    return UnreadableImageError(f"{name} is not an image in a known format ({', '.join(FORMATS)})")


def _read_unended(file: IO[bytes], name: str, max_pixels: int) -> Image | None:
    """Read a JPEG that lacks only its end marker, which every viewer shows; ``None`` if anything else is wrong."""
    file.seek(0)
    found: Image | None = None
    for ended in with_endings(file.read()):
        try:
            with _open(io.BytesIO(ended), name) as image:
                pixels = _to_rgb(image, name, max_pixels)
        except Exception:  # it lacks more
            return None
        if found is not None and not np.array_equal(found, pixels):
            return None
        found = pixels
    return found


def _to_rgb(image: PILImage.Image, name: str, max_pixels: int) -> Image:
    width, height = image.size
    if width == 0 or height == 0:
        raise EmptyImageError(f"{name} has no pixels ({width} x {height})")
    if width * height > max_pixels:
        raise _too_large(name, width, height, max_pixels)
    image.load()
    with suppress(Exception):  # a damaged EXIF block is no reason to lose the picture
        if image.getexif().get(ExifTags.Base.Orientation, 1) != 1:  # otherwise it would be copied, which is slow
            image = ImageOps.exif_transpose(image)
    return flatten(image)


def _too_large(name: str, width: int, height: int, max_pixels: int) -> ImageTooLargeError:
    return ImageTooLargeError(
        f"{name} has {width} x {height} pixels, over the limit of {max_pixels:,}; scale it down, or raise the limit: "
        "EmotionPredictor(max_pixels=...), cmaen inference --max-megapixels"
    )


def _from_deep_colours(file: IO[bytes], pixels: Image) -> Image:
    """Read 10-, 12- or 14-bit colours in a 16-bit file, of which Pillow keeps 8 bits; unchanged if OpenCV cannot."""
    file.seek(0)
    content = np.frombuffer(file.read(), np.uint8)
    found: NDArray[np.generic] | None = None
    with suppress(cv2.error):
        found = cv2.imdecode(content, cv2.IMREAD_ANYDEPTH | cv2.IMREAD_COLOR)
    if found is None or found.dtype != np.uint16 or found.shape != pixels.shape:
        return pixels
    values = found[:, :, ::-1].astype(np.float32)  # BGR -> RGB
    highest = float(values.max())
    scale = 1.0 if highest <= 255 else 255 / range_of(highest)
    return np.ascontiguousarray(np.rint(values * scale).astype(np.uint8))


def _from_array(array: NDArray[np.uint8], max_pixels: int, channels: Channels) -> Image:
    if array.dtype != np.uint8:
        raise ImageArrayError(
            f"an image array must be uint8 with values 0 to 255, not {array.dtype}{advise_type(array)}"
        )
    if array.ndim == 2:
        array = np.repeat(array[:, :, None], 3, axis=2)
    if array.ndim != 3 or array.shape[2] not in (3, 4):
        raise ImageArrayError(
            "an image array must be RGB [H, W, 3], RGBA [H, W, 4] or grey [H, W], "
            f"not {list(array.shape)}{advise_shape(array)}"
        )
    if array.size == 0:
        raise EmptyImageError(f"the image array has no pixels: {list(array.shape)}")
    height, width = array.shape[:2]
    if height * width > max_pixels:
        raise _too_large("the image array", width, height, max_pixels)
    if channels == "bgr":
        array = array[:, :, [2, 1, 0, 3][: array.shape[2]]]
    if array.shape[2] == 4:
        return _to_rgb(PILImage.fromarray(array), "the image array", max_pixels)
    return np.ascontiguousarray(array)
