"""Batches made in a thread while the model works on the batch before.

Not a worker process: the decoding and the copying leave the interpreter free, so that one thread is enough for what is
cached, and nothing has to be sent between processes. The order stays, and so do all results; an error comes out where
its batch would have come.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator
from contextlib import suppress
from typing import TypeVar

Value = TypeVar("Value")
# One that is ready and one in the making.
AHEAD = 1
POLL_SECONDS = 0.1


def ahead(values: Iterator[Value], *, timeout_seconds: float | None = None) -> Generator[Value]:
    """The same values; the next ones are made meanwhile. Closing it ends the thread and waits for it.

    TimeoutError when a value takes longer than `timeout_seconds`; its thread is then left to itself.
    """
    waiting: queue.Queue[tuple[Value | None, BaseException | None]] = queue.Queue(AHEAD)
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
        except BaseException as error:  # anything at all belongs to the caller
            put(None, error)

    thread = threading.Thread(target=make, name="obverse-loader", daemon=True)
    thread.start()
    is_hung = False
    try:
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
        if not is_hung:
            thread.join()
