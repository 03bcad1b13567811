"""Bytes that come as text: base64 in all the ways in which it is written, and the escapes of addresses."""

from __future__ import annotations

import base64

import numpy as np

_STANDARD = str.maketrans("-_", "+/")
"""From the alphabet of base64 for addresses to the usual one."""
_PERCENT, _NO_DIGIT = ord("%"), 255
_DIGITS = np.full(256, _NO_DIGIT, np.uint8)
_DIGITS[list(b"0123456789")] = range(10)
_DIGITS[list(b"abcdef")] = _DIGITS[list(b"ABCDEF")] = range(10, 16)


def standard_base64(text: str) -> str:
    """Base64 in the usual alphabet, without line breaks, spaces and padding."""
    return "".join(text.split()).translate(_STANDARD).rstrip("=")


def decode_base64(text: str) -> bytes:
    """What base64 holds, be it broken into lines, in the alphabet for addresses or unpadded.

    Raises:
        ValueError: It is none.
    """
    text = standard_base64(text)
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)


def unescape(text: str) -> bytes:
    """Text with escapes like ``%2B`` as bytes, in UTF-8 where it has other letters.

    ``urllib.parse.unquote_to_bytes`` does the same, and takes eighty bytes of memory for each that is escaped.
    """
    content = text.encode("utf-8", "surrogatepass")
    if "%" not in text or len(content) < 3:
        return content
    codes = np.frombuffer(content, np.uint8)
    first, second = _DIGITS[codes[1:-1]], _DIGITS[codes[2:]]
    escapes = (codes[:-2] == _PERCENT) & (first != _NO_DIGIT) & (second != _NO_DIGIT)
    found, kept = codes.copy(), np.ones(len(codes), bool)
    found[:-2][escapes] = first[escapes] * 16 + second[escapes]
    kept[1:-1][escapes] = kept[2:][escapes] = False
    return bytes(found[kept])
