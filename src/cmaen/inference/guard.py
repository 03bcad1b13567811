"""The one way of calling a foreign library whose errors share no base."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cmaen.errors import CmaenError


@contextmanager
def guarded(name: Callable[[Exception], CmaenError]) -> Iterator[None]:
    """Raise whatever goes wrong in this block as the error that ``name`` makes of it; this package's own stay."""
    try:
        yield
    except CmaenError:
        raise
    except Exception as problem:
        raise name(problem) from problem
