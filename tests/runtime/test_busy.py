"""Threads that wait for processors which other programs keep busy are noticed and said."""

import pytest
import torch

from obverse.runtime import busy, busy_note


@pytest.fixture
def measured(monkeypatch):
    """Set the operations per second by number of threads. Gives the numbers of threads that were measured."""
    asked = []

    def set_rates(rates):
        monkeypatch.setattr(
            busy, "_operations_per_second", lambda values, number: asked.append(number) or rates[number]
        )
        return asked

    return set_rates


def test_threads_that_are_much_slower_than_fewer_are_named_with_what_to_do(measured):
    asked = measured({1: 900.0, 3: 2000.0, 6: 500.0, 12: 50.0})
    note = busy_note(12)
    assert "40 times as long on 12 threads as on 3," in note
    assert "--set runtime.num_threads=3" in note
    assert sorted(asked) == [1, 3, 6, 12]


def test_of_two_threads_one_is_left(measured):
    measured({1: 900.0, 2: 30.0})
    assert "30 times as long on 2 threads as on 1," in busy_note(2)


@pytest.mark.parametrize("rate", [1800.0, 900.0, 700.0])
def test_threads_that_help_or_nearly_do_are_not_named(measured, rate):
    asked = measured({1: 900.0, 4: rate})
    assert busy_note(4) is None
    assert asked == [4, 1]


def test_one_thread_waits_for_nobody(measured):
    assert busy_note(1) is None
    assert measured({}) == []


def test_the_number_of_threads_stays():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        busy_note(2)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
