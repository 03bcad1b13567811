from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmaen.data.tree import MANIFEST, enhancement_of, require_enhancement, steps_of
from cmaen.errors import DataError

CHAIN = ("faces 48-grey", "super-resolution 0123456789abcdef")


def write_zip(path: Path, name: str, content: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("train/happy/1.png", b"a face")
        archive.writestr(name, content)
    return path


@pytest.mark.parametrize(("name", "found"), [(MANIFEST, CHAIN), (f"all/{MANIFEST}", CHAIN), (f"a/b/{MANIFEST}", ())])
def test_a_zip_of_enhanced_faces_is_known_to_be_one(name: str, found: tuple[str, ...], tmp_path: Path) -> None:
    content = json.dumps({"chain": CHAIN}).encode()
    assert enhancement_of(write_zip(tmp_path / "faces.zip", name, content)) == found
    (tmp_path / "faces").mkdir()
    (tmp_path / "faces" / MANIFEST).write_bytes(content)
    assert enhancement_of(tmp_path / "faces") == CHAIN


def test_a_part_of_an_enhanced_folder_is_known_to_be_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "better" / "train" / "happy").mkdir(parents=True)
    (tmp_path / "better" / "faces.csv").write_text("path,label")
    (tmp_path / "better" / MANIFEST).write_text(json.dumps({"chain": CHAIN}))
    plain = write_zip(tmp_path / "better" / "plain.zip", "other.txt", b"")
    for path in ("train", "faces.csv"):
        assert enhancement_of(tmp_path / "better" / path) == CHAIN
    monkeypatch.chdir(tmp_path / "better" / "train")
    assert enhancement_of(Path()) == CHAIN
    assert enhancement_of(plain) == ()
    (tmp_path / "better" / MANIFEST).write_text("half")
    with pytest.raises(DataError, match=r"manifest\.json cannot be read"):
        enhancement_of(tmp_path / "better" / "train")


def test_what_holds_no_manifest_was_not_enhanced(tmp_path: Path) -> None:
    (tmp_path / "faces.csv").write_text("path,label")
    for path in (tmp_path, tmp_path / "faces.csv", tmp_path / "none"):
        assert enhancement_of(path) == ()
    (tmp_path / MANIFEST).write_text('{"name": "somebody else\'s"}')
    assert enhancement_of(tmp_path) == ()


def test_a_damaged_manifest_is_no_reason_to_go_on_without(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "faces.zip", MANIFEST, json.dumps({"chain": CHAIN * 50}).encode())
    whole = bytearray(path.read_bytes())
    place = whole.index(MANIFEST.encode()) + len(MANIFEST) + 3
    whole[place] ^= 255
    path.write_bytes(whole)
    with pytest.raises(DataError, match=r"manifest\.json cannot be read"):
        enhancement_of(path)


@given(st.binary(max_size=40) | st.sampled_from([b"[]", b"5", b'{"chain": 5}', b'{"chain": null}', b"{", b"\xff\xfe"]))
def test_any_content_is_read_or_refused_by_name(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = tmp_path_factory.mktemp("any")
    (folder / MANIFEST).write_bytes(content)
    try:
        assert all(isinstance(entry, str) for entry in enhancement_of(folder))
    except DataError as error:
        assert MANIFEST in str(error)  # noqa: PT017


def test_only_the_steps_must_be_the_same(tmp_path: Path) -> None:
    better = tmp_path / "better"
    better.mkdir()
    (better / MANIFEST).write_text(json.dumps({"chain": CHAIN}))
    require_enhancement(better, CHAIN)
    require_enhancement(better, ("faces 50-grey", *steps_of(CHAIN)))
    require_enhancement(better, steps_of(CHAIN))
    with pytest.raises(DataError, match=r"but those of .* were enhanced by"):
        require_enhancement(better, (*CHAIN, "colorization 0123456789abcdef"))
    with pytest.raises(DataError, match="enhanced by nothing: name a copy of them that cmaen enhance has made"):
        require_enhancement(tmp_path / "plain", CHAIN)
