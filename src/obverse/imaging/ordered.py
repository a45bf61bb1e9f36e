"""Results in the order of their inputs, computed by several threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(
    function: Callable[[Item], Result], items: Iterable[Item], *, num_threads: int, num_ahead: int
) -> Iterator[Result]:
    """Yield function(item) of each item, in order, computed by `num_threads` threads.

    At most `num_ahead` results are waiting; closing the iterator ends the threads.
    """
    pending: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(num_threads, thread_name_prefix="obverse-in-order") as threads:
        try:
            for item in items:
                pending.append(threads.submit(function, item))
                if len(pending) >= num_ahead:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()
