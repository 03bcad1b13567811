from __future__ import annotations

import hashlib
import io
import os
import shutil
import stat
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from cmaen.checkpoints import CARD, Checkpoint, hub
from cmaen.checkpoints.hub import SHIPPED, cache_folder, fetch, find_checkpoint
from cmaen.errors import CheckpointError, ConfigError, MissingExtraError, OutputError
from cmaen.inference.predictor import EmotionPredictor

ADDRESS = "https://models.example/tiny.zip"


def zipped(members: dict[str, bytes], mode: int = 0) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            member = zipfile.ZipInfo(name)
            member.external_attr = mode << 16
            archive.writestr(member, content, zipfile.ZIP_DEFLATED, compresslevel=1)
    return file.getvalue()


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Web:
    """A web that answers every address with the same content, and counts."""

    def __init__(self, content: bytes, leads_to: str = ADDRESS) -> None:
        self.content, self.leads_to, self.asked = content, leads_to, 0

    def __call__(self, request, timeout):
        self.asked += 1
        response = io.BytesIO(self.content)
        response.url = self.leads_to
        return response


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch):
    def serve(content: bytes, leads_to: str = ADDRESS) -> Web:
        served = Web(content, leads_to)
        monkeypatch.setattr(hub, "urlopen", served)
        return served

    return serve


def test_the_shipped_weights_and_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Checkpoint.open().card.name == SHIPPED
    assert find_checkpoint("cmaen-m") == Checkpoint.open().folder
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "best").mkdir(parents=True)
    assert find_checkpoint("runs/best") == Path("runs/best")  # takes precedence over a repository of that name
    assert find_checkpoint(tmp_path / "runs") == tmp_path / "runs"
    with pytest.raises(CheckpointError, match=r"Use 'cmaen-m' or 'cmaen-s' \(in the package\)"):
        find_checkpoint("CMAEN-M")
    with pytest.raises(CheckpointError, match="no such folder"):
        find_checkpoint(Path("owner/name"))  # a path is never looked up on Hugging Face
    with pytest.raises(CheckpointError, match="sha256 is for"):
        find_checkpoint("cmaen-m", sha256="0" * 64)
    with pytest.raises(CheckpointError, match="revision is for"):
        find_checkpoint("cmaen-m", revision="main")


def test_a_zip_is_fetched_once(tmp_path: Path, web, monkeypatch: pytest.MonkeyPatch) -> None:
    members = {f"model/{file.name}": file.read_bytes() for file in Checkpoint.open().folder.iterdir() if file.is_file()}
    content = zipped({**members, "model/setup.py": b"raise SystemExit"})
    served = web(content)
    folder = find_checkpoint(ADDRESS, sha256=digest(content).upper(), cache=tmp_path)
    known = [CARD, "history.csv", "metrics.json", "model.onnx", "model.safetensors", "provenance.json", "seen.keys"]
    assert sorted(file.name for file in folder.iterdir()) == known
    assert Checkpoint(folder).documents == Checkpoint.open().documents
    assert list((tmp_path / "checkpoints").iterdir()) == [folder]
    monkeypatch.setenv("CMAEN_CACHE", str(tmp_path))
    assert Checkpoint.open(f"{ADDRESS}#sha256={digest(content)}").folder == folder
    predictor = EmotionPredictor.from_pretrained(ADDRESS, sha256=digest(content), threads=1)
    assert predictor.card.name == "cmaen-m"
    assert served.asked == 1


def test_what_is_not_as_it_should_be_is_not_kept(tmp_path: Path, web) -> None:
    def refused(content: bytes, message: str, **options) -> None:
        web(content)
        with pytest.raises(CheckpointError, match=message):
            find_checkpoint(ADDRESS, **{"sha256": digest(content), "cache": tmp_path, **options})
        assert not list((tmp_path / "checkpoints").glob("*"))
        assert not (tmp_path / "evil").exists()

    (tmp_path / "checkpoints").mkdir()
    card = {CARD: b"{}"}
    refused(zipped(card), "not the expected file", sha256="0" * 64)
    refused(zipped(card), "64 hex digits", sha256=None)
    refused(zipped(card), "has no revision", revision="main")
    refused(b"no zip", "not a zip")
    refused(zipped({"model.onnx": b"x"}), "holds 0 files named card.json")
    refused(zipped({"a/card.json": b"", "b/card.json": b""}), "holds 2 files")
    for evil in ("../evil", "/evil", "a/../../evil", "C:/evil"):
        refused(zipped({**card, evil: b"x"}), "lies outside")
    refused(zipped(card, stat.S_IFLNK | 0o777), "not a regular file")


def test_limits_and_https(tmp_path: Path, web, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = zipped({CARD: b"{}", "model.onnx": bytes(10_000)})
    web(bomb)
    with pytest.raises(CheckpointError, match="more than 100 bytes"):
        fetch(ADDRESS, tmp_path / "file", sha256=digest(bomb), largest=100)
    monkeypatch.setattr(hub, "LARGEST", 5_000)
    with pytest.raises(CheckpointError, match="unpacks to more than 5,000 bytes"):
        find_checkpoint(ADDRESS, sha256=digest(bomb), cache=tmp_path)
    with pytest.raises(CheckpointError, match="not an https address"):
        find_checkpoint("http://models.example/tiny.zip", sha256=digest(bomb), cache=tmp_path)
    web(bomb, leads_to="http://models.example/tiny.zip")
    with pytest.raises(CheckpointError, match="is not https"):
        find_checkpoint(ADDRESS, sha256=digest(bomb), cache=tmp_path)
    monkeypatch.setattr(hub, "urlopen", lambda *_, **__: (_ for _ in ()).throw(OSError("no route")))
    with pytest.raises(CheckpointError, match="no route; check the connection"):
        find_checkpoint(ADDRESS, sha256=digest(bomb), cache=tmp_path)
    (tmp_path / "a file").touch()
    with pytest.raises(OutputError):
        find_checkpoint(ADDRESS, sha256=digest(bomb), cache=tmp_path / "a file")
    assert not list((tmp_path / "checkpoints").iterdir())


def test_hugging_face(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtraError, match=r"no folder owner/name.*cmaen\[hub\]"):
        find_checkpoint("owner/name")
    asked = []

    def download(repository: str, **options) -> str:
        asked.append((repository, options["revision"], set(options["allow_patterns"])))
        if repository == "owner/offline":
            raise RuntimeError("no\n connection")
        return str(tmp_path)

    monkeypatch.setitem(sys.modules, "huggingface_hub", SimpleNamespace(snapshot_download=download))
    with pytest.raises(CheckpointError, match=r"has no card\.json"):
        find_checkpoint("owner/name", revision="v1")
    shutil.copy(Checkpoint.open().folder / CARD, tmp_path)
    assert find_checkpoint("owner/name@v2") == tmp_path
    files = {"model.onnx", "model.xml", "model.bin", "model.safetensors"}
    files |= {CARD, "history.csv", "metrics.json", "provenance.json", "seen.keys"}
    assert asked == [("owner/name", "v1", files), ("owner/name", "v2", files)]
    with pytest.raises(CheckpointError, match="no connection; check the name"):
        find_checkpoint("owner/offline")


def test_the_cache_is_where_the_system_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CMAEN_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    monkeypatch.setenv("LOCALAPPDATA", "/local")
    for platform, end in (("linux", "/caches/cmaen"), ("darwin", "Library/Caches/cmaen"), ("win32", "/local/cmaen")):
        monkeypatch.setattr(sys, "platform", platform)
        assert cache_folder().as_posix().endswith(end)


def test_what_is_damaged_in_the_cache_is_fetched_again(tmp_path: Path, web, caplog: pytest.LogCaptureFixture) -> None:
    content = zipped({file.name: file.read_bytes() for file in Checkpoint.open().folder.iterdir() if file.is_file()})
    served, options = web(content), {"sha256": digest(content), "cache": tmp_path}
    folder = find_checkpoint(ADDRESS, **options)
    damages = [
        lambda: (folder / CARD).write_text("{}"),
        lambda: (folder / "model.onnx").write_bytes((folder / "model.onnx").read_bytes()[:-1]),
        lambda: (folder / "model.safetensors").unlink(),
        lambda: [path.unlink() for path in (tmp_path / "checksums").iterdir()],
    ]
    for times, damage in enumerate(damages, start=2):
        damage()
        assert find_checkpoint(ADDRESS, **options) == folder
        assert served.asked == times
        assert Checkpoint.open(folder).card.name == SHIPPED
    assert "is damaged" in caplog.text
    assert list((tmp_path / "checkpoints").iterdir()) == [folder]


def test_a_file_in_the_cache_is_taken_by_its_checksum_alone(tmp_path: Path, web) -> None:
    served = web(b"right")
    for found in (b"wrong", b"", b"right"):
        (tmp_path / "file").write_bytes(found)
        assert fetch(ADDRESS, tmp_path / "file", sha256=digest(b"right").upper()).read_bytes() == b"right"
    assert served.asked == 2


def test_what_a_kill_has_left_in_the_cache_goes_away(tmp_path: Path, web) -> None:
    old, new = (tmp_path / "checkpoints" / f".fetching-{name}" for name in ("old", "new"))
    old.mkdir(parents=True)
    new.mkdir()
    os.utime(old, (0, 0))
    content = zipped({CARD: b"{}"})
    web(content)
    folder = find_checkpoint(ADDRESS, sha256=digest(content), cache=tmp_path)
    assert sorted((tmp_path / "checkpoints").iterdir()) == sorted([folder, new])


@pytest.mark.parametrize("name", [None, "cmaen-m", "shipped"])
def test_the_shipped_weights_have_one_name_and_those_of_before(
    name: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    assert Checkpoint.open(name).is_shipped
    if name is None:
        return
    assert Checkpoint.open(Path(name)).is_shipped  # configurations contain paths
    Path(name).mkdir()
    assert not Checkpoint.open(Path(name)).is_shipped
    assert not Checkpoint.open(f"./{name}").is_shipped
    assert Checkpoint.open(name).is_shipped
    assert f"./{name} is the folder" in caplog.text


def test_what_is_shared_is_not_changed(tmp_path: Path, web) -> None:
    content = zipped({file.name: file.read_bytes() for file in Checkpoint.open().folder.iterdir() if file.is_file()})
    web(content)
    fetched = Checkpoint.open(ADDRESS, sha256=digest(content), cache=tmp_path)
    for shared in (fetched, Checkpoint.open(), Checkpoint.open("cmaen-m")):
        with pytest.raises(ConfigError, match="copy its folder"):
            shared.amend(lambda now: now)
    own = Path(shutil.copytree(fetched.folder, tmp_path / "own"))
    assert Checkpoint.open(own / CARD).amend(lambda now: now).documents == fetched.documents


@pytest.mark.parametrize("name", ["", "a\0b", "x" * 5000, "\ud800", "no/such/folder", "C:\\nothing", "~"])
def test_a_name_of_nothing_is_named(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for where in (name, Path(name)):
        with pytest.raises(CheckpointError, match="is not a checkpoint"):
            assert Checkpoint.open(where).card
