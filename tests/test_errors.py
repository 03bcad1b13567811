from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmaen import errors
from cmaen.errors import CmaenError, ImageNotFoundError, MissingExtraError, PredictionError, escape, guard, shorten


@given(st.text(alphabet=st.characters(exclude_categories=()), max_size=3000))
def test_no_error_steers_a_terminal_or_fills_it(text: str) -> None:
    shown = str(ImageNotFoundError(text))
    assert not set(shown) & {chr(code) for code in (*range(9), *range(11, 32), 127, *range(128, 160), 0x202E, 0x2066)}
    shown.encode("utf-8")
    assert max(map(len, shown.split("\n"))) < 1100


def test_what_is_harmless_stays() -> None:
    assert escape("two\n\tlines, 'café', 顔, 👨‍👩‍👧") == "two\n\tlines, 'café', 顔, 👨‍👩‍👧"
    assert escape("\x1b[31mred\x07\x9b\u202e\udce9") == "\\x1b[31mred\\x07\\x9b\\u202e\\udce9"
    assert shorten("a" * 900) == "a" * 900
    assert shorten("a" * 2_100_000).count("a") < 1000
    assert "2,100,000" in shorten("a" * 2_100_000)


def test_whatever_is_raised_becomes_a_named_error() -> None:
    class OddError(Exception):
        pass

    for problem in (OddError("odd"), KeyError("k"), StopIteration(), MemoryError(), RecursionError()):
        with (
            pytest.raises(PredictionError, match=f"it fails: {type(problem).__name__}") as caught,
            guard(PredictionError, "it fails"),
        ):
            raise problem
        assert caught.value.__cause__ is problem
    with pytest.raises(ImageNotFoundError), guard(PredictionError, "it fails"):
        raise ImageNotFoundError("named already")
    with pytest.raises(KeyboardInterrupt), guard(PredictionError, "it fails"):
        raise KeyboardInterrupt


@pytest.mark.parametrize("kind", [one for one in vars(errors).values() if isinstance(one, type)])
def test_every_error_travels_between_processes(kind: type[Exception]) -> None:
    if not issubclass(kind, CmaenError):
        pytest.skip("not an error of this package")
    error = MissingExtraError("video", "video") if kind is MissingExtraError else kind("text")
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again)) == (kind, str(error))
