"""The format of a file by its name and first bytes: one table for the image reader and the listing of folders."""

from __future__ import annotations

import os
import re
from pathlib import PurePath

IMAGE_SUFFIXES = frozenset(
    {".apng", ".avif", ".avifs", ".bmp", ".dib", ".gif", ".heic", ".heics", ".heif", ".heifs", ".hif", ".j2c", ".j2k"}
    | {".jfif", ".jp2", ".jpc", ".jpe", ".jpeg", ".jpf", ".jpg", ".jpx", ".mpo", ".pbm", ".pgm", ".png", ".pnm", ".ppm"}
    | {".tif", ".tiff", ".webp"}
)
FORMATS = ("AVIF", "BMP", "DIB", "GIF", "HEIF", "JPEG", "JPEG2000", "MPO", "PNG", "PPM", "TIFF", "WEBP")
"""Formats by Pillow's names; AVIF if this Pillow was built with it, HEIF with the extra ``heic``."""
HEAD = 32
"""Number of bytes at the beginning of a file that reveal its format."""
_HEIF = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
_AVIF = frozenset({b"avif", b"avis"})
_PPM = re.compile(rb"P[1-6]\s+(?:#|\d+\s+(?:#|\d+\s))")
"""The magic number, the width and the height; a sentence may well begin with "P5" and a number."""
_BMP_HEADERS = tuple(size.to_bytes(4, "little") for size in (12, 40, 52, 56, 64, 108, 124))


def is_image_name(path: str | os.PathLike[str]) -> bool:
    """Whether a file's name is that of an image in a format that :func:`cmaen.images.reader.read_image` knows."""
    return PurePath(path).suffix.lower() in IMAGE_SUFFIXES


def sniff(head: bytes) -> str | None:
    """Determine the format of a file by its first bytes: Pillow's name of a picture format, ``video``, or ``None``.

    Args:
        head: Its first :data:`HEAD` bytes; fewer bytes reveal less.
    """
    if head.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if head.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return "TIFF"
    if head[:2] == b"BM" and head[6:10] == bytes(4) and head[14:18] in _BMP_HEADERS:
        return "BMP"
    if _PPM.match(head):
        return "PPM"
    if head[:4] == b"RIFF" and len(head) >= 12:
        return {b"WEBP": "WEBP", b"AVI ": "video"}.get(head[8:12])
    if head.startswith((b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51")):
        return "JPEG2000"
    if head[4:8] == b"ftyp":
        return "AVIF" if _AVIF & _brands(head) else "HEIF" if _HEIF & _brands(head) else "video"
    if head.startswith(b"\x1aE\xdf\xa3") or head.startswith(b"\0\0\x01\xba") or head.startswith(b"FLV\x01"):
        return "video"
    if head.startswith((b"8BPS", b"\xff\x0a", b"\0\0\0\x0cJXL ")):
        return "PSD" if head[0:1] == b"8" else "JXL"
    return None


def _brands(head: bytes) -> set[bytes]:
    """Read the brands of an ISO file: the main one and, if present, the compatible ones."""
    return {head[start : start + 4] for start in (8, *range(16, len(head), 4))}
