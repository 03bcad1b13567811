from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from cmaen import devices  # noqa: E402
from cmaen.devices import torch_device  # noqa: E402
from cmaen.errors import ConfigError  # noqa: E402


@pytest.fixture(params=[(), ("cuda",), ("mps",)], ids=["cpu", "cuda", "mps"])
def there(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """Simulate a machine with GPUs of these kinds, two of them if they are CUDA's."""
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: "mps" in request.param)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: "cuda" in request.param)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2 * request.param.count("cuda"))
    return request.param


def test_auto_takes_a_gpu_where_there_is_one(there: tuple[str, ...]) -> None:
    assert torch_device("auto") == torch.device(*(there or ("cpu",)))
    assert torch_device("cpu") == torch.device("cpu")


def test_what_is_not_there_is_said(there: tuple[str, ...]) -> None:
    for name in ("cuda", "cuda:1", "mps"):
        if name.partition(":")[0] in there:
            assert torch_device(name) == torch.device(name)
        else:
            with pytest.raises(ConfigError, match=f"{name}, but PyTorch .* finds no such GPU"):
                torch_device(name)
    if "cuda" in there:
        with pytest.raises(ConfigError, match="no cuda:2: PyTorch finds 2"):
            torch_device("cuda:2")


@pytest.mark.parametrize("name", ["", "gpu", "cuda:", "cuda:x", "cpu:0", "xla", "meta"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="is not a device; choose auto"):
        torch_device(name)


@pytest.mark.parametrize(("cores", "threads"), [(1, [1, 8]), (64, [])])
def test_pytorch_starts_no_more_threads_than_there_are_cores(
    cores: int, threads: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[int] = []
    monkeypatch.setattr(devices, "usable_cores", lambda: cores)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    monkeypatch.setattr(torch, "set_num_threads", told.append)
    with devices.torch_threads():
        pass
    assert told == threads
