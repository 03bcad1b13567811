"""The resources of this machine and of this process: the processor and the cores that may be used, and memory."""

from __future__ import annotations

import ctypes
import math
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import Any

_INSTRUCTIONS = (
    *("sse4_2", "avx", "f16c", "fma", "avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16"),
    *("amx_tile", "amx_int8", "amx_bf16", "asimd", "asimdhp", "asimddp", "i8mm", "bf16", "sve", "sve2"),
)
"""Instruction sets that engines choose their code by, as Linux spells them."""
_V1_MOUNTS = ("cpu", "cpu,cpuacct", "cpuacct,cpu")


def count_cores() -> int:
    """Count the logical cores of the machine, at least 1."""
    return os.cpu_count() or 1


def usable_cores(root: Path = Path("/")) -> int:
    """Count the cores that this process may use, at least 1.

    This is the smallest of the system's cores, those that the process may run on (``taskset``, Slurm) and the quotas of
    its control groups, version 1 or 2, rounded up (``docker --cpus 1.5`` gives 2).

    Args:
        root: Folder that contains ``proc`` and ``sys``.
    """
    quotas = (math.ceil(quota) for quota in _quotas(root))
    return max(1, min([_count_allowed(), *quotas]))


def restricted_cores() -> int | None:
    """Count the cores that this process may use if they are fewer than the machine's; ``None`` if all may be used.

    Libraries that count cores themselves distinguish physical from logical ones, and are told a number only if they
    would use too many.
    """
    cores = usable_cores()
    return cores if cores < count_cores() else None


def peak_mib() -> float | None:
    """Measure the peak memory of this process in MiB; ``None`` if the system does not report it.

    On Linux, ``getrusage`` would include the peak of the parent process.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        line = next(line for line in status.read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 2**10
    try:
        import resource
    except ModuleNotFoundError:  # Windows
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def name_processor() -> str:
    """Return the name of this machine's processor, as the system reports it."""
    return _read_processor("model name") or platform.processor() or platform.machine()


def list_instructions() -> tuple[str, ...]:
    """List the instruction sets of the processor that engines choose their code by, as Linux spells them.

    Without Linux, this is what NumPy finds, which knows fewer; empty if it does not say.
    """
    said = set((_read_processor("flags") or _read_processor("Features")).lower().split())
    if not said:
        with suppress(ImportError, AttributeError):
            features = import_module("numpy._core._multiarray_umath").__cpu_features__
            said = {name.lower().replace("avx512vnni", "avx512_vnni") for name, there in features.items() if there}
    return tuple(name for name in _INSTRUCTIONS if name in said)


def usable_mib(root: Path = Path("/")) -> float | None:
    """Return the memory that this process may use in MiB: the machine's, or less if its control groups say so.

    ``None`` if the system does not report it.

    Args:
        root: Folder that contains ``proc`` and ``sys``.
    """
    limits = [total for total in [_total_bytes()] if total is not None]
    for _, group in _groups(root):
        for place in _around(group):
            for file in ("memory.max", "memory/memory.limit_in_bytes"):
                name, _, rest = file.rpartition("/")
                with suppress(ValueError):  # "max", or no such file
                    limits.append(int(_read(root / "sys/fs/cgroup" / name / place / rest)))
    return min(limits) / 2**20 if limits else None


def _total_bytes() -> int | None:
    """Return the memory of the machine in bytes."""
    if sys.platform == "win32":
        kernel: Any = ctypes.windll.kernel32
        kibibytes = ctypes.c_ulonglong()
        return kibibytes.value * 1024 if kernel.GetPhysicallyInstalledSystemMemory(ctypes.byref(kibibytes)) else None
    with suppress(OSError, ValueError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return None


def _read_processor(key: str) -> str:
    """Read the first value of a key of ``/proc/cpuinfo``; empty without Linux."""
    lines = _read(Path("/proc/cpuinfo")).splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == key), "")


def _count_allowed() -> int:
    """Count the cores that the scheduler lets this process run on; without such a mask, those of the machine."""
    mask = getattr(os, "sched_getaffinity", None)  # missing on Windows and macOS
    return count_cores() if mask is None else len(mask(0))


def _groups(root: Path) -> Iterator[tuple[str, str]]:
    """Yield the controllers of each of this process's control groups, and the group; nothing without Linux."""
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, group = (*line.split(":", 2), "", "")[:3]
        yield controllers, group


def _quotas(root: Path) -> Iterator[float]:
    """Yield the quotas, in cores, of this process's control groups and their parents."""
    mounts = root / "sys/fs/cgroup"
    for controllers, group in _groups(root):
        for place in _around(group):
            if not controllers:  # version 2, alone or beside version 1
                for mount in (mounts, mounts / "unified"):
                    yield from _quota(_read(mount / place / "cpu.max").split())
            elif "cpu" in controllers.split(","):
                for name in _V1_MOUNTS:
                    folder = mounts / name / place
                    yield from _quota([_read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us")])


def _around(group: str) -> Iterator[PurePosixPath]:
    """Yield a control group and its parents, as relative paths; in a container, up to the outermost visible one."""
    parts = [part for part in group.split("/") if part not in ("", ".", "..")]
    for length in range(len(parts), -1, -1):
        yield PurePosixPath(*parts[:length])


def _quota(words: list[str]) -> Iterator[float]:
    """Yield the cores of a quota and its period in microseconds; nothing if there is no limit."""
    with suppress(ValueError):  # "max", or no such file
        quota, period = map(int, words)
        if quota > 0 and period > 0:
            yield quota / period


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
