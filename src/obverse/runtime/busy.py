"""Whether threads of this process wait for processors that other programs keep busy."""

from __future__ import annotations

import time

import torch

# A small operation, as a training step has thousands: on an idle machine all threads finish it in microseconds.
VALUES_PER_THREAD = 150_000
SECONDS = 0.2
# Threads of an idle machine are at least as fast as one; slower than one is no accident.
CLEARLY_SLOWER = 1.5


def busy_note(num_threads: int) -> str | None:
    """What to say where `num_threads` are clearly slower than one; else None. Takes half a second.

    All threads of an operation wait for the last one. Where another program has its processor, or there are fewer
    processors than threads, that takes until the system gives it a turn: milliseconds instead of microseconds.
    """
    if num_threads == 1:
        return None
    values, before = torch.zeros(VALUES_PER_THREAD * num_threads), torch.get_num_threads()
    try:
        rates = {number: _operations_per_second(values, number) for number in (num_threads, 1)}
        if rates[1] < CLEARLY_SLOWER * rates[num_threads]:
            return None
        fewer = [num_threads // 2**power for power in range(1, num_threads.bit_length() - 1)]
        rates |= {number: _operations_per_second(values, number) for number in fewer}
    finally:
        torch.set_num_threads(before)
    best = max(rates, key=rates.__getitem__)
    times = round(rates[best] / rates[num_threads])
    return (
        f"threads wait for each other: small operations take {times} times as long on {num_threads} threads as on "
        f"{best}, because other programs keep the processors busy, or there are fewer processors; end the other "
        f"programs, or train with --set runtime.num_threads={best}"
    )


def _operations_per_second(values: torch.Tensor, num_threads: int) -> float:
    torch.set_num_threads(num_threads)
    values.add_(1)  # threads start
    count, start = 0, time.perf_counter()
    while (seconds := time.perf_counter() - start) < SECONDS:
        values.add_(1)
        count += 1
    return count / seconds
