from __future__ import annotations

import threading
import time

import pytest

from cmaen.inference.pipeline import Behind, ahead


def test_items_come_in_order_and_not_too_far_ahead() -> None:
    made = []

    def items() -> object:
        for number in range(50):
            made.append(number)
            yield number

    source = ahead(items(), size=4)
    assert next(source) == 0
    time.sleep(0.2)
    assert len(made) <= 7
    assert list(source) == list(range(1, 50))


def test_errors_of_the_maker_are_raised_after_its_items() -> None:
    def items() -> object:
        yield 1
        raise OSError("gone")

    source = ahead(items())
    assert next(source) == 1
    with pytest.raises(OSError, match="gone"):
        next(source)


def test_leaving_early_ends_the_thread() -> None:
    before = threading.active_count()
    source = ahead(iter(range(10**9)), size=2)
    next(source)
    source.close()
    assert threading.active_count() == before


def test_everything_is_consumed_in_order() -> None:
    seen: list[int] = []
    with Behind(seen.append, size=2) as behind:
        for number in range(100):
            behind.put(number)
    assert seen == list(range(100))


def test_an_error_of_the_consumer_is_raised_and_blocks_nobody() -> None:
    def refuse(item: int) -> None:
        raise OSError("full")

    with pytest.raises(OSError, match="full"), Behind(refuse, size=1) as behind:
        for number in range(100):
            behind.put(number)
    with pytest.raises(OSError, match="full"), Behind(refuse, size=1) as behind:
        behind.put(1)
