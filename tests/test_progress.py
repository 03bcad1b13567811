from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from cmaen import notebook
from cmaen.notebook import follow, in_notebook


class Shown(list[str]):
    """What a notebook was given, in order."""

    def display(self, text: str, *, display_id: bool) -> SimpleNamespace:
        self.append(text)
        return SimpleNamespace(update=self.append)


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Shown:
    """A kernel of a notebook, and a clock that goes on by 0.4 s whenever it is looked at."""
    given, clock = Shown(), iter(range(10**6))
    shell = SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    display = SimpleNamespace(display=given.display, HTML=str)
    monkeypatch.setattr(notebook, "import_module", lambda name: {"IPython.display": display}[name])
    monkeypatch.setattr(notebook.time, "monotonic", lambda: 0.4 * next(clock))
    return given


def test_outside_of_a_notebook_it_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    for ipython in (None, SimpleNamespace(get_ipython=lambda: None), SimpleNamespace(get_ipython=SimpleNamespace)):
        if ipython is None:
            monkeypatch.delitem(sys.modules, "IPython", raising=False)
        else:
            monkeypatch.setitem(sys.modules, "IPython", ipython)
        assert not in_notebook()
        assert list(follow(range(3), unit="images")) == [0, 1, 2]


def test_a_long_loop_has_a_bar_that_ends_as_a_line(shown: Shown) -> None:
    assert list(follow(range(10), unit="images <b>", total=10)) == list(range(10))
    assert '<progress value="3" max="10">' in shown[0]
    assert "left" in shown[0]
    assert "<b>" not in "".join(shown)
    assert shown[-1].startswith("<small>10 images")
    assert "progress" not in shown[-1]


def test_a_short_loop_shows_nothing(shown: Shown) -> None:
    assert list(follow(range(2), unit="images")) == [0, 1]
    assert shown == []


def test_a_loop_that_fails_says_how_far_it_came(shown: Shown) -> None:
    def failing():
        yield from range(5)
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        list(follow(failing(), unit="frames"))
    assert shown[-1].startswith("<small>5 frames in")


def test_times_are_written_as_people_read_them() -> None:
    assert [notebook._write_time(value) for value in (0, 9.94, 9.96, 59.6, 3723)] == [
        "0.0 s", "9.9 s", "0:10", "1:00", "1:02:03",
    ]  # fmt: skip
