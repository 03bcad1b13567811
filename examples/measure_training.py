"""Measure what a training step costs on this machine, and what limits it: the figures of docs/experiments.

python examples/measure_training.py

Run it on an idle machine, because other load affects the figures. It needs no data: the images are random. It measures
both precisions, and the parts of a step in the precision that training chooses on this machine.
"""

import time
from collections import Counter
from collections.abc import Mapping
from functools import partial
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.profiler import profile
from torch.utils.flop_counter import FlopCounterMode

from cmaen.data.augmentation import augment, rand_augment
from cmaen.losses import cmaen_loss
from cmaen.models.base import EmotionNetwork
from cmaen.models.build import build_network
from cmaen.training.ablation import VARIANTS
from cmaen.training.config import change, load_config
from cmaen.training.precision import Hardware, automatic

STEPS, BATCH = 12, 64
EMULATED_STEPS, EMULATED_BATCH = 3, 8  # a processor without bfloat16 takes seconds for a batch of these
HARDWARE = Hardware.of(torch.device("cpu"))
CHOICE = automatic(HARDWARE)
FLAGS = ("amx_bf16", "avx512_bf16", "avx512_vnni", "avx2")
TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
CHOSEN = torch.bfloat16 if CHOICE.precision == "bf16-mixed" else torch.float32
CONFIG = load_config("ablation", {})
SIDE, OPERATIONS, MAGNITUDE = 112, 2, 0.7
NETWORKS: dict[str, dict[str, Any]] = {
    "the paper's wiring": VARIANTS["the paper's wiring"],
    "the residual wiring": {},
    "without the side": VARIANTS["without the side"],
    "the bare trunk": VARIANTS["the bare trunk"],
}
FROZEN = (2, 4, 6)
KINDS = {
    "convolution_backward": "convolutions, backward",
    "convolution": "convolutions, forward",
    "batch_norm": "BatchNorm, both ways",
    "attention": "attention",
    "adam": "AdamW",
}


def milliseconds(run, steps: int = STEPS) -> float:
    """Median time of a call; the first quarter of them, and at least one, is not counted."""
    times = []
    for _ in range(steps):
        start = time.perf_counter()
        run()
        times.append((time.perf_counter() - start) * 1000)
    return median(times[max(1, steps // 4) :])


def arithmetic(dtype: torch.dtype) -> torch.autocast:
    """Where the network computes in bfloat16, or in float32."""
    return torch.autocast("cpu", torch.bfloat16, enabled=dtype is torch.bfloat16)


def emulated(dtype: torch.dtype) -> bool:
    """Whether the processor lacks the instructions."""
    return dtype is torch.bfloat16 and CHOSEN is not dtype


def channels_last(*shape: int) -> Tensor:
    """Random numbers."""
    return torch.randn(*shape).contiguous(memory_format=torch.channels_last)


def network(changes: Mapping[str, Any] | None = None) -> EmotionNetwork:
    """The whole one of the ablation study, untrained, or with some parts otherwise."""
    spec = change(CONFIG, changes or {}).model
    return build_network(spec).to(memory_format=torch.channels_last).train()


def step_of(model: nn.Module, batch: int, dtype: torch.dtype = CHOSEN):
    """A function that does one step of training on random images."""
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3, fused=True)
    images, targets = channels_last(batch, 3, SIDE, SIDE), torch.full((batch, 7), 1 / 7)

    def step() -> None:
        with arithmetic(dtype):
            output = model(images)
        cmaen_loss(output, targets, CONFIG.loss).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        optimizer.zero_grad()

    return step


def rate(model: nn.Module, dtype: torch.dtype) -> float:
    """Images per second in an arithmetic."""
    batch, steps = (EMULATED_BATCH, EMULATED_STEPS) if emulated(dtype) else (BATCH, STEPS)
    return batch / milliseconds(step_of(model, batch, dtype), steps) * 1000


def gradient(stride: int, dtype: torch.dtype) -> float:
    """Time of the data gradient of a depthwise convolution over 64 maps of 64 x 48 x 48."""
    maps = channels_last(BATCH, 64, 48, 48).to(dtype).requires_grad_()
    out = F.conv2d(maps, torch.randn(64, 1, 3, 3, dtype=dtype), stride=stride, padding=1, groups=64)
    incoming = torch.randn_like(out)
    steps = EMULATED_STEPS if emulated(dtype) else STEPS
    return milliseconds(lambda: torch.autograd.grad(out, maps, incoming, retain_graph=True), steps)


def show_small_maps() -> None:
    """The time of the weight gradient of a depthwise convolution of small maps, padded by itself and beforehand."""
    for size in (2, 3):
        maps = channels_last(BATCH, 1536, size, size)
        padded = F.pad(maps, (1, 1, 1, 1))
        weight = torch.randn(1536, 1, 3, 3, requires_grad=True)
        times = []
        for given, padding in ((maps, 1), (padded, 0)):
            out = F.conv2d(given, weight, padding=padding, groups=1536)
            incoming = torch.randn_like(out)
            times.append(milliseconds(partial(torch.autograd.grad, out, weight, incoming, retain_graph=True)))
        alone, beforehand = times
        print(f"depthwise weight gradient of {size} x {size}: {alone:.1f} ms, padded beforehand {beforehand:.1f} ms")


def show_networks() -> None:
    """Parameters, and steps of each network: the two wirings, and what is left without some parts."""
    for name, changes in NETWORKS.items():
        model = network(changes)
        parameters = sum(value.numel() for value in model.parameters()) / 1e6
        print(f"{name:34}{parameters:6.2f} M{rate(model, CHOSEN):8.0f} images/s")
    for stages in FROZEN:
        model = network(VARIANTS["without the side"])
        model.trunk.freeze(stages)
        print(f"{f'that, {stages} stages of the trunk frozen':44}{rate(model, CHOSEN):8.0f} images/s")


def show_kinds(step) -> None:
    """The time of a step by kind of operation."""
    with profile() as profiler:
        for _ in range(3):
            step()
    kinds: Counter[str] = Counter()
    for event in profiler.key_averages():
        kind = next((kind for part, kind in KINDS.items() if part in event.key), "copies, activations, the rest")
        kinds[kind] += event.self_cpu_time_total / 3000
    for kind, time_of in kinds.most_common():
        print(f"{kind:34}{time_of:10.1f} ms {time_of / kinds.total():6.0%}")


def show_limits(model: EmotionNetwork) -> None:
    """The rate of the arithmetic of a step against that of a matrix product."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(channels_last(BATCH, 3, SIDE, SIDE))
    flops = 3 * counter.get_total_flops()  # the two gradients cost a forward pass each
    a, b = (torch.randn(4096, 4096, dtype=CHOSEN) for _ in range(2))
    product = 2 * 4096**3 / milliseconds(lambda: a @ b) / 1e6
    rate = flops / milliseconds(step_of(model, BATCH)) / 1e6
    print(f"a step: {flops / 1e9:.0f} GFLOP at {rate:.0f} GFLOP/s; a matrix product: {product:.0f} GFLOP/s")


def share_the_work(rank: int, processes: int, meeting: str, rates) -> None:
    """Steps of one of so many processes that share out a batch and exchange gradients."""
    torch.set_num_threads(max(1, CORES // processes))
    model: nn.Module = network()
    if processes > 1:
        dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=processes)
        model = DistributedDataParallel(model)
    rate = BATCH / milliseconds(step_of(model, BATCH // processes)) * 1000
    if rank == 0:
        rates.put(rate)
    if processes > 1:
        dist.destroy_process_group()


def rate_of(processes: int) -> float:
    """Images per second of so many processes together."""
    context = torch.multiprocessing.get_context("spawn")
    rates = context.SimpleQueue()
    with TemporaryDirectory() as folder:
        torch.multiprocessing.spawn(share_the_work, (processes, f"{folder}/meeting", rates), nprocs=processes)
    return rates.get()


CORES = torch.get_num_threads()

if __name__ == "__main__":
    print(f"threads {CORES}, batch {BATCH}, {SIDE} px; medians of {STEPS - 3} steps")
    print("processor:", ", ".join(f"{flag} {'yes' if HARDWARE.processor.get(flag) else 'no'}" for flag in FLAGS))
    print(f"precision {CHOICE.precision}: {CHOICE.reason}")
    model = network()
    for name, dtype in TYPES.items():
        strides = " and ".join(f"{gradient(stride, dtype):.1f}" for stride in (1, 2))
        print(f"{name}: {rate(model, dtype):.0f} images/s; depthwise data gradient, stride 1 and 2: {strides} ms")
    show_small_maps()
    step = step_of(model, BATCH)
    whole = milliseconds(step)
    print(f"\na step of training in {CHOICE.precision}: {whole:.0f} ms, {BATCH / whole * 1000:.0f} images/s\n")
    show_networks()
    print()
    show_kinds(step)
    show_limits(model)
    faces, draw = torch.randint(0, 256, (BATCH, 48, 48), dtype=torch.uint8), torch.Generator().manual_seed(0)
    for operations in (0, OPERATIONS):
        loading = milliseconds(lambda n=operations: rand_augment(augment(faces, SIDE, draw), draw, n, MAGNITUDE))
        print(f"the loader's augmentation, {operations} operations: {loading:.1f} ms, {loading / whole:.1%} of a step")
    print()
    for turn in range(3):
        print(f"turn {turn + 1}:", *(f"{n} process(es) {rate_of(n):5.0f} images/s;" for n in (1, CORES)))
