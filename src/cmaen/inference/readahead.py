"""Work that other threads do ahead of whoever needs it: in order, bounded, its errors raised where they are met."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TypeVar

_T = TypeVar("_T")
_R = TypeVar("_R")
_PATIENCE = 1.0


def ahead(
    items: Iterable[_T], work: Callable[[_T], _R], *, workers: int = 1, size: int = 8
) -> Generator[_R, None, None]:
    """``work(item)`` for each item, in their order.

    Other threads do it, and take the items one at a time. Who closes the generator before its end waits a second for
    them; one that hangs for longer, like the reader of a stream that has stalled, is left behind.

    Args:
        items: Taken by the threads; if this is a generator, it is closed at the end.
        work: Done by several threads at the same time.
        workers: Threads.
        size: Items that are taken before they are asked for, at most.
    """
    iterator = iter(items)
    turn, room, stopped = threading.Lock(), threading.Semaphore(size), threading.Event()
    promised: SimpleQueue[Future[_R] | None] = SimpleQueue()

    def labour() -> None:
        while True:
            room.acquire()
            with turn:
                if stopped.is_set():
                    return
                promise: Future[_R] = Future()
                try:
                    item = next(iterator)
                except BaseException as error:
                    stopped.set()
                    if not isinstance(error, StopIteration):
                        promise.set_exception(error)
                        promised.put(promise)
                    promised.put(None)
                    return
                promised.put(promise)
            try:
                promise.set_result(work(item))
            except BaseException as error:
                promise.set_exception(error)

    threads = [threading.Thread(target=labour, daemon=True) for _ in range(workers)]
    for thread in threads:
        thread.start()
    try:
        while (promise := _next_of(promised)) is not None:
            result = promise.result()
            room.release()
            yield result
    finally:
        stopped.set()
        for _ in threads:
            room.release()
        deadline = time.monotonic() + _PATIENCE
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        if isinstance(iterator, Generator) and not any(thread.is_alive() for thread in threads):
            iterator.close()


def _next_of(queue: SimpleQueue[_T]) -> _T:
    while True:
        with suppress(Empty):
            return queue.get(timeout=0.5)  # on Windows Ctrl-C does not interrupt a longer wait
