"""Stages that run in threads of their own, with a short queue between them, so that memory stays flat."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from queue import Full, Queue
from typing import Generic, TypeVar

_T = TypeVar("_T")
_END = object()


def ahead(items: Iterable[_T], size: int = 8) -> Generator[_T, None, None]:
    """The same items, made by another thread at most ``size`` of them ahead; its errors are raised here."""
    queue: Queue[object] = Queue(size)
    stopped = threading.Event()
    errors: list[BaseException] = []

    def put(item: object) -> None:
        while not stopped.is_set():
            with suppress(Full):
                queue.put(item, timeout=0.1)
                return

    def make() -> None:
        try:
            for item in items:
                put(item)
                if stopped.is_set():
                    return
        except BaseException as error:
            errors.append(error)
        finally:
            put(_END)

    thread = threading.Thread(target=make, daemon=True)
    thread.start()
    try:
        while (item := queue.get()) is not _END:
            yield item  # type: ignore[misc]
        if errors:
            raise errors[0]
    finally:
        stopped.set()
        thread.join()


class Behind(Generic[_T]):
    """Hands items to a function that runs in another thread, at most ``size`` of them behind.

    Leaving the ``with`` block waits for the last one. An error of the function is raised at the next item, or then.
    """

    def __init__(self, consume: Callable[[_T], None], size: int = 8) -> None:
        self._consume = consume
        self._queue: Queue[object] = Queue(size)
        self._errors: list[BaseException] = []
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Behind[_T]:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._queue.put(_END)
        self._thread.join()
        if kind is None:
            self._raise()

    def put(self, item: _T) -> None:
        """Hand over one item; waits while the queue is full."""
        self._raise()
        self._queue.put(item)

    def _raise(self) -> None:
        if self._errors:
            raise self._errors[0]

    def _run(self) -> None:
        while (item := self._queue.get()) is not _END:
            if not self._errors:
                try:
                    self._consume(item)  # type: ignore[arg-type]
                except BaseException as error:
                    self._errors.append(error)
