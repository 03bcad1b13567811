from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from cmaen.config import DetectorConfig, is_detection, load_config  # noqa: E402
from cmaen.data.composites import Composite, Faces  # noqa: E402
from cmaen.errors import ConfigError, DetectorError  # noqa: E402
from cmaen.export import export_detector  # noqa: E402
from cmaen.inference.detectors import build_detector  # noqa: E402
from cmaen.models.detector import CompactDetector, Detections, places  # noqa: E402
from cmaen.training.batches import Place  # noqa: E402
from cmaen.training.detection import FreshBatches, Targets, assign, detection_loss, train_detector  # noqa: E402
from tests.data.test_composites import face_of, file_of, photograph  # noqa: E402

CONFIG = Path(__file__).parents[2] / "configs" / "detector.yaml"


def composite(*boxes: tuple[float, float, float, float], ignored: tuple = ()) -> Composite:
    held = np.array(boxes, np.float32).reshape(-1, 4)
    marks = held[:, None, :2] + held[:, None, 2:] * np.linspace(0.2, 0.8, 5)[:, None].astype(np.float32)
    free = np.array(ignored, np.float32).reshape(-1, 4)
    return Composite(np.zeros((128, 128, 3), np.uint8), Faces(held, marks, np.ones(len(held), np.float32)), free)


def test_the_network_has_a_place_for_every_eight_sixteen_and_thirty_two_pixels() -> None:
    found = CompactDetector().eval()(torch.zeros(2, 3, 64, 96))
    count = 8 * 12 + 4 * 6 + 2 * 3
    assert found.logits.shape == (2, count)
    assert found.boxes.shape == (2, count, 4)
    assert found.landmarks.shape == (2, count, 5, 2)
    grid = places(64, 96)
    assert grid.shape == (count, 3)
    assert grid[0].tolist() == [4, 4, 8]
    assert grid[-1].tolist() == [80, 48, 32]


def test_a_strided_depthwise_convolution_is_the_same_in_training() -> None:
    layer = next(m for m in CompactDetector().modules() if isinstance(m, torch.nn.Conv2d) and m.groups > 1)
    assert layer.stride == (2, 2)
    pictures = torch.randn(2, layer.in_channels, 16, 12)
    assert torch.allclose(layer.train()(pictures), layer.eval()(pictures), atol=1e-5)


def test_a_face_is_given_to_the_map_for_its_size() -> None:
    for box, stride in (((20, 20, 16, 16), 8), ((20, 20, 60, 60), 16), ((10, 10, 110, 110), 32)):
        targets = assign(composite(box))
        held = targets.face == 1
        assert places(128, 128)[held][:, 2].unique().tolist() == [stride]
        assert targets.boxes[held].unique(dim=0).tolist() == [list(map(float, box))]
        assert ((targets.face == 0).sum() > 200).item()


def test_the_smallest_face_has_a_place_and_what_is_ignored_has_none() -> None:
    targets = assign(composite((1, 1, 10, 10), ignored=((64, 64, 40, 40),)))
    assert (targets.face == 1).sum() == 1
    grid = places(128, 128)
    inside = ((grid[:, :2] > 64) & (grid[:, :2] < 104)).all(dim=1)
    assert (targets.face[inside] == -1).all()
    assert (targets.face[~inside] >= 0).all()


def test_the_loss_by_hand() -> None:
    targets = Targets(
        torch.tensor([[1.0, 0.0, -1.0]]),
        torch.tensor([[[0.0, 0, 10, 10]] * 3]),
        torch.zeros(1, 3, 5, 2),
    )
    boxes = targets.boxes.clone()
    boxes[0, 0] = torch.tensor([0.0, 0, 10, 5])  # half of it: IoU 0.5, and no smaller box holds both
    marks = torch.zeros(1, 3, 5, 2)
    marks[0, 0] = 1.0  # a tenth of the face off
    face, box, landmarks = detection_loss(Detections(torch.zeros(1, 3), boxes, marks), targets)
    assert face.item() == pytest.approx(4 * 0.25 * np.log(2) * (0.25 + 0.75))
    assert box.item() == pytest.approx(0.5)
    assert landmarks.item() == pytest.approx(10 * (0.1 - 0.5 * 0.05), rel=1e-5)


def test_training_exporting_and_finding(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "photographs.zip", "w") as archive:
        for number in range(11):
            archive.writestr(f"people/{number:02}.png", file_of(photograph()))
            archive.writestr(f"scenes/{number:02}.png", file_of(np.full((150, 150, 3), 5 * number, np.uint8)))
    assert is_detection(CONFIG)
    config = load_config(
        CONFIG,
        {
            "data": str(tmp_path / "photographs.zip"),
            "cache": str(tmp_path),
            "output": str(tmp_path / "run"),
            "side": 128,
            "composites": 32,
            "validation_composites": 4,
            "training.epochs": 2,
            "training.batch_size": 8,
        },
        DetectorConfig,
    )
    weights = train_detector(config, face_of)
    model = export_detector(weights)
    detector = build_detector(f"compact:{model}")
    for shape in ((100, 150, 3), (1, 1, 3), (700, 300, 3)):
        assert isinstance(detector(np.zeros(shape, np.uint8)), list)
    with pytest.raises(ConfigError, match="holds a run already"):
        train_detector(config, face_of)


def test_no_composite_comes_twice_nor_in_two_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    batches, numbers = FreshBatches(10, 4), []
    for epoch in (0, 1):
        batches.set_epoch(epoch)
        for rank in (0, 1):
            monkeypatch.setattr(Place, "here", lambda rank=rank: Place(rank, 2))
            shares = list(batches)
            assert [len(share) for share in shares] == [2, 2]
            numbers += [number for share in shares for number in share]
    assert sorted(numbers) == [*range(8), *range(10, 18)]


def test_what_the_detector_cannot_use(tmp_path: Path) -> None:
    with pytest.raises(DetectorError, match="needs its model file"):
        build_detector("compact")
    (tmp_path / "bad.onnx").write_bytes(b"nothing")
    with pytest.raises(DetectorError, match="cannot be loaded"):
        build_detector(f"compact:{tmp_path / 'bad.onnx'}")
    with pytest.raises(ConfigError, match="data: Field required"):
        load_config(CONFIG, {}, DetectorConfig)
