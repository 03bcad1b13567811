"""The script that measures the audit."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from tests.conftest import EXAMPLES


def test_power_and_false_alarms_are_printed(
    fer_tree: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)
    script = importlib.import_module("measure_audit")
    assert script.count_findings(2, {"a": 120, "b": 120}, 0.5) == 2
    assert script.count_findings(2, {"a": 120, "b": 120}, people=10) <= 1
    script.measure_simulated(nulls=1, audits=1)
    script.measure_pictures(fer_tree)
    said = capsys.readouterr().out.splitlines()
    assert said[2].startswith("| 1 of 300 + 150 faces | ")
    assert sum(line.startswith(("| 100 + 50 |", "| 300 + 150 |", "| 1000 + 500 |")) for line in said) == 3
    assert sum("nothing" in line.lower() for line in said) >= 1
