"""Work that other threads do ahead of whoever needs it: in order, bounded, its errors raised where they are met."""

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
    """What an item weighs, in any unit: while it is worked on, and while its result waits to be taken."""

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
    """``work(item)`` for each item, in their order.

    Other threads do it, and take the items one at a time; as many are started as there is work for. Who closes the
    generator before its end waits a second for them; one that hangs for longer, like the reader of a stream that has
    stalled, is left behind.

    Args:
        items: Taken by the threads; if this is a generator, it is closed at the end.
        work: Done by several threads at the same time.
        workers: Threads, at most.
        size: Items that are taken before they are asked for, at most.
        weigh: What an item weighed, by its result.
        most: So much may be worked on and wait at the same time; what is not done yet counts as what was done last. One
            item may always be, and at the beginning one for each worker.
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
            del item, promise  # who has taken a result decides how long it lives

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
    """How many items may be on their way, and how heavy."""

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
        """An item is done, and waits."""
        with self._changed:
            self._working -= 1
            self._waiting += weight.waiting
            self._usual = weight.working
            self._changed.notify_all()

    def leave(self, weight: Weight) -> None:
        """A result is taken."""
        with self._changed:
            self._taken -= 1
            self._waiting -= weight.waiting
            self._changed.notify_all()

    def close(self) -> None:
        """Nobody waits any more."""
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
            return queue.get(timeout=0.5)  # on Windows Ctrl-C does not interrupt a longer wait
