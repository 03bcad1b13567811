"""The public interface changes only on purpose."""

from __future__ import annotations

import difflib
from pathlib import Path

import pytest

from tests import public_api
from tests.public_api import FILE, RENEW, write_api


def test_the_interface_is_the_one_that_is_written_down() -> None:
    pytest.importorskip("torch")
    kept, now = FILE.read_text("utf-8").splitlines(), write_api().splitlines()
    changes = "\n".join(difflib.unified_diff(kept, now, "promised", "now", lineterm="", n=0))
    assert not changes, (
        f"the public interface has changed; if that is meant, say so in CHANGELOG.md and run {RENEW}\n{changes}"
    )


def test_the_file_names_what_it_promises() -> None:
    lines = FILE.read_text("utf-8").splitlines()
    for line in (
        "class EmotionPredictor",
        "    predict(self, image: ImageInput, detect: bool = True) -> Result",
        "    confidence -> float",
        "    width: float",
        "class client.EmotionClient",
        "errors.PluginError(CmaenError)",
    ):
        assert line in lines
    assert len(lines) == len([line for line in lines if line.strip()])
    assert not any(str(Path.home()) in line or " at 0x" in line for line in lines)  # nothing of this machine


class Changed:
    """A class to be written."""

    number: int = 3

    def call(self, *, loudly: bool = False) -> str:
        """Return nothing."""
        return ""

    @property
    def size(self) -> tuple[int, int]:
        """Return nothing."""
        return 0, 0

    @classmethod
    def build(cls, path: Path) -> Changed:
        """Return it."""
        return cls()

    def _hidden(self) -> None: ...


def test_every_kind_of_member_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Changed, "__module__", "cmaen.changed")
    assert list(public_api._write("Changed", Changed)) == [
        "class Changed",
        "    build(cls, path: Path) -> Changed",
        "    call(self, *, loudly: bool = False) -> str",
        "    number: int",
        "    size -> tuple[int, int]",
    ]
