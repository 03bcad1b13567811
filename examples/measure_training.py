"""What a training step costs on this machine: the figures of docs/experiments.md.

python examples/measure_training.py
"""

import time
from pathlib import Path
from statistics import median

import torch
import torch.nn.functional as F

from cmaen.config import load_config
from cmaen.models.backbones import build_backbone
from cmaen.models.cmaen import build_cmaen

STEPS, BATCH, SIDE = 12, 64, 96
CONFIG = Path(__file__).parent.parent / "configs" / "shipped.yaml"


def milliseconds(run) -> float:
    """Median time of a call, after three that are not counted."""
    times = []
    for _ in range(STEPS):
        start = time.perf_counter()
        run()
        times.append((time.perf_counter() - start) * 1000)
    return median(times[3:])


def gradient(stride: int) -> float:
    """Time of the bfloat16 data gradient of a depthwise convolution over 64 maps of 64 x 48 x 48."""
    maps = torch.randn(BATCH, 64, 48, 48, dtype=torch.bfloat16).contiguous(memory_format=torch.channels_last)
    maps.requires_grad_()
    out = F.conv2d(maps, torch.randn(64, 1, 3, 3, dtype=torch.bfloat16), stride=stride, padding=1, groups=64)
    incoming = torch.randn_like(out)
    return milliseconds(lambda: torch.autograd.grad(out, maps, incoming, retain_graph=True))


def images_per_second(model: torch.nn.Module) -> float:
    """Whole training steps: forward and backward in bfloat16, and AdamW."""
    model = model.train().to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3, fused=True)
    images = torch.randn(BATCH, 3, SIDE, SIDE).contiguous(memory_format=torch.channels_last)

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16):
            out = model(images)
        last = out.logits if hasattr(out, "logits") else out[-1]
        last.float().square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()

    return BATCH / milliseconds(step) * 1000


architecture = load_config(CONFIG, {"data.votes": "unused"}).model.model_dump()
print(f"threads {torch.get_num_threads()}, batch {BATCH}, {SIDE} px; medians of {STEPS - 3} steps")
for stride in (1, 2):
    print(f"depthwise data gradient, stride {stride}: {gradient(stride):6.1f} ms")
print(f"MobileNetV1:         {images_per_second(build_backbone('mobilenet_v1')):5.0f} images/s")
print(f"the shipped network: {images_per_second(build_cmaen(**architecture)):5.0f} images/s")
