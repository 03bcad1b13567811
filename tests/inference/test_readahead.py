from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import closing

import pytest

from cmaen.inference.readahead import Weight, ahead
from tests.conftest import PATIENCE, wait_until


def double(number: int) -> int:
    return 2 * number


def counting(count: int, taken: list[int]) -> Iterator[int]:
    for number in range(count):
        taken.append(number)
        yield number


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


@pytest.mark.parametrize("workers", [1, 4])
def test_results_come_in_the_order_of_the_items(workers: int) -> None:
    def slow_at_first(number: int) -> int:
        time.sleep(0.02 if number % 4 == 0 else 0)
        return number

    assert list(ahead(range(50), slow_at_first, workers=workers)) == list(range(50))
    assert list(ahead([], double, workers=workers)) == []


@pytest.mark.parametrize("workers", [1, 4])
def test_only_so_many_items_are_taken_before_they_are_asked_for(workers: int) -> None:
    taken: list[int] = []
    with closing(ahead(counting(50, taken), double, workers=workers, size=5)) as results:
        for asked in (1, 2):
            next(results)
            due = asked + 5
            wait_until(lambda due=due: len(taken) >= due)
            time.sleep(0.02)
            assert len(taken) == due
        assert list(results) == [2 * number for number in range(2, 50)]


def test_several_workers_work_at_the_same_time() -> None:
    together = threading.Barrier(3)
    assert len(list(ahead(range(6), lambda _: together.wait(PATIENCE), workers=3))) == 6


@pytest.mark.parametrize("workers", [1, 4])
def test_an_error_is_raised_where_it_is_met(workers: int) -> None:
    def items() -> Iterator[int]:
        yield from range(3)
        raise OSError("the items have gone")

    def work(number: int) -> int:
        if number == 2:
            raise ValueError("two is bad")
        return number

    for source, error in ((range(9), "two is bad"), (items(), "two is bad")):
        results = ahead(source, work, workers=workers)
        assert [next(results), next(results)] == [0, 1]
        with pytest.raises(ValueError, match=error):
            next(results)
        assert list(results) == []
    results = ahead(items(), double, workers=workers)
    assert [next(results) for _ in range(3)] == [0, 2, 4]
    with pytest.raises(OSError, match="the items have gone"):
        next(results)


@pytest.mark.parametrize("workers", [1, 4])
def test_who_leaves_early_leaves_no_thread_and_the_items_are_closed(workers: int) -> None:
    closed = threading.Event()

    def items() -> Iterator[int]:
        try:
            yield from range(10**9)
        finally:
            closed.set()

    source = items()
    with closing(ahead(source, double, workers=workers, size=3)) as results:
        next(results)
    assert closed.is_set()
    assert next(source, None) is None


def test_items_that_hang_are_left_behind_in_a_second() -> None:
    goes_on, hangs, closed = threading.Event(), threading.Event(), threading.Event()

    def items() -> Iterator[int]:
        try:
            yield from range(40)
            hangs.set()
            goes_on.wait(PATIENCE)
            yield 40
        finally:
            closed.set()

    before = set(threading.enumerate())
    results = ahead(items(), double, workers=40, size=50)
    assert next(results) == 0
    assert hangs.wait(PATIENCE)
    started = time.monotonic()
    results.close()
    assert 0.5 < time.monotonic() - started < 20  # and not a second for each of 40 workers
    assert not closed.is_set()
    goes_on.set()
    for thread in set(threading.enumerate()) - before:
        thread.join(PATIENCE)


def test_as_many_threads_are_started_as_there_is_work_for() -> None:
    before = threading.active_count()
    counts = []

    def work(number: int) -> int:
        counts.append(threading.active_count() - before)
        return number

    assert list(ahead([7], work, workers=64)) == [7]
    assert max(counts) <= 2


@pytest.mark.parametrize("workers", [1, 4])
def test_heavy_results_that_wait_keep_the_next_from_being_begun(workers: int) -> None:
    heaviest, waiting, lock = 0, 0, threading.Lock()

    def work(number: int) -> int:
        nonlocal heaviest, waiting
        with lock:
            waiting += 10
            heaviest = max(heaviest, waiting)
        return number

    results = ahead(range(60), work, workers=workers, size=50, weigh=lambda _: Weight(10, 10), most=45)
    for expected, result in enumerate(results):
        assert result == expected
        with lock:
            waiting -= 10
        time.sleep(0.002)
    assert 20 <= heaviest <= 10 * (4 + workers)  # at the beginning nobody knows what they weigh


def test_an_item_that_is_too_heavy_goes_alone() -> None:
    assert list(ahead(range(9), double, workers=3, weigh=lambda _: Weight(10**9, 10**9), most=1)) == [
        2 * number for number in range(9)
    ]


def test_who_has_taken_a_result_decides_how_long_it_lives() -> None:
    class Heavy:
        pass

    alive: list[weakref.ref[Heavy]] = []

    def work(number: int) -> Heavy:
        heavy = Heavy()
        alive.append(weakref.ref(heavy))
        return heavy

    number = -1
    for heavy in ahead(range(20), work, workers=2, size=3):
        del heavy
        number += 1
        wait_until(lambda number=number: all(one() is None for one in alive[: number + 1]))
