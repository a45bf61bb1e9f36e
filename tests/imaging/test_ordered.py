"""Results come in order, a few are computed ahead, and the threads end with the iterator."""

import subprocess
import sys
import threading
import time

import pytest

from obverse.imaging import in_order, ordered


def test_results_come_in_order_and_a_few_ahead():
    begun = []

    def work(number):
        begun.append(number)
        time.sleep(0.02 if number == 0 else 0)
        return number

    results = in_order(work, range(1000), num_threads=2, num_ahead=8)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    assert len(begun) <= 3 + 8
    results.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("obverse-in-order")]


HUNG = """
import threading
from obverse.imaging import in_order, ordered

hung, begun = threading.Event(), threading.Event()
results = in_order(lambda _: begun.set() or hung.wait(), range(1), num_threads=2, num_ahead=1)
threading.Thread(target=next, args=(results,), daemon=True).start()
begun.wait()
"""


def test_a_call_that_never_returns_does_not_keep_the_process():
    assert subprocess.run([sys.executable, "-c", HUNG], timeout=60).returncode == 0


def test_an_error_is_that_of_the_item():
    def fails(number):
        raise KeyError(number)

    with pytest.raises(KeyError, match="0"):
        next(in_order(fails, range(4), num_threads=2, num_ahead=2))


def test_closing_does_not_wait_for_a_call_that_never_returns(monkeypatch):
    monkeypatch.setattr(ordered, "JOIN_SECONDS", 0.1)
    hung = threading.Event()
    results = in_order(lambda number: number and hung.wait(), range(10), num_threads=2, num_ahead=3)
    assert next(results) == 0
    results.close()
    assert not hung.is_set()
    hung.set()
