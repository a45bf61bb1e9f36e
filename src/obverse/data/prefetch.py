"""Prefetching of batches in a thread while the model computes the batch before.

A thread instead of a worker process: decoding and copying release the interpreter lock, so one thread is enough for
cached pictures, and nothing is sent between processes. Order and results do not change. An exception is raised where
its batch would have been yielded.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator
from contextlib import suppress
from typing import TypeVar

Value = TypeVar("Value")
# Batches that wait in the queue, besides the one that the thread is making.
QUEUE_SIZE = 1
POLL_SECONDS = 0.1
# How long the end waits for the thread, which may be reading a file that never comes.
JOIN_SECONDS = 3.0


def prefetched(values: Iterator[Value], *, timeout_seconds: float | None = None) -> Generator[Value]:
    """The same values, prefetched in a thread. Closing the generator ends the thread and waits for it, for 3 s at most.

    TimeoutError when a value takes longer than `timeout_seconds`; the thread is then abandoned.
    """
    waiting: queue.Queue[tuple[Value | None, BaseException | None]] = queue.Queue(QUEUE_SIZE)
    stop = threading.Event()

    def put(value: Value | None, error: BaseException | None) -> None:
        while not stop.is_set():
            with suppress(queue.Full):
                waiting.put((value, error), timeout=POLL_SECONDS)
                return

    def make() -> None:
        try:
            for value in values:
                put(value, None)
                if stop.is_set():
                    return
            put(None, None)
        except BaseException as error:  # the consumer raises it, whatever it is
            put(None, error)

    thread = threading.Thread(target=make, name="obverse-loader", daemon=True)
    is_hung = False
    try:
        thread.start()
        while True:
            try:
                value, error = waiting.get(timeout=timeout_seconds)
            except queue.Empty:
                is_hung = True
                raise TimeoutError(f"timed out after {timeout_seconds} seconds") from None
            if error is not None:
                raise error
            if value is None:
                return
            yield value
    finally:
        stop.set()
        if not is_hung and thread.ident is not None:
            thread.join(JOIN_SECONDS)
