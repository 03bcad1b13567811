"""Decoding bytes written as text: base64 in all its variants, and the escapes of addresses."""

from __future__ import annotations

import base64

import numpy as np

_STANDARD = str.maketrans("-_", "+/")
"""Translation from the URL-safe alphabet of base64 to the usual one."""
_PERCENT, _NO_DIGIT = ord("%"), 255
_DIGITS = np.full(256, _NO_DIGIT, np.uint8)
_DIGITS[list(b"0123456789")] = range(10)
_DIGITS[list(b"abcdef")] = _DIGITS[list(b"ABCDEF")] = range(10, 16)


def standard_base64(text: str) -> str:
    """Normalise base64 to the usual alphabet, without line breaks, spaces and padding."""
    return "".join(text.split()).translate(_STANDARD).rstrip("=")


def decode_base64(text: str) -> bytes:
    """Decode base64, whether it is broken into lines, URL-safe or unpadded.

    Raises:
        ValueError: The text is not base64.
    """
    text = standard_base64(text)
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)


def unescape(text: str) -> bytes:
    """Convert text with escapes such as ``%2B`` to bytes; other characters become UTF-8.

    ``urllib.parse.unquote_to_bytes`` does the same but takes eighty bytes of memory for each escaped one.
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
