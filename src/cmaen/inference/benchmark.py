"""Benchmarks: the speed of an engine, its memory and file size, and how close it comes to the machine's limits."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from statistics import median, quantiles
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cmaen.checkpoints import Card, Checkpoint, Where
from cmaen.engines import Logits, build_engine, resolve_engine, select_output
from cmaen.inference.classifier import open_enhancer
from cmaen.inference.spec import PipelineSpec
from cmaen.preprocessing import PreprocessSpec
from cmaen.resources import name_processor, peak_mib, usable_cores

Enhance = Callable[[Sequence[NDArray[np.uint8]]], Sequence[NDArray[np.uint8]]]
"""Enhances face crops before they are preprocessed."""

RUNS, WARMUP = 30, 5
LEAST_RUNS, MOST_SECONDS = 3, 20.0
"""Number of runs of a slow network, after which its timing ends once it has taken this long."""

COST_RUNS = {1: 100, 64: 20}
"""Number of timed runs of :func:`measure_cost`, by batch size."""
TRIES = 10
"""Number of tries of :func:`measure_machine`, of which the best counts."""


class Latency(NamedTuple):
    """Latency of one batch, from uint8 face crops to logits, enhancement included if the card names it.

    Attributes:
        batch_size: Number of crops.
        median, percentile_95: Latencies in milliseconds.
    """

    batch_size: int
    median: float
    percentile_95: float

    @classmethod
    def of(cls, batch_size: int, times: Sequence[float]) -> Latency:
        """Summarise the times of many runs, in milliseconds."""
        median, high = np.percentile(times, (50, 95))
        return cls(batch_size, float(median), float(high))


class Cost(NamedTuple):
    """Cost of a prediction with one engine on this machine.

    Attributes:
        engine, precision: Name of the engine, and number format of its file.
        processor: Name of the processor, as the system reports it.
        threads: Number of threads that the engine uses.
        latencies: One latency for each batch size.
        file_mib: Size of the engine's files in MiB.
        parameters: Number of parameters; ``None`` if the card does not say.
        gflop: 10^9 operations for one face, a multiplication and an addition counting as two; ``None`` if the card does
            not say.
    """

    engine: str
    precision: str
    processor: str
    threads: int
    latencies: tuple[Latency, ...]
    file_mib: float
    parameters: int | None
    gflop: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return a plain dict, ready for JSON."""
        return {**self._asdict(), "latencies": [latency._asdict() for latency in self.latencies]}


class Machine(NamedTuple):
    """Measured peak performance of this machine.

    Attributes:
        gflops: 10^9 operations a second in a large float32 matrix product.
        bandwidth: 10^9 bytes a second, read and written, when large arrays are copied.
    """

    gflops: float
    bandwidth: float


@dataclass(frozen=True, slots=True)
class Speed:
    """Speed of one engine at one batch size, measured in a process of its own.

    Attributes:
        engine, batch_size: What was timed, from uint8 face crops to logits, including enhancement and preprocessing.
        milliseconds: Median of the runs.
        low, high: Quartiles of the runs, in milliseconds.
        faces_per_second: Throughput at the median.
        peak_mib: Peak memory of the process in MiB; ``None`` if the system does not report it.
        file_mib: Size of the engine's file in MiB.
        arithmetic_limit, memory_limit: Milliseconds that the network's arithmetic, or reading its weights and the batch
            once, would take at the machine's peak; ``None`` if the card does not give the network's cost.
        enhancement: Milliseconds of the enhancement alone, the median of the runs; ``None`` if the card names none.
    """

    engine: str
    batch_size: int
    milliseconds: float
    low: float
    high: float
    faces_per_second: float
    peak_mib: float | None
    file_mib: float
    arithmetic_limit: float | None
    memory_limit: float | None
    enhancement: float | None = None

    @property
    def overhead(self) -> float | None:
        """How many times longer than its arithmetic limit the network takes, without the enhancement."""
        if self.arithmetic_limit is None:
            return None
        return (self.milliseconds - (self.enhancement or 0.0)) / self.arithmetic_limit

    def to_dict(self) -> dict[str, Any]:
        """Return a plain dict, ready for JSON."""
        return asdict(self)


def measure_speed(spec: PipelineSpec, machine: Machine) -> Speed:
    """Time the engine of a spec in a fresh process, so that its memory is measured alone.

    Args:
        spec: The engine, checkpoint, threads and label scheme; ``batch_size`` is the number of faces in one batch.
        machine: Peak performance to compare with.

    Raises:
        CmaenError: The engine or scheme does not exist, or the checkpoint has no weights for the engine.
    """
    spec = spec.fetch()
    opened = spec.open_checkpoint()
    engine, size, card = resolve_engine(spec.engine, opened), spec.batch_size, opened.card
    build_engine(engine, opened, threads=spec.threads)  # raises its errors here, where they are readable
    open_enhancer(opened, engine, spec.threads)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        times, enhancing, peak = pool.apply(_time, (spec,))
    low, middle, high = quantiles(times, n=4)
    arithmetic, memory = _limits(card, size, machine)
    rate = 1000 * size / middle
    file, enhancement = opened.size_of(engine) / 2**20, median(enhancing) if enhancing else None
    return Speed(engine, size, middle, low, high, rate, peak, file, arithmetic, memory, enhancement)


def measure_cost(checkpoint: Where, engine: str) -> Cost:
    """Time an engine in this process, on all usable cores, and report the size of the network.

    Raises:
        CmaenError: The engine does not exist, or the checkpoint has no weights for it.
    """
    opened, threads = Checkpoint.open(checkpoint), usable_cores()
    card, network = opened.card, build_engine(engine, opened, threads=threads)
    enhance = open_enhancer(opened, resolve_engine(engine, opened), threads)
    return Cost(
        engine=engine,
        precision=card.precision.get(engine, "fp32"),
        processor=name_processor(),
        threads=threads,
        latencies=tuple(
            Latency.of(size, run_times(network, card.preprocess, size, runs, enhance=enhance))
            for size, runs in COST_RUNS.items()
        ),
        file_mib=opened.size_of(engine) / 2**20,
        parameters=card.cost.get("parameters"),
        gflop=card.cost["flops"] / 1e9 if "flops" in card.cost else None,
    )


def measure_machine(threads: int | None) -> Machine:
    """Measure the peak arithmetic and memory bandwidth, each the best of some tries."""
    side = 2048
    a, b = (np.random.default_rng(seed).random((side, side), np.float32) for seed in (0, 1))
    product = min(_seconds(lambda: a @ b) for _ in range(TRIES))
    workers = threads or usable_cores()
    source = [np.ones(1 << 24, np.float32) for _ in range(workers)]
    target = [np.empty_like(part) for part in source]
    with ThreadPoolExecutor(workers) as pool:
        copy = min(_seconds(lambda: list(pool.map(np.copyto, target, source))) for _ in range(TRIES))
    return Machine(2 * side**3 / product / 1e9, 2 * sum(part.nbytes for part in source) / copy / 1e9)


def run_times(
    network: Logits, spec: PreprocessSpec, batch_size: int, runs: int = RUNS, *, enhance: Enhance | None = None
) -> list[float]:
    """Time runs from a batch of uint8 face crops to logits, in milliseconds each.

    Warm-up runs are not counted. A slow network has fewer runs, see :data:`LEAST_RUNS`.

    Args:
        network, spec: The network and its preprocessing.
        batch_size: Number of crops.
        runs: Number of runs.
        enhance: Enhancement before the preprocessing; ``None``: there is none.
    """
    rng = np.random.default_rng(0)
    crops = list(rng.integers(0, 256, (batch_size, 112, 112, 3), dtype=np.uint8))

    def run() -> None:
        network(spec(crops if enhance is None else enhance(crops)))

    _repeat(run, WARMUP, least=1)
    return _repeat(run, runs, least=LEAST_RUNS)


def _repeat(call: Callable[[], object], runs: int, *, least: int) -> list[float]:
    """Time calls in milliseconds each: ``runs`` of them, or fewer but at least ``least`` if they take too long."""
    times: list[float] = []
    while len(times) < runs and (len(times) < least or sum(times) < 1000 * MOST_SECONDS):
        times.append(1000 * _seconds(call))
    return times


def _time(spec: PipelineSpec) -> tuple[list[float], list[float], float | None]:
    """Run in the fresh process; return the times, those of the enhancement, and the peak memory in MiB."""
    opened = spec.open_checkpoint()
    engine = build_engine(spec.engine, opened, threads=spec.threads)
    network = select_output(engine, opened.card.resolve_scheme(spec.scheme))
    enhancer, enhancing = open_enhancer(opened, resolve_engine(spec.engine, opened), spec.threads), list[float]()

    def enhance(crops: Sequence[NDArray[np.uint8]]) -> Sequence[NDArray[np.uint8]]:
        assert enhancer is not None
        start = time.perf_counter()
        enhanced = enhancer(crops)
        enhancing.append(1000 * (time.perf_counter() - start))
        return enhanced

    timed = None if enhancer is None else enhance
    times = run_times(network, opened.card.preprocess, spec.batch_size, enhance=timed)
    return times, enhancing[-len(times) :], peak_mib()


def _limits(card: Card, batch_size: int, machine: Machine) -> tuple[float | None, float | None]:
    if not card.cost:
        return None, None
    read = 4 * (card.cost["parameters"] + batch_size * 3 * card.preprocess.image_size**2)
    return batch_size * card.cost["flops"] / machine.gflops / 1e6, read / machine.bandwidth / 1e6


def _seconds(call: Any) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
