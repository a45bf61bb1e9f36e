"""Which of several ways to do the same work is faster, judged so that noise decides nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import torch

Form = TypeVar("Form")
Work = Callable[[], object]
Timed = Callable[[], float]
# At least 15 % faster: the two libraries' paths that this is about differ by a fifth or more where they differ at all.
CLEARLY = 0.85
# Rounds that are timed, and how many of them may say otherwise.
MANY_ROUNDS, MAY_FAIL = 7, 1
# Work that takes long is noisy by a smaller share, and too dear for many rounds.
LONG_SECONDS, FEW_ROUNDS = 1.0, 3
# Of work that takes less than a scheduler's time slice or two, the least of several calls counts.
SHORT_SECONDS, SHORT_CALLS = 0.05, 5


def choose_faster(forms: Sequence[Form], work: Work, *, prepare: Callable[[Form], object] = lambda form: None) -> Form:
    """The first form, unless a later one is clearly and repeatedly faster than what is chosen so far.

    Both are timed in turn, so that whatever slows this machine down slows down both. prepare: makes `work` the work in
    a form; it is not timed.
    """

    def seconds(form: Form) -> float:
        prepare(form)
        return seconds_of(work)

    chosen = forms[0]
    if len(forms) > 1:
        seconds(chosen)
    for form in forms[1:]:
        seconds(form)
        if _is_clearly_faster(partial(seconds, form), than=partial(seconds, chosen)):
            chosen = form
    return chosen


def _is_clearly_faster(timed: Timed, *, than: Timed) -> bool:
    """Faster in every round, or in all but one of many; it stops where that cannot come true any more."""
    num_rounds, num_failed, may_fail = MANY_ROUNDS, 0, MAY_FAIL
    done = 0
    while done < num_rounds:
        plain, other = _round(than, timed)
        if plain > LONG_SECONDS:
            num_rounds, may_fail = FEW_ROUNDS, 0
        num_failed += other >= CLEARLY * plain
        if num_failed > may_fail:
            return False
        done += 1
    return True


def _round(*timed: Timed) -> tuple[float, ...]:
    """Seconds of each, in turn."""
    seconds = tuple(each() for each in timed)
    for _ in range(SHORT_CALLS - 1 if max(seconds) < SHORT_SECONDS else 0):
        seconds = tuple(min(before, each()) for before, each in zip(seconds, timed, strict=True))
    return seconds


def fastest_seconds(work: Work, *, repeats: int = 3) -> float:
    """The least wall time of `repeats` calls after one warm-up; of long work one call must do."""
    warm_up = seconds_of(work)
    return min(seconds_of(work) for _ in range(repeats if warm_up < LONG_SECONDS else 1))


def seconds_of(work: Work) -> float:
    """The wall time of one call, with what it has started on a GPU."""
    _finish_started_work()
    start = time.perf_counter()
    work()
    _finish_started_work()
    return time.perf_counter() - start


def _finish_started_work() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
