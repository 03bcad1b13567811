"""The archives that the page writes, as Python's own ``zipfile`` reads them."""

from __future__ import annotations

import io
import zipfile
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.web.node import run_page

SCRIPT = """
    import { ZipWriter } from './zip.js';
    const zip = new ZipWriter({ date: new Date(2026, 10, 29, 14, 30, 10) });
    const names = [];
    for (const { name, content } of given.files) {
        names.push(await zip.add(name, new Blob([Buffer.from(content, 'hex')])));
    }
    const size = zip.size;
    const archive = new Uint8Array(await zip.finish().arrayBuffer());
    const late = await zip.add('late.txt', new Blob(['x'])).then(() => 'taken', (error) => error.message);
    const answer = { names, archive, size, late };
"""

names = st.text(max_size=150) | st.sampled_from(
    (
        *(
            "",
            ".",
            "..",
            "../../etc/passwd",
            "C:\\\\Windows\\\\a.png",
            "a/b/c.jpg",
            "CON",
            "nul.png",
            "com1.txt.jpg",
            " .png",
        ),
        *(
            "same.png",
            "SAME.png",
            "same-2.png",
            "a\0b.png",
            "\u202egnp.exe",
            "ü.png",
            "u\u0308.png",
            "x" * 300 + ".jpeg",
        ),
        *("a:b*c?.png", "trailing. ", "🙂.jpg", "-rf.png", ".hidden", "cmaen.csv"),
    )
)


def write(files: list[tuple[str, bytes]]) -> dict[str, Any]:
    answer: dict[str, Any] = run_page(SCRIPT, files=[{"name": name, "content": body.hex()} for name, body in files])
    return answer


@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(names, st.binary(max_size=200)), min_size=30))
def test_what_was_put_in_comes_out(files: list[tuple[str, bytes]]) -> None:
    """Under names that no system takes amiss, and of which no two are the same, in upper or lower case."""
    files = [(name.encode("utf-8", "replace").decode(), body) for name, body in files]
    answer = write(files)
    with zipfile.ZipFile(io.BytesIO(answer["archive"].tobytes())) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == answer["names"]
        assert [archive.read(name) for name in answer["names"]] == [body for _, body in files]
        assert {info.date_time for info in archive.infolist()} <= {(2026, 11, 29, 14, 30, 10)}
    assert len({name.lower() for name in answer["names"]}) == len(files)
    for name in answer["names"]:
        assert 0 < len(name) < 140
        assert not set(name) & set('/\\<>:"|?*\0\u202e'), name
        assert not name.startswith((".", " ")), name
        assert not name.endswith((".", " ")), name
        assert name.split(".")[0].upper() not in ("CON", "NUL", "COM1"), name


def test_names_that_are_fine_stay() -> None:
    answer = write([("a/holiday.jpg", b"1"), ("b/holiday.jpg", b"2"), ("Grüße 1.png", b"3")])
    assert answer["names"] == ["holiday.jpg", "holiday-2.jpg", "Grüße 1.png"]
    assert answer["late"] == "the archive is finished"
    assert answer["size"] > 3


def test_an_empty_archive_is_one() -> None:
    with zipfile.ZipFile(io.BytesIO(write([])["archive"].tobytes())) as archive:
        assert archive.namelist() == []
