from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmaen import resources
from cmaen.resources import peak_mib, restricted_cores, usable_cores


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulate a machine of 64 cores, 8 of which this process may use."""
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)


def place(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


V1 = "sys/fs/cgroup/cpu,cpuacct"


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, 8),  # no control groups at all
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "200000 100000\n"}, 2),  # docker --cpus 2
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "150000 100000\n"}, 2),  # --cpus 1.5
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "10000 100000\n"}, 1),  # --cpus 0.1
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, 8),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "1600000 100000\n"}, 8),  # more than the mask
        ({"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/cpu.max": "300000 100000"}, 3),  # a parent group
        (
            {
                "proc/self/cgroup": "0::/a/b\n",
                "sys/fs/cgroup/a/cpu.max": "300000 100000",
                "sys/fs/cgroup/a/b/cpu.max": "500000 100000",
            },
            3,
        ),
        ({"proc/self/cgroup": "0::/../../x\n", "sys/fs/cgroup/cpu.max": "400000 100000"}, 4),
        (  # version 1; inside a container the path is that of the host
            {
                "proc/self/cgroup": "5:memory:/docker/1\n4:cpu,cpuacct:/docker/1\n",
                f"{V1}/cpu.cfs_quota_us": "200000\n",
                f"{V1}/cpu.cfs_period_us": "100000\n",
            },
            2,
        ),
        (
            {
                "proc/self/cgroup": "4:cpu:/docker/1\n",
                "sys/fs/cgroup/cpu/docker/1/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu/docker/1/cpu.cfs_period_us": "100000\n",
            },
            8,
        ),
        (
            {
                "proc/self/cgroup": "4:cpu:/docker/1\n0::/\n",
                "sys/fs/cgroup/cpu/docker/1/cpu.cfs_quota_us": "50000\n",
                "sys/fs/cgroup/cpu/docker/1/cpu.cfs_period_us": "10000\n",
            },
            5,
        ),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/unified/cpu.max": "100000 100000\n"}, 1),
    ],
)
def test_the_smallest_limit_counts(files: dict[str, str], cores: int, tmp_path: Path) -> None:
    assert usable_cores(place(tmp_path, files)) == cores


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=40), st.text(max_size=20))
def test_odd_files_never_fail(group: str, quota: str) -> None:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "proc/self").mkdir(parents=True)
        (root / "sys/fs/cgroup").mkdir(parents=True)
        (root / "proc/self/cgroup").write_bytes(group.encode("utf-8", "surrogatepass"))
        (root / "sys/fs/cgroup/cpu.max").write_bytes(quota.encode("utf-8", "surrogatepass"))
        assert 1 <= usable_cores(root) <= 8


def test_elsewhere_the_machine_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    assert usable_cores(tmp_path) == 64
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert usable_cores(tmp_path) == 1


def test_libraries_are_told_only_where_fewer_than_all_may_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "usable_cores", lambda: 8)
    assert restricted_cores() == 8
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert restricted_cores() is None


def test_the_sources_count_cores_nowhere_else() -> None:
    sources = Path(resources.__file__).parent
    counting = ("cpu_count(", "sched_getaffinity(")
    found = [path.name for path in sources.rglob("*.py") if any(word in path.read_text("utf-8") for word in counting)]
    assert found == ["resources.py"]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="only Linux has masks")
def test_a_mask_of_one_core_has_effect() -> None:
    code = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "from cmaen.inference.pipeline import FacePipeline; print(FacePipeline(None, None).workers)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "1"


def test_the_peak_of_memory_is_a_number_of_mib() -> None:
    peak = peak_mib()
    assert peak is None or 5 < peak < 100_000


def test_the_processor_and_its_instructions_are_named() -> None:
    assert resources.name_processor()
    assert set(resources.list_instructions()) <= set(resources._INSTRUCTIONS)


def test_instructions_are_read_from_linux_on_every_architecture(monkeypatch: pytest.MonkeyPatch) -> None:
    for said, found in (
        ("processor: 0\nflags\t\t: fpu AVX2 avx512_vnni sse\n", ("avx2", "avx512_vnni")),
        ("Features\t: fp asimd asimddp sve\n", ("asimd", "asimddp", "sve")),
    ):
        monkeypatch.setattr(resources, "_read", lambda _, said=said: said)
        assert resources.list_instructions() == found
    monkeypatch.setattr(resources, "_read", lambda _: "")
    assert isinstance(resources.list_instructions(), tuple)  # from NumPy


def test_the_smallest_memory_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "_total_bytes", lambda: 8 << 30)
    assert resources.usable_mib(tmp_path) == 8192
    place(tmp_path, {"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/memory.max": f"{2 << 30}\n"})
    place(tmp_path, {"sys/fs/cgroup/a/b/memory.max": "max\n"})
    assert resources.usable_mib(tmp_path) == 2048
    place(
        tmp_path, {"proc/self/cgroup": "9:memory:/c\n", "sys/fs/cgroup/memory/c/memory.limit_in_bytes": f"{1 << 30}\n"}
    )
    assert resources.usable_mib(tmp_path) == 1024
    monkeypatch.setattr(resources, "_total_bytes", lambda: None)
    assert resources.usable_mib(tmp_path / "nowhere") is None
