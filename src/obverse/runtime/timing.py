"""Comparison of the speed of several ways to do the same work, robust against noise."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import torch

Form = TypeVar("Form")
Work = Callable[[], object]
Timed = Callable[[], float]
# At least 15 % faster: where two libraries' kernels differ in speed at all, they differ by a fifth or more.
CLEARLY = 0.85
# Rounds that are timed, and how many of them may contradict.
MANY_ROUNDS, MAY_FAIL = 7, 1
# Long work has less relative noise, and many rounds of it would cost too much.
LONG_SECONDS, FEW_ROUNDS = 1.0, 3
# Work shorter than a few scheduler time slices: the minimum of several calls counts.
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
    """Whether `timed` is faster in every round, or in all but one of many. Stops as soon as the answer is certain."""
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
    """The seconds of each, measured alternately."""
    seconds = tuple(each() for each in timed)
    for _ in range(SHORT_CALLS - 1 if max(seconds) < SHORT_SECONDS else 0):
        seconds = tuple(min(before, each()) for before, each in zip(seconds, timed, strict=True))
    return seconds


def fastest_seconds(work: Work, *, repeats: int = 3) -> float:
    """The minimum wall time of `repeats` calls after a warm-up; long work is called once."""
    warm_up = seconds_of(work)
    return min(seconds_of(work) for _ in range(repeats if warm_up < LONG_SECONDS else 1))


def seconds_of(work: Work) -> float:
    """The wall time of one call, including the GPU kernels that it launches."""
    _finish_started_work()
    start = time.perf_counter()
    work()
    _finish_started_work()
    return time.perf_counter() - start


def _finish_started_work() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
