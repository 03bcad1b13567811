"""The resources of this process: the cores it may use, and the memory it has taken."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

_V1_MOUNTS = ("cpu", "cpu,cpuacct", "cpuacct,cpu")


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
    return cores if cores < (os.cpu_count() or 1) else None


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


def _count_allowed() -> int:
    """Count the cores that the scheduler lets this process run on; without such a mask, those of the machine."""
    mask = getattr(os, "sched_getaffinity", None)  # missing on Windows and macOS
    return (os.cpu_count() or 1) if mask is None else len(mask(0))


def _quotas(root: Path) -> Iterator[float]:
    """Yield the quotas, in cores, of this process's control groups and their parents."""
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # not Linux, or no control groups
        return
    mounts = root / "sys/fs/cgroup"
    for line in lines:
        _, controllers, group = (*line.split(":", 2), "", "")[:3]
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
