"""Reading ahead: other threads do the work in order, within limits, and errors are raised where results are taken."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import NamedTuple, TypeVar

_T = TypeVar("_T")
_R = TypeVar("_R")
_PATIENCE = 1.0


class Weight(NamedTuple):
    """Weight of an item in any unit: while it is worked on, and while its result waits to be taken."""

    working: int = 0
    waiting: int = 0


def ahead(
    items: Iterable[_T],
    work: Callable[[_T], _R],
    *,
    workers: int = 1,
    size: int = 8,
    weigh: Callable[[_R], Weight] = lambda _: Weight(),
    most: int = 0,
) -> Generator[_R, None, None]:
    """Yield ``work(item)`` for each item, in order.

    Other threads do the work, taking one item at a time; only as many are started as there is work for. Closing the
    generator early waits a second for them; a thread that hangs for longer, such as the reader of a stalled stream, is
    abandoned.

    Args:
        items: Input of the threads; a generator is closed at the end.
        work: Function that several threads call at the same time.
        workers: Maximum number of threads.
        size: Maximum number of items taken before they are asked for.
        weigh: Function that returns the weight of an item from its result.
        most: Maximum weight of all items in work or waiting; an item in work counts as much as the last one finished.
            One item is always allowed, and at the beginning one for each worker.
    """
    iterator = iter(items)
    turn, room = threading.Lock(), _Room(size, most)
    promised: SimpleQueue[Future[_R] | None] = SimpleQueue()
    threads: list[threading.Thread] = []

    def begin() -> None:
        if len(threads) < workers and not room.closed:
            thread = threading.Thread(target=labour, daemon=True)
            thread.start()
            threads.append(thread)

    def labour() -> None:
        while True:
            room.enter()
            with turn:
                if room.closed:
                    return
                promise: Future[_R] = Future()
                try:
                    item = next(iterator)
                except BaseException as error:
                    room.close()
                    if not isinstance(error, StopIteration):
                        promise.set_exception(error)
                        promised.put(promise)
                    promised.put(None)
                    return
                promised.put(promise)
                begin()
            try:
                result = work(item)
                room.finish(weigh(result))
                promise.set_result(result)
                del result
            except BaseException as error:
                room.finish(Weight())
                promise.set_exception(error)
            del item, promise  # the receiver of a result decides how long it lives

    with turn:
        begin()
    taken: list[_R] = []
    try:
        while (promise := _next_of(promised)) is not None:
            taken.append(promise.result())
            promise = None
            room.leave(weigh(taken[0]))
            yield taken.pop()
    finally:
        room.close()
        deadline = time.monotonic() + _PATIENCE
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        if isinstance(iterator, Generator) and not any(thread.is_alive() for thread in threads):
            iterator.close()


class _Room:
    """A limit on the number and the weight of the items in progress."""

    def __init__(self, size: int, most: int) -> None:
        self.closed = False
        self._size, self._most = size, most
        self._taken = self._working = self._waiting = self._usual = 0
        self._changed = threading.Condition()

    def enter(self) -> None:
        """Wait for room for one more item, or for the end."""
        with self._changed:
            self._changed.wait_for(lambda: self.closed or self._has_room())
            self._taken += 1
            self._working += 1

    def finish(self, weight: Weight) -> None:
        """Count an item as done and waiting."""
        with self._changed:
            self._working -= 1
            self._waiting += weight.waiting
            self._usual = weight.working
            self._changed.notify_all()

    def leave(self, weight: Weight) -> None:
        """Count a result as taken."""
        with self._changed:
            self._taken -= 1
            self._waiting -= weight.waiting
            self._changed.notify_all()

    def close(self) -> None:
        """Release everyone who waits."""
        with self._changed:
            self.closed = True
            self._changed.notify_all()

    def _has_room(self) -> bool:
        if self._taken == 0:
            return True
        weight = self._waiting + (self._working + 1) * self._usual
        return self._taken < self._size and (not self._most or weight <= self._most)


def _next_of(queue: SimpleQueue[_T]) -> _T:
    while True:
        with suppress(Empty):
            return queue.get(timeout=0.5)  # on Windows, Ctrl-C does not interrupt a longer wait
