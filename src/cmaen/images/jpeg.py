"""JPEGs that lack only their end marker."""

from __future__ import annotations

from collections.abc import Iterator

_END_OF_JPEG = b"\xff\xd9"
_NOISE = bytes(range(7, 247, 5))
_TAILS = (b"", bytes(64), _NOISE, _NOISE[::-1])
"""Bytes that may follow a complete JPEG without changing it."""
_RESTARTS = tuple(b"\xff%c" % mark + _NOISE for mark in range(0xD0, 0xD8))
"""The same for a JPEG with restart markers, where the decoder waits for one of them."""


def with_endings(content: bytes) -> Iterator[bytes]:
    """Yield a JPEG without its end marker, with different endings; nothing if not a JPEG, complete or short of scans.

    If all of them decode to the same pixels, only the marker was missing: missing pixels are made up by the decoder
    from what follows, and so differ from one ending to another.
    """
    if not content.startswith(b"\xff\xd8\xff") or content.endswith(_END_OF_JPEG) or _lacks_scans(content):
        return
    for tail in (*_TAILS, *(_RESTARTS if b"\xff\xdd" in content else ())):
        yield content.rstrip(b"\xff") + tail + _END_OF_JPEG


def _lacks_scans(content: bytes) -> bool:
    """Whether a progressive JPEG ends before the scan that completes the last bit of all its coefficients."""
    components, rough, place = 0, set[tuple[int, int]](), 2
    while (place := content.find(b"\xff", place)) >= 0 and place + 4 < len(content):
        mark, size = content[place + 1], int.from_bytes(content[place + 2 : place + 4], "big")
        body = content[place + 4 : place + 2 + size]
        if mark == 0xC2 and len(body) > 5:  # the frame of a progressive image
            components = body[5]
            rough = {(body[6 + 3 * n], k) for n in range(components) if 6 + 3 * n < len(body) for k in range(64)}
        elif mark == 0xDA and components and len(body) > 2 * body[0] + 3:  # a scan: its components, coefficients, bits
            first, last, bits = body[1 + 2 * body[0] : 4 + 2 * body[0]]
            if bits & 15 == 0:
                rough -= {(body[1 + 2 * n], k) for n in range(body[0]) for k in range(first, last + 1)}
        place += 2 + size if mark not in (0, 0xFF) and not 0xD0 <= mark <= 0xD7 else (2 if mark != 0xFF else 1)
    return bool(rough)
