"""Results in the order of their inputs, computed by several threads."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
# How long the end waits for calls, of which some may never return.
JOIN_SECONDS = 3.0
Job = tuple[Item, "Future[Result]"]


def in_order(
    function: Callable[[Item], Result], items: Iterable[Item], *, num_threads: int, num_ahead: int
) -> Generator[Result]:
    """Yield function(item) of each item, in order, computed by `num_threads` threads.

    At most `num_ahead` results are waiting; closing the iterator ends the threads. A call that never returns keeps
    neither that from ending, but for 3 s, nor the process, as it would in a ThreadPoolExecutor.
    """
    pending: deque[Future[Result]] = deque()
    jobs: SimpleQueue[Job[Item, Result] | None] = SimpleQueue()

    def work() -> None:
        while job := jobs.get():
            item, future = job
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(function(item))
            except BaseException as error:  # raised where the result is taken
                future.set_exception(error)

    threads = [threading.Thread(target=work, name=f"obverse-in-order-{n}", daemon=True) for n in range(num_threads)]
    try:
        for thread in threads:
            thread.start()
        for item in items:
            pending.append(Future())
            jobs.put((item, pending[-1]))
            if len(pending) >= num_ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()
        for _ in threads:
            jobs.put(None)
        deadline = time.monotonic() + JOIN_SECONDS
        for thread in threads:
            if thread.ident is not None:  # a signal may come before all have started
                thread.join(max(0.0, deadline - time.monotonic()))
