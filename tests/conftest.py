"""Fixtures made by code: a FER2013 of drawn faces, and a tiny network with its checkpoint."""

from __future__ import annotations

import gc
import hashlib
import importlib.util
import io
import os
import pickle
import random
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

# This must precede all readers: the tests share the cores among processes, and many threads on few cores stall.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"):
    os.environ.setdefault(variable, "1")
gc.disable()  # until the tests are collected: imports leave no garbage, and looking for it takes half of their time

import numpy as np  # noqa: E402
import pytest  # noqa: E402
from PIL import Image  # noqa: E402

from cmaen.resources import usable_cores  # noqa: E402
from cmaen.types import EMOTIONS  # noqa: E402

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from cmaen.models.base import EmotionNetwork

Made = TypeVar("Made")
TESTS = Path(__file__).parent
EXAMPLES = TESTS.parent / "examples"
PREFIXES = {"train": "Training", "validation": "PublicTest", "test": "PrivateTest"}


LONGEST = (
    *("web/test_moving", "test_ray", "test_export", "training/test_processes", "web/test_page", "test_notebook"),
    *("web/test_pictures", "web/test_maps", "test_docs", "test_cli", "training/test_own_labels", "training/test_run"),
    *("serving/test_local", "evaluation/test_report", "test_documentation_site", "checkpoints/test_checkpoint"),
    *("inference/test_excerpts", "training/test_finetune", "inference/test_resuming", "enhance/test_steps"),
    *("test_outputs", "training/test_forecast", "serving/test_connections", "training/test_ablation", "test_schemes"),
)
"""The files with the longest tests, the longest first: they run first, so that none is left over at the end."""


PATIENCE = 300.0
"""How long the tests wait for what must come, in seconds: a busy machine may need many of them."""


def wait_until(holds: Callable[[], bool], *, seconds: float = PATIENCE) -> None:
    """Wait for an event instead of for a time that one machine needs and another does not."""
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, f"{holds} does not hold after {seconds:g} s"
        time.sleep(0.005)


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[], Made]) -> Made:
    """Make what takes seconds once for all test processes; the others wait, and read what the first has kept."""
    kept = shared_folder(factory) / f"{name}.pickle"
    claim, draft = kept.with_suffix(".claim"), kept.with_suffix(".draft")
    while not kept.exists():
        try:
            claim.touch(exist_ok=False)
        except FileExistsError:
            wait_until(lambda: kept.exists() or not claim.exists())
            continue
        try:
            draft.write_bytes(pickle.dumps(make()))
            draft.replace(kept)
        finally:
            claim.unlink()
    made: Made = pickle.loads(kept.read_bytes())
    return made


def shared_folder(factory: pytest.TempPathFactory) -> Path:
    """The temporary folder of the whole session, which pytest-xdist's processes share."""
    folder = factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


def pytest_configure() -> None:
    """Let no example of hypothesis fail because the machine is slow; the rest of the settings is as it was."""
    with suppress(ImportError):
        from hypothesis import HealthCheck, settings

        now = settings.default
        suppressed = {*now.suppress_health_check, HealthCheck.too_slow}
        settings.register_profile("any machine", now, deadline=None, suppress_health_check=list(suppressed))
        settings.load_profile("any machine")


def pytest_xdist_auto_num_workers() -> int:
    """Run one process more than there are cores: browsers, services and clocks leave a quarter of their time unused."""
    return usable_cores() + 1


def pytest_collection_finish() -> None:
    """Turn the garbage collector on again; what was imported stays to the end, so that it need not look there."""
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first; pytest-xdist would put those of most tests there."""
    places = {TESTS / f"{name}.py": place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


@pytest.fixture(scope="session", autouse=True)
def opened_networks() -> Iterator[None]:
    """Keep the sessions of ONNX Runtime from one test to the next: the package shares those that are in use.

    They compute on one thread, like the libraries above: two threads wait for each other half of the time.
    """
    from cmaen import engines

    kept: deque[object] = deque(maxlen=16)
    open_session = engines._open_session

    @wraps(open_session)
    def keep(*arguments: Any, **named: Any) -> Any:
        kept.append(session := open_session(*arguments, **named))
        return session

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engines, "_open_session", keep)
        patch.setattr(engines, "restricted_cores", lambda: 1)
        yield


@pytest.fixture
def no_opened_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the sessions of other tests and keep none, for a test that looks at how sessions are opened."""
    from cmaen import engines

    monkeypatch.setattr(engines, "_opened", type(engines._opened)())
    monkeypatch.setattr(engines, "_open_session", engines._open_session.__wrapped__)  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Start a real browser for the tests of a module."""
    from tests.browser import chromium

    with chromium() as started:
        yield started


def free_port() -> int:
    """Return a port on which nothing listens and which the system will not assign: below the ephemeral ones."""
    for port in random.sample(range(20_000, 30_000), 100):
        with socket.socket() as free, suppress(OSError):
            free.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no free port")


def drawn_face(emotion: int, rng: np.random.Generator) -> np.ndarray:
    """Draw uint8 [48, 48]: noise, and a bright bar whose place depends on the emotion."""
    face = rng.integers(60, 120, (48, 48), dtype=np.uint8)
    face[6 * emotion : 6 * emotion + 6, 8:40] = 230
    return face


@pytest.fixture(scope="session")
def fer_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a folder tree like FER2013's with 8 training, 3 validation and 2 test images of each emotion."""
    root = tmp_path_factory.mktemp("fer")
    rng = np.random.default_rng(0)
    number = 0
    for split, count in (("train", 8), ("validation", 3), ("test", 2)):
        for index, emotion in enumerate(EMOTIONS):
            folder = root / split / emotion
            folder.mkdir(parents=True)
            for _ in range(count):
                Image.fromarray(drawn_face(index, rng)).save(folder / f"{PREFIXES[split]}_{number}.png")
                number += 1
    return root


TINY = {
    "wiring": "paper",
    "trunk": "timm/test_efficientnet",
    "side": "ecnn",
    "ecnn_widths": [8, 8, 32, 32],
    "ecnn_stem": "small",
    "fused_channels": 16,
    "attention_heads": 2,
    "pyramid_channels": 8,
    "hidden": 16,
    "dropout": 0.0,
}
"""The paper's network, whole, over the smallest network of timm."""
PLAIN = {
    "wiring": "residual",
    "trunk": "ecnn",
    "side": None,
    "ecnn_widths": [8, 8, 16, 16],
    "ecnn_stem": "small",
    "scales": None,
    "pyramid_channels": None,
    "emotion_heads": False,
    "hidden": 16,
}
"""A network with as few parts as there can be."""


def change_card(folder: Path, **changes: object) -> None:
    """Set values on the card of a checkpoint."""
    from cmaen.checkpoints import Checkpoint

    Checkpoint(folder).amend(lambda now: replace(now, card=replace(now.card, **changes)))  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def quick_export(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Cache the output of PyTorch's exporter, which takes seconds, across all test processes for the same weights."""
    pytest.importorskip("torch")
    from cmaen import export

    write = export._write_onnx

    def write_once(network: EmotionNetwork, size: int, path: Path) -> None:
        def written() -> bytes:
            write(network, size, path)
            return path.read_bytes()

        weights = b"".join(value.numpy().tobytes() for value in network.state_dict().values())
        name = f"{hashlib.sha256(weights).hexdigest()}-{size}"
        path.write_bytes(made_once(tmp_path_factory, name, written))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "_write_onnx", write_once)
        yield


@pytest.fixture
def quick_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw the pictures of a report small and without their layout, their maps in few steps, and time few answers.

    They are real pictures of the same figures; how they look, the tests of the report itself say.
    """
    pytest.importorskip("matplotlib")
    from cmaen.evaluation import plots
    from cmaen.inference import benchmark

    def draw(figure: Figure, kind: str) -> bytes:
        figure.set_layout_engine("none")
        file = io.BytesIO()
        figure.savefig(file, format=kind, dpi=20)
        return file.getvalue()

    def draw_svg(figure: Figure) -> str:
        text = draw(figure, "svg").decode()
        return text[text.index("<svg") :]

    with suppress(ModuleNotFoundError):  # without it there are no maps
        from cmaen import explanation

        monkeypatch.setattr(explanation, "_STEPS", 4)
    monkeypatch.setattr(benchmark, "COST_RUNS", {1: 2, 4: 2})
    monkeypatch.setattr(benchmark, "WARMUP", 1)
    monkeypatch.setattr(plots, "svg", draw_svg)
    monkeypatch.setattr(plots, "png", lambda figure: draw(figure, "png"))


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory, quick_export: None) -> Path:
    """Build an untrained tiny network with both label schemes, exported for every installed engine."""
    pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("checkpoint")

    def written() -> dict[str, bytes]:
        _write_checkpoint(folder)
        return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}

    for name, content in made_once(tmp_path_factory, "checkpoint", written).items():
        (folder / name).write_bytes(content)
    return folder


def _write_checkpoint(folder: Path) -> None:
    import torch

    from cmaen.checkpoints import Card, Scheme
    from cmaen.export import export
    from cmaen.models.build import build_network
    from cmaen.models.checkpoint import save_checkpoint
    from cmaen.models.spec import ModelSpec
    from cmaen.preprocessing import PreprocessSpec
    from cmaen.types import FER2013, PERCEIVED, PERCEIVED_LABELS

    torch.manual_seed(0)
    schemes = {FER2013: Scheme(EMOTIONS), PERCEIVED: Scheme(PERCEIVED_LABELS)}
    network = build_network(ModelSpec(**TINY), perceived=len(PERCEIVED_LABELS))
    save_checkpoint(network, Card("tiny", TINY, PreprocessSpec(image_size=64), schemes=schemes), folder)
    export(folder)
    if importlib.util.find_spec("openvino") is not None:
        export(folder, engine="openvino", precision="fp32")
