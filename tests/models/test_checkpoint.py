from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from safetensors import SafetensorError  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

from cmaen.checkpoints import CARD, HISTORY, ONNX, SAFETENSORS, Card, Checkpoint, Epoch, Provenance, Scheme  # noqa: E402
from cmaen.errors import CheckpointError, ConfigError, OutputError  # noqa: E402
from cmaen.files import sha256  # noqa: E402
from cmaen.models.build import build_network  # noqa: E402
from cmaen.models.checkpoint import average_checkpoints, load_checkpoint, rename_parts, save_checkpoint  # noqa: E402
from cmaen.models.spec import ModelSpec  # noqa: E402
from cmaen.preprocessing import PreprocessSpec  # noqa: E402
from cmaen.types import EMOTIONS, FER2013, OWN  # noqa: E402
from tests.conftest import TINY, change_card  # noqa: E402


@pytest.fixture
def copy(checkpoint: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(checkpoint, tmp_path / "copy"))


def edit(folder: Path, **changes: object) -> None:
    card = json.loads((folder / CARD).read_text())
    (folder / CARD).write_text(json.dumps({**card, **changes}))


def test_a_network_and_its_card_come_back(tmp_path: Path) -> None:
    model = build_network(ModelSpec(**TINY)).eval()
    schemes = {FER2013: Scheme(EMOTIONS, 1.3)}
    card = Card("tiny", TINY, PreprocessSpec(image_size=64), schemes=schemes)
    written = save_checkpoint(model, card, tmp_path, provenance=Provenance(seed=0))
    loaded, read = load_checkpoint(tmp_path / CARD)
    assert read == written
    assert Checkpoint.open(tmp_path).provenance.seed == 0
    images = torch.randn(3, 3, 64, 64)
    assert torch.allclose(model(images).logits, loaded(images).logits, atol=2e-2)  # stored as float16
    assert not loaded.training


def test_cards_of_one_scheme_without_a_name_are_read(copy: Path) -> None:
    card = json.loads((copy / CARD).read_text())
    del card["schemes"], card["documents"]
    old = {"format": 1, "temperature": 1.5}
    for labels, name in ((EMOTIONS, FER2013), (("bored", "engaged"), OWN)):
        (copy / CARD).write_text(json.dumps(card | old | {"labels": labels}))
        assert Checkpoint.open(copy).card.schemes == {name: Scheme(tuple(labels), 1.5)}
        assert Checkpoint.open(copy).card.resolve_scheme(None) == name


def test_new_weights_drop_the_history_of_the_old_ones(copy: Path) -> None:
    (copy / HISTORY).write_text("run,epoch\na,1\n")
    save_checkpoint(build_network(ModelSpec(**TINY)), Checkpoint.open(copy).card, copy)
    assert not (copy / HISTORY).exists()


def test_new_weights_drop_the_onnx_file_of_the_old_ones(copy: Path) -> None:
    save_checkpoint(build_network(ModelSpec(**TINY)), Checkpoint.open(copy).card, copy)
    assert not (copy / ONNX).exists()
    with pytest.raises(CheckpointError, match=f"no readable {ONNX}"):
        Checkpoint.open(copy).weights("onnx")


def test_an_average_is_between_its_parts_and_names_them(tmp_path: Path) -> None:
    networks = [build_network(ModelSpec(**TINY)) for _ in range(2)]
    for number, network in enumerate(networks):
        written = Card(f"n{number}", TINY, PreprocessSpec(image_size=64), licence="for research" if number else "")
        save_checkpoint(network, written, tmp_path / str(number), [Epoch("a", 1, val_accuracy=0.5 + number)])
    card = average_checkpoints([tmp_path / "0" / CARD, tmp_path / "1"], [1, 3], tmp_path / "mean")
    assert card.licence == "for research"
    assert [(epoch.run, epoch.val_accuracy) for epoch in Checkpoint(tmp_path / "mean").history] == [
        ("a", 0.5),
        ("a (2)", 1.5),
    ]
    assert [(part.name, part.share) for part in Checkpoint(tmp_path / "mean").provenance.averaged] == [
        ("n0", 0.25),
        ("n1", 0.75),
    ]
    mean = load_checkpoint(tmp_path / "mean")[0].state_dict()
    first, second = (network.state_dict() for network in networks)
    for name, value in mean.items():
        assert torch.allclose(value.float(), 0.25 * first[name].float() + 0.75 * second[name].float(), atol=1e-3)


def test_only_networks_of_one_kind_are_averaged(checkpoint: Path, tmp_path: Path) -> None:
    other = TINY | {"hidden": 8}
    save_checkpoint(
        build_network(ModelSpec(**other)), Card("other", other, PreprocessSpec(image_size=64)), tmp_path / "other"
    )
    with pytest.raises(CheckpointError, match="differ in architecture"):
        average_checkpoints([checkpoint, tmp_path / "other"], [1, 1], tmp_path / "mean")
    enhanced = Path(shutil.copytree(checkpoint, tmp_path / "enhanced"))
    change_card(enhanced, enhancement=("faces 48-grey", f"super-resolution {'0' * 16}"))
    with pytest.raises(CheckpointError, match="enhancement of the faces"):
        average_checkpoints([checkpoint, enhanced], [1, 1], tmp_path / "mean")
    for weights in ([1], [1, 0]):
        with pytest.raises(ConfigError, match="a weight above 0"):
            average_checkpoints([checkpoint, checkpoint], weights, tmp_path / "mean")
    assert not (tmp_path / "mean").exists()


def test_a_missing_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is not a checkpoint"):
        load_checkpoint(tmp_path / "nothing")


@pytest.mark.parametrize(("engine", "name"), [("torch", SAFETENSORS), ("onnx", ONNX)])
def test_corrupt_weights_are_found(copy: Path, engine: str, name: str) -> None:
    data = bytearray((copy / name).read_bytes())
    data[len(data) // 2] ^= 0xFF
    (copy / name).write_bytes(data)
    with pytest.raises(CheckpointError, match="corrupt"):
        Checkpoint.open(copy).weights(engine)


def test_weights_of_another_architecture(copy: Path) -> None:
    edit(copy, architecture={**TINY, "hidden": 32})
    with pytest.raises(CheckpointError, match="do not fit the architecture"):
        load_checkpoint(copy)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schemes": {"own": {"labels": ["happy", "happy"], "temperature": 1}}}, "labels"),
        ({"schemes": {"own": {"labels": ["happy"], "temperature": 1}}}, "at least two"),
        ({"schemes": {"own": {"labels": ["happy", "sad"], "temperature": 0}}}, "temperature"),
        ({"schemes": {"own": {"labels": ["happy", "sad"]}}}, "not a card"),
        ({"schemes": {"own": []}}, "not a card"),
        ({"schemes": {}}, "not a card"),
        ({"schemes": None}, "not a card"),
        ({"format": 99}, "update cmaen"),
        ({"surprise": 1}, "not a card"),
        ({"preprocess": {"image_size": -1}}, "not a card"),
    ],
)
def test_a_card_that_cannot_be_used(copy: Path, changes: dict[str, object], message: str) -> None:
    edit(copy, **changes)
    with pytest.raises(CheckpointError, match=message):
        assert Checkpoint.open(copy).card


def test_a_card_that_is_no_json(copy: Path) -> None:
    (copy / CARD).write_text("{")
    with pytest.raises(CheckpointError, match="cannot be read"):
        assert Checkpoint.open(copy).card


@pytest.mark.parametrize(
    "changes",
    [
        {"hidden": 10**12},
        {"hidden": 16384},
        {"hidden": "8"},
        {"hidden": True},
        {"dropout": float(10**9)},
        {"scales": [10**6]},
        {"scales": []},
        {"ecnn_widths": [8, 8, 16]},
        {"ecnn_widths": [16384] * 4},
        {"fused_channels": 17},
        {"attention_heads": 0},
        {"trunk": "__class__"},
        {"trunk": "timm/../../secret"},
        {"trunk": "timm/hf-hub:somebody/something"},
        {"trunk": None},
        {"trunk": []},
        {"backbone": "mobilenet_v1"},
        {"pyramid_channels": 0},
        {"dropout": float("nan")},
        {"wiring": ["paper"]},
        {"ecnn_stem_stride": -1},
        {"__init__": 1},
        {"classes": 7},
        {"trunk_weights": "IMAGENET1K_V1"},
    ],
    ids=str,
)
def test_an_architecture_that_cannot_be_built_is_named(copy: Path, changes: dict[str, object]) -> None:
    edit(copy, architecture={**TINY, **changes})
    with pytest.raises(CheckpointError):
        load_checkpoint(copy)


OLD = {"backbone": "mobilenet_v1", "ecnn_widths": [8, 8, 16, 16], "ecnn_stem": "small", "fused_channels": 16}
OLD |= {"attention_heads": 2, "pyramid_channels": 8, "hidden": 16, "dropout": 0.0, "stochastic_depth": 0.2}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({}, {}),
        ({"wiring": "residual"}, {"wiring": "residual"}),
        ({"ecnn": False}, {"side": None}),
        ({"backbone": None}, {"trunk": "ecnn", "side": None}),
        ({"multi_scale_attention": False, "scales": []}, {"scales": None}),
        ({"cross_modal_attention": False, "bidirectional": True}, {"attention": "none"}),
        ({"bidirectional": True}, {"attention": "both_ways"}),
        ({"feature_pyramid": False}, {"pyramid_channels": None}),
    ],
    ids=str,
)
def test_an_older_checkpoint_is_the_same_network(
    old: dict[str, object], new: dict[str, object], tmp_path: Path
) -> None:
    spec = ModelSpec(**TINY | {"trunk": OLD["backbone"], "ecnn_widths": OLD["ecnn_widths"]} | new)
    assert ModelSpec.from_card(OLD | old) == spec
    model = build_network(spec).eval()
    names = {"trunk": "ecnn" if spec.trunk == "ecnn" else "backbone", "side": "ecnn"}

    def rename(name: str) -> str:
        role = name.removeprefix("fusion.").replace("_", ".", 1).partition(".")[0]
        kept = name.startswith("trunk_classifier.") or role not in names
        return name if kept else name.replace(role, names[role], 1)

    state = {rename(name): value for name, value in model.state_dict().items()}
    assert not [name for name in state if name.startswith(("trunk.", "side.", "trunk_att", "side_att"))]
    back = rename_parts(state)
    assert back.keys() == model.state_dict().keys()
    assert all(torch.equal(back[name], value) for name, value in model.state_dict().items())
    save_checkpoint(model, Card("old", OLD | old, PreprocessSpec(image_size=64)), tmp_path)
    save_file(
        {name: value.half() if value.is_floating_point() else value for name, value in state.items()},
        tmp_path / SAFETENSORS,
    )
    edit(tmp_path, sha256={SAFETENSORS: sha256(tmp_path / SAFETENSORS)})
    loaded, _ = load_checkpoint(tmp_path)
    images = torch.randn(2, 3, 64, 64)
    assert torch.allclose(loaded(images).logits, model(images).logits, atol=2e-2)


@pytest.mark.parametrize(
    "old",
    [
        {"backbone": None, "ecnn": False},
        {"backbone": "resnet18"},
        {"ecnn": "yes"},
        {"bidirectional": 1},
        {"scales": []},
        {"hidden": "8"},
        {"classes": 7},
        {"backbone_weights": "IMAGENET1K_V1"},
        {"wiring": ["paper"]},
    ],
    ids=str,
)
def test_an_older_architecture_that_cannot_be_built_is_named(old: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="cannot be built"):
        ModelSpec.from_card(OLD | old)


def test_an_average_is_not_written_over_a_part(copy: Path, checkpoint: Path) -> None:
    before = {path.name: path.read_bytes() for path in copy.iterdir()}
    for output in (copy, copy / ".." / copy.name):
        with pytest.raises(ConfigError, match="choose another folder for the average"):
            average_checkpoints([checkpoint, copy / CARD], [1, 1], output)
    with pytest.raises(ConfigError, match="above 0"):
        average_checkpoints([checkpoint, copy], [1, float("nan")], copy)
    assert before == {path.name: path.read_bytes() for path in copy.iterdir()}


def test_a_full_disk_is_named_and_the_checkpoint_stays(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("cmaen.models.checkpoint.save_file", full)
    with pytest.raises(OutputError, match="free some space"):
        save_checkpoint(build_network(ModelSpec(**TINY)), Checkpoint.open(copy).card, copy)
    load_checkpoint(copy)
    Checkpoint.open(copy).weights("onnx")
