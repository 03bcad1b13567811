"""What this process may use of its machine: cores, and the memory it has taken."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

_V1_MOUNTS = ("cpu", "cpu,cpuacct", "cpuacct,cpu")


def usable_cores(root: Path = Path("/")) -> int:
    """How many cores this process may use, at least 1.

    That is the smallest of what the system has, what the process may run on (``taskset``, Slurm) and the quotas of its
    control groups, of version 1 or 2, rounded up (``docker --cpus 1.5`` gives 2).

    Args:
        root: Where ``proc`` and ``sys`` lie.
    """
    quotas = (math.ceil(quota) for quota in _quotas(root))
    return max(1, min([_count_allowed(), *quotas]))


def restricted_cores() -> int | None:
    """The cores that this process may use, where they are fewer than the machine's; ``None`` where all may be used.

    Libraries that count cores on their own know physical from logical ones, and are told a number only where they
    would take too many.
    """
    cores = usable_cores()
    return cores if cores < (os.cpu_count() or 1) else None


def peak_mib() -> float | None:
    """Most memory that this process ever held, in MiB; ``None`` where the system does not tell.

    On Linux ``getrusage`` would count that of the process it came from.
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
    """Cores that the scheduler lets this process run on; where there is no such mask, those of the machine."""
    mask = getattr(os, "sched_getaffinity", None)  # not on Windows and macOS
    return (os.cpu_count() or 1) if mask is None else len(mask(0))


def _quotas(root: Path) -> Iterator[float]:
    """The quotas of this process's control groups and of those around them, in cores."""
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
    """A control group and those around it, as relative paths; in a container the outermost is the one that is seen."""
    parts = [part for part in group.split("/") if part not in ("", ".", "..")]
    for length in range(len(parts), -1, -1):
        yield PurePosixPath(*parts[:length])


def _quota(words: list[str]) -> Iterator[float]:
    """Cores from a quota and its period in microseconds; nothing where there is no limit."""
    with suppress(ValueError):  # "max", or no such file
        quota, period = map(int, words)
        if quota > 0 and period > 0:
            yield quota / period


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
