"""What runs on Ray, which takes seconds to start and so is started once: the workers of a cluster, and a replica."""

from __future__ import annotations

import csv
import os
import shutil
import signal
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

ray = pytest.importorskip("ray")

from cmaen.checkpoints import Checkpoint  # noqa: E402
from cmaen.client import EmotionClient  # noqa: E402
from cmaen.errors import CmaenError  # noqa: E402
from cmaen.inference import cluster as cluster_module  # noqa: E402
from cmaen.inference.classifier import FaceClassifier  # noqa: E402
from cmaen.inference.cluster import RayPipeline, join_cluster  # noqa: E402
from cmaen.inference.pipeline import FacePipeline  # noqa: E402
from cmaen.inference.sources import Source, open_source  # noqa: E402
from cmaen.inference.sources.images import FolderSource, ListSource  # noqa: E402
from cmaen.inference.spec import PipelineSpec  # noqa: E402
from cmaen.results import Face, Result  # noqa: E402
from cmaen.types import FaceBox, Frame  # noqa: E402
from tests.conftest import EXAMPLES, free_port, wait_until  # noqa: E402
from tests.test_cli import cmaen  # noqa: E402


@pytest.mark.parametrize(
    ("address", "running", "asked"), [("", False, [3]), ("", True, [3, None]), ("10.0.0.1:6379", False, [None])]
)
def test_a_cluster_of_our_own_has_the_cores_of_this_process(
    address: str, running: bool, asked: list[int | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[int | None] = []

    def init(*, num_cpus: int | None = None, **_: object) -> None:
        told.append(num_cpus)
        if running and num_cpus is not None:
            raise ValueError("When connecting to an existing cluster, num_cpus and num_gpus must not be provided.")

    monkeypatch.setenv("RAY_ADDRESS", address)
    monkeypatch.setattr("cmaen.inference.cluster.usable_cores", lambda: 3)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", init)
    join_cluster()
    assert told == asked


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cmaen.inference.cluster.usable_cores", lambda: 2)
        join_cluster()
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 faces, each a little different, one with a name that is not UTF-8, and two files that are no images."""
    folder = tmp_path_factory.mktemp("faces")
    face = Image.open(EXAMPLES / "astronaut.png").convert("RGB").crop((160, 50, 290, 190))
    for number in range(39):
        face.rotate(number).save(folder / f"{number:02}.png")
    with open(os.fsencode(folder) + b"/caf\xe9.png", "wb") as file:
        face.save(file, "PNG")
    (folder / "10a.jpg").write_bytes(b"no image")
    (folder / "20a.png").write_bytes(b"")
    return folder


def clustered(source: Source, *, keep_images: bool = False, **options: object) -> Iterator[Result]:
    """The answers of one worker, which takes a second to start, or of several."""
    pipeline = RayPipeline(PipelineSpec(**{"detector": None, "workers": 1, **options}))
    return pipeline.results(source, keep_images=keep_images)


def alone(source: Source) -> list[Result]:
    return list(FacePipeline(FaceClassifier(Checkpoint.open().folder), None).results(source))


def same(one: Sequence[Result], other: Sequence[Result]) -> None:
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        assert (a.frame.index, a.frame.name, a.status) == (b.frame.index, b.frame.name, b.status)
        assert str(a.error).split(":")[0] == str(b.error).split(":")[0]
        assert [face.box for face in a.faces] == [face.box for face in b.faces]
        for ours, theirs in zip(a.faces, b.faces, strict=True):
            assert ours.probabilities == pytest.approx(theirs.probabilities, abs=1e-4)


def running(title: str) -> list[psutil.Process]:
    """The processes of the cluster whose title begins so."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):  # it has just ended
            if "".join(process.cmdline()).startswith(title):
                found.append(process)
    return found


@pytest.mark.usefixtures("cluster")
def test_two_workers_give_what_one_process_gives_though_one_is_killed(faces: Path) -> None:
    results = clustered(FolderSource(faces), batch_size=2, workers=2)
    found = [next(results)]
    wait_until(lambda: len(running("ray::_Worker")) == 2)  # the first answer comes when one of them has started
    running("ray::_Worker")[0].send_signal(signal.SIGKILL)
    found += results
    same(found, alone(FolderSource(faces)))


@pytest.mark.usefixtures("cluster")
def test_addresses_and_those_that_are_left_out(faces: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = f"file://{faces}"
    without = {f"{root}/{number:02}.png" for number in range(30)}
    source = open_source("address", root, without=without)
    listed = list(source.names())
    monkeypatch.setattr(source, "names", lambda: iter(listed))
    (faces / "38.png").rename(faces / "38.gone")  # after it was listed
    try:
        found = list(clustered(source, keep_images=True, detector="yunet"))
    finally:
        (faces / "38.gone").rename(faces / "38.png")
    assert [result.frame.name for result in found][-2:] == [f"{root}/38.png", f"{root}/caf\\xe9.png"]
    assert len(found) == 12
    assert "38.png cannot be read" in str(found[-2].error)
    assert found[-1].frame.image is not None
    assert found[-1].frame.image.shape == (140, 130, 3)


@pytest.mark.usefixtures("cluster")
def test_the_command_line(faces: Path, tmp_path: Path) -> None:
    tables = []
    for engine in ("ray", "onnx"):
        output = tmp_path / f"{engine}.csv"
        cmaen("inference", "--directory", faces, "--engine", engine, "--no-detect", "--output", output)
        with output.open(newline="", encoding="utf-8") as file:
            tables.append(list(csv.DictReader(file)))
    ours, theirs = ([[row["path"], row["status"], row["predicted_emotion"]] for row in rows] for rows in tables)
    assert ours == theirs


def test_what_a_cluster_cannot_take(faces: Path, tmp_path: Path) -> None:
    with pytest.raises(CmaenError, match="processes the images of a folder or of an address"):
        next(clustered(ListSource([b""])))
    for folder, message in ((tmp_path, "contains no images"), (tmp_path / "nothing", "cannot be read")):
        said = cmaen("inference", "--directory", folder, "--engine", "ray", code=2)
        assert message in said
    assert "cannot be read" in cmaen("inference", "--directory", "s4://x", "--engine", "ray", code=2)


@pytest.mark.usefixtures("cluster")
def test_the_threshold_reaches_the_workers(faces: Path) -> None:
    results = clustered(FolderSource(faces), threshold=1.0)
    assert {face.emotion for result in results for face in result.faces} == {"uncertain"}


@pytest.mark.usefixtures("cluster")
def test_the_limit_of_pixels_and_the_sizes_travel(faces: Path, tmp_path: Path) -> None:
    for name in ("00.png", "01.png"):
        shutil.copy(faces / name, tmp_path)
    results = list(clustered(FolderSource(tmp_path), max_pixels=130 * 140))
    assert [result.size for result in results] == [(130, 140), (130, 140)]
    results = list(clustered(FolderSource(tmp_path), max_pixels=130 * 140 - 1))
    assert all("over the limit" in str(result.error) for result in results)


def test_nothing_is_left_to_do(faces: Path) -> None:
    every = list(map(str, faces.iterdir()))
    source = FolderSource(faces, without=[os.fsencode(name).decode("utf-8", "backslashreplace") for name in every])
    assert list(clustered(source)) == []


@pytest.mark.usefixtures("cluster")
def test_the_first_answers_come_before_the_last_names(faces: Path) -> None:
    source, asked = FolderSource(faces), []

    def names() -> Iterator[str]:
        for name in FolderSource(faces).names():
            asked.append(name)
            yield name

    source.names = names  # type: ignore[method-assign]
    with closing(clustered(source, batch_size=2)) as results:
        first = next(results)
        assert 0 < len(asked) <= 2 * cluster_module._PARTS_AHEAD
        rest = list(results)
    assert len(asked) == 1 + len(rest) == 42
    same([first, *rest], alone(FolderSource(faces)))


@pytest.mark.parametrize("keep_images", [True, False])
def test_a_folder_that_grows_mixes_up_no_names(
    keep_images: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "below").mkdir()
    for name in ("a.png", "below/c.png"):
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / name)

    def answered(self: RayPipeline, parts: Iterator[list[tuple[int, str]]]) -> Iterator[tuple[object, object]]:
        for part in parts:
            Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "below" / "b.png")
            face = Face((1 / 7,) * 7, FaceBox(0, 0, 8, 8))
            yield part, [Result(Frame(0, name), (face,)).to_record() for _, name in part]

    monkeypatch.setattr(RayPipeline, "_answer_parts", answered)
    with closing(clustered(FolderSource(tmp_path), keep_images=keep_images)) as results:
        found = list(results)
    assert [Path(result.frame.name).name for result in found] == ["a.png", "c.png"]
    assert [result.frame.index for result in found] == [0, 1]
    assert [result.frame.image is not None for result in found] == [keep_images] * 2


@pytest.fixture(scope="module")
def address(cluster: None) -> Iterator[str]:
    pytest.importorskip("ray.serve")
    pytest.importorskip("fastapi")
    from cmaen.serving.distributed import deploy, stop
    from cmaen.serving.settings import Settings
    from tests.serving.conftest import one_core

    port = free_port()
    deploy(Settings(pipeline=one_core(), api_key="secret", load_first=True), host="127.0.0.1", port=port, replicas=1)
    yield f"http://127.0.0.1:{port}"
    stop()


@pytest.mark.skipif(os.name == "nt", reason="kills a process as on Unix")
def test_a_replica_that_is_killed_comes_back(address: str) -> None:
    client = EmotionClient(address, "secret", retries=8)
    photo = EXAMPLES / "astronaut.png"
    answers = client.predict([photo, b"text"], top_k=1)
    assert [answer["status"] for answer in answers] == ["ok", "error"]
    (killed,) = running("ray::ServeReplica")
    killed.send_signal(signal.SIGKILL)
    again = client.predict([photo, b"text"], top_k=1)
    assert again == answers
    (restarted,) = running("ray::ServeReplica")
    assert restarted != killed
